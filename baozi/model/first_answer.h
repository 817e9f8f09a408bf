// FirstAnswer: a servable that somebody waits for and that nobody has proved yet. The first request
// is the proof: its answer is checked before it is given, while the others wait. After an error the
// next one tries. An answer that proves nothing (it holds a NaN, which its own inputs may explain,
// or a part of the outputs) is kept back until the servable is proved otherwise.
//
//   auto first = std::make_shared<FirstAnswer>(servable);
//   repository.add(first, State::kWarming);
//   if (!came_in_time || !co_await first->proved()) { …; first->settle(error_or_null); }
//   repository.add(servable);
//
// So whoever waited has an answer after one run instead of two.
// Thread safety: all methods.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>

#include "baozi/coro/event.h"
#include "baozi/model/servable.h"

namespace baozi::model {

class FirstAnswer final : public Servable {
 public:
  explicit FirstAnswer(std::shared_ptr<Servable> servable) : servable_(std::move(servable)) {}

  // True when a request has come: who waited for the servable may still have to read it.
  Task<bool> came();
  // Whether a request has proved it. Waits for one that is at it; from then on no other tries.
  Task<bool> proved();
  // How it ended otherwise. Null: it is proved, and requests go on to the servable. Else those that
  // wait, and all that come, fail with it.
  void settle(std::exception_ptr error) noexcept;

  const std::string& name() const noexcept override { return servable_->name(); }
  const std::string& version() const noexcept override { return servable_->version(); }
  std::string_view platform() const noexcept override { return servable_->platform(); }
  const engine::Signature& signature() const noexcept override { return servable_->signature(); }
  const std::vector<std::string>& labels() const noexcept override { return servable_->labels(); }
  const Origin& origin() const noexcept override { return servable_->origin(); }
  std::vector<Tensors> samples() const override { return servable_->samples(); }
  bool ready() const noexcept override { return servable_->ready(); }
  std::size_t memory_bytes() const noexcept override { return servable_->memory_bytes(); }
  bool cached() const noexcept override { return servable_->cached(); }
  Statistics statistics() const override { return servable_->statistics(); }
  std::optional<Refusal> refusal() const noexcept override { return servable_->refusal(); }
  // Errors: the servable's; what settle() was given.
  Task<InferResponse> infer(InferRequest request) override;

 private:
  enum class State : std::uint8_t {
    kUnproved,  // the next request tries
    kTried,     // one does
    kLeft,      // to whoever asked proved()
    kSettled
  };
  struct Attempt {
    std::optional<InferResponse> response;
    std::exception_ptr error;
  };

  Task<Attempt> attempt(InferRequest request);
  void end_turn(bool proved) noexcept;
  bool proves(const InferResponse& response) const noexcept;

  const std::shared_ptr<Servable> servable_;
  std::mutex mutex_;
  State state_ = State::kUnproved;  // guarded by mutex_
  std::exception_ptr error_;        // guarded by mutex_
  std::shared_ptr<Event> turn_;     // while kTried: set when it is over; guarded by mutex_
  Event came_;
  Event settled_;
};

}  // namespace baozi::model
