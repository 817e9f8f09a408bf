#include "baozi/net/request_parser.h"

#include <boost/beast/http/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <new>

namespace baozi::net {
namespace {

namespace http = boost::beast::http;

// Beast asserts that it never sees fewer bytes of a last chunk, although they may come one by one;
// no chunked body ends in fewer ("0\r\n\r\n"), so what is shorter can wait for the rest.
constexpr std::size_t kChunkTailBytes = 5;
constexpr std::size_t kChunkInputBytes = 16 << 10;
constexpr std::size_t kChunkedBodyBytes = 4 << 10;  // first size of a chunked body's memory
constexpr std::size_t kAlignment = 64;
constexpr std::size_t kBodyOffsetMax =
    16 << 20;  // body_offset_header values beyond this are the handler's to refuse

std::string_view to_std(boost::beast::string_view text) noexcept {
  return {text.data(), text.size()};
}

std::string_view rebased(std::string_view view, const char* from, const char* to) noexcept {
  return {to + (view.data() - from), view.size()};
}

std::optional<HttpMethod> known_method(http::verb verb) noexcept {
  switch (verb) {
    case http::verb::get:
      return HttpMethod::kGet;
    case http::verb::head:
      return HttpMethod::kHead;
    case http::verb::post:
      return HttpMethod::kPost;
    case http::verb::put:
      return HttpMethod::kPut;
    case http::verb::delete_:
      return HttpMethod::kDelete;
    case http::verb::options:
      return HttpMethod::kOptions;
    case http::verb::patch:
      return HttpMethod::kPatch;
    default:
      return std::nullopt;
  }
}

bool equals_lower(std::string_view text, std::string_view lower_case) noexcept {
  return std::equal(
      text.begin(), text.end(), lower_case.begin(), lower_case.end(),
      [](char a, char b) { return (a >= 'A' && a <= 'Z' ? static_cast<char>(a | 0x20) : a) == b; });
}

// "http://host:1/path" -> "/path" (RFC 9112, 3.2.2).
std::string_view origin_form(std::string_view target) noexcept {
  if (target.size() < 7 || !equals_lower(target.substr(0, 7), "http://")) return target;
  const std::size_t slash = target.find('/', 7);
  return slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
}

Bytes empty_body() noexcept {
  alignas(kAlignment) static std::byte zeros[HttpRequest::kBodyPadding];
  return Bytes(zeros, 0, nullptr);
}

}  // namespace

RequestParser::RequestParser(const RequestLimits& limits, std::string peer)
    : limits_(limits), peer_(std::make_shared<const std::string>(std::move(peer))) {
  grammar_.emplace(*this);
}

RequestParser::~RequestParser() = default;

std::span<char> RequestParser::prepare() {
  switch (stage_) {
    case Stage::kHead:
      if (memory_ == nullptr) {
        memory_ = Memory::make(peer_);
        capacity_ = static_cast<std::uint32_t>(memory_->first.size());
      } else if (end_ == capacity_)
        set_capacity(std::min(capacity_ * std::size_t{2}, limits_.head_bytes_max));
      return {memory_->data + end_, capacity_ - end_};
    case Stage::kCounted: {
      char* const body = reinterpret_cast<char*>(block_.mutable_data()) + body_start_;
      return {body + body_size_, body_goal_ - body_size_};
    }
    case Stage::kChunked:
      return {chunk_input_->data() + chunk_end_, chunk_input_->size() - chunk_end_};
    case Stage::kReady:
    case Stage::kRefused:
      break;
  }
  return {};
}

RequestParser::Status RequestParser::commit(std::size_t count) {
  switch (stage_) {
    case Stage::kHead:
      end_ += static_cast<std::uint32_t>(count);
      return parse_head();
    case Stage::kCounted:
      body_size_ += count;
      return body_size_ == body_goal_ ? finish_body() : Status::kNeedMore;
    case Stage::kChunked:
      chunk_end_ += count;
      return parse_chunks();
    case Stage::kReady:
      return Status::kReady;
    case Stage::kRefused:
      break;
  }
  return Status::kRefused;
}

RequestParser::Status RequestParser::parse_head() {
  if (begin_ == end_) return Status::kNeedMore;
  boost::beast::error_code error;
  const std::size_t used =
      grammar_->put(boost::asio::const_buffer(memory_->data + begin_, end_ - begin_), error);
  begin_ += static_cast<std::uint32_t>(used);
  if (error == http::error::need_more) {
    if (end_ < limits_.head_bytes_max) return Status::kNeedMore;
    return refuse(431, fmt::format("the request line and header fields exceed {} bytes",
                                   limits_.head_bytes_max));
  }
  if (error) return refuse(error);
  return head_done();
}

RequestParser::Status RequestParser::head_done() {
  if (hosts_ != 1 && version_ == 11)
    return refuse(400, "an HTTP/1.1 request needs exactly one Host field");
  if (grammar_->chunked()) {
    if (version_ == 10) return refuse(400, "HTTP/1.0 knows no Transfer-Encoding");
    return start_chunked();
  }
  const auto length = grammar_->content_length();
  if (length.has_value() && *length != 0) return start_counted(*length);
  body_size_ = 0;
  block_ = empty_body();
  body_start_ = 0;
  stage_ = Stage::kReady;
  return Status::kReady;
}

RequestParser::Status RequestParser::start_counted(std::uint64_t length) {
  if (length > limits_.body_bytes_max) {
    return refuse(413, fmt::format("the body's {} bytes exceed the limit of {}", length,
                                   limits_.body_bytes_max));
  }
  body_goal_ = static_cast<std::size_t>(length);
  try {
    allocate_body(body_goal_);
  } catch (const Error& error) {
    return refuse(http_status(error.code()), error.message());
  } catch (const std::bad_alloc&) {
    return refuse(503, fmt::format("no memory for a body of {} bytes; try again later", length));
  }
  body_size_ = std::min<std::size_t>(end_ - begin_, body_goal_);
  if (body_size_ != 0) {
    std::memcpy(block_.mutable_data() + body_start_, memory_->data + begin_, body_size_);
    begin_ += static_cast<std::uint32_t>(body_size_);
  }
  stage_ = Stage::kCounted;
  return body_size_ == body_goal_ ? finish_body() : Status::kNeedMore;
}

RequestParser::Status RequestParser::start_chunked() {
  stage_ = Stage::kChunked;
  const std::size_t early = end_ - begin_;
  chunk_input_ = std::make_unique<std::vector<char>>(std::max(kChunkInputBytes, 2 * early));
  std::memcpy(chunk_input_->data(), memory_->data + begin_, early);
  chunk_end_ = early;
  end_ = begin_;
  body_size_ = 0;
  body_goal_ = 0;
  return parse_chunks();
}

RequestParser::Status RequestParser::parse_chunks() {
  std::size_t used = 0;
  boost::beast::error_code error;
  while (!grammar_->is_done() && chunk_end_ - used >= kChunkTailBytes) {
    try {
      used += grammar_->put(
          boost::asio::const_buffer(chunk_input_->data() + used, chunk_end_ - used), error);
    } catch (const Error& refused) {
      return refuse(http_status(refused.code()), refused.message());
    } catch (const std::bad_alloc&) {
      return refuse(503, "no memory for the body; try again later");
    }
    if (error == http::error::need_more) break;
    if (error) return refuse(error);
  }
  chunk_end_ -= used;
  std::memmove(chunk_input_->data(), chunk_input_->data() + used, chunk_end_);
  if (grammar_->is_done()) return finish_body();
  if (chunk_end_ == chunk_input_->size())
    return refuse(400, "a chunk's size line or the trailer is too long");
  return Status::kNeedMore;
}

RequestParser::Status RequestParser::finish_body() {
  if (stage_ == Stage::kChunked) {
    if (body_goal_ == 0) {
      block_ = empty_body();
      body_start_ = 0;
    }
    if (chunk_end_ != 0) {  // the beginning of the next message
      if (begin_ + chunk_end_ > capacity_) set_capacity(begin_ + chunk_end_);
      std::memcpy(memory_->data + begin_, chunk_input_->data(), chunk_end_);
      end_ = static_cast<std::uint32_t>(begin_ + chunk_end_);
    }
    chunk_input_.reset();
    chunk_end_ = 0;
  }
  if (body_size_ != 0)
    std::memset(block_.mutable_data() + body_start_ + body_size_, 0, HttpRequest::kBodyPadding);
  stage_ = Stage::kReady;
  return Status::kReady;
}

HttpRequest RequestParser::take() {
  HttpRequest request;
  request.method = method_;
  request.version = version_;
  request.keep_alive = grammar_->keep_alive();
  request.method_text = method_text_;
  request.target = target_;
  request.headers = HttpHeaders(std::span(memory_->fields));
  request.peer = *memory_->peer;
  request.body = block_.slice(body_start_, body_size_);
  block_ = Bytes();
  // While the request is worked on, its memory is its own: a handler that waits may let go of it.
  if (begin_ == end_) {
    request.memory = std::move(memory_);
    begin_ = end_ = capacity_ = 0;
  } else {
    request.memory = memory_;
  }
  return request;
}

RequestParser::Status RequestParser::next() {
  const std::size_t early = end_ - begin_;
  if (memory_ != nullptr) compact();
  begin_ = 0;
  end_ = static_cast<std::uint32_t>(early);
  hosts_ = 0;
  lengths_ = 0;
  expects_continue_ = false;
  block_ = Bytes();
  body_size_ = 0;
  grammar_.emplace(*this);
  stage_ = Stage::kHead;
  return early == 0 ? Status::kNeedMore : parse_head();
}

// Moves the beginning of the next message to the front: of new memory where the last request still
// uses the old one, or where a smaller one will do.
void RequestParser::compact() {
  const char* const from = memory_->data + begin_;
  const std::size_t early = end_ - begin_;
  if (memory_.use_count() == 1 && memory_->large == nullptr) {
    std::memmove(memory_->data, from, early);
    memory_->fields.clear();
    return;
  }
  std::shared_ptr<Memory> fresh = Memory::make(peer_);
  std::size_t capacity = fresh->first.size();
  if (early > capacity) {
    capacity = early;
    fresh->large = std::make_unique_for_overwrite<char[]>(capacity);
    fresh->data = fresh->large.get();
  }
  std::memcpy(fresh->data, from, early);
  memory_ = std::move(fresh);
  capacity_ = static_cast<std::uint32_t>(capacity);
}

bool RequestParser::take_expectation() noexcept {
  const bool waits = waits_for_continue();
  if (waits) expects_continue_ = false;
  return waits;
}

// Keeps what was received; the views into it move along.
void RequestParser::set_capacity(std::size_t capacity) {
  auto data = std::make_unique_for_overwrite<char[]>(capacity);
  const char* const old = memory_->data;
  std::memcpy(data.get(), old, end_);
  if (begin_ != 0) {  // the request line was parsed
    method_text_ = rebased(method_text_, old, data.get());
    if (target_.data() >= old && target_.data() < old + end_)
      target_ = rebased(target_, old, data.get());
    for (HttpHeader& field : memory_->fields) {
      field.name = rebased(field.name, old, data.get());
      field.value = rebased(field.value, old, data.get());
    }
  }
  memory_->large = std::move(data);
  memory_->data = memory_->large.get();
  capacity_ = static_cast<std::uint32_t>(capacity);
}

// How far behind an aligned address the body has to start, so that the byte body_offset_header
// names is aligned.
std::size_t RequestParser::body_lead() const {
  if (limits_.body_offset_header.empty()) return 0;
  const std::string_view text =
      HttpHeaders(std::span(memory_->fields)).get(limits_.body_offset_header);
  std::size_t offset = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), offset);
  if (error != std::errc() || offset > kBodyOffsetMax) return 0;
  return (kAlignment - offset % kAlignment) % kAlignment;
}

