// The engine contract: Engine opens a file, Model is the loaded immutable weights, Instance runs
// one batch at a time.
//
//   Engine ──load──▶ shared_ptr<Model> ──create_instance──▶ Instance ──run──▶ outputs
//
// All calls block and belong on a lane or the CPU pool, never on the I/O loop.
// Thread safety: Engine and Model may be used from any thread; an Instance by one thread at a time.
// Errors: baozi::Error; an engine translates its library's exceptions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/base/tensor.h"
#include "baozi/coro/stop.h"
#include "baozi/engine/signature.h"

namespace baozi::engine {

class LanguageModel;
struct LanguageOptions;

// An execution provider by the name its engine knows ("cuda", "tensorrt", "openvino", "cpu"), tried
// in order.
struct Provider {
  std::string name;
  std::map<std::string, std::string> options;  // passed on as they are
  std::filesystem::path
      library;  // a plug-in provider's shared object; empty: one built into the engine
};

// Where what engines made of models is kept, so that these load quickly the next time
// (prepared_store.h).
struct PreparedOptions {
  std::filesystem::path folder = {};  // empty: nowhere
  std::uint64_t bytes_max = std::uint64_t{8} << 30;
};

inline constexpr int kLayersMax = 64;

// Constant after load. The defaults suit a server: one thread an instance, no spinning.
struct ModelOptions {
  int threads = 1;                                    // intra-op threads an instance
  std::vector<Provider> providers;                    // empty: the engine's CPU provider
  int optimization_level = 99;                        // 0 none, 1 basic, 2 extended, 99 all
  std::map<std::string, std::string> session_config;  // the engine's own key-value entries
  std::size_t memory_bytes_max = 0;  // refuse to load above this estimate; 0: no limit
  PreparedOptions prepared;
  // Parts that prepare() splits the model into, which load one after the other while the first ones
  // compute; 1: it is left whole. A model that cannot be split so is prepared, and loaded, whole.
  int layers = 1;  // at most kLayersMax
};

// What Engine::prepare did.
struct Preparation {
  enum class State : std::uint8_t {
    kNone,   // there is no such thing for this model; `why`
    kThere,  // it was there
    kMade,
  };
  State state = State::kNone;
  std::string why = {};  // also why it is whole although it should be split
  std::filesystem::path folder = {};
  std::uint64_t bytes = 0;  // of the artefact
  int layers = 1;           // that it was split into
};

struct Capabilities {
  bool interruptible = false;  // run() ends early when its token stops
  bool preallocated_outputs =
      false;  // run() writes into the outputs' memory when the shape is known
  bool concurrent_instances = true;  // instances may run beside each other
};

class Instance {
 public:
  virtual ~Instance() = default;

  // Runs one batch. `inputs` and `outputs` are in the signature's order. An output that already has
  // memory and the right shape is written in place; otherwise the engine puts a new tensor there,
  // from `allocator` of create_instance. Ends early with Error kCancelled or kDeadlineExceeded when
  // `stop` asks for it and the engine is interruptible. After an error the instance is still
  // usable; the outputs are unspecified.
  virtual void run(std::span<const Tensor> inputs, std::span<Tensor> outputs, StopToken stop) = 0;
};

class Model {
 public:
  virtual ~Model() = default;

  virtual const Signature& signature() const noexcept = 0;
  virtual Capabilities capabilities() const noexcept = 0;
  // Estimated resident bytes of the weights and of one instance's buffers.
  virtual std::size_t memory_bytes() const noexcept = 0;
  // Estimated bytes that every further instance takes; the first one is in memory_bytes().
  virtual std::size_t instance_bytes() const noexcept { return 0; }
  // Free-form facts from the file: producer, description, custom metadata (PaddleOCR's "character"
  // …).
  virtual const std::map<std::string, std::string>& metadata() const noexcept = 0;
  // `allocator` must outlive the instance and gives the memory of outputs whose shape is not known
  // before.
  virtual std::unique_ptr<Instance> create_instance(Allocator& allocator) = 0;
  // Whether it was loaded from what prepare() made.
  virtual bool prepared() const noexcept { return false; }
  // Whether all of it is there: load() gives one in parts back when the first part is, and runs
  // wait for the others.
  virtual bool loaded() const noexcept { return true; }
  // Returns when all of it is there, or when it is known that it will not be (then its runs say
  // why). Errors: those of `stop`.
  virtual void await_loaded(StopToken stop) { static_cast<void>(stop); }
};

class Engine {
 public:
  virtual ~Engine() = default;

  virtual std::string_view name() const noexcept = 0;  // "onnx", "fake"
  virtual std::string version() const = 0;             // of the library behind it
  // Whether the file looks like one of this engine's, by its name only.
  virtual bool accepts(const std::filesystem::path& file) const = 0;
  // Errors: kNotFound (no such file), kInvalidArgument (not a model, or damaged; says which file
  // and why), kFailedPrecondition (a provider is missing; says what to install), kResourceExhausted
  // (above memory_bytes_max).
  virtual std::shared_ptr<Model> load(const std::filesystem::path& file,
                                      const ModelOptions& options, StopToken stop) = 0;
  // Makes what lets load() of the same file and options be quick from now on, in this process and
  // others, and keeps it in options.prepared.folder. load() gives the same model, with the same
  // answers, with it and without. Takes the time and memory of a load and more; waits while another
  // process prepares. Errors: as load; kResourceExhausted (disk full), kPermissionDenied. Then
  // nothing is left of it, and load() goes on without.
  virtual Preparation prepare(const std::filesystem::path& file, const ModelOptions& options,
                              StopToken stop);
  // Whether its models are language models, for load_language, or others, for load.
  virtual bool of_language() const noexcept { return false; }
  // A language model (language.h). Errors: as load; kUnimplemented for an engine without them.
  virtual std::shared_ptr<LanguageModel> load_language(const std::filesystem::path& file,
                                                       const LanguageOptions& options,
                                                       StopToken stop);
};

// The engine called `name`, its shared object opened on first use. Thread-safe; the reference stays
// valid. Errors: kNotFound with the folders that were searched.
Engine& open_engine(std::string_view name);
// The engine whose accepts() fits the file; kInvalidArgument with the known kinds of file when none
// does.
Engine& engine_for(const std::filesystem::path& file);

}  // namespace baozi::engine
