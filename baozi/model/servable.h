// Servable: anything with a name that answers an InferRequest, be it one model behind its batcher
// or a pipeline of many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
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
  // Inputs of requests that show all it does, for warm-up; empty: they follow from the signature.
  virtual std::vector<Tensors> samples() const { return {}; }
  virtual bool ready() const noexcept = 0;
  // What it takes of the memory, as far as can be estimated; 0: next to nothing.
  virtual std::size_t memory_bytes() const noexcept { return 0; }
  // Whether a response cache stands before it: only then InferRequest::cache and tenant matter.
  virtual bool cached() const noexcept { return false; }
  virtual Statistics statistics() const = 0;
  // Whether a request that came now would be refused for want of room, so that a protocol can say
  // so without an exception being thrown. The answer may be stale by the time infer() is called,
  // which then throws.
  virtual std::optional<Refusal> refusal() const noexcept { return std::nullopt; }
  // Errors: kInvalidArgument (inputs do not fit the signature), kResourceExhausted (queue full),
  // kDeadlineExceeded, kCancelled, kUnavailable (not ready).
  virtual Task<InferResponse> infer(InferRequest request) = 0;
};

}  // namespace baozi::model
