// What a start does about warm-up: finds the samples, picks the way that suits the servable, shows
// how far it is. docs/warm-up.md.
//
// Thread safety: free functions; a WarmStart by one thread at a time. They block, and belong on a
// lane.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "baozi/coro/stop.h"
#include "baozi/model/first_answer.h"
#include "baozi/model/repository.h"
#include "baozi/model/servable.h"
#include "baozi/model/warmup.h"
#include "baozi/model/warmup_sample.h"
#include "baozi/serve/warmup_config.h"

namespace baozi::serve {

// The samples of a file, or of all files in a folder: KServe v2 requests (*.json, *.jsonl),
// TensorFlow Serving's records (tf_serving_warmup_requests, *.tfrecord). Errors: kNotFound,
// kInvalidArgument with the file and what is wrong in it.
std::vector<model::WarmupSample> read_samples(const std::filesystem::path& path);

// Where requests to it are recorded: a file of its own in baozi/warmup of the user's cache folder;
// empty without one.
std::filesystem::path recorded_file(const model::Servable& servable);

// TensorFlow's place for them, beside a model file; empty: there are none.
std::filesystem::path samples_beside(const std::filesystem::path& model_file);

// A servable on its way to being ready.
class WarmStart {
 public:
  // `config`'s samples, else those beside its file, else those recorded, else its own or
  // synthesised ones. Errors: those of read_samples, and of samples that do not fit; kNotFound for
  // a redaction that is not known.
  WarmStart(std::shared_ptr<model::Servable> servable, const WarmupConfig& config,
            std::function<void(double)> progress);
  ~WarmStart();
  WarmStart(const WarmStart&) = delete;
  WarmStart& operator=(const WarmStart&) = delete;

  // As model::Warmup, by blocking. `awaited`: somebody waits for it; noise then leaves the proof to
  // the first request (model/first_answer.h), and settle() proves what that one did not, as heat()
  // does otherwise.
  void prove(StopToken stop, bool awaited = false);
  void settle(StopToken stop);
  model::WarmupReport heat(StopToken stop);
  // How long it lets others go first before it is heated.
  Duration patience() const noexcept;
  // What it is proved and heated with.
  const std::vector<model::WarmupSample>& samples() const noexcept { return samples_; }

  // What is to be served: its requests are recorded, if `config` says so. Another one after
  // settle().
  std::shared_ptr<model::Servable> servable() const noexcept;

 private:
  bool prove_the_rest(const Context& context);
  model::NotReady refusal(const Error& error) const;

  std::shared_ptr<model::Servable> served_;
  std::vector<model::WarmupSample> samples_;
  std::unique_ptr<model::Warmup> warmup_;
  Duration budget_{};
  bool worth_it_ = true;                       // to heat it: its runs are not too long for that
  bool noise_only_ = false;                    // nobody said what it is to answer
  std::shared_ptr<model::FirstAnswer> first_;  // while it is left to the first request
};

// "24 of 36 batches steady, 300 runs", for the log.
std::string describe(const model::WarmupReport& report);

}  // namespace baozi::serve
