// Repository: the servables of a process, by name and version, and what is known of those that are
// not there yet. Requests may wait here until their model is.
//
//   repository.set_status({.name = "resnet", .version = "1", .state = State::kAbsent});
//   …
//   std::shared_ptr<Servable> model = repository.find("resnet", "");     // or throws NotReady
//   std::shared_ptr<Servable> model = co_await repository.wait("resnet", "");
//
// Thread safety: all methods. A servable handed out lives as long as its holder keeps it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <shared_mutex>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/base/clock.h"
#include "baozi/base/error.h"
#include "baozi/coro/event.h"
#include "baozi/coro/task.h"
#include "baozi/model/servable.h"
#include "baozi/model/state.h"

namespace baozi::model {

// kUnavailable: there is such a model, but it does not serve now.
class NotReady final : public Error {
 public:
  NotReady(VersionStatus status, std::source_location where = std::source_location::current());

  const VersionStatus& status() const noexcept { return status_; }
  bool coming() const noexcept { return is_coming(status_.state); }

 private:
  VersionStatus status_;
};

class Repository {
 public:
  // Ready from now on; replaces one of the same name and version. kWarming: it is proved and
  // answers, but is not ready.
  void add(std::shared_ptr<Servable> servable, State state = State::kReady);
  // Enters a version, or moves it on. Error kInternal for a move that state.h does not know.
  void set_status(VersionStatus status);
  // How far it is, in [0, 1], where that is known better than from the estimate.
  void set_progress(std::string_view name, std::string_view version, double progress);
  // When it is thought to be ready. kNever: nobody knows.
  void set_estimate(std::string_view name, std::string_view version, Time ready_at);
  // A version of which there is no file any more.
  void forget(std::string_view name, std::string_view version);
  // Other names of versions, as TensorFlow Serving's labels; replaces those of `name`.
  void set_labels(const std::string& name, std::map<std::string, std::string> versions);

  // For a request. `version` "" means the highest that is ready, else the highest that answers.
  // Errors: kNotFound with the names
  // (or versions) there are; NotReady.
  std::shared_ptr<Servable> find(std::string_view name, std::string_view version) const;
  // For whoever is only curious: does not count as use. Null where find() throws.
  std::shared_ptr<Servable> peek(std::string_view name, std::string_view version) const;
  // As find, but waits for what is coming. When its turn has not come, on_wanted is told that
  // somebody waits for it, unless this one is in no hurry. Errors: as find, when it failed, and
  // when the caller is stopped.
  enum class Hurry : std::uint8_t { kNone, kWanted };
  Task<std::shared_ptr<Servable>> wait(std::string name, std::string version,
                                       Hurry hurry = Hurry::kWanted);
  // Whether somebody waits for this version, or did and left.
  bool awaited(std::string_view name, std::string_view version) const;
  // As find and wait, but for whoever can do without: what is absent is asked to be brought up, and
  // counts as used. Does nothing for a name that is not known.
  void want(std::string_view name) const;
  // Called by wait() and want() on their thread, without a lock: somebody wants this absent
  // version. Before anything waits.
  void on_wanted(std::function<void(const std::string& name, const std::string& version)> call);
  // The version that a label stands for. Error kNotFound with the labels there are.
  std::string version_of(std::string_view name, std::string_view label) const;

  // Every version known, by name, then version in numeric order.
  std::vector<VersionStatus> index() const;
  // The versions of one name; kNotFound when there is none.
  std::vector<VersionStatus> versions(std::string_view name) const;
  // What was unloaded on request does not count.
  Readiness readiness() const;
  bool ready() const { return readiness() == Readiness::kReady; }
  // How often find() was asked for a name since the process began, and when last; Time::min():
  // never.
  std::uint64_t asked(std::string_view name) const;
  Time last_asked(std::string_view name) const;

 private:
  struct Entry {
    VersionStatus status;
    std::shared_ptr<Servable> servable;  // null until ready
    std::shared_ptr<Event> settled;      // of those who wait; null: nobody does
    Time since = kNever;                 // it is on its way
    Time ready_at = kNever;              // estimated
  };
  struct VersionOrder {
    bool operator()(const std::string& a, const std::string& b) const noexcept;
  };
  struct Versions {
    std::map<std::string, Entry, VersionOrder> entries;
    std::map<std::string, std::string> labels;
    mutable std::atomic<std::uint64_t> asked{0};
    mutable std::atomic<Duration::rep> last_asked{Time::min().time_since_epoch().count()};
  };

  const Versions& find_locked(std::string_view name) const;
  static const Entry& find_locked(const Versions& versions, std::string_view name,
                                  std::string_view version);
  static VersionStatus status_of(const Entry& entry, Time now);
  static void count_use(const Versions& versions) noexcept;

  mutable std::shared_mutex mutex_;
  std::map<std::string, Versions, std::less<>> names_;  // guarded by mutex_
  std::function<void(const std::string&, const std::string&)> on_wanted_;
};

}  // namespace baozi::model
