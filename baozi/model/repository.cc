#include "baozi/model/repository.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "baozi/model/face.h"

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

std::string message_of(const VersionStatus& status) {
  std::string text = fmt::format("model '{}' version {} is not ready ({})", status.name,
                                 status.version, state_name(status.state));
  if (!status.reason.empty()) return text + ": " + status.reason;
  if (status.seconds_left >= 0)
    text += fmt::format(", and will be in about {:.0f} s", std::max(1.0, status.seconds_left));
  return text;
}

// On the way to ready an estimate never claims to be there.
constexpr double kProgressMax = 0.99;

}  // namespace

NotReady::NotReady(VersionStatus status, std::source_location where)
    : Error(Code::kUnavailable, message_of(status), where), status_(std::move(status)) {}

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

void Repository::add(std::shared_ptr<Servable> servable, State state) {
  std::shared_ptr<Servable> replaced;  // destroyed after the lock is released
  std::shared_ptr<Event> settled;
  {
    const std::unique_lock lock(mutex_);
    Entry& entry = names_[servable->name()].entries[servable->version()];
    entry.status = {.name = servable->name(),
                    .version = servable->version(),
                    .state = state,
                    .reason = {},
                    .language = entry.status.language,
                    .embeds = entry.status.embeds || makes_vectors(servable->signature()),
                    .adapters = std::move(entry.status.adapters),
                    .progress = state == State::kReady ? 1.0 : 0.0};
    replaced = std::exchange(entry.servable, std::move(servable));
    settled = std::exchange(entry.settled, nullptr);
  }
  if (settled) settled->set();
}

void Repository::set_status(VersionStatus status) {
  std::shared_ptr<Servable> gone;  // destroyed after the lock is released
  std::shared_ptr<Event> settled;
  {
    const std::unique_lock lock(mutex_);
    auto& entries = names_[status.name].entries;
    const bool known = entries.contains(status.version);
    Entry& entry = entries[status.version];
    const State before = entry.status.state;
    if (known && before != status.state && !may_move(before, status.state)) {
      throw Error(Code::kInternal,
                  fmt::format("model '{}' version {} cannot go from {} to {}", status.name,
                              status.version, state_name(before), state_name(status.state)));
    }
    if (status.state != State::kReady) gone = std::move(entry.servable);
    if (!is_coming(status.state)) settled = std::exchange(entry.settled, nullptr);
    if (!known || !is_coming(before)) {
      entry.since = Clock::now();
      entry.ready_at = kNever;
    }
    // What it is it stays, whoever says how far it is.
    status.language = status.language || entry.status.language;
    status.embeds = status.embeds || entry.status.embeds;
    if (status.adapters.empty()) status.adapters = std::move(entry.status.adapters);
    entry.status = std::move(status);
  }
  if (settled) settled->set();
}

void Repository::set_progress(std::string_view name, std::string_view version, double progress) {
  const std::unique_lock lock(mutex_);
  const auto versions = names_.find(name);
  if (versions == names_.end()) return;
  const auto entry = versions->second.entries.find(std::string(version));
  if (entry != versions->second.entries.end()) entry->second.status.progress = progress;
}

void Repository::set_estimate(std::string_view name, std::string_view version, Time ready_at) {
  const std::unique_lock lock(mutex_);
  const auto versions = names_.find(name);
  if (versions == names_.end()) return;
  const auto entry = versions->second.entries.find(std::string(version));
  if (entry != versions->second.entries.end()) entry->second.ready_at = ready_at;
}

void Repository::forget(std::string_view name, std::string_view version) {
  Entry gone;  // destroyed, and its waiters woken, after the lock is released
  {
    const std::unique_lock lock(mutex_);
    const auto versions = names_.find(name);
    if (versions == names_.end()) return;
    auto& entries = versions->second.entries;
    const auto entry = entries.find(std::string(version));
    if (entry == entries.end()) return;
    std::swap(gone, entry->second);
    entries.erase(entry);
    if (entries.empty()) names_.erase(versions);
  }
  if (gone.settled) gone.settled->set();
}

