#include "baozi/pipeline/builtin/model_files.h"

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <system_error>

#include "baozi/base/error.h"

namespace baozi::pipeline {

namespace fs = std::filesystem;

std::string required_model(const PipelineContext& context, const std::string& key) {
  std::string name = context.option(key, "");
  if (!name.empty()) return name;
  throw Error(Code::kInvalidArgument,
              fmt::format("pipeline '{}' needs the option '{}': the name of a served model",
                          context.name, key));
}

fs::path path_option(const PipelineContext& context, const std::string& key) {
  const fs::path path = context.option(key, "");
  return path.empty() ? path : context.folder / path;
}

fs::path find_beside(const model::Servable& model, std::initializer_list<std::string_view> names) {
  const fs::path& file = model.origin().file;
  if (file.empty()) return {};
  const fs::path folder = fs::absolute(file).parent_path();
  for (const fs::path& place : {folder, folder.parent_path()}) {
    for (const std::string_view name : names) {
      std::error_code ignored;
      if (fs::is_regular_file(place / name, ignored)) return place / name;
    }
  }
  return {};
}

std::string read_text(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw Error(Code::kNotFound, fmt::format("{} cannot be read", file.string()));
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::vector<std::string> read_lines(const fs::path& file) {
  std::ifstream in(file);
  if (!in) throw Error(Code::kNotFound, fmt::format("{} cannot be read", file.string()));
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    if (line.ends_with('\r')) line.pop_back();
    lines.push_back(std::move(line));
  }
  return lines;
}

void check_image_model(const PipelineContext& context, const model::Servable& model,
                       std::size_t input_rank) {
  const engine::Signature& signature = model.signature();
  const bool one = signature.inputs.size() == 1 && signature.outputs.size() == 1;
  if (one && signature.inputs[0].dtype == DType::kFp32 &&
      signature.inputs[0].shape.rank() == input_rank &&
      signature.outputs[0].dtype == DType::kFp32) {
    return;
  }
  throw Error(Code::kInvalidArgument,
              fmt::format("pipeline '{}' wants a model with one FP32 input of {} dimensions and "
                          "one FP32 output, but "
                          "'{}' has {} inputs (the first {} {}) and {} outputs",
                          context.name, input_rank, model.name(), signature.inputs.size(),
                          signature.inputs.empty() ? "-" : dtype_name(signature.inputs[0].dtype),
                          signature.inputs.empty() ? "-" : to_string(signature.inputs[0].shape),
                          signature.outputs.size()));
}

}  // namespace baozi::pipeline
