// LifeCycle: brings what a Config names into the Repository and takes it out again: loads models
// beside each other, what is waited for first and then what was used most; makes pipelines when
// their models are there; loads anew what changed.
//
//   LifeCycle life_cycle(config, repository, cpu);
//   life_cycle.announce();                  // from now on clients are told what there will be
//   nursery.spawn(life_cycle.run());        // until it is stopped
//   co_await life_cycle.load("resnet");     // by request
//
// A load belongs to nobody: who waits for it may leave without ending it. Thread safety: load,
// unload and remember from any thread; announce before run.
#pragma once

#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "baozi/api/model_control.h"
#include "baozi/coro/event.h"
#include "baozi/coro/executor.h"
#include "baozi/coro/stop.h"
#include "baozi/coro/task.h"
#include "baozi/model/load_queue.h"
#include "baozi/model/repository.h"
#include "baozi/model/residency.h"
#include "baozi/pipeline/instance_scaler.h"
#include "baozi/serve/cache_front.h"
#include "baozi/serve/config.h"
#include "baozi/serve/model_files.h"
#include "baozi/serve/preparer.h"
#include "baozi/serve/start_record.h"

namespace baozi {
class Lane;
}

namespace baozi::serve {

class LifeCycle final : public api::ModelControl, private pipeline::InstanceMemory {
 public:
  // All outlive it. `cpu` is where pipelines are made and compute.
  // `caches`: of responses; null: none.
  LifeCycle(const Config& config, model::Repository& repository, Executor& cpu,
            model::ResponseCaches* caches = nullptr);
  ~LifeCycle() override;

  // Enters every version and pipeline in the repository, so that clients are told what is coming
  // from the start. A model whose files are missing is entered as failed. Reads folders, no models.
  void announce();

  // Brings up what was announced, then what is asked for; looks for changes. Ends when stopped.
  Task<void> run();

  // Loads the versions of one model or pipeline anew, from what its files are now. What is served
  // goes on being served until its successor is there. Errors: kNotFound, and what the engine says
  // of the file.
  Task<void> load(std::string name) override;
  // Returns when the requests that ran on it have ended. Errors: kNotFound.
  Task<void> unload(std::string name) override;

  // Writes down how much each model was used, for the next start. Blocks; errors are logged.
  void remember() noexcept;

 private:
  struct Job;
  using JobPtr = std::shared_ptr<Job>;
  using Key = std::pair<std::string, std::string>;  // name and version
  struct Known {
    ModelConfig model;
    ModelVersion version;
  };

  static Task<void> work(LifeCycle* self);
  static Task<void> bring_up(LifeCycle* self, const PipelineConfig* pipeline);
  static Task<void> follow(LifeCycle* self, const CascadeConfig* cascade, std::string part);
  static Task<void> watch(LifeCycle* self);
  static Task<void> put_to_sleep(LifeCycle* self);
  static Task<void> remember_now_and_then(LifeCycle* self);

  ModelConfig config_of(const std::string& name) const;
  std::vector<ModelConfig> all_models() const;
  JobPtr enqueue(const ModelConfig& model, const ModelVersion& version, bool wanted);
  JobPtr enqueue_locked(const ModelConfig& model, const ModelVersion& version, bool wanted);
  JobPtr loading(const ModelVersion& version, const Key& key);
  JobPtr take();
  bool guests_wait() const;
  JobPtr take_warming();
  bool has_warming();
  void open(const JobPtr& job, const StopToken& stop);
  void heat(Job& job, const StopToken& stop);
  void ready(Job& job, std::shared_ptr<model::Servable> servable, const std::string& more);
  void failed(Job& job, std::exception_ptr error);
  void finish(Job& job);
  void move_to(const Job& job, model::State state, const std::string& reason = {});
  void wanted(const std::string& name, const std::string& version);
  void want_locked(const std::string& name, const std::string& version);
  void publish_estimates_locked();
  void note_if_settled();
  void make(const PipelineConfig& pipeline, StopToken stop);
  Task<void> make_cascade(const CascadeConfig* cascade);
  Task<void> load_cascade(const CascadeConfig* cascade);
  void want_parts_locked(const std::string& name, int depth);
  Task<std::exception_ptr> change(ModelConfig model, std::vector<ModelVersion> versions,
                                  std::vector<ModelVersion> anew);
  Task<void> look_for_changes(ModelConfig model);
  bool is_pinned(const ModelConfig& model) const;
  Task<void> make_room(JobPtr job);
  Task<void> trim(JobPtr job);
  void resides(const Job& job, std::size_t bytes);
  void scale(const Job& job);
  std::size_t free() const override;
  bool take(const pipeline::BatchedModel& model, std::size_t bytes) override;
  void left(const std::string& name, const std::string& version);
  Task<void> evict(std::string name, std::string version, std::string reason);
  Task<void> retire(std::string name, std::string version, std::string reason);
  Task<void> retire_others(ModelConfig model, std::vector<ModelVersion> versions);

  const Config& config_;
  model::Repository& repository_;
  Executor& cpu_;
  const std::size_t lanes_;
  const Time began_;
  StartRecord record_;
  CacheFront front_;
  ModelFiles files_;
  Event work_;                         // set while the queue may hold something
  std::atomic<int> first_answers_{0};  // of pipelines that somebody waited for, under way

  mutable std::mutex mutex_;
  // Guarded by mutex_:
  std::map<Key, Known> known_;  // what may be asked for
  model::LoadQueue queue_;
  std::map<Key, JobPtr> queued_;
  std::vector<JobPtr> running_;
  std::deque<JobPtr> warming_;                       // of those, they answer and wait to be heated
  std::map<Key, std::string> seen_;                  // the stamp of the files that were tried
  std::map<std::string, std::uint64_t> remembered_;  // how often each was asked for by then
  model::Residency residency_;
  std::map<std::string, Key> resident_keys_;  // by the name they have there
  bool settled_ = false;

  pipeline::InstanceScaler scaler_;
  std::unique_ptr<Lane> pipeline_lane_;  // where pipelines are made and warmed up
  Preparer preparer_;                    // of the next start, once everything is ready
};

}  // namespace baozi::serve
