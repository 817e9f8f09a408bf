// BatchLayout: how the inputs of several requests become those of one batch, and how a batch's
// outputs come apart again.
//
// Rows lie along dimension 0. Inputs whose other free dimensions differ may share a batch when
// padding is allowed for all of the differing ones: they are filled up to the longest of the batch.
// Lengths are grouped by powers of two with half steps, so at most a third of a padded dimension is
// filling. An output dimension that bears the name of a padded input dimension ("sequence") is cut
// back to each request's own length.
//
// Thread safety: constant after construction.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "baozi/base/tensor.h"
#include "baozi/engine/signature.h"

namespace baozi::pipeline {

class BatchLayout {
 public:
  // `pad`: the value to fill with, for each input that may be padded (0 for token ids and attention
  // masks). Throws Error kInvalidArgument for a name that is no input, or a BYTES input.
  BatchLayout(const engine::Signature& signature, const std::map<std::string, double>& pad);

  // Whether requests can be joined at all.
  bool batchable() const noexcept { return batchable_; }

  // Brings `inputs` into the signature's order. Returns their rows (1 when not batchable).
  // Throws Error kInvalidArgument: an input is missing, unknown, given twice, of the wrong type or
  // shape; inputs disagree about the rows, or have none.
  std::int64_t check_inputs(Tensors& inputs) const;
  // Equal for inputs that may share a batch. `inputs` in the signature's order.
  std::uint64_t shape_key(const Tensors& inputs) const noexcept;

  // Input number `input` of a batch of all `requests`, in memory of `allocator`.
  Tensor gather(std::size_t input, std::span<const Tensors* const> requests,
                Allocator& allocator) const;
  // Throws Error kInternal unless the output has `rows` rows.
  void check_output(std::size_t output, const Tensor& whole, std::int64_t rows) const;
  // The rows [first, first + rows) of an output, for the request with these inputs. Shares the
  // memory, unless it has to be cut out of the middle.
  Tensor scatter(std::size_t output, const Tensor& whole, std::int64_t first, std::int64_t rows,
                 const Tensors& inputs, std::span<const Tensor> batch_inputs,
                 Allocator& allocator) const;

  // The group of a length: 1, 2, 3, 4, 6, 8, 12, 16 …
  static std::int64_t length_group(std::int64_t length) noexcept;

 private:
  struct Input {
    bool padded = false;
    std::uint64_t fill = 0;  // the element's bytes
  };
  struct Crop {
    std::size_t output_dim = 0;
    std::size_t input = 0;
    std::size_t input_dim = 0;
  };

  const engine::Signature signature_;
  bool batchable_ = false;
  std::vector<Input> inputs_;
  std::vector<std::vector<Crop>> crops_;  // by output
};

}  // namespace baozi::pipeline
