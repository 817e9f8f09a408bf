// The threads that compute the steps of one context. libllama's default starts them anew for every
// step.
//
//   const LlamaThreads threads = llama_threads(2);
//   llama_attach_threadpool(context, threads.get(), threads.get());  // threads outlive the context
#pragma once

#include <memory>

struct ggml_threadpool;

namespace baozi::engine {

struct FreeLlamaThreads {
  void operator()(ggml_threadpool* threads) const noexcept;
};
using LlamaThreads = std::unique_ptr<ggml_threadpool, FreeLlamaThreads>;

// Null where one thread computes, or the kernels for this processor have no such pool: then
// libllama does it its own way.
LlamaThreads llama_threads(int count);

}  // namespace baozi::engine
