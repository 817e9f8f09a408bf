#include "baozi/api/kserve_metadata.h"

#include "baozi/api/json_reader.h"
#include "baozi/api/json_writer.h"

namespace baozi::api {
namespace {

// Those of the protocol's and Triton's extensions that this server speaks.
constexpr std::string_view kExtensions =
    R"(["classification","model_repository","schedule_policy","model_configuration",)"
    R"("binary_tensor_data","parameters","statistics"])";

void append_field(std::string& out, std::string_view key, std::string_view text) {
  out += '"';
  out += key;
  out += "\":";
  append_json_text(out, text);
}

void append_specs(std::string& out, std::span<const engine::TensorSpec> specs) {
  for (std::size_t i = 0; i < specs.size(); ++i) {
    if (i > 0) out += ',';
    out += '{';
    append_field(out, "name", specs[i].name);
    out += ',';
    append_field(out, "datatype", dtype_name(specs[i].dtype));
    out += R"(,"shape":)";
    append_json_shape(out, specs[i].shape);
    out += '}';
  }
}

// Triton's configuration calls the types TYPE_FP32, and BYTES TYPE_STRING; batch dimensions are
// left out of `dims`.
void append_config_specs(std::string& out, std::span<const engine::TensorSpec> specs,
                         bool batched) {
  for (std::size_t i = 0; i < specs.size(); ++i) {
    if (i > 0) out += ',';
    const engine::TensorSpec& spec = specs[i];
    out += '{';
    append_field(out, "name", spec.name);
    out += R"(,"data_type":"TYPE_)";
    out += spec.dtype == DType::kBytes ? "STRING" : dtype_name(spec.dtype);
    out += R"(","dims":)";
    append_json_shape(out, batched ? Shape(spec.shape.dims().subspan(1)) : spec.shape);
    out += '}';
  }
}

void append_duration(std::string& out, std::string_view name,
                     const model::Statistics::Duration& duration) {
  out += '"';
  out += name;
  out += R"(":{"count":)";
  append_json_number(out, duration.count);
  out += R"(,"ns":)";
  append_json_number(out, duration.ns);
  out += '}';
}

void append_inference_stats(std::string& out, const model::Statistics& s) {
  out += R"("inference_stats":{)";
  append_duration(out, "success", s.success);
  out += ',';
  append_duration(out, "fail", s.fail);
  out += ',';
  append_duration(out, "queue", s.queue);
  out += ',';
  append_duration(out, "compute_input", s.compute_input);
  out += ',';
  append_duration(out, "compute_infer", s.compute_infer);
  out += ',';
  append_duration(out, "compute_output", s.compute_output);
  out += ',';
  append_duration(out, "cache_hit", s.cache_hit);
  out += ',';
  append_duration(out, "cache_miss", s.cache_miss);
  out += '}';
}

void append_batch_stats(std::string& out, const model::Statistics& s) {
  out += R"("batch_stats":[)";
  for (std::size_t i = 0; i < s.batches.size(); ++i) {
    if (i > 0) out += ',';
    out += R"({"batch_size":)";
    append_json_number(out, s.batches[i].size);
    out += ',';
    append_duration(out, "compute_input", s.batches[i].compute_input);
    out += ',';
    append_duration(out, "compute_infer", s.batches[i].compute_infer);
    out += ',';
    append_duration(out, "compute_output", s.batches[i].compute_output);
    out += '}';
  }
  out += ']';
}

// Triton's words for the repository index.
std::string_view index_state(const model::VersionStatus& status) {
  switch (status.state) {
    case model::State::kReady:
      return "READY";
    case model::State::kOpening:
    case model::State::kLoading:
    case model::State::kWarming:
      return "LOADING";
    case model::State::kDraining:
      return "UNLOADING";
    case model::State::kAbsent:
      return status.on_demand ? "UNAVAILABLE" : "LOADING";
    case model::State::kUnloaded:
    case model::State::kFailed:
      break;
  }
  return "UNAVAILABLE";
}

}  // namespace

