#include "baozi/engine/llama/llama_threads.h"

#include <ggml-backend.h>
#include <ggml-cpu.h>

#include <cstdint>

namespace baozi::engine {
namespace {

// How long an idle thread looks for the next step before it sleeps, in libllama's measure of 0 to
// 100: a millisecond or two, which is longer than there is between two tokens. Its default of 50
// would burn a core for a tenth of a second.
constexpr std::uint32_t kPoll = 1;

// The kernels are a library that is chosen and opened at run time.
template <class Function>
Function* function_of(const char* name) {
  ggml_backend_dev_t device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  if (device == nullptr) return nullptr;
  ggml_backend_reg_t kernels = ggml_backend_dev_backend_reg(device);
  return reinterpret_cast<Function*>(ggml_backend_reg_get_proc_address(kernels, name));
}

}  // namespace

void FreeLlamaThreads::operator()(ggml_threadpool* threads) const noexcept {
  function_of<decltype(ggml_threadpool_free)>("ggml_threadpool_free")(threads);
}

LlamaThreads llama_threads(int count) {
  auto* make = function_of<decltype(ggml_threadpool_new)>("ggml_threadpool_new");
  auto* free = function_of<decltype(ggml_threadpool_free)>("ggml_threadpool_free");
  if (count < 2 || make == nullptr || free == nullptr) return nullptr;
  ggml_threadpool_params parameters = ggml_threadpool_params_default(count);
  parameters.poll = kPoll;
  return LlamaThreads(make(&parameters));
}

}  // namespace baozi::engine
