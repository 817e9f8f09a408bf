#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "baozi/engine/onnx/onnx_runtime.h"

namespace baozi::engine {
namespace {

using ProviderOptions = std::unordered_map<std::string, std::string>;

// Our names of providers built into the library; others are passed on as they are.
struct Known {
  std::string_view name;
  const char* ort_name;
};
constexpr std::array<Known, 7> kKnown{{{"cpu", "CPUExecutionProvider"},
                                       {"cuda", "CUDAExecutionProvider"},
                                       {"tensorrt", "TensorrtExecutionProvider"},
                                       {"nv_tensorrt_rtx", "NvTensorRtRtx"},
                                       {"openvino", "OpenVINO"},
                                       {"xnnpack", "XNNPACK"},
                                       {"webgpu", "WebGPU"}}};

std::string ort_name(const std::string& name) {
  const auto at = std::ranges::find(kKnown, name, &Known::name);
  return at == kKnown.end() ? name : at->ort_name;
}

struct Libraries {
  std::mutex mutex;
  // Of each plug-in library, the names of the providers it brought; guarded by mutex.
  std::map<std::string, std::vector<std::string>> providers;
};

Libraries& libraries() {
  static auto* instance = new Libraries;
  return *instance;
}

std::vector<std::string> device_providers(const Ort::Env& environment) {
  std::vector<std::string> names;
  for (const Ort::ConstEpDevice& device : environment.GetEpDevices())
    names.emplace_back(device.EpName());
  return names;
}

[[noreturn]] void missing(const Provider& provider, std::string_view why) {
  std::vector<std::string> devices;
  for (const Ort::ConstEpDevice& device : onnx_environment().GetEpDevices()) {
    devices.push_back(fmt::format("{} ({})", device.EpName(), device.Device().Vendor()));
  }
  throw Error(Code::kFailedPrecondition,
              fmt::format("execution provider '{}' cannot be used: {}; built in are {}; devices: "
                          "{}. Install an ONNX "
                          "Runtime that has it, or name its plug-in with `library`",
                          provider.name, why, fmt::join(Ort::GetAvailableProviders(), ", "),
                          fmt::join(devices, ", ")));
}

// Registers the library once and returns the names of the providers it brings.
std::vector<std::string> register_library(const Provider& provider) {
  std::error_code failed;
  const std::string path =
      std::filesystem::absolute(provider.library, failed).lexically_normal().string();
  if (failed || !std::filesystem::is_regular_file(path, failed)) {
    missing(provider, fmt::format("there is no library {}", provider.library.string()));
  }
  Ort::Env& environment = onnx_environment();
  Libraries& known = libraries();
  const std::lock_guard lock(known.mutex);
  const auto at = known.providers.find(path);
  if (at != known.providers.end()) return at->second;
  const std::vector<std::string> before = device_providers(environment);
  try {
    environment.RegisterExecutionProviderLibrary(path.c_str(), path);
  } catch (const Ort::Exception& error) {
    missing(provider, fmt::format("library {} was refused: {}", path, error.what()));
  }
  std::vector<std::string> brought;
  for (std::string& name : device_providers(environment)) {
    if (std::ranges::count(before, name) == 0) brought.push_back(std::move(name));
  }
  known.providers.emplace(path, brought);
  return brought;
}

void add_from_library(Ort::SessionOptions& session, const Provider& provider,
                      const ProviderOptions& options) {
  const std::vector<std::string> brought = register_library(provider);
  std::vector<Ort::ConstEpDevice> devices;
  for (const Ort::ConstEpDevice& device : onnx_environment().GetEpDevices()) {
    if (std::ranges::count(brought, device.EpName()) > 0) devices.push_back(device);
  }
  if (devices.empty()) {
    missing(provider,
            fmt::format("library {} finds no device of its kind here", provider.library.string()));
  }
  session.AppendExecutionProvider_V2(onnx_environment(), devices, options);
}

void add_built_in(Ort::SessionOptions& session, const Provider& provider,
                  const ProviderOptions& options) {
  const std::string name = ort_name(provider.name);
  if (name == "CUDAExecutionProvider") {
    Ort::CUDAProviderOptions cuda;
    cuda.Update(options);
    session.AppendExecutionProvider_CUDA_V2(*cuda);
  } else if (name == "TensorrtExecutionProvider") {
    Ort::TensorRTProviderOptions tensorrt;
    tensorrt.Update(options);
    session.AppendExecutionProvider_TensorRT_V2(*tensorrt);
  } else {
    session.AppendExecutionProvider(name, options);
  }
}

}  // namespace

void add_providers(Ort::SessionOptions& session, const ModelOptions& options) {
  for (const Provider& provider : options.providers) {
    if (provider.name == "cpu" && provider.library.empty()) {
      if (provider.options.empty()) continue;
      missing(provider, fmt::format("it takes no options, but '{}' was given",
                                    provider.options.begin()->first));
    }
    const ProviderOptions entries(provider.options.begin(), provider.options.end());
    try {
      if (provider.library.empty()) {
        add_built_in(session, provider, entries);
      } else {
        add_from_library(session, provider, entries);
      }
    } catch (const Ort::Exception& error) {
      missing(provider, error.what());
    }
  }
}

}  // namespace baozi::engine
