#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "baozi/base/error.h"
#include "baozi/model/servable.h"

namespace baozi::model {
namespace {

bool is_number(std::string_view text) noexcept {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

std::string_view without_zeros(std::string_view digits) noexcept {
  while (digits.size() > 1 && digits.front() == '0') digits.remove_prefix(1);
  return digits;
}

std::string list_of(const auto& keys) {
  std::string text;
  for (const auto& [key, value] : keys) text += (text.empty() ? "" : ", ") + key;
  return text;
}

Error not_ready(const VersionStatus& status) {
  const std::string why = status.reason.empty() ? "" : ": " + status.reason;
  return Error(Code::kUnavailable,
               fmt::format("model '{}' version {} is not ready ({}){}", status.name, status.version,
                           state_name(status.state), why));
}

}  // namespace

std::string_view state_name(State state) noexcept {
  switch (state) {
    case State::kAbsent:
      return "ABSENT";
    case State::kOpening:
      return "OPENING";
    case State::kLoading:
      return "LOADING";
    case State::kWarming:
      return "WARMING";
    case State::kReady:
      return "READY";
    case State::kDraining:
      return "DRAINING";
    case State::kUnloaded:
      return "UNLOADED";
    case State::kFailed:
      return "FAILED";
  }
  return "UNKNOWN";
}

std::string_view readiness_name(Readiness readiness) noexcept {
  switch (readiness) {
    case Readiness::kStarting:
      return "starting";
    case Readiness::kReady:
      return "ready";
    case Readiness::kDegraded:
      return "degraded";
    case Readiness::kFailed:
      return "failed";
  }
  return "unknown";
}

// Numbers by value and before other names, so that "10" follows "9"; equal numbers written
// differently stay apart.
bool Repository::VersionOrder::operator()(const std::string& a,
                                          const std::string& b) const noexcept {
  const bool a_number = is_number(a);
  const bool b_number = is_number(b);
  if (a_number != b_number) return a_number;
  if (!a_number) return a < b;
  const std::string_view x = without_zeros(a);
  const std::string_view y = without_zeros(b);
  if (x.size() != y.size()) return x.size() < y.size();
  return x != y ? x < y : a < b;
}

void Repository::add(std::shared_ptr<Servable> servable) {
  Entry entry;
  entry.status = {servable->name(), servable->version(), State::kReady, ""};
  entry.servable = std::move(servable);
  const std::unique_lock lock(mutex_);
  // The replaced servable, if any, is destroyed with `entry`, after the lock is released.
  std::swap(entries_[entry.status.name][entry.status.version], entry);
}

void Repository::set_status(VersionStatus status) {
  std::shared_ptr<Servable> gone;  // destroyed after the lock is released
  const std::unique_lock lock(mutex_);
  Entry& entry = entries_[status.name][status.version];
  if (status.state == State::kAbsent || status.state == State::kUnloaded ||
      status.state == State::kFailed) {
    gone = std::move(entry.servable);
  }
  entry.status = std::move(status);
}

const Repository::Versions& Repository::find_locked(std::string_view name) const {
  const auto at = entries_.find(name);
  if (at != entries_.end()) return at->second;
  if (entries_.empty())
    throw Error(Code::kNotFound, fmt::format("model '{}' is not known; no model is served", name));
  throw Error(Code::kNotFound,
              fmt::format("model '{}' is not known; there are: {}", name, list_of(entries_)));
}

std::shared_ptr<Servable> Repository::find(std::string_view name, std::string_view version) const {
  const std::shared_lock lock(mutex_);
  const Versions& versions = find_locked(name);
  if (!version.empty()) {
    const auto at = versions.find(std::string(version));
    if (at == versions.end()) {
      throw Error(Code::kNotFound, fmt::format("model '{}' has no version '{}'; there are: {}",
                                               name, version, list_of(versions)));
    }
    const Entry& entry = at->second;
    if (entry.status.state == State::kReady && entry.servable != nullptr) return entry.servable;
    throw not_ready(entry.status);
  }
  for (auto at = versions.rbegin(); at != versions.rend(); ++at) {
    if (at->second.status.state == State::kReady && at->second.servable != nullptr)
      return at->second.servable;
  }
  throw not_ready(versions.rbegin()->second.status);
}

std::vector<VersionStatus> Repository::index() const {
  const std::shared_lock lock(mutex_);
  std::vector<VersionStatus> all;
  for (const auto& [name, versions] : entries_) {
    for (const auto& [version, entry] : versions) all.push_back(entry.status);
  }
  return all;
}

std::vector<VersionStatus> Repository::versions(std::string_view name) const {
  const std::shared_lock lock(mutex_);
  std::vector<VersionStatus> all;
  for (const auto& [version, entry] : find_locked(name)) all.push_back(entry.status);
  return all;
}

Readiness Repository::readiness() const {
  const std::shared_lock lock(mutex_);
  std::size_t counted = 0;
  std::size_t ready = 0;
  for (const auto& [name, versions] : entries_) {
    for (const auto& [version, entry] : versions) {
      switch (entry.status.state) {
        case State::kUnloaded:  // on purpose
          continue;
        case State::kOpening:
        case State::kLoading:
        case State::kWarming:
          return Readiness::kStarting;
        case State::kReady:
          ++ready;
          break;
        default:
          break;
      }
      ++counted;
    }
  }
  if (entries_.empty()) return Readiness::kStarting;
  if (ready == counted) return Readiness::kReady;
  return ready != 0 ? Readiness::kDegraded : Readiness::kFailed;
}

}  // namespace baozi::model
