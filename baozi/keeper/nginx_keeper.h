// NginxKeeper: carries out what fleet/nginx_upstream decides. It looks at all replicas side by
// side, resolves the names among them, and gives nginx a new upstream file when one is due.
//
//   return NginxKeeper({.replicas = {parse_replica("baozi.svc:8000")}, .output = "up.conf", …})
//       .run();
//
// Thread safety: none; run() blocks its thread until SIGTERM or SIGINT.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "baozi/base/clock.h"
#include "baozi/fleet/nginx_upstream.h"
#include "baozi/keeper/upstream_file.h"

namespace baozi::keeper {

struct KeeperOptions {
  std::vector<fleet::ReplicaAddress> replicas;  // addresses, and names that stand for several
  fleet::NginxOptions nginx;
  std::string output;  // the upstream file
  UpstreamFile::Options commands;
  Duration interval = std::chrono::seconds(1);  // between looks; one waits half of it for an answer
  Duration names_every = std::chrono::seconds(5);  // names are resolved again
};

class NginxKeeper {
 public:
  // Throws Error(kInvalidArgument): no replica, one twice, a name that is none.
  explicit NginxKeeper(KeeperOptions options);
  ~NginxKeeper();
  NginxKeeper(const NginxKeeper&) = delete;
  NginxKeeper& operator=(const NginxKeeper&) = delete;

  void run();
  // One look, and the file; throws Error when nginx did not take it. Who does not answer this one
  // look is out.
  void run_once();
  // One look; the text that it makes.
  std::string dry_run();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace baozi::keeper
