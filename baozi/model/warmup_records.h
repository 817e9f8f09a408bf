// Warm-up samples as TensorFlow Serving keeps them, in assets.extra/tf_serving_warmup_requests: a
// TFRecord file of PredictionLog messages. What is recorded from traffic is written in this form,
// too: each record bears its checksum, tensors stay binary, and TensorFlow Serving can read it.
//
// Of the logs, those of Predict are samples: their requests' inputs, and their responses' outputs
// as what is expected. Others (Classify, Regress, SessionRun …) are left out with a warning.
//
// Format: tensorflow/core/lib/io/record_writer.h; tensorflow_serving/apis/prediction_log.proto,
// predict.proto; tensorflow/core/framework/tensor.proto.
//
// Thread safety: free functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "baozi/model/warmup_sample.h"

namespace baozi::model {

inline constexpr std::size_t kRecordsMax = 1000;  // of a file, as in TensorFlow Serving
inline constexpr std::size_t kRecordTensorBytesMax = std::size_t{256} << 20;

// `file` is for messages: errors and the samples' `from` name it and the record's number. Errors:
// kInvalidArgument (damaged, or a tensor that makes no sense; says where), kUnimplemented (an
// element type that no model here takes).
std::vector<WarmupSample> parse_warmup_records(std::string_view bytes, const std::string& file);

// One record, to be put behind others.
std::string format_warmup_record(const WarmupSample& sample, std::string_view model);

}  // namespace baozi::model
