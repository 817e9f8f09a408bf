#include "baozi/model/residency.h"

#include <algorithm>
#include <utility>

namespace baozi::model {

Residency::Room Residency::make_room(std::string_view name, std::size_t bytes) const {
  Room room;
  std::vector<std::pair<Time, std::string_view>> oldest;
  std::size_t taken = bytes_;
  for (const auto& [each, resident] : residents_) {
    if (each == name) {
      taken -= resident.bytes;
    } else if (resident.pinned) {
      room.kept += resident.bytes;
    } else {
      oldest.emplace_back(resident.used, each);
    }
  }
  if (bytes_max_ == 0 || taken + bytes <= bytes_max_) return room;
  std::ranges::sort(oldest);
  for (const auto& [used, each] : oldest) {
    room.leave.emplace_back(each);
    taken -= residents_.find(each)->second.bytes;
    if (taken + bytes <= bytes_max_) return room;
  }
  room.fits = false;
  room.leave.clear();
  return room;
}

void Residency::enter(const std::string& name, std::size_t bytes, bool pinned, Time used) {
  leave(name);
  residents_[name] = {bytes, pinned, used};
  bytes_ += bytes;
}

void Residency::used(std::string_view name, Time when) {
  const auto at = residents_.find(name);
  if (at != residents_.end()) at->second.used = std::max(at->second.used, when);
}

bool Residency::resize(std::string_view name, std::size_t bytes) {
  const auto at = residents_.find(name);
  if (at == residents_.end()) return false;
  std::size_t& held = at->second.bytes;
  const std::size_t others = bytes_ - held;
  const bool fits = bytes_max_ == 0 || others + bytes <= bytes_max_;
  if (bytes > held && !fits) return false;
  held = bytes;
  bytes_ = others + bytes;
  return true;
}

void Residency::leave(std::string_view name) {
  const auto at = residents_.find(name);
  if (at == residents_.end()) return;
  bytes_ -= at->second.bytes;
  residents_.erase(at);
}

std::size_t Residency::bytes_of(std::string_view name) const {
  const auto at = residents_.find(name);
  return at == residents_.end() ? 0 : at->second.bytes;
}

Time Residency::last_used(std::string_view name) const {
  const auto at = residents_.find(name);
  return at == residents_.end() ? Time::min() : at->second.used;
}

}  // namespace baozi::model
