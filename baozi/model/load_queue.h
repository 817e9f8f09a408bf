// LoadQueue: which version of which model is loaded next. What somebody waits for goes first, then
// what was used most; the rest as it was entered.
//
//   queue.add({.name = "resnet", .version = "1", .uses = 12.5, .expected = 300ms});
//   queue.want("resnet", "1");                    // a request has come for it
//   while (std::optional<LoadQueue::Item> item = queue.take()) …
//
// Thread safety: none. Pure: no clock, no files.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/base/clock.h"

namespace baozi::model {

class LoadQueue {
 public:
  struct Item {
    std::string name;
    std::string version;
    double uses = 0;                                     // more go first
    Duration expected = std::chrono::milliseconds(500);  // that the load will take
  };

  // False when it waits already.
  bool add(Item item);
  // False when it does not wait here.
  bool want(std::string_view name, std::string_view version);
  bool remove(std::string_view name, std::string_view version);
  // The first one that `may` be loaded now, which leaves the queue.
  std::optional<Item> take(const std::function<bool(const Item&)>& may = nullptr);

  bool empty() const noexcept { return entries_.empty(); }
  std::size_t size() const noexcept { return entries_.size(); }

  // When each that waits will be loaded, from now, in the order they will be taken, when loads run
  // beside each other in lanes of which `busy` says how long each still is. At least one lane.
  struct Forecast {
    const Item* item = nullptr;
    Duration ready_in{};
  };
  std::vector<Forecast> forecast(std::span<const Duration> busy) const;

 private:
  struct Entry {
    Item item;
    std::uint64_t entered = 0;  // its number
    std::uint64_t wanted = 0;   // the number of the first wish; 0: none
  };

  static bool goes_before(const Entry& a, const Entry& b) noexcept;
  std::vector<Entry>::iterator find(std::string_view name, std::string_view version);

  std::vector<Entry> entries_;  // in the order they will be taken
  std::uint64_t entered_ = 0;
  std::uint64_t wishes_ = 0;
};

}  // namespace baozi::model