std::string format_server_metadata(std::string_view server_version) {
  std::string out = R"({"name":"baozi",)";
  append_field(out, "version", server_version);
  out += R"(,"extensions":)";
  out += kExtensions;
  out += '}';
  return out;
}

std::string format_flag(std::string_view what, bool value) {
  std::string out = "{\"";
  out += what;
  out += value ? "\":true}" : "\":false}";
  return out;
}

std::string format_model_ready(std::string_view name, bool ready) {
  std::string out = "{";
  append_field(out, "name", name);
  out += ready ? R"(,"ready":true})" : R"(,"ready":false})";
  return out;
}

std::string format_model_metadata(const model::Servable& servable,
                                  std::span<const model::VersionStatus> versions) {
  std::string out = "{";
  append_field(out, "name", servable.name());
  out += R"(,"versions":[)";
  for (std::size_t i = 0; i < versions.size(); ++i) {
    if (i > 0) out += ',';
    append_json_text(out, versions[i].version);
  }
  out += "],";
  append_field(out, "platform", servable.platform());
  out += R"(,"inputs":[)";
  append_specs(out, servable.signature().inputs);
  out += R"(],"outputs":[)";
  append_specs(out, servable.signature().outputs);
  out += "]}";
  return out;
}

std::string format_model_config(const model::Servable& servable) {
  constexpr int kUsualBatchMax =
      32;  // the batcher has no hard limit; clients only ask whether it is above 0
  const engine::Signature& signature = servable.signature();
  const bool batched = signature.batchable();
  std::string out = "{";
  append_field(out, "name", servable.name());
  out += ',';
  append_field(out, "platform", servable.platform());
  out += R"(,"backend":"baozi","version_policy":{"latest":{"num_versions":1}},"max_batch_size":)";
  append_json_number(out, batched ? kUsualBatchMax : 0);
  out += R"(,"input":[)";
  append_config_specs(out, signature.inputs, batched);
  out += R"(],"output":[)";
  append_config_specs(out, signature.outputs, batched);
  out += batched ? R"(],"dynamic_batching":{}})" : "]}";
  return out;
}

std::string format_statistics(std::span<const ModelStatistics> models) {
  std::string out = R"({"model_stats":[)";
  for (std::size_t i = 0; i < models.size(); ++i) {
    if (i > 0) out += ',';
    const model::Statistics& s = models[i].statistics;
    out += '{';
    append_field(out, "name", models[i].name);
    out += ',';
    append_field(out, "version", models[i].version);
    out += R"(,"last_inference":)";
    append_json_number(out, s.last_inference_ms);
    out += R"(,"inference_count":)";
    append_json_number(out, s.inference_count);
    out += R"(,"execution_count":)";
    append_json_number(out, s.execution_count);
    out += ',';
    append_inference_stats(out, s);
    out += ',';
    append_batch_stats(out, s);
    out += '}';
  }
  out += "]}";
  return out;
}

std::string format_repository_index(std::span<const model::VersionStatus> index, bool ready_only) {
  std::string out = "[";
  for (const model::VersionStatus& status : index) {
    if (ready_only && status.state != model::State::kReady) continue;
    if (out.size() > 1) out += ',';
    out += '{';
    append_field(out, "name", status.name);
    out += ',';
    append_field(out, "version", status.version);
    out += ',';
    append_field(out, "state", index_state(status));
    out += ',';
    append_field(out, "reason", status.reason);
    out += '}';
  }
  out += ']';
  return out;
}

bool parse_index_ready_only(std::string_view body) {
  if (body.empty()) return false;
  bool ready_only = false;
  JsonText json(body, 0);
  for (auto item : json.object()) {
    ondemand::field field = take(std::move(item));
    if (take_key(field) == "ready") ready_only = take_bool(field.value(), "'ready'");
  }
  json.finish();
  return ready_only;
}

}  // namespace baozi::api
