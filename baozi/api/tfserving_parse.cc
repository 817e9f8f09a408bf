#include "baozi/api/tfserving_parse.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "baozi/api/base64.h"
#include "baozi/api/json_reader.h"
#include "baozi/base/error.h"

namespace baozi::api {
namespace {

constexpr std::string_view kDefaultSignature = "serving_default";
constexpr std::size_t kRowsMax = 1 << 20;
constexpr std::size_t kContextBytesMax = 64 << 20;  // a small body must not become a huge tensor

[[noreturn]] void invalid(std::string message) {
  throw Error(Code::kInvalidArgument, std::move(message));
}

// One input that grows value by value; its shape is the nesting that it sees.
class Column {
 public:
  explicit Column(const engine::TensorSpec& spec) : spec_(&spec) { dims_.fill(kUnknown); }

  // A whole tensor.
  void add_tensor(ondemand::value value) { add(value, 0); }
  // One row of it.
  void add_row(ondemand::value value) {
    add(value, 1);
    ++rows_;
  }

  // The one row of `other`, once more.
  void add_row_of(const Column& other) {
    if (rows_ == 0) {
      rank_ = other.rank_;
      deepest_ = other.deepest_;
      dims_ = other.dims_;
    }
    if (rank_ != other.rank_ || deepest_ != other.deepest_ || dims_ != other.dims_) ragged();
    if (run_.size() + other.run_.size() > kContextBytesMax) {
      invalid(fmt::format("'context' repeats input '{}' to more than {} bytes", name(),
                          kContextBytesMax));
    }
    run_ += other.run_;
    elements_ += other.elements_;
    filled_ = true;
    ++rows_;
  }

  std::size_t rows() const noexcept { return rows_; }
  bool filled() const noexcept { return filled_; }
  const std::string& name() const noexcept { return spec_->name; }

  // The tensor of all that was added; `as_rows` when it came by rows.
  Tensor finish(bool as_rows) {
    if (as_rows) dims_[0] = static_cast<std::int64_t>(rows_);
    Shape shape;
    const std::size_t rank = rank_ != kNoRank ? rank_ : deepest_;
    for (std::size_t i = 0; i < rank; ++i) shape.push_back(dims_[i]);
    return Tensor(spec_->dtype, shape, Bytes::adopt(std::move(run_)));
  }

 private:
  static constexpr std::int64_t kUnknown = -1;
  static constexpr std::size_t kNoRank = Shape::kRankMax + 1;

  void add(ondemand::value value, std::size_t level) {
    filled_ = true;
    deepest_ = std::max(deepest_, level);
    if (spec_->dtype == DType::kBytes) {
      read(value, level, [this](ondemand::value v) { append_bytes_element(run_, bytes_of(v)); });
    } else {
      with_element_type(spec_->dtype, [&]<class T>(T) {
        read(value, level, [this](ondemand::value v) {
          const T element = read_element<T>(v, place());
          run_.append(reinterpret_cast<const char*>(&element), sizeof element);
        });
      });
    }
  }

  template <class Append>
  void read(ondemand::value value, std::size_t level, const Append& append) {
    if (!is_array(value)) {
      if (rank_ == kNoRank) rank_ = level;
      if (rank_ != level || deepest_ != level) ragged();
      append(value);
      ++elements_;
      return;
    }
    if (level + 1 > Shape::kRankMax) {
      invalid(fmt::format("input '{}' is nested deeper than {} lists", name(), Shape::kRankMax));
    }
    if (rank_ != kNoRank && level >= rank_) ragged();
    deepest_ = std::max(deepest_, level + 1);
    std::int64_t children = 0;
    for (auto item : take_array(value, name())) {
      read(take(std::move(item)), level + 1, append);
      ++children;
    }
    if (dims_[level] == kUnknown) dims_[level] = children;
    if (dims_[level] != children) ragged();
  }

  std::string_view bytes_of(ondemand::value value) {
    ondemand::json_type type{};
    if (value.type().get(type) != simdjson::SUCCESS)
      throw_bad_element(value, place(), DType::kBytes);
    if (type == ondemand::json_type::string) return take_string(value, name());
    if (type != ondemand::json_type::object) throw_bad_element(value, place(), DType::kBytes);
    bool found = false;
    for (auto item : take_object(value, name())) {
      ondemand::field field = take(std::move(item));
      if (take_key(field) != "b64" || found) {
        invalid(fmt::format("input '{}': element {} is an object; only {{\"b64\": \"…\"}} is known",
                            name(), elements_));
      }
      found = true;
      decoded_ = decode_base64(take_string(field.value(), "'b64'"),
                               fmt::format("input '{}': element {}", name(), elements_));
    }
    if (!found) throw_bad_element(value, place(), DType::kBytes);
    return decoded_;
  }

