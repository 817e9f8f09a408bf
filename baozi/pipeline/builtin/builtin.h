// The pipelines that come with baozi: classify, embed and ocr. docs/pipelines.md lists their
// options.
//
//   pipeline::add_builtin_pipelines(pipeline::registry());
//   auto classify = pipeline::registry().make(
//       "classify", {.name = "classify", .cpu = &pool, .models = &repository,
//                    .options = {{"model", "efficientnet_lite0"}}});
//
// The models a pipeline names must be ready when it is made: shapes, labels, vocabularies and
// dictionaries are taken from them. Errors of the make_ functions: kInvalidArgument (an option, or
// a model of another kind than wanted), kNotFound and kUnavailable (a model, or a file beside it).
//
// Thread safety: all functions.
#pragma once

#include <memory>

#include "baozi/pipeline/pipeline.h"

namespace baozi::pipeline {

void add_builtin_pipelines(Registry& target);

// image BYTES [N] to label BYTES [N,K], score FP32 [N,K], class INT64 [N,K], best first.
std::shared_ptr<model::Servable> make_classify(PipelineContext context);
// text BYTES [N] to embedding FP32 [N,D].
std::shared_ptr<model::Servable> make_embed(PipelineContext context);
// image BYTES [N] to the lines of text on them, image after image and in reading order: text BYTES
// [L], score FP32 [L], box FP32 [L,4,2] (corners clockwise from the text's top left, x and y in
// pixels), image INT64 [L] (0 … N-1).
std::shared_ptr<model::Servable> make_ocr(PipelineContext context);

}  // namespace baozi::pipeline
