// Pipelines: several models and the work between them as one coroutine, served like a model.
//
// A pipeline is a struct of what it needs, made once, and a coroutine that answers one request:
//
//   struct Caption {
//     PipelineContext context;
//     Labels labels;
//   };
//   Task<Tensors> caption(std::shared_ptr<const Caption> self, Tensors inputs) {
//     Tensors image = decode(get_tensor(inputs, "image"));         // on the CPU pool
//     std::shared_ptr<model::Servable> resnet = self->context.model("resnet");
//     Tensors scores = co_await infer_on(resnet, std::move(image));  // batched with others
//     co_return self->labels.best_of(scores);                      // on the CPU pool again
//   }
//   void add_to(Registry& registry) {
//     registry.add("caption", [](PipelineContext context) {
//       Labels labels(context.option("labels", "labels.txt"));
//       auto self = std::make_shared<Caption>(context, std::move(labels));
//       return make_pipeline(context, {.signature = …}, std::move(self), &caption);
//     });
//   }
//
// Parameters are values: the coroutine's frame then owns all it uses. It starts on the CPU pool and
// comes back there after every await. Errors thrown as baozi::Error reach the client with their
// code; what it spawns goes into a Nursery. A plug-in wraps the registration (see plugin.h); a
// program of its own calls it with registry().
//
// Thread safety: Registry and the pipelines it makes, all methods; PipelineContext is a value.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "baozi/coro/task.h"
#include "baozi/coro/this_task.h"
#include "baozi/model/repository.h"
#include "baozi/model/servable.h"
#include "baozi/pipeline/voices.h"

namespace baozi::pipeline {

// What a pipeline is made from: the name it is served by, where to compute, the models, and its
// options from the configuration.
struct PipelineContext {
  std::string name;
  std::string version = "1";
  Executor* cpu = nullptr;                    // outlives the pipeline
  const model::Repository* models = nullptr;  // outlives the pipeline
  std::map<std::string, std::string> options;
  std::filesystem::path folder =
      {};  // where relative paths in options start; empty: the working directory

  // The newest ready version, looked up at each call so that a reload is seen. Errors: kNotFound,
  // kUnavailable.
  std::shared_ptr<model::Servable> model(std::string_view model_name) const {
    return models->find(model_name, "");
  }

  // The option, or `fallback` when it is not set. Throws Error kInvalidArgument that names the
  // option and what was expected when the value does not read as one of the fallback's type; a bool
  // is "true" or "false".
  std::string option(const std::string& key, std::string fallback) const;
  std::string option(const std::string& key, const char* fallback) const {
    return option(key, std::string(fallback));
  }
  std::int64_t option(const std::string& key, std::int64_t fallback) const;
  int option(const std::string& key, int fallback) const;
  double option(const std::string& key, double fallback) const;
  bool option(const std::string& key, bool fallback) const;
  // Throws Error kInvalidArgument for an option that is not among `known`, and lists them: call it
  // first.
  void check_options(std::initializer_list<std::string_view> known) const;
};

// What a pipeline tells its clients.
struct PipelineSpec {
  engine::Signature signature = {};
  std::vector<std::string> labels =
      {};  // class names by index, where the output is a classification
  std::vector<std::string> models = {};  // ready() waits for these
  std::vector<Tensors> samples = {};     // inputs that show all it does, for its warm-up
};

// The coroutine of a pipeline. The second form sees the whole request: id, parameters, priority.
// Plain functions, so that no capturing lambda can become a coroutine by mistake.
template <class State>
using RunTensors = Task<Tensors> (*)(std::shared_ptr<const State> self, Tensors inputs);
template <class State>
using RunRequest = Task<model::InferResponse> (*)(std::shared_ptr<const State> self,
                                                  model::InferRequest request);

template <class State>
std::shared_ptr<model::Servable> make_pipeline(PipelineContext context, PipelineSpec spec,
                                               std::shared_ptr<State> state,
                                               std::type_identity_t<RunTensors<State>> run);
template <class State>
std::shared_ptr<model::Servable> make_pipeline(PipelineContext context, PipelineSpec spec,
                                               std::shared_ptr<State> state,
                                               std::type_identity_t<RunRequest<State>> run);

// Runs `inputs` through a model or another pipeline; the caller's stop token, deadline and trace go
// along.
Task<Tensors> infer_on(std::shared_ptr<model::Servable> servable, Tensors inputs, int priority = 0);
// One tensor in, one out.
Task<Tensor> infer_on(std::shared_ptr<model::Servable> servable, Tensor input, int priority = 0);
// As those, and tells `voices` which of a cascade's models spoke; null: it tells nobody.
Task<Tensors> infer_on(std::shared_ptr<model::Servable> servable, Tensors inputs, int priority,
                       std::shared_ptr<Voices> voices);
Task<Tensor> infer_on(std::shared_ptr<model::Servable> servable, Tensor input, int priority,
                      std::shared_ptr<Voices> voices);

class Registry {
 public:
  using Factory = std::function<std::shared_ptr<model::Servable>(PipelineContext context)>;