  [[noreturn]] void ragged() const {
    invalid(
        fmt::format("input '{}' has lists of different lengths or depths (seen at element {}); "
                    "pad the rows to one shape",
                    name(), elements_));
  }

  ElementPlace place() const { return {"input", name(), elements_}; }

  const engine::TensorSpec* spec_;
  std::array<std::int64_t, Shape::kRankMax> dims_;
  std::size_t rank_ = kNoRank;  // the level at which the elements stand
  std::size_t deepest_ = 0;     // lists seen within each other
  std::size_t rows_ = 0;
  std::size_t elements_ = 0;
  bool filled_ = false;
  std::string run_;
  std::string decoded_;
};

class PredictParser {
 public:
  explicit PredictParser(const engine::Signature& signature) {
    columns_.reserve(signature.inputs.size());
    for (const engine::TensorSpec& spec : signature.inputs) columns_.emplace_back(spec);
  }

  TfPredict predict(JsonText& json) {
    bool instances = false;
    bool inputs = false;
    for (auto item : json.object()) {
      ondemand::field field = take(std::move(item));
      const std::string_view key = take_key(field);
      if (key == "signature_name") {
        check_signature(field.value());
      } else if (key == "instances" || key == "inputs") {
        if (instances || inputs) invalid("give either 'instances' or 'inputs', and once");
        (key == "instances" ? instances : inputs) = true;
        if (instances) {
          read_instances(field.value());
        } else {
          read_inputs(field.value());
        }
      }
    }
    json.finish();
    if (!instances && !inputs) {
      invalid("the request has neither 'instances' (rows) nor 'inputs' (columns)");
    }
    return finish(instances);
  }

  TfPredict examples(JsonText& json) {
    std::string_view context;
    std::string_view examples;
    for (auto item : json.object()) {
      ondemand::field field = take(std::move(item));
      const std::string_view key = take_key(field);
      if (key == "signature_name") {
        check_signature(field.value());
      } else if (key == "context") {
        if (!context.empty()) invalid("'context' is given twice");
        context = take(take_object(field.value(), "'context'").raw_json());
      } else if (key == "examples") {
        if (!examples.empty()) invalid("'examples' is given twice");
        examples = take(take_array(field.value(), "'examples'").raw_json());
      }
    }
    json.finish();
    if (examples.empty()) invalid("the request has no 'examples'");
    std::vector<Column> shared;  // one row each; read first, wherever it stands
    if (!context.empty()) shared = read_context(context, json.spare_behind(context));
    read_examples(examples, json.spare_behind(examples), shared);
    return finish(true);
  }

 private:
  static void check_signature(ondemand::value value) {
    const std::string_view name = take_string(value, "'signature_name'");
    if (!name.empty() && name != kDefaultSignature) {
      invalid(
          fmt::format("signature_name '{}' is not known; there is '{}'", name, kDefaultSignature));
    }
  }

  Column& column(std::string_view name) {
    for (Column& column : columns_) {
      if (column.name() == name) return column;
    }
    std::vector<std::string_view> names;
    for (const Column& column : columns_) names.push_back(column.name());
    invalid(
        fmt::format("input '{}' is not known; the model takes [{}]", name, fmt::join(names, ", ")));
  }

  Column& only_column(std::string_view where) {
    if (columns_.size() == 1) return columns_.front();
    std::vector<std::string_view> names;
    for (const Column& column : columns_) names.push_back(column.name());
    invalid(fmt::format("{} must be an object with a value for each of the model's inputs [{}]",
                        where, fmt::join(names, ", ")));
  }

  static bool is_map(ondemand::value& value) {
    ondemand::json_type type{};
    return value.type().get(type) == simdjson::SUCCESS && type == ondemand::json_type::object;
  }

  void read_instances(ondemand::value value) {
    for (auto item : take_array(value, "'instances'")) {
      next_row();
      ondemand::value row = take(std::move(item));
      if (is_map(row) && !starts_b64(row)) {
        read_named_row(take_object(row, "an instance"));
      } else {
        only_column("an instance").add_row(row);
      }
    }
  }

