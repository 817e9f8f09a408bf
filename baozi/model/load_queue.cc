#include "baozi/model/load_queue.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace baozi::model {

bool LoadQueue::goes_before(const Entry& a, const Entry& b) noexcept {
  if ((a.wanted != 0) != (b.wanted != 0)) return a.wanted != 0;
  if (a.wanted != b.wanted) return a.wanted < b.wanted;
  if (a.item.uses != b.item.uses) return a.item.uses > b.item.uses;
  return a.entered < b.entered;
}

std::vector<LoadQueue::Entry>::iterator LoadQueue::find(std::string_view name,
                                                        std::string_view version) {
  return std::ranges::find_if(entries_, [&](const Entry& entry) {
    return entry.item.name == name && entry.item.version == version;
  });
}

bool LoadQueue::add(Item item) {
  if (find(item.name, item.version) != entries_.end()) return false;
  entries_.push_back({std::move(item), ++entered_});
  std::ranges::sort(entries_, goes_before);
  return true;
}

bool LoadQueue::want(std::string_view name, std::string_view version) {
  const auto entry = find(name, version);
  if (entry == entries_.end()) return false;
  if (entry->wanted == 0) entry->wanted = ++wishes_;
  std::ranges::sort(entries_, goes_before);
  return true;
}

bool LoadQueue::remove(std::string_view name, std::string_view version) {
  const auto entry = find(name, version);
  if (entry == entries_.end()) return false;
  entries_.erase(entry);
  return true;
}

std::optional<LoadQueue::Item> LoadQueue::take(const std::function<bool(const Item&)>& may) {
  const auto first = std::ranges::find_if(
      entries_, [&](const Entry& entry) { return may == nullptr || may(entry.item); });
  if (first == entries_.end()) return std::nullopt;
  Item item = std::move(first->item);
  entries_.erase(first);
  return item;
}

std::vector<LoadQueue::Forecast> LoadQueue::forecast(std::span<const Duration> busy) const {
  assert(!busy.empty());
  std::vector<Duration> lanes(busy.begin(), busy.end());
  std::vector<Forecast> all;
  for (const Entry& entry : entries_) {
    Duration& lane = *std::ranges::min_element(lanes);
    lane = std::max(lane, Duration::zero()) + entry.item.expected;
    all.push_back({&entry.item, lane});
  }
  return all;
}

}  // namespace baozi::model
