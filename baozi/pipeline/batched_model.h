// BatchedModel: one loaded model behind its batcher, as a Servable. It drives the pure core of
// batcher.h: N instances, each on a lane of its own; a request goes to an idle one at once and
// otherwise waits in the queue.
//
// A request's way: one hop to the lane, one hop back to the executor it came from. A batch of one
// passes its tensors through without a copy; a larger one is gathered into a pooled buffer, and its
// outputs are handed out as slices of the batch's.
//
//   std::shared_ptr<engine::Model> weights = engine::engine_for(file).load(file, {}, {});
//   auto model = std::make_shared<BatchedModel>(weights, BatchedModelOptions{.name = "resnet"});
//   InferResponse response = co_await model->infer(std::move(request));
//
// Stop and deadline come through the caller's Context. A stopped request leaves the queue at once;
// one that runs ends with its batch, and the batch is ended early only when all its requests have
// stopped.
//
// Thread safety: all methods. The destructor blocks until the lanes have ended; no request may be
// under way.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "baozi/coro/burst.h"
#include "baozi/coro/event.h"
#include "baozi/coro/lane.h"
#include "baozi/coro/post_gate.h"
#include "baozi/coro/timer.h"
#include "baozi/engine/buffer_pool.h"
#include "baozi/engine/engine.h"
#include "baozi/model/servable.h"
#include "baozi/pipeline/admission.h"
#include "baozi/pipeline/batch_tensors.h"
#include "baozi/pipeline/batcher.h"
#include "baozi/pipeline/load_meter.h"

namespace baozi::pipeline {

struct BatchedModelOptions {
  std::string name = {};
  std::string version = "1";
  std::string platform = "onnxruntime_onnx";
  std::vector<std::string> labels = {};
  std::filesystem::path file = {};  // it was loaded from; its vocabulary and the like lie beside it
  // Each instance computes on a thread of its own, with the threads of engine::ModelOptions
  // (default 1): N single-threaded instances gave the best throughput wherever it was measured. 0:
  // one a core.
  int instances = 0;
  // Up to which it may grow, by itself never: see instance_scaler.h. Below `instances`: it stays.
  int instances_max = 0;
  BatchOptions batch = {};
  // Inputs that may be filled up to the longest of a batch, and with what; the others share a batch
  // with equals only.
  std::map<std::string, double> pad = {};
  std::size_t buffer_bytes_max = 0;  // memory for batches and outputs; 0: no limit
};

class BatchedModel final : public model::Servable, private Burst::Deferred {
 public:
  // Makes the instances, which may take long: call it on the CPU pool. Throws what the engine
  // throws, and Error kInvalidArgument for options that make no sense.
  BatchedModel(std::shared_ptr<engine::Model> model, BatchedModelOptions options);
  ~BatchedModel() override;

  const std::string& name() const noexcept override { return options_.name; }
  const std::string& version() const noexcept override { return options_.version; }
  std::string_view platform() const noexcept override { return options_.platform; }
  const engine::Signature& signature() const noexcept override { return model_->signature(); }
  const std::vector<std::string>& labels() const noexcept override { return options_.labels; }
  const model::Origin& origin() const noexcept override { return origin_; }
  bool ready() const noexcept override { return true; }
  std::size_t memory_bytes() const noexcept override;
  model::Statistics statistics() const override;
  std::optional<model::Refusal> refusal() const noexcept override;

  // Errors: kInvalidArgument (inputs, wanted outputs, more rows than max_batch), kResourceExhausted
  // (the queue is full), kDeadlineExceeded, kCancelled, and what the engine throws.
  Task<model::InferResponse> infer(model::InferRequest request) override;

  // That take work now.
  int instances() const noexcept { return instances_.load(std::memory_order_relaxed); }
  int max_batch() const noexcept { return options_.batch.max_batch; }

  // ---- For warm-up, see model_warmup.h.