void Repository::set_labels(const std::string& name, std::map<std::string, std::string> versions) {
  const std::unique_lock lock(mutex_);
  names_[name].labels = std::move(versions);
}

const Repository::Versions& Repository::find_locked(std::string_view name) const {
  const auto at = names_.find(name);
  if (at != names_.end()) return at->second;
  if (names_.empty())
    throw Error(Code::kNotFound, fmt::format("model '{}' is not known; no model is served", name));
  throw Error(Code::kNotFound,
              fmt::format("model '{}' is not known; there are: {}", name, list_of(names_)));
}

// The one a request gets: the version it names, else the highest that is ready, else the highest
// that is coming, else the highest.
const Repository::Entry& Repository::find_locked(const Versions& versions, std::string_view name,
                                                 std::string_view version) {
  const auto& entries = versions.entries;
  if (!version.empty()) {
    const auto at = entries.find(std::string(version));
    if (at != entries.end()) return at->second;
    throw Error(Code::kNotFound, fmt::format("model '{}' has no version '{}'; there are: {}", name,
                                             version, list_of(entries)));
  }
  if (entries.empty()) throw Error(Code::kNotFound, fmt::format("model '{}' has no version", name));
  const Entry* coming = nullptr;
  for (auto at = entries.rbegin(); at != entries.rend(); ++at) {
    const State state = at->second.status.state;
    if (state == State::kReady) return at->second;
    const bool better =
        coming == nullptr || (at->second.servable != nullptr && coming->servable == nullptr);
    if (is_coming(state) && better) coming = &at->second;
  }
  return coming != nullptr ? *coming : entries.rbegin()->second;
}

void Repository::count_use(const Versions& versions) noexcept {
  versions.asked.fetch_add(1, std::memory_order_relaxed);
  versions.last_asked.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
}

std::shared_ptr<Servable> Repository::find(std::string_view name, std::string_view version) const {
  const std::shared_lock lock(mutex_);
  const Versions& versions = find_locked(name);
  count_use(versions);
  const Entry& entry = find_locked(versions, name, version);
  if (entry.servable != nullptr) return entry.servable;
  throw NotReady(status_of(entry, Clock::now()));
}

std::shared_ptr<Servable> Repository::peek(std::string_view name, std::string_view version) const {
  const std::shared_lock lock(mutex_);
  const auto versions = names_.find(name);
  if (versions == names_.end()) return nullptr;
  const auto& entries = versions->second.entries;
  if (version.empty()) {
    for (auto at = entries.rbegin(); at != entries.rend(); ++at) {
      if (at->second.servable != nullptr) return at->second.servable;
    }
    return nullptr;
  }
  const auto at = entries.find(std::string(version));
  return at == entries.end() ? nullptr : at->second.servable;
}

Task<std::shared_ptr<Servable>> Repository::wait(std::string name, std::string version,
                                                 Hurry hurry) {
  for (;;) {
    std::shared_ptr<Event> settled;
    VersionStatus status;
    {
      const std::unique_lock lock(mutex_);
      const Versions& versions = find_locked(name);
      const Entry& found = find_locked(versions, name, version);
      if (found.servable != nullptr) co_return found.servable;
      status = status_of(found, Clock::now());
      if (!is_coming(status.state)) throw NotReady(std::move(status));
      Entry& entry = names_.find(name)->second.entries.find(status.version)->second;
      if (entry.settled == nullptr) entry.settled = std::make_shared<Event>();
      settled = entry.settled;
    }
    if (status.state == State::kAbsent && hurry == Hurry::kWanted && on_wanted_)
      on_wanted_(status.name, status.version);
    co_await settled->wait();
  }
}

bool Repository::awaited(std::string_view name, std::string_view version) const {
  const std::shared_lock lock(mutex_);
  const auto versions = names_.find(name);
  if (versions == names_.end()) return false;
  const auto entry = versions->second.entries.find(std::string(version));
  return entry != versions->second.entries.end() && entry->second.settled != nullptr;
}

