#include "baozi/fleet/nginx_upstream.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "baozi/base/error.h"

namespace baozi::fleet {
namespace {

constexpr std::size_t kNameMax = 64;
constexpr int kDoublingsMax = 20;

void check_name(const std::string& name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  };
  if (name.empty() || name.size() > kNameMax || !std::all_of(name.begin(), name.end(), fits))
    throw Error(Code::kInvalidArgument,
                fmt::format("the upstream's name must be 1 to {} letters, digits, '_', '-' or '.'; "
                            "give another with --upstream",
                            kNameMax));
}

}  // namespace

NginxUpstream::NginxUpstream(NginxOptions options, std::optional<std::string> in_force)
    : options_(std::move(options)), in_force_(std::move(in_force)) {
  check_name(options_.upstream);
}

void NginxUpstream::see(const std::vector<Look>& looks) {
  if (looks.empty()) return;
  std::map<std::string, Replica> known;
  for (Replica& replica : replicas_) known.emplace(endpoint(replica.at), std::move(replica));
  replicas_.clear();
  for (const Look& look : looks) {
    const auto found = known.find(endpoint(look.at));
    Replica& replica = replicas_.emplace_back(found == known.end() ? Replica{} : found->second);
    replica.at = look.at;
    note(replica, look.warmth);
  }
  settled_ = settled_ || std::all_of(replicas_.begin(), replicas_.end(), [&](const Replica& each) {
               return each.met || each.lost >= options_.looks;
             });
}

void NginxUpstream::note(Replica& replica, const std::optional<Warmth>& warmth) const {
  if (!warmth) {
    replica.answered = 0;
    replica.lost = std::min(replica.lost + 1, options_.looks);
    if (replica.lost >= options_.looks) replica.reached = false;
    return;
  }
  replica.lost = 0;
  replica.answered = std::min(replica.answered + 1, options_.looks);
  if (!replica.met || replica.answered >= options_.looks) replica.reached = true;
  replica.met = true;
  replica.state = warmth->state;
}

bool NginxUpstream::last_resort() const noexcept {
  return !replicas_.empty() && std::none_of(replicas_.begin(), replicas_.end(),
                                            [&](const auto& r) { return weight_of(r, false) > 0; });
}

int NginxUpstream::weight_of(const Replica& replica, bool last) const noexcept {
  if (!replica.reached) return last ? options_.weight_cold : 0;
  switch (replica.state) {
    case ReplicaState::kReady:
    case ReplicaState::kDegraded:
      return options_.weight_hot;
    case ReplicaState::kStarting:
      return options_.weight_cold;
    case ReplicaState::kFailed:
    case ReplicaState::kDraining:
      break;
  }
  return 0;
}

std::string NginxUpstream::render() const {
  if (replicas_.empty()) return {};
  std::string text = fmt::format(
      "# Written by `baozi steer nginx`, and again at each change.\n"
      "upstream {0} {{\n"
      "    zone {0} 1m;\n"
      "    least_conn;\n",
      options_.upstream);
  const bool last = last_resort();
  for (const Replica& replica : replicas_) {
    const int weight = weight_of(replica, last);
    if (weight == 0)
      text += fmt::format("    server {} down;\n", endpoint(replica.at));
    else
      text += fmt::format("    server {} weight={} max_fails=1 fail_timeout=5s;\n",
                          endpoint(replica.at), weight);
  }
  return text + "    keepalive 32;\n}\n";
}

std::string NginxUpstream::summary() const {
  const bool last = last_resort();
  int hot = 0;
  int cold = 0;
  int down = 0;
  for (const Replica& replica : replicas_) {
    const int weight = weight_of(replica, last);
    ++(weight == 0 ? down : weight == options_.weight_hot ? hot : cold);
  }
  return fmt::format("{} of weight {}, {} of weight {}, {} down", hot, options_.weight_hot, cold,
                     options_.weight_cold, down);
}

std::optional<std::string> NginxUpstream::decide(Time now) const {
  if (!settled_ || now < not_before_) return std::nullopt;
  std::string text = render();
  if (text == in_force_) return std::nullopt;
  return text;
}

void NginxUpstream::applied(std::string text, Time now) {
  in_force_ = std::move(text);
  refusals_ = 0;
  not_before_ = now + options_.reload_every;
}

void NginxUpstream::refused(Time now) {
  const Duration wait = options_.back_off * (1 << std::min(refusals_, kDoublingsMax));
  refusals_ = std::min(refusals_ + 1, kDoublingsMax);
  not_before_ = now + std::max(options_.reload_every, std::min(wait, options_.back_off_max));
}

std::string nginx_example(std::string_view upstream, std::string_view file) {
  check_name(std::string(upstream));
  const auto means_something = [](char c) {
    return c < ' ' || c == 0x7f || std::string_view("\"\\$*?[").find(c) != std::string_view::npos;
  };
  if (file.empty() || std::any_of(file.begin(), file.end(), means_something))
    throw Error(Code::kInvalidArgument,
                "the upstream file's path is empty or holds a character that means something in "
                "nginx.conf (quotes, backslash, $, *, ?, [); give another with --output");
  return fmt::format(
      R"(# An example. Check it with: nginx -t -c FILE
worker_processes auto;

events {{
    worker_connections 4096;
}}

http {{
    # Kept by `baozi steer nginx --output`. It must be there before nginx starts.
    include "{file}";

    server {{
        listen 8000;
        client_max_body_size 256m;

        location / {{
            proxy_pass http://{upstream};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            # Answers that are streamed go on piece by piece.
            proxy_buffering off;
            # A request that found its replica dead, silent or unready is sent to another. Inference
            # changes nothing in a replica, so POST (non_idempotent) is repeated too.
            proxy_next_upstream error timeout http_502 http_503 non_idempotent;
            proxy_connect_timeout 1s;
            # A replica that says nothing for so long is taken to hang. Keep it above the slowest
            # answer, or the slowest first word of one that is streamed.
            proxy_read_timeout 30s;
        }}
    }}
}}
)",
      fmt::arg("file", file), fmt::arg("upstream", upstream));
}

}  // namespace baozi::fleet
