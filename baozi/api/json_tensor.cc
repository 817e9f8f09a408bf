#include "baozi/api/json_tensor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

namespace baozi::api {
namespace {

// Walks the list, checks its nesting against the shape and hands each element to `Sink::put`.
template <class Sink>
class ListReader {
 public:
  ListReader(const Shape& shape, std::string_view input_name, Sink& sink)
      : shape_(shape), place_{"input", input_name}, sink_(sink) {}

  void read(ondemand::array list, std::size_t level) {
    bool nested = false;
    std::size_t children = 0;
    for (auto item : list) {
      ondemand::value value = take(std::move(item));
      if (children == 0) nested = is_array(value) && level + 1 < shape_.rank();
      ++children;
      if (nested) {
        read(take_array(value, "a row of 'data'"), level + 1);
      } else {
        sink_.put(value, place_);
        ++place_.index;
      }
    }
    check_count(children, nested || (children == 0 && level < shape_.rank() && shape_[level] == 0),
                level);
  }

 private:
  void check_count(std::size_t children, bool nested, std::size_t level) const {
    std::int64_t wanted = 1;
    if (nested) {
      wanted = shape_[level];
    } else {
      for (std::size_t i = level; i < shape_.rank(); ++i) wanted *= shape_[i];
    }
    if (children == static_cast<std::size_t>(wanted)) return;
    if (level == 0 && !nested) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("input '{}' has {} elements in 'data', its shape {} needs {}",
                              place_.name, children, to_string(shape_), wanted));
    }
    throw Error(Code::kInvalidArgument,
                fmt::format("input '{}': a list at nesting level {} of 'data' has {} elements, "
                            "the shape {} needs {}",
                            place_.name, level + 1, children, to_string(shape_), wanted));
  }

  const Shape& shape_;
  ElementPlace place_;
  Sink& sink_;
};

// Elements beyond `end` are checked and counted, not kept: the count's error follows.
template <class T>
struct FixedSink {
  T* next;
  T* end;

  void put(ondemand::value value, const ElementPlace& place) {
    const T element = read_element<T>(value, place);
    if (next != end) *next++ = element;
  }
};

struct BytesSink {
  std::string run;

  void put(ondemand::value value, const ElementPlace& place) {
    std::string_view text;
    const simdjson::error_code error = value.get_string().get(text);
    if (error == simdjson::INCORRECT_TYPE) throw_bad_element(value, place, DType::kBytes);
    if (error) throw_bad_json(error);
    append_bytes_element(run, text);
  }
};

}  // namespace

Tensor read_tensor(ondemand::array list, DType dtype, const Shape& shape,
                   std::string_view input_name, std::size_t text_size, Allocator& allocator) {
  const auto elements = static_cast<std::size_t>(shape.elements());
  if (dtype == DType::kBytes) {
    BytesSink sink;
    ListReader<BytesSink>(shape, input_name, sink).read(list, 0);
    return Tensor(dtype, shape, Bytes::adopt(std::move(sink.run)));
  }
  const std::size_t room = std::min(elements, text_size);
  Bytes memory = allocator.allocate(room * dtype_size(dtype));
  with_element_type(dtype, [&]<class T>(T) {
    auto* first = reinterpret_cast<T*>(memory.mutable_data());
    FixedSink<T> sink{first, first + room};
    ListReader<FixedSink<T>>(shape, input_name, sink).read(list, 0);
  });
  assert(room == elements);  // with fewer, the count above did not fit
  return Tensor(dtype, shape, memory.slice(0, elements * dtype_size(dtype)));
}

}  // namespace baozi::api