  // What requests are batched by.
  struct Fit {
    int rows = 1;
    std::uint64_t shape_key = 0;  // requests of one shape may share a batch
  };
  // Brings `inputs` into the signature's order. Errors: as infer.
  Fit fit(Tensors& inputs) const;
  // Runs the requests as one batch on that instance, by the road of every batch, but counted
  // nowhere and whatever the batcher would do. Preconditions: a number below instances_min(), or of
  // one that make_instance() made and that takes no work yet; inputs as fit() left them, which may
  // share a batch of at most max_batch rows. Errors: kAborted when a request wants that instance,
  // also while it runs where the engine is interruptible; kCancelled and kDeadlineExceeded, once
  // the engine has ended; what the engine throws.
  struct Trial {
    std::vector<Tensors> outputs = {};  // of each request
    Duration took{};
  };
  Task<Trial> run_on(int instance, std::vector<Tensors> requests);
  // The batcher knows what such a batch takes. `loaded`: all instances were busy.
  void learn(std::uint64_t shape_key, int rows, bool loaded, Duration took);
  // Whether requests wait or run.
  bool busy() const noexcept;
  // As those of engine::Model; the second blocks.
  bool loaded() const noexcept { return model_->loaded(); }
  void await_loaded(StopToken stop) { model_->await_loaded(stop); }

  // ---- For elasticity, see instance_scaler.h; by one caller at a time.

  int instances_min() const noexcept { return options_.instances; }
  int instances_max() const noexcept { return options_.instances_max; }
  std::size_t instance_bytes() const noexcept { return model_->instance_bytes(); }
  // Makes one more and gives its number. It takes no work yet. Blocks. Errors: what the engine
  // throws; kResourceExhausted at instances_max, or when there is no thread for it.
  int make_instance();
  void put_to_work(int instance) noexcept;
  // Ends one that takes no work yet. Blocks.
  void discard_instance(int instance) noexcept;
  // Ends one of those beyond instances_min() that is idle. Blocks. False: none is.
  bool end_idle_instance() noexcept;
  // Since the last time.
  Load load(Time now) noexcept;
  // Sets `event` as soon as somebody waits for an instance, once.
  void tell_when_waiting(std::shared_ptr<Event> event) noexcept;

 private:
  struct Waiter;
  struct Slot;
  struct Metrics;
  struct FollowStop;
  class TrialScope;
  struct StopWaiter {
    Waiter* waiter;
    void operator()() noexcept;
  };
  class WakeTimer final : public TimerEntry {
   public:
    explicit WakeTimer(BatchedModel& model) noexcept
        : TimerEntry(&WakeTimer::fire), model_(model) {}

   private:
    static void fire(TimerEntry* entry) noexcept;
    BatchedModel& model_;
  };

  static Task<void> wait_for(Waiter* waiter);
  model::InferResponse answer_from(model::InferRequest request) const;
  void prepare(Waiter& waiter) const;
  bool submit(Waiter& waiter) noexcept;
  bool enqueue_locked(Waiter& waiter) noexcept;
  void burst_ended() noexcept override;
  void stop_waiter(Waiter& waiter, Code reason) noexcept;
  void wake() noexcept;
  // Carries out what the core decides until it has nothing more to do.
  void advance_locked(Time now) noexcept;
  void dispatch_locked(Time now) noexcept;
  void publish_length_locked(Time now) noexcept;
  bool is_elastic() const noexcept { return options_.instances_max > options_.instances; }
  void count_batch_locked(const Slot& slot, Time now);

  // On a slot's lane.
  void execute(Slot& slot) noexcept;
  void observe(const Slot& slot, Time now) noexcept;
  void run_batch(Slot& slot) noexcept;
  void run_together(Slot& slot, std::span<Waiter* const> waiters, StopToken stop);
  void gather(Slot& slot, std::span<Waiter* const> waiters);
  void hand_out(Slot& slot, std::span<Waiter* const> waiters);

  // Constant after construction.
  const std::shared_ptr<engine::Model> model_;
  const BatchLayout layout_;
  const BatchedModelOptions options_;
  const model::Origin origin_;
  std::unique_ptr<Metrics> metrics_;
  engine::BufferPool pool_;

  ServiceRate rate_;
  std::atomic<std::size_t> queued_{0};
  std::atomic<int> instances_;

  PostGate gate_;  // for what was put off to the end of a burst
  mutable std::mutex mutex_;
  // Guarded by mutex_:
  BatchQueue queue_;
  Actions actions_;
  model::Statistics statistics_;
  WakeTimer timer_;
  bool timer_armed_ = false;
  bool deferred_ = false;  // an I/O thread decides when its burst ends
  bool closing_ = false;
  LoadMeter meter_;                 // only of one that is elastic, as is:
  std::shared_ptr<Event> waiting_;  // to be set when somebody waits

  // By number; null: there is none. As many as there may be. Last: their lanes end first.
  std::vector<std::unique_ptr<Slot>> slots_;
};

}  // namespace baozi::pipeline