void Repository::want(std::string_view name) const {
  VersionStatus status;
  {
    const std::shared_lock lock(mutex_);
    const auto versions = names_.find(name);
    if (versions == names_.end() || versions->second.entries.empty()) return;
    count_use(versions->second);
    status = find_locked(versions->second, name, "").status;
  }
  if (status.state == State::kAbsent && on_wanted_) on_wanted_(status.name, status.version);
}

void Repository::on_wanted(
    std::function<void(const std::string& name, const std::string& version)> call) {
  on_wanted_ = std::move(call);
}

std::string Repository::version_of(std::string_view name, std::string_view label) const {
  const std::shared_lock lock(mutex_);
  const auto& labels = find_locked(name).labels;
  const auto at = labels.find(std::string(label));
  if (at != labels.end()) return at->second;
  throw Error(Code::kNotFound,
              fmt::format("model '{}' has no label '{}'; {}", name, label,
                          labels.empty() ? "its configuration gives it none (versions.labels)"
                                         : "there are: " + list_of(labels)));
}

VersionStatus Repository::status_of(const Entry& entry, Time now) {
  VersionStatus status = entry.status;
  if (!is_coming(status.state)) return status;
  if (entry.ready_at == kNever) return status;
  const auto seconds = [](Duration span) { return std::chrono::duration<double>(span).count(); };
  status.seconds_left = std::max(0.0, seconds(entry.ready_at - now));
  const double all = seconds(entry.ready_at - entry.since);
  const double passed =
      all <= 0 ? kProgressMax : std::clamp(seconds(now - entry.since) / all, 0.0, kProgressMax);
  status.progress = std::max(status.progress, passed);
  return status;
}

std::vector<VersionStatus> Repository::index() const {
  const Time now = Clock::now();
  const std::shared_lock lock(mutex_);
  std::vector<VersionStatus> all;
  for (const auto& [name, versions] : names_) {
    for (const auto& [version, entry] : versions.entries) all.push_back(status_of(entry, now));
  }
  return all;
}

std::vector<VersionStatus> Repository::versions(std::string_view name) const {
  const Time now = Clock::now();
  const std::shared_lock lock(mutex_);
  std::vector<VersionStatus> all;
  for (const auto& [version, entry] : find_locked(name).entries)
    all.push_back(status_of(entry, now));
  return all;
}

// What is loaded when somebody asks for it keeps nobody waiting for all to be ready.
Readiness Repository::readiness() const {
  const std::shared_lock lock(mutex_);
  std::size_t counted = 0;
  std::size_t ready = 0;
  for (const auto& [name, versions] : names_) {
    for (const auto& [version, entry] : versions.entries) {
      switch (entry.status.state) {
        case State::kUnloaded:  // on purpose
        case State::kDraining:
          continue;
        case State::kAbsent:
          if (entry.status.on_demand) continue;
          return Readiness::kStarting;
        case State::kOpening:
        case State::kLoading:
        case State::kWarming:
          return Readiness::kStarting;
        case State::kReady:
          ++ready;
          break;
        case State::kFailed:
          break;
      }
      ++counted;
    }
  }
  if (names_.empty()) return Readiness::kStarting;
  if (ready == counted) return Readiness::kReady;
  return ready != 0 ? Readiness::kDegraded : Readiness::kFailed;
}

std::uint64_t Repository::asked(std::string_view name) const {
  const std::shared_lock lock(mutex_);
  const auto at = names_.find(name);
  return at == names_.end() ? 0 : at->second.asked.load(std::memory_order_relaxed);
}

Time Repository::last_asked(std::string_view name) const {
  const std::shared_lock lock(mutex_);
  const auto at = names_.find(name);
  if (at == names_.end()) return Time::min();
  return Time(Duration(at->second.last_asked.load(std::memory_order_relaxed)));
}

}  // namespace baozi::model
