#include "baozi/net/response_writer.h"

#include <exception>
#include <string>
#include <utility>

#include "baozi/base/log.h"
#include "baozi/coro/this_task.h"
#include "baozi/net/socket.h"

namespace baozi::net {

// Not a coroutine: a plain answer has one frame for its way out.
Task<bool> ResponseWriter::send(Connection* connection, HttpResponse* response, bool keep_alive) {
  const bool with_body = !connection->head_only && ResponseHead::has_body(response->status);
  return response->stream != nullptr && with_body ? send_stream(connection, response, keep_alive)
                                                  : send_whole(connection, response, keep_alive);
}

Task<bool> ResponseWriter::send_whole(Connection* connection, HttpResponse* response,
                                      bool keep_alive) {
  const bool with_body = !connection->head_only && ResponseHead::has_body(response->status);
  GatheredWrite write(head_.format(*response, keep_alive, connection->version), *response,
                      with_body);
  response->stream.reset();
  connection->request.reset();
  const Progress progress = write.send(connection->socket.native_handle());
  bool sent = progress == Progress::kDone;
  if (!sent) sent = co_await go_on(connection, &write, progress);
  co_return sent;
}

Task<bool> ResponseWriter::send_stream(Connection* connection, HttpResponse* response,
                                       bool keep_alive) {
  const bool chunked = connection->version >= 11;
  bool whole = co_await send_pieces(connection, response, keep_alive);
  if (!whole) connection->request->stop.request_stop();
  response->stream.reset();  // before what it runs under
  connection->request.reset();
  if (chunked && whole) {
    GatheredWrite write("0\r\n\r\n", HttpResponse(), false);
    const Progress progress = write.send(connection->socket.native_handle());
    if (progress != Progress::kDone) whole = co_await go_on(connection, &write, progress);
  } else if (!whole && !chunked) {
    // The end of the connection is the end of the body: only a reset says that it came too early.
    boost::system::error_code ignored;
    connection->socket.set_option(Socket::linger(true, 0), ignored);
    connection->expired = true;
  }
  co_return whole;
}

// The head and all pieces; whether the stream came to its end.
Task<bool> ResponseWriter::send_pieces(Connection* connection, HttpResponse* response,
                                       bool keep_alive) {
  RequestState& request = *connection->request;
  std::string_view head = head_.format(*response, keep_alive, connection->version);
  for (bool ended = false; !ended;) {
    {
      const ChunkLine line(response->content_length());
      GatheredWrite write = connection->version >= 11 ? GatheredWrite(head, line, *response)
                                                      : GatheredWrite(head, *response, true);
      const Progress progress = write.send(connection->socket.native_handle());
      bool sent = progress == Progress::kDone;
      if (!sent) sent = co_await go_on(connection, &write, progress);
      if (!sent) co_return false;
    }
    if (connection->phase == Phase::kSending)
      phases_.enter(*connection, Phase::kFresh, Clock::now());
    head = {};
    response->segments.clear();
    std::string().swap(response->body);
    co_await yield();  // a body that is always ready leaves the other connections their turn
    try {
      Task<std::string> next = response->stream->next().with_context(request.context);
      response->body = co_await std::move(next);
    } catch (const std::exception& error) {
      if (!request.stop.stop_requested())
        log().warn("a streamed answer is cut off: {}", error.what());
      co_return false;
    }
    if (request.stop.stop_requested()) co_return false;
    ended = response->body.empty();
  }
  co_return true;
}

// After a first try that did not send everything.
Task<bool> ResponseWriter::go_on(Connection* connection, GatheredWrite* write, Progress progress) {
  if (progress == Progress::kBlocked) phases_.enter(*connection, Phase::kSending, Clock::now());
  while (progress == Progress::kBlocked) {
    const IoResult ready = co_await wait_writable(connection->socket);
    if (ready.error) break;
    progress = write->send(connection->socket.native_handle());
    if (write->moved()) phases_.enter(*connection, Phase::kSending, Clock::now());
  }
  const bool sent = progress == Progress::kDone;
  if (!sent && !connection->expired && connection->request != nullptr)
    phases_.client_gone(*connection);
  connection->expired = !sent;  // nobody reads: no use in lingering
  co_return sent;
}

}  // namespace baozi::net
