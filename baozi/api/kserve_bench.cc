// KServe JSON with a body of 169 bytes, the size that load programs send.
#include <benchmark/benchmark.h>

#include "baozi/api/kserve_format.h"
#include "baozi/api/kserve_parse.h"

namespace baozi::api {
namespace {

constexpr std::string_view kBody =
    R"({"id":"request-100000","inputs":[{"name":"input_ids","shape":[1,8],"datatype":"INT64",)"
    R"("data":[101,7592,1010,2088,999,102,0,0]}],"outputs":[{"name":"last_hidden_state"}]})";
static_assert(kBody.size() == 169);
constexpr std::size_t kSpare = 64;

void BM_ParseKserve169Bytes(benchmark::State& state) {
  const Bytes padded = Bytes::copy_of(std::string(kBody) + std::string(kSpare, '\0'));
  const Bytes body = padded.slice(0, kBody.size());
  for (auto _ : state) {
    benchmark::DoNotOptimize(parse_kserve_infer(body, std::nullopt, kSpare));
  }
}
BENCHMARK(BM_ParseKserve169Bytes);

void BM_FormatKserve(benchmark::State& state) {
  const auto elements = state.range(0);
  std::vector<float> values;
  for (std::int64_t i = 0; i < elements; ++i)
    values.push_back(static_cast<float>(i) * 0.37f - 1.3f);
  model::InferResponse response;
  response.model = "noop";
  response.version = "1";
  response.id = "request-1";
  response.outputs.push_back(
      {"last_hidden_state", Tensor::of<float>({1, elements}, std::span<const float>(values))});
  for (auto _ : state) {
    benchmark::DoNotOptimize(format_kserve_infer(response, {}, {}));
  }
  state.SetItemsProcessed(state.iterations() * elements);
}
BENCHMARK(BM_FormatKserve)->Arg(8)->Arg(1000);

void BM_ParseKserveFloats(benchmark::State& state) {
  const auto elements = state.range(0);
  std::string text = R"({"inputs":[{"name":"x","shape":[1,)" + std::to_string(elements) +
                     R"(],"datatype":"FP32","data":[)";
  for (std::int64_t i = 0; i < elements; ++i) {
    if (i > 0) text += ',';
    text += std::to_string(static_cast<double>(i) * 0.37);
  }
  text += "]}]}";
  const std::size_t size = text.size();
  const Bytes padded = Bytes::copy_of(text + std::string(kSpare, '\0'));
  const Bytes body = padded.slice(0, size);
  for (auto _ : state) {
    benchmark::DoNotOptimize(parse_kserve_infer(body, std::nullopt, kSpare));
  }
  state.SetItemsProcessed(state.iterations() * elements);
}
BENCHMARK(BM_ParseKserveFloats)->Arg(1000);

}  // namespace
}  // namespace baozi::api
