// The start of this process as a waterfall: what was done from exec to the first answer, and when.
//
//   {
//     const cold_start::Phase phase("load", "resnet/1");
//     …
//   }
//   cold_start::first_answer();
//   for (const cold_start::Span& span : cold_start::record().spans) …
//
// Recording ends with kSpansMax spans; a server that loads models for months keeps those of its
// start. Thread safety: all functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/base/clock.h"

namespace baozi::cold_start {

inline constexpr std::size_t kSpansMax = 1024;

struct Span {
  std::string name;     // "config", "listen", "open", "load", "warm", …
  std::string subject;  // of which model; "": of the process
  Time begin{};
  Time end{};
};

struct Record {
  Time exec{};                   // the process began; from the kernel, to within 10 ms
  std::vector<Span> spans = {};  // in the order they ended
  Time ready = kNever;           // all was ready for the first time
  Time first_answer = kNever;    // the first successful inference was answered
};

void add(Span span);
void ready() noexcept;         // the first call counts
void first_answer() noexcept;  // the first call counts; cheap ever after
Record record();

// From construction to destruction.
class Phase {
 public:
  explicit Phase(std::string_view name, std::string_view subject = {});
  ~Phase();
  Phase(const Phase&) = delete;
  Phase& operator=(const Phase&) = delete;

 private:
  Span span_;
};

}  // namespace baozi::cold_start
