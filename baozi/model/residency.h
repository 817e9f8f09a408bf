// Residency: which models stay in memory when not all fit. What was used longest ago goes first;
// what is pinned never does.
//
//   Residency residency(8 << 30);
//   const Residency::Room room = residency.make_room("bert", bytes);
//   for (const std::string& name : room.leave) …       // unload these, then
//   residency.enter("bert", bytes, pinned);
//
// Names are whatever tells them apart. Thread safety: none. Pure: the caller says when something
// was used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/base/clock.h"

namespace baozi::model {

class Residency {
 public:
  // 0: there is no limit.
  explicit Residency(std::size_t bytes_max) noexcept : bytes_max_(bytes_max) {}

  // What must leave so that `bytes` more fit; nothing of that leaves here by itself. One that is
  // here already under that name is counted as gone.
  struct Room {
    bool fits = true;
    std::vector<std::string> leave;  // oldest first; empty when it does not fit
    std::size_t kept = 0;            // bytes that cannot leave
  };
  Room make_room(std::string_view name, std::size_t bytes) const;

  void enter(const std::string& name, std::size_t bytes, bool pinned, Time used);
  void used(std::string_view name, Time when);
  // One that is here takes another size from now on. False: more than there is room for, or it is
  // not here; then nothing has changed.
  bool resize(std::string_view name, std::size_t bytes);
  void leave(std::string_view name);
  Time last_used(std::string_view name) const;  // Time::min(): it is not here
  std::size_t bytes_of(std::string_view name) const;

  std::size_t bytes() const noexcept { return bytes_; }
  std::size_t bytes_max() const noexcept { return bytes_max_; }

 private:
  struct Resident {
    std::size_t bytes = 0;
    bool pinned = false;
    Time used{};
  };

  const std::size_t bytes_max_;
  std::map<std::string, Resident, std::less<>> residents_;
  std::size_t bytes_ = 0;  // of all residents
};

}  // namespace baozi::model
