#include "baozi/fleet/utilisation.h"

namespace baozi::fleet {

double UtilisationMeter::read(Time now, double busy_seconds) noexcept {
  const bool first = older_.at == kNever;
  if (first || now < newer_.at || busy_seconds < newer_.busy_seconds) {
    older_ = newer_ = {now, busy_seconds};
    return 0;
  }
  if (now - newer_.at >= kSpan) {
    older_ = newer_;
    newer_ = {now, busy_seconds};
  }
  const double passed = std::chrono::duration<double>(now - older_.at).count();
  return passed <= 0 ? 0 : (busy_seconds - older_.busy_seconds) / passed / cores_;
}

}  // namespace baozi::fleet
