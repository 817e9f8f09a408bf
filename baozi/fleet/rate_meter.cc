#include "baozi/fleet/rate_meter.h"

namespace baozi::fleet {

double RateMeter::read(Time now, double sum) noexcept {
  const bool first = older_.at == kNever;
  if (first || now < newer_.at || sum < newer_.sum) {
    older_ = newer_ = {now, sum};
    return 0;
  }
  if (now - newer_.at >= kSpan) {
    older_ = newer_;
    newer_ = {now, sum};
  }
  const double passed = std::chrono::duration<double>(now - older_.at).count();
  return passed <= 0 ? 0 : (sum - older_.sum) / passed;
}

}  // namespace baozi::fleet