  // Throws Error kAlreadyExists when the kind is taken.
  void add(std::string kind, Factory factory);
  // Throws Error kNotFound that lists the kinds there are, or whatever the factory throws.
  std::shared_ptr<model::Servable> make(std::string_view kind, PipelineContext context) const;
  std::vector<std::string> kinds() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, Factory, std::less<>> factories_;  // guarded by mutex_
};

// The process's own registry: built-in pipelines, a program's and its plug-ins'.
Registry& registry();
inline void register_pipeline(std::string kind, Registry::Factory factory) {
  registry().add(std::move(kind), std::move(factory));
}

// ---- below: how make_pipeline works ----

// The servable around a pipeline's coroutine: checks inputs, moves to the CPU pool, counts, picks
// the wanted outputs.
class Pipeline : public model::Servable {
 public:
  Pipeline(PipelineContext context, PipelineSpec spec);

  const std::string& name() const noexcept override { return context_.name; }
  const std::string& version() const noexcept override { return context_.version; }
  std::string_view platform() const noexcept override { return "baozi_pipeline"; }
  const engine::Signature& signature() const noexcept override { return spec_.signature; }
  const std::vector<std::string>& labels() const noexcept override { return spec_.labels; }
  std::vector<Tensors> samples() const override { return spec_.samples; }
  bool ready() const noexcept override;
  model::Statistics statistics() const override;
  // Errors: kInvalidArgument for inputs that do not fit the signature, kInternal when the coroutine
  // leaves out an output, and whatever the coroutine throws; an exception that is no Error becomes
  // kInternal.
  Task<model::InferResponse> infer(model::InferRequest request) override;

 private:
  virtual Task<model::InferResponse> run(model::InferRequest request) = 0;

  void check_inputs(const Tensors& inputs) const;
  void pick_outputs(std::vector<std::string> wanted, Tensors& outputs) const;
  void count(bool ok, Time start) noexcept;

  const PipelineContext context_;
  const PipelineSpec spec_;
  mutable std::mutex mutex_;
  model::Statistics statistics_;  // guarded by mutex_
};

namespace detail {

// Tensors in, tensors out, as a request and its response.
Task<model::InferResponse> respond(Task<Tensors> task);

template <class State>
class TensorsPipeline final : public Pipeline {
 public:
  TensorsPipeline(PipelineContext context, PipelineSpec spec, std::shared_ptr<const State> state,
                  RunTensors<State> coroutine)
      : Pipeline(std::move(context), std::move(spec)), state_(std::move(state)), run_(coroutine) {}

 private:
  Task<model::InferResponse> run(model::InferRequest request) override {
    return respond(run_(state_, std::move(request.inputs)));
  }
  const std::shared_ptr<const State> state_;
  const RunTensors<State> run_;
};

template <class State>
class RequestPipeline final : public Pipeline {
 public:
  RequestPipeline(PipelineContext context, PipelineSpec spec, std::shared_ptr<const State> state,
                  RunRequest<State> coroutine)
      : Pipeline(std::move(context), std::move(spec)), state_(std::move(state)), run_(coroutine) {}

 private:
  Task<model::InferResponse> run(model::InferRequest request) override {
    return run_(state_, std::move(request));
  }
  const std::shared_ptr<const State> state_;
  const RunRequest<State> run_;
};

}  // namespace detail

template <class State>
std::shared_ptr<model::Servable> make_pipeline(PipelineContext context, PipelineSpec spec,
                                               std::shared_ptr<State> state,
                                               std::type_identity_t<RunTensors<State>> run) {
  return std::make_shared<detail::TensorsPipeline<State>>(std::move(context), std::move(spec),
                                                          std::move(state), run);
}
template <class State>
std::shared_ptr<model::Servable> make_pipeline(PipelineContext context, PipelineSpec spec,
                                               std::shared_ptr<State> state,
                                               std::type_identity_t<RunRequest<State>> run) {
  return std::make_shared<detail::RequestPipeline<State>>(std::move(context), std::move(spec),
                                                          std::move(state), run);
}

}  // namespace baozi::pipeline
