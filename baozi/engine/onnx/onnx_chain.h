// OnnxChain: a model in parts that run one after the other, each as soon as it is there: while a
// run computes with the first parts, a thread opens the next ones.
//
// What one part makes is handed to the next as it is, without a copy. A run that comes to a part
// which is not there yet waits for it, until it is stopped. A part that cannot be opened does not
// end the model: the whole is opened in its place, and runs, those that wait as well, are made with
// that; only when that fails, too, does every run fail, with the reason. Internal to the engine.
//
// Thread safety: run() from any thread, each with a Values of its own. The destructor stops the
// opening and waits for its thread; no run may be going on then.
#pragma once

#include <onnxruntime_cxx_api.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/coro/stop.h"
#include "baozi/engine/signature.h"

namespace baozi::engine {

class OnnxChain {
 public:
  // Called one after the other: the first in the constructor, the others on the chain's thread.
  using OpenPart = std::function<Ort::Session(std::size_t part, const StopToken& stop)>;
  // Called when a part could not be opened, with the reason.
  using OpenWhole = std::function<Ort::Session(const std::string& why, const StopToken& stop)>;

  // What a caller's runs keep between them.
  struct Values {
    std::vector<Ort::Value> crossing;  // what parts hand on
    std::vector<const OrtValue*> inputs;
    std::vector<OrtValue*> outputs;
    std::vector<OrtValue*> given;  // the outputs as they were before the run
  };

  // Opens the first part; its errors are passed on. `signature` is that of the whole and outlives
  // the chain. Precondition: parts >= 1.
  OnnxChain(const Signature& signature, std::size_t parts, OpenPart open_part, OpenWhole open_whole,
            const StopToken& stop);
  ~OnnxChain();
  OnnxChain(const OnnxChain&) = delete;
  OnnxChain& operator=(const OnnxChain&) = delete;

  // As OrtApi::Run on the whole: in the signature's order, an output that is null is made. After a
  // failure those are null again. Errors, thrown: those of `stop` while it waits for a part; what
  // kept the model from being opened.
  OrtStatus* run(OrtRunOptions* options, std::span<const OrtValue* const> inputs,
                 std::span<OrtValue*> outputs, Values& values, const StopToken& stop);

  // Every part, or the whole in their place.
  bool all_there() const noexcept {
    return there_.load(std::memory_order_acquire) == parts_.size() ||
           has_whole_.load(std::memory_order_acquire);
  }
  // Returns when all is there, or nothing more will come. Errors: those of `stop`.
  void await_all(const StopToken& stop);

 private:
  // A value is known by a number: inputs of the whole, its outputs, then what parts hand on.
  struct Part {
    Ort::Session session{nullptr};
    std::vector<std::string> names;  // of inputs, then outputs
    std::vector<const char*> input_names;
    std::vector<const char*> output_names;
    std::vector<std::size_t> inputs;
    std::vector<std::size_t> outputs;
    std::size_t crossing = 0;  // how many there are, with those of this part
  };

  std::unique_ptr<Part> make_part(std::size_t index, Ort::Session session);
  void open_others(const OpenPart& open_part, const OpenWhole& open_whole) noexcept;
  void rescue(const std::string& why, const OpenWhole& open_whole);
  void fail(const Error& error);
  // Waits for it; null: the whole is to be run in its place.
  Part* wait_for(std::size_t index, const StopToken& stop);
  static OrtStatus* run_part(Part& part, OrtRunOptions* options,
                             std::span<const OrtValue* const> inputs, std::span<OrtValue*> outputs,
                             Values& values);
  OrtStatus* run_whole(OrtRunOptions* options, std::span<const OrtValue* const> inputs,
                       std::span<OrtValue*> outputs);

  const Signature& signature_;
  std::vector<const char*> input_names_;
  std::vector<const char*> output_names_;
  std::map<std::string, std::size_t> numbers_;  // of values; of whoever opens parts
  std::size_t crossing_ = 0;                    // likewise

  std::vector<std::unique_ptr<Part>> parts_;  // those before there_ are constant
  std::atomic<std::size_t> there_{0};
  Ort::Session whole_{nullptr};  // constant once has_whole_
  std::atomic<bool> has_whole_{false};

  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Error> error_;  // guarded by mutex_

  StopSource stop_;
  std::thread thread_;
};

}  // namespace baozi::engine
