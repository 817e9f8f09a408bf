// ResponseWriter: answers on their way out of their connections, whole or piece by piece.
//
// Thread safety: the server's I/O thread; one connection's answers one after the other. It and what
// is handed to it outlive the tasks.
#pragma once

#include "baozi/coro/task.h"
#include "baozi/net/connection.h"
#include "baozi/net/gathered_write.h"
#include "baozi/net/http.h"
#include "baozi/net/phase_lists.h"
#include "baozi/net/response_head.h"

namespace baozi::net {

class ResponseWriter {
 public:
  explicit ResponseWriter(PhaseLists& phases) : phases_(phases) {}

  // Ends the connection's request, a streamed one at its end. Whether all went out; when it did
  // not, `expired` says that there is nobody to linger for. `keep_alive` is what the head promises.
  Task<bool> send(Connection* connection, HttpResponse* response, bool keep_alive);

 private:
  using Progress = GatheredWrite::Progress;

  Task<bool> send_whole(Connection* connection, HttpResponse* response, bool keep_alive);
  Task<bool> send_stream(Connection* connection, HttpResponse* response, bool keep_alive);
  Task<bool> send_pieces(Connection* connection, HttpResponse* response, bool keep_alive);
  Task<bool> go_on(Connection* connection, GatheredWrite* write, Progress progress);

  PhaseLists& phases_;
  ResponseHead head_;
};

}  // namespace baozi::net