// `capacity` bytes of body and the padding; what was received of the body is kept.
void RequestParser::allocate_body(std::size_t capacity) {
  const std::size_t lead = body_lead();
  Allocator& allocator =
      limits_.body_allocator != nullptr ? *limits_.body_allocator : heap_allocator();
  Bytes block = allocator.allocate(lead + capacity + HttpRequest::kBodyPadding);
  if (body_size_ != 0) {
    std::memcpy(block.mutable_data() + lead, block_.data() + body_start_, body_size_);
  }
  block_ = std::move(block);
  body_start_ = lead;
}

RequestParser::Status RequestParser::refuse(int status, std::string message) {
  refusal_ = {status, std::move(message)};
  stage_ = Stage::kRefused;
  return Status::kRefused;
}

RequestParser::Status RequestParser::refuse(const boost::beast::error_code& error) {
  if (refusal_.status != 0) {  // ours, from one of the events
    stage_ = Stage::kRefused;
    return Status::kRefused;
  }
  if (error == http::error::bad_version)
    return refuse(505, "the request line must end in HTTP/1.1 or HTTP/1.0");
  return refuse(400, fmt::format("malformed HTTP request: {}", error.message()));
}

void RequestParser::Grammar::on_request_impl(http::verb verb, View method, View target, int version,
                                             Code& error) {
  const std::optional<HttpMethod> known = known_method(verb);
  if (!known) {
    parser_.refuse(501, fmt::format("the method {:.32} is not supported", to_std(method)));
    error = http::error::bad_method;
    return;
  }
  parser_.method_ = *known;
  parser_.method_text_ = to_std(method);
  parser_.target_ = origin_form(to_std(target));
  parser_.version_ = static_cast<std::uint8_t>(version);
}

