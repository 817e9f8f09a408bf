#include "baozi/api/openai_text.h"

#include <iterator>
#include <utility>

#include "baozi/base/log.h"
#include "baozi/coro/this_task.h"
#include "baozi/coro/with_deadline.h"

namespace baozi::api {

void RequestRecord::answered(Code code) {
  if (metrics_ == nullptr) return;
  metrics_->answered(code, Clock::now() - start);
  if (trace_ != nullptr) metrics_->stages(*trace_);
  metrics_ = nullptr;
}

namespace {

void append(Answer& answer, llm::CompletionPiece piece) {
  answer.text += piece.text;
  answer.chances.insert(answer.chances.end(), std::make_move_iterator(piece.chances.begin()),
                        std::make_move_iterator(piece.chances.end()));
  if (piece.finish) answer.finish = *piece.finish;
}

}  // namespace

Task<std::string> whole_body(TextCall call, AnswerTimer timer, Executor* cpu) {
  std::vector<Answer> answers(call.answers->size());
  while (!call.answers->ended()) {
    std::vector<Answers::Piece> pieces = co_await call.answers->next();
    timer.came(call.answers->usage(), Clock::now());
    for (Answers::Piece& each : pieces) append(answers[each.index], std::move(each.piece));
  }
  const llm::CompletionUsage usage = call.answers->usage();
  timer.end(usage);
  if (cpu != nullptr) co_await switch_to(*cpu);
  if (call.note != nullptr) call.note->write(call.servable->language(), answers);
  co_return call.format->whole(answers, usage);
}

Task<std::string> TextStream::next() {
  std::string events;
  if (ended_) co_return events;
  try {
    while (events.empty()) {
      Task<std::vector<Answers::Piece>> reading = call_.answers->next();
      if (record_->deadline != kNever)
        reading = with_deadline(std::move(reading), record_->deadline);
      std::vector<Answers::Piece> pieces = co_await std::move(reading);
      events = events_of(std::move(pieces));
    }
  } catch (const Error& error) {
    if (!begun_ || error.code() == Code::kCancelled) throw;
    events = failed(error);
  }
  co_return events;
}

std::string TextStream::events_of(std::vector<Answers::Piece> pieces) {
  std::string events;
  const llm::CompletionUsage usage = call_.answers->usage();
  timer_.came(usage, Clock::now());
  if (!std::exchange(begun_, true)) events = call_.format->begin();
  for (const Answers::Piece& each : pieces) events += call_.format->add(each.index, each.piece);
  if (call_.note != nullptr) {
    whole_.resize(call_.answers->size());
    for (Answers::Piece& each : pieces) append(whole_[each.index], std::move(each.piece));
  }
  if (call_.answers->ended()) {
    ended_ = true;
    timer_.end(usage);
    record_->answered(Code::kOk);
    if (call_.note != nullptr) call_.note->write(call_.servable->language(), whole_);
    events += call_.format->end(usage);
  }
  return events;
}

std::string TextStream::failed(const Error& error) {
  ended_ = true;
  if (http_status(error.code()) == 500) log().warn("{}: {}", call_.model, error.describe());
  record_->answered(error.code());
  return call_.format->fail(error);
}

}  // namespace baozi::api
