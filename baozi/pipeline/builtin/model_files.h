// What a pipeline takes from the models it names when it is made: their tensors' form, and the
// files beside them.
//
// Thread safety: pure functions; they read files and belong where blocking is allowed.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/pipeline/pipeline.h"

namespace baozi::pipeline {

// The option, as the name of a model. Throws Error kInvalidArgument when it is not set.
std::string required_model(const PipelineContext& context, const std::string& key);

// The option as a path, relative to the configuration's folder; empty when it is not set.
std::filesystem::path path_option(const PipelineContext& context, const std::string& key);

// The first of `names` that lies in the folder of the model's file or in the one above (where side
// files lie beside the version folders); empty when there is none.
std::filesystem::path find_beside(const model::Servable& model,
                                  std::initializer_list<std::string_view> names);

// Throws Error kNotFound when it cannot be read.
std::string read_text(const std::filesystem::path& file);
std::vector<std::string> read_lines(const std::filesystem::path& file);

// Throws Error kInvalidArgument, saying what pipeline `context.name` wants, unless the model takes
// one FP32 input of `input_rank` dimensions and gives one FP32 output.
void check_image_model(const PipelineContext& context, const model::Servable& model,
                       std::size_t input_rank);

}  // namespace baozi::pipeline
