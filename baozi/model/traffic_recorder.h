// TrafficRecorder: keeps a few requests of the most frequent shapes, as samples for the warm-up of
// the next start. It looks at every 16th request and never waits: who finds it busy goes on. What
// it keeps is copied, redacted, and written to its file in the background and when it goes.
//
//   auto served = std::make_shared<RecordedServable>(model, RecorderOptions{.file = file});
//
// The file is TensorFlow Serving's warm-up form (warmup_records.h), written whole or not at all,
// readable by its owner only.
//
// Thread safety: all methods. The destructor blocks while the file is written.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "baozi/coro/lane.h"
#include "baozi/coro/timer.h"
#include "baozi/model/redaction.h"
#include "baozi/model/sample_reservoir.h"
#include "baozi/model/servable.h"
#include "baozi/model/warmup_sample.h"

namespace baozi::model {

struct RecorderOptions {
  std::filesystem::path file;
  Redaction redact = nullptr;  // null: as it came
  std::size_t bytes_max = std::size_t{64} << 20;
  Duration every = std::chrono::seconds(60);  // between two writes at least
  std::uint32_t share = 16;                   // one request in so many is looked at
};

class TrafficRecorder {
 public:
  // `model` is written into the records.
  TrafficRecorder(std::string model, engine::Signature signature, RecorderOptions options);
  ~TrafficRecorder();
  TrafficRecorder(const TrafficRecorder&) = delete;
  TrafficRecorder& operator=(const TrafficRecorder&) = delete;

  // What was recorded before goes on counting, each as a request.
  void restore(const std::vector<WarmupSample>& samples);

  // A request has come. Inputs that do not fit the signature are not kept.
  void request(const Tensors& inputs) noexcept {
    if (requests_.fetch_add(1, std::memory_order_relaxed) % options_.share == 0) look(inputs);
  }

  // Writes the file now, if there is anything new. Errors are logged, once.
  void write() noexcept;

 private:
  class WriteTimer final : public TimerEntry {
   public:
    explicit WriteTimer(TrafficRecorder& recorder) noexcept
        : TimerEntry(&WriteTimer::fire), recorder_(recorder) {}

   private:
    static void fire(TimerEntry* entry) noexcept {
      TrafficRecorder& recorder = static_cast<WriteTimer*>(entry)->recorder_;
      recorder.lane_.post(recorder.writing_);
    }
    TrafficRecorder& recorder_;
  };
  struct Writing final : Work {
    TrafficRecorder* recorder = nullptr;
  };

  void look(const Tensors& inputs) noexcept;
  void time_came() noexcept;  // on the lane
  bool fits(const Tensors& inputs) const noexcept;
  void keep_locked(const Tensors& inputs);

  const std::string model_;
  const engine::Signature signature_;
  const RecorderOptions options_;
  std::atomic<std::uint64_t> requests_{0};

  std::mutex mutex_;
  SampleReservoir reservoir_;  // guarded by mutex_, like the rest
  bool changed_ = false;
  bool armed_ = false;
  bool closing_ = false;

  std::mutex file_mutex_;  // one write at a time
  bool told_ = false;      // that it cannot be written; guarded by file_mutex_
  WriteTimer timer_;
  Writing writing_;
  Lane lane_;  // last: ends before what it uses
};

// A servable whose requests are recorded; otherwise as it is.
class RecordedServable final : public Servable {
 public:
  RecordedServable(std::shared_ptr<Servable> servable, RecorderOptions options)
      : servable_(std::move(servable)),
        recorder_(servable_->name(), servable_->signature(), std::move(options)) {}

  const std::string& name() const noexcept override { return servable_->name(); }
  const std::string& version() const noexcept override { return servable_->version(); }
  std::string_view platform() const noexcept override { return servable_->platform(); }
  const engine::Signature& signature() const noexcept override { return servable_->signature(); }
  const std::vector<std::string>& labels() const noexcept override { return servable_->labels(); }
  const Origin& origin() const noexcept override { return servable_->origin(); }
  std::vector<Tensors> samples() const override { return servable_->samples(); }
  bool ready() const noexcept override { return servable_->ready(); }
  Statistics statistics() const override { return servable_->statistics(); }
  std::optional<Refusal> refusal() const noexcept override { return servable_->refusal(); }
  Task<InferResponse> infer(InferRequest request) override {
    recorder_.request(request.inputs);
    return servable_->infer(std::move(request));
  }

  TrafficRecorder& recorder() noexcept { return recorder_; }

 private:
  const std::shared_ptr<Servable> servable_;
  TrafficRecorder recorder_;
};

}  // namespace baozi::model