  void next_row() {
    if (++rows_ > kRowsMax) invalid(fmt::format("a request has at most {} rows", kRowsMax));
  }

  void read_named_row(ondemand::object row) {
    for (auto item : row) {
      ondemand::field field = take(std::move(item));
      Column& target = column(take_key(field));
      if (target.rows() == rows_) invalid(fmt::format("an instance has '{}' twice", target.name()));
      target.add_row(field.value());
    }
    check_row("instance");
  }

  // On-demand parsing has no way back, so the first key is looked at in the text.
  static bool starts_b64(ondemand::value& value) {
    const std::string_view brace = value.raw_json_token();
    const char* at = brace.data() + 1;
    while (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n') ++at;
    return std::string_view(at, 5) == "\"b64\"";
  }

  void read_inputs(ondemand::value value) {
    if (!is_map(value) || starts_b64(value)) {
      only_column("'inputs'").add_tensor(value);
      return;
    }
    for (auto item : take_object(value, "'inputs'")) {
      ondemand::field field = take(std::move(item));
      Column& target = column(take_key(field));
      if (target.filled()) invalid(fmt::format("input '{}' is given twice", target.name()));
      target.add_tensor(field.value());
    }
  }

  std::vector<Column> read_context(std::string_view text, std::size_t spare) {
    std::vector<Column> shared;
    JsonText json(text, spare);
    for (auto item : json.object()) {
      ondemand::field field = take(std::move(item));
      const Column& target = column(take_key(field));
      for (const Column& other : shared) {
        if (other.name() == target.name()) {
          invalid(fmt::format("'context' has '{}' twice", target.name()));
        }
      }
      shared.push_back(target);
      shared.back().add_row(field.value());
    }
    return shared;
  }

  void read_examples(std::string_view text, std::size_t spare, const std::vector<Column>& shared) {
    JsonText list(text, spare);
    for (auto item : list.array()) {
      next_row();
      for (auto entry : take_object(take(std::move(item)), "an example")) {
        ondemand::field field = take(std::move(entry));
        Column& target = column(take_key(field));
        if (target.rows() == rows_)
          invalid(fmt::format("an example has '{}' twice", target.name()));
        target.add_row(field.value());
      }
      for (const Column& from_context : shared) {
        Column& target = column(from_context.name());
        if (target.rows() < rows_) target.add_row_of(from_context);
      }
      check_row("example");
    }
  }

  void check_row(std::string_view what) const {
    for (const Column& each : columns_) {
      if (each.rows() != rows_) {
        invalid(fmt::format("{} {} has no value for input '{}'", what, rows_ - 1, each.name()));
      }
    }
  }

  TfPredict finish(bool by_rows) {
    if (by_rows && rows_ == 0) invalid("the request has no rows");
    TfPredict result;
    result.rows = by_rows;
    result.row_count = rows_;
    for (Column& each : columns_) {
      if (each.filled()) result.request.inputs.push_back({each.name(), each.finish(by_rows)});
    }
    return result;
  }

  std::vector<Column> columns_;  // one for each input of the signature
  std::size_t rows_ = 0;
};

// An Example's feature is a list or a single value, while the model may want [rows] or [rows,1]:
// make it fit.
void fit_features(Tensors& inputs, const engine::Signature& signature) {
  for (NamedTensor& input : inputs) {
    const Shape& wanted =
        signature.inputs[static_cast<std::size_t>(signature.input_index(input.name))].shape;
    const Shape have = input.tensor.shape();
    if (have.rank() == 1 && wanted.rank() == 2) {
      input.tensor = input.tensor.reshaped({have[0], 1});
    } else if (have.rank() == 2 && wanted.rank() == 1 && have[1] == 1) {
      input.tensor = input.tensor.reshaped({have[0]});
    }
  }
}

}  // namespace

TfPredict parse_tf_predict(const Bytes& body, std::size_t spare,
                           const engine::Signature& signature) {
  JsonText json(body.text(), spare);
  return PredictParser(signature).predict(json);
}

TfPredict parse_tf_examples(const Bytes& body, std::size_t spare,
                            const engine::Signature& signature) {
  JsonText json(body.text(), spare);
  TfPredict result = PredictParser(signature).examples(json);
  fit_features(result.request.inputs, signature);
  return result;
}

}  // namespace baozi::api
