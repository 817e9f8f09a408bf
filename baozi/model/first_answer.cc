#include "baozi/model/first_answer.h"

#include <utility>

#include "baozi/base/error.h"
#include "baozi/model/warmup_check.h"

namespace baozi::model {

void FirstAnswer::settle(std::exception_ptr error) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (state_ == State::kSettled) return;
    state_ = State::kSettled;
    error_ = std::move(error);
  }
  settled_.set();
}

Task<bool> FirstAnswer::came() {
  co_await came_.wait();
  co_return true;
}

Task<bool> FirstAnswer::proved() {
  for (;;) {
    std::shared_ptr<Event> turn;
    {
      const std::lock_guard lock(mutex_);
      if (state_ == State::kSettled) co_return error_ == nullptr;
      if (state_ == State::kUnproved) state_ = State::kLeft;
      if (state_ == State::kLeft) co_return false;
      turn = turn_;
    }
    co_await turn->wait();
  }
}

Task<InferResponse> FirstAnswer::infer(InferRequest request) {
  came_.set();
  std::optional<InferResponse> doubtful;
  bool tried = false;
  for (;;) {
    bool tries = false;
    std::shared_ptr<Event> turn;
    {
      const std::lock_guard lock(mutex_);
      if (state_ == State::kSettled) break;
      tries = !tried && state_ == State::kUnproved;
      if (tries) {
        turn_ = std::make_shared<Event>();
        state_ = State::kTried;
      }
      if (!tried && state_ == State::kTried) turn = turn_;
    }
    if (!tries) {
      Event& over = turn != nullptr ? *turn : settled_;
      co_await over.wait();
      continue;
    }
    tried = true;
    Task<Attempt> trying = attempt(request);
    Attempt made = co_await std::move(trying);
    const bool good = made.response && proves(*made.response);
    end_turn(good);
    if (made.error) std::rethrow_exception(made.error);
    if (good) co_return *std::move(made.response);
    doubtful = std::move(made.response);
  }
  {
    const std::lock_guard lock(mutex_);
    if (error_) std::rethrow_exception(error_);
  }
  if (doubtful) co_return *std::move(doubtful);
  Task<InferResponse> asking = servable_->infer(std::move(request));
  InferResponse response = co_await std::move(asking);
  co_return response;
}

Task<FirstAnswer::Attempt> FirstAnswer::attempt(InferRequest request) {
  Attempt made;
  try {
    Task<InferResponse> asking = servable_->infer(std::move(request));
    made.response = co_await std::move(asking);
  } catch (...) {
    made.error = std::current_exception();
  }
  co_return made;
}

void FirstAnswer::end_turn(bool proved) noexcept {
  std::shared_ptr<Event> turn;
  bool settled = false;
  {
    const std::lock_guard lock(mutex_);
    turn = std::exchange(turn_, nullptr);
    settled = proved && state_ == State::kTried;
    if (state_ == State::kTried) state_ = proved ? State::kSettled : State::kUnproved;
  }
  if (settled) settled_.set();
  turn->set();
}

// An answer that was asked for a part of the outputs says nothing about the others.
bool FirstAnswer::proves(const InferResponse& response) const noexcept {
  try {
    for (const engine::TensorSpec& output : signature().outputs) {
      if (find_tensor(response.outputs, output.name) == nullptr) return false;
    }
    check_finite(response.outputs, SampleOrigin::kRecorded);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace baozi::model
