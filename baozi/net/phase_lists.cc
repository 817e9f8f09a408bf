#include "baozi/net/phase_lists.h"

#include "baozi/net/socket.h"

namespace baozi::net {

void PhaseLists::enter(Connection& connection, Phase phase, Time now) {
  leave(connection);
  connection.phase = phase;
  connection.since = now;
  list(phase).push_back(connection);
}

void PhaseLists::leave(Connection& connection) {
  if (connection.is_linked())
    list(connection.phase).erase(ConnectionList::s_iterator_to(connection));
}

void PhaseLists::expire(Phase phase, Time before) {
  for (Connection& connection : list(phase)) {
    if (connection.since > before) break;
    connection.expired = true;
    boost::system::error_code ignored;
    connection.socket.cancel(ignored);
  }
}

void PhaseLists::watch_held(Time before) {
  ConnectionList& fresh = list(Phase::kFresh);
  while (!fresh.empty() && fresh.front().since <= before) {
    Connection& connection = fresh.front();
    fresh.pop_front();
    connection.phase = Phase::kHeld;
    list(Phase::kHeld).push_back(connection);
    if (!connection.watched) watch_.add(connection);
    if (connection.gone) gone_.push_back(&connection);
  }
  if (list(Phase::kHeld).empty()) return;
  watch_.poll(gone_);
  for (Connection* connection : gone_) {
    if (connection->phase == Phase::kHeld) client_gone(*connection);
  }
  gone_.clear();
}

void PhaseLists::client_gone(Connection& connection) {
  if (connection.request->stop.request_stop()) ++disconnects_;
}

void PhaseLists::cut_off() {
  for (const Phase phase :
       {Phase::kIdle, Phase::kHead, Phase::kBody, Phase::kSending, Phase::kLingering}) {
    expire(phase, kNever);
  }
  for (const Phase phase : {Phase::kFresh, Phase::kHeld}) {
    for (Connection& connection : list(phase)) connection.request->stop.request_stop();
  }
}

}  // namespace baozi::net