void RequestParser::Grammar::on_field_impl(http::field field, View name, View value, Code& error) {
  if (parser_.stage_ != Stage::kHead) return;  // a trailer's field: read over
  const char* const data = parser_.memory_->data;
  const bool folded =
      !value.empty() && (value.data() < data || value.data() >= data + parser_.end_);
  if (folded) {
    parser_.refuse(400, fmt::format("the field {:.64} is folded over several lines", to_std(name)));
  } else if (parser_.memory_->fields.size() == parser_.limits_.headers_max) {
    parser_.refuse(431, fmt::format("more than {} header fields", parser_.limits_.headers_max));
  } else if (parser_.check_field(field, to_std(value))) {
    std::string_view kept = to_std(value);
    if (kept.empty())
      kept = std::string_view(name.data() + name.size(), 0);  // Beast's empty views point nowhere
    parser_.memory_->fields.push_back({to_std(name), kept});
    return;
  }
  error = http::error::bad_field;
}

// False when it was refused.
bool RequestParser::check_field(http::field field, std::string_view value) {
  switch (field) {
    case http::field::host:
      if (++hosts_ == 1) return true;
      refuse(400, "more than one Host field");
      return false;
    case http::field::content_length:
      if (++lengths_ == 1 && value.find(',') == std::string_view::npos) return true;
      refuse(400, "more than one Content-Length");
      return false;
    case http::field::transfer_encoding:
      if (equals_lower(value, "chunked")) return true;
      refuse(501, "the only Transfer-Encoding supported is chunked");
      return false;
    case http::field::expect:
      expects_continue_ = equals_lower(value, "100-continue");
      if (expects_continue_) return true;
      refuse(417, "the only Expect supported is 100-continue");
      return false;
    default:
      return true;
  }
}

void RequestParser::Grammar::on_chunk_header_impl(std::uint64_t size, View, Code& error) {
  if (size <= parser_.limits_.body_bytes_max - parser_.body_size_) return;
  parser_.refuse(
      413, fmt::format("the body exceeds the limit of {} bytes", parser_.limits_.body_bytes_max));
  error = http::error::body_limit;
}

std::size_t RequestParser::Grammar::on_chunk_body_impl(std::uint64_t, View body, Code&) {
  RequestParser& parser = parser_;
  const std::size_t needed = parser.body_size_ + body.size();
  if (needed > parser.body_goal_) {
    const std::size_t room = std::max({kChunkedBodyBytes, 2 * parser.body_goal_, needed});
    parser.allocate_body(room);
    parser.body_goal_ = room;
  }
  std::memcpy(parser.block_.mutable_data() + parser.body_start_ + parser.body_size_, body.data(),
              body.size());
  parser.body_size_ = needed;
  return body.size();
}

}  // namespace baozi::net
