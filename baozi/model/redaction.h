// Redaction: what happens to recorded samples before they are kept, so that nothing of a client's
// content is. Chosen by name in the config: "zero" is built in, a plug-in registers its own.
//
//   void mask(std::string_view model, baozi::Tensors& inputs) noexcept;
//   BAOZI_PLUGIN(registry) { baozi::model::register_redaction("mask", &mask); }
//
//   warmup: {record: true, redact: mask}
//
// Thread safety: all functions. A redaction is called from any thread, on tensors of its own, whose
// memory it may write.
#pragma once

#include <string>
#include <string_view>

#include "baozi/base/tensor.h"

namespace baozi::model {

// Changes values in place; names, types and shapes should stay, or the sample will not fit.
using Redaction = void (*)(std::string_view model, Tensors& inputs) noexcept;

// Throws Error kAlreadyExists when the name is taken.
void register_redaction(std::string name, Redaction redaction);
// Null for "". Throws Error kNotFound that lists those there are.
Redaction find_redaction(std::string_view name);

// "zero": keeps shapes, and the lengths of strings; values are synthesised ones.
void redact_values(std::string_view model, Tensors& inputs) noexcept;

}  // namespace baozi::model
