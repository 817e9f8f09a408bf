// Servable: anything with a name that answers an InferRequest, be it one model behind its batcher
// or a pipeline of many. Repository: the servables of a process, by name and version.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/coro/task.h"
#include "baozi/engine/signature.h"
#include "baozi/model/request.h"

namespace baozi::model {

// Counts and times since start, for KServe's statistics extension; nanoseconds.
struct Statistics {
  struct Duration {
    std::uint64_t count = 0;
    std::uint64_t ns = 0;
  };
  struct Batch {
    std::uint64_t size = 0;
    Duration compute_input, compute_infer, compute_output;
  };
  std::uint64_t last_inference_ms = 0;  // since the epoch
  std::uint64_t inference_count = 0;    // rows
  std::uint64_t execution_count = 0;    // batches
  Duration success, fail, queue, compute_input, compute_infer, compute_output, cache_hit,
      cache_miss;
  std::vector<Batch> batches;
};

// Why there is no room (kResourceExhausted) and when there may be.
struct Refusal {
  std::string_view reason;  // static storage
  int retry_after_s = 1;    // for HTTP's Retry-After; at least 1
};

// Where a servable came from: pipelines find vocabularies and dictionaries by it.
struct Origin {
  std::filesystem::path file;  // side files lie in its folder or the one above; empty: from no file
  std::map<std::string, std::string> metadata;  // engine::Model::metadata()
};

// Thread safety: all methods, from any thread.
class Servable {
 public:
  virtual ~Servable() = default;

  virtual const std::string& name() const noexcept = 0;
  virtual const std::string& version() const noexcept = 0;
  virtual std::string_view platform()
      const noexcept = 0;  // "onnxruntime_onnx", "baozi_pipeline", …
  virtual const engine::Signature& signature() const noexcept = 0;
  // Class names by index for KServe's classification and TensorFlow Serving's :classify; empty when
  // there are none.
  virtual const std::vector<std::string>& labels() const noexcept = 0;
  virtual const Origin& origin() const noexcept {
    static const Origin none;
    return none;
  }
  virtual bool ready() const noexcept = 0;
  virtual Statistics statistics() const = 0;
  // Whether a request that came now would be refused for want of room, so that a protocol can say
  // so without an exception being thrown. The answer may be stale by the time infer() is called,
  // which then throws.
  virtual std::optional<Refusal> refusal() const noexcept { return std::nullopt; }
  // Errors: kInvalidArgument (inputs do not fit the signature), kResourceExhausted (queue full),
  // kDeadlineExceeded, kCancelled, kUnavailable (not ready).
  virtual Task<InferResponse> infer(InferRequest request) = 0;
};

enum class State : std::uint8_t {
  kAbsent,
  kOpening,
  kLoading,
  kWarming,
  kReady,
  kDraining,
  kUnloaded,
  kFailed
};
std::string_view state_name(State state) noexcept;  // "ABSENT", "LOADING", …

struct VersionStatus {
  std::string name;
  std::string version;
  State state = State::kAbsent;
  std::string reason;     // why it failed; "" otherwise
  bool language = false;  // a language model, as is known before it is loaded
};

// Of all that is known together.
enum class Readiness : std::uint8_t {
  kStarting,  // something is still on its way, or nothing is known yet
  kReady,     // everything is ready
  kDegraded,  // nothing is on its way any more; something is ready, something failed
  kFailed,    // nothing is ready, and nothing on its way
};
std::string_view readiness_name(Readiness readiness) noexcept;  // "starting", …

// Thread safety: all methods. A servable handed out lives as long as its holder keeps it.
class Repository {
 public:
  // Replaces one of the same name and version.
  void add(std::shared_ptr<Servable> servable);
  void set_status(VersionStatus status);

  // `version` "" means the highest that is ready. Errors: kNotFound with the names (or versions)
  // there are; kUnavailable while the version is loading or when it failed, with the reason.
  std::shared_ptr<Servable> find(std::string_view name, std::string_view version) const;
  // Every version known, by name, then version in numeric order.
  std::vector<VersionStatus> index() const;
  // The versions of one name; kNotFound when there is none.
  std::vector<VersionStatus> versions(std::string_view name) const;
  // What was unloaded on request does not count.
  Readiness readiness() const;
  bool ready() const { return readiness() == Readiness::kReady; }

 private:
  struct Entry {
    VersionStatus status;
    std::shared_ptr<Servable> servable;  // null until ready
  };
  struct VersionOrder {
    bool operator()(const std::string& a, const std::string& b) const noexcept;
  };
  using Versions = std::map<std::string, Entry, VersionOrder>;

  const Versions& find_locked(std::string_view name) const;

  mutable std::shared_mutex mutex_;
  std::map<std::string, Versions, std::less<>> entries_;  // guarded by mutex_
};

}  // namespace baozi::model
