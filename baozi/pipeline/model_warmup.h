// ModelWarmup: warms a BatchedModel up, every instance × batch size × shape, its instances beside
// each other on their lanes, as warmup_plan.h orders it. What the runs take is told to the batcher,
// whose first decisions then are as good as its later ones.
//
//   ModelWarmup warmup(model, synthesise_samples(model->signature()), {.budget = 500ms});
//   sync_wait(warmup.prove());
//   WarmupReport report = sync_wait(warmup.heat());
//
// A sample that was synthesised or recorded, and that the model refuses, is left out with a
// warning: shapes can be guessed wrong, and models change. One that was given must be answered.
//
// Thread safety: as model/warmup.h says.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "baozi/model/warmup.h"
#include "baozi/model/warmup_sample.h"
#include "baozi/pipeline/batched_model.h"

namespace baozi::pipeline {

class ModelWarmup final : public model::Warmup {
 public:
  static constexpr std::size_t kGroupsMax = 16;  // shapes that are heated; all samples are proved

  // Errors: kInvalidArgument for a given sample that does not fit the signature, with the sample's
  // file and the input.
  ModelWarmup(std::shared_ptr<BatchedModel> model, std::vector<model::WarmupSample> samples,
              model::WarmupLimits limits);

  Task<void> prove() override { return prove(this); }
  Task<model::WarmupReport> heat() override { return heat(this); }
  // Only that instance, which takes no work yet. Errors: those of a given sample.
  Task<model::WarmupReport> heat_newest(int instance) { return heat_newest(this, instance); }

 private:
  // Samples that make up batches together.
  struct Group {
    std::uint64_t key = 0;
    int rows = 1;                      // of each
    std::vector<std::size_t> samples;  // indices
  };

  static Task<void> prove(ModelWarmup* self);
  // kGaveWay: a request wanted the instance, and so nothing is known of the sample.
  enum class Proof : std::uint8_t { kAnswered, kRefused, kTooSlow, kGaveWay };
  static Task<Proof> prove_one(ModelWarmup* self, std::size_t sample);
  static Task<model::WarmupReport> heat(ModelWarmup* self);
  static Task<model::WarmupReport> heat_newest(ModelWarmup* self, int instance);
  static Task<void> heat_instance(ModelWarmup* self, int instance);
  static Task<void> heat_once(ModelWarmup* self, int instance, model::WarmupRun run);
  static Task<void> give_way(ModelWarmup* self);

  void add(model::WarmupSample sample);
  std::optional<model::WarmupRun> next(int instance);
  void took(int instance, const model::WarmupRun& run, Duration duration, bool loaded);
  Duration elapsed() const { return Clock::now() - began_; }

  const std::shared_ptr<BatchedModel> model_;
  const model::WarmupLimits limits_;
  std::vector<model::WarmupSample> samples_;
  std::vector<Group> groups_;
  int first_ = 0;          // instance that is heated, and …
  int count_ = 1;          // … how many are
  bool hopeless_ = false;  // one run of noise takes more than the budget
  Time began_{};           // of heat()

  std::mutex mutex_;
  std::optional<model::WarmupPlan> plan_;  // guarded by mutex_
  int running_ = 0;                        // instances; guarded by mutex_
};

}  // namespace baozi::pipeline
