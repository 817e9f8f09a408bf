// InstanceScaler: gives models more instances while requests wait for them, and ends those that
// nobody needs any more, as elasticity.h decides. It drives that core for all models of a process,
// one after the other, so that at most one instance is in the making.
//
//   InstanceScaler scaler(memory);
//   nursery.spawn(scaler.run(), lane);            // making an instance blocks
//   scaler.add({.model = model, .samples = samples, .limits = {.budget = 500ms}});
//
// A new instance is heated with the samples before it takes work. One that cannot be made is
// logged, and tried again later and later; the model goes on with those it has. While nobody waits
// and every model has its least number of instances, nothing wakes up.
//
// A model is kept alive only while it is looked at, or an instance of it is made. Thread safety:
// add and forget from any thread; run once.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "baozi/coro/event.h"
#include "baozi/coro/task.h"
#include "baozi/model/warmup.h"
#include "baozi/model/warmup_sample.h"
#include "baozi/pipeline/batched_model.h"
#include "baozi/pipeline/elasticity.h"

namespace baozi::pipeline {

// The memory that all models share. Thread safety: all methods.
class InstanceMemory {
 public:
  virtual ~InstanceMemory() = default;

  // Bytes that could be taken now.
  virtual std::size_t free() const = 0;
  // The model takes so many bytes from now on, all in all. False: they are not there, and nothing
  // has changed. Less always fits.
  virtual bool take(const BatchedModel& model, std::size_t bytes) = 0;
};

struct ElasticModel {
  std::weak_ptr<BatchedModel> model;
  std::vector<model::WarmupSample> samples = {};
  model::WarmupLimits limits = {};
  Duration grow_after = ElasticityOptions{}.grow_after;
  Duration shrink_after = ElasticityOptions{}.shrink_after;
};

class InstanceScaler {
 public:
  // `memory` outlives it.
  explicit InstanceScaler(InstanceMemory& memory) noexcept : memory_(memory) {}

  // Takes the place of one of that name and version. One that may not grow is passed over.
  void add(ElasticModel model);
  // It is left as it is from now on; its memory is no longer accounted for.
  void forget(const std::string& name, const std::string& version);

  // Until it is stopped. On a lane.
  Task<void> run() { return run(this); }

 private:
  struct Served {
    Served(ElasticModel of, const BatchedModel& model);

    const ElasticModel what;
    const std::string name;
    const std::string version;
    std::atomic<bool> forgotten{false};
    // The lane's:
    Elasticity core;
    Time look_at = Time::min();
    bool told = true;              // it will be told when somebody waits
    bool short_of_memory = false;  // which was logged
    bool failing = false;          // the same
  };
  using ServedPtr = std::shared_ptr<Served>;

  static Task<void> run(InstanceScaler* self);
  static Task<void> wait(InstanceScaler* self, Time until);
  static Task<void> look(InstanceScaler* self, ServedPtr served);
  static Task<void> grow(InstanceScaler* self, ServedPtr served,
                         std::shared_ptr<BatchedModel> model);
  void shrink(Served& served, BatchedModel& model);
  void no_room(Served& served, const BatchedModel& model);
  bool take(const Served& served, const BatchedModel& model, std::size_t bytes);
  std::vector<ServedPtr> all();

  InstanceMemory& memory_;
  const std::shared_ptr<Event> changed_ = std::make_shared<Event>();  // somebody waits, or is new

  std::mutex mutex_;
  std::vector<ServedPtr> served_;  // guarded by mutex_
};

}  // namespace baozi::pipeline
