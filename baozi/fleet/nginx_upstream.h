// The upstream block of a fleet of replicas for open-source nginx, and when it is worth a reload:
// `baozi steer nginx`. Pure: no clock, file or process; baozi/keeper carries out what this decides.
//
//   NginxUpstream steering({.upstream = "baozi"}, text_in_force);
//   steering.see(looks);                            // one look at each replica
//   if (auto text = steering.decide(Clock::now())) { … write, test, reload …
//     steering.applied(*text, Clock::now());        // or refused(now)
//   }
//
// Thread safety: none; one thread at a time.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/base/clock.h"
#include "baozi/fleet/replica_address.h"
#include "baozi/fleet/warmth.h"

namespace baozi::fleet {

struct NginxOptions {
  std::string upstream = "baozi";  // the name that proxy_pass has: letters, digits, '_', '-', '.'
  int weight_hot = 5;              // ready, or degraded
  int weight_cold = 1;             // starting
  int looks = 2;                   // so many in a row without an answer, and a replica is out;
                                   // so many answered in a row, and it is in again
  Duration reload_every = std::chrono::seconds(1);  // between two reloads, at least
  Duration back_off = std::chrono::seconds(1);  // after a refusal; doubled with each that follows
  Duration back_off_max = std::chrono::seconds(30);
};

// What one look at a replica found.
struct Look {
  ReplicaAddress at;
  std::optional<Warmth> warmth;  // nothing: no answer, or none that is a record of warmth
};

class NginxUpstream {
 public:
  // `in_force`: what nginx is known to run with; nothing: not known. Throws
  // Error(kInvalidArgument) for a name that is none.
  NginxUpstream(NginxOptions options, std::optional<std::string> in_force);

  // Replicas that are not in `looks` are gone. No look at all (a name that stands for nobody)
  // changes nothing: nginx refuses an upstream without a server, and more often than a fleet, a
  // name server is empty.
  void see(const std::vector<Look>& looks);

  // The text that nginx is to be given now; nothing: it has it, no replica is known, or it is too
  // soon. At first that is until each has answered, or has not so often that it is out: a start
  // must not take out who did not answer one look.
  std::optional<std::string> decide(Time now) const;

  void applied(std::string text, Time now);  // nginx runs with it
  void refused(Time now);                    // nginx runs with what it had
  // Nobody knows what nginx runs with: its file was changed by another, or a reload failed.
  void forget() noexcept { in_force_.reset(); }

  const std::optional<std::string>& in_force() const noexcept { return in_force_; }
  // When nginx may be given something next.
  Time not_before() const noexcept { return not_before_; }

  // The upstream block. "" while no replica is known.
  std::string render() const;
  // "2 of weight 5, 1 of weight 1, 1 down"
  std::string summary() const;
  // No replica is known to be well, so those that are unreachable were left in.
  bool last_resort() const noexcept;

 private:
  struct Replica {
    ReplicaAddress at;
    ReplicaState state = ReplicaState::kStarting;
    int lost = 0;      // looks in a row
    int answered = 0;  // looks in a row
    bool met = false;  // it has answered once
    bool reached = false;
  };

  void note(Replica& replica, const std::optional<Warmth>& warmth) const;
  int weight_of(const Replica& replica, bool last) const noexcept;  // 0: down

  NginxOptions options_;
  bool settled_ = false;           // all that were there at first are known
  std::vector<Replica> replicas_;  // in the order of the looks
  std::optional<std::string> in_force_;
  Time not_before_ = Time::min();
  int refusals_ = 0;  // in a row
};

// An nginx.conf, whole and commented, that includes `file` and listens on port 8000. Throws
// Error(kInvalidArgument) for a path that cannot stand there.
std::string nginx_example(std::string_view upstream, std::string_view file);

}  // namespace baozi::fleet
