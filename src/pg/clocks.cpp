#include "pg/clocks.h"

#include <sys/timex.h>

#include <cstdio>

#include "core/issuing_time.h"
#include "pg/settings.h"

namespace idgen::pg {

KernelClock read_kernel_clock() noexcept {
  struct timex info {};
  KernelClock clock;
  const int state = ntp_adjtime(&info);  // modes = 0: reads only
  if (state < 0) return clock;
  clock.sync = state == TIME_ERROR || (info.status & STA_UNSYNC) != 0 ? KernelSync::unsynchronized
                                                                      : KernelSync::synchronized;
  clock.max_error_us = info.maxerror;
  return clock;
}

ClockSample sample_clocks() noexcept {
  // The other clocks between two readings of the monotonic one: a worker that is
  // put to sleep in between would see a jump that isn't there.
  ClockSample best;
  std::int64_t best_gap = INT64_MAX;
  for (int attempt = 0; attempt < 3; ++attempt) {
    const std::int64_t before = monotonic_ns();
    const std::int64_t wall = realtime_ns();
    const std::int64_t boottime = clock_ns(CLOCK_BOOTTIME);
    const std::int64_t gap = monotonic_ns() - before;
    if (gap >= best_gap) continue;
    best_gap = gap;
    best.monotonic = before + gap / 2;
    best.wall = since_epoch(wall / 1000, instance_layout.epoch_us) + wall % 1000;
    best.suspended = boottime - best.monotonic;
    best.error = gap;
  }
  return best;
}

const char *name_of(ClockState state) noexcept {
  switch (state) {
    case ClockState::unset:
      return "unset";
    case ClockState::synchronized:
      return "synchronized";
    case ClockState::holding:
      return "holding";
    case ClockState::rollback:
      return "rollback";
    case ClockState::suspect:
      return "suspect";
  }
  return "unknown";
}

const char *name_of(KernelSync sync) noexcept {
  switch (sync) {
    case KernelSync::unknown:
      return "unknown";
    case KernelSync::synchronized:
      return "synchronized";
    case KernelSync::unsynchronized:
      return "unsynchronized";
  }
  return "unknown";
}

const char *name_of(ClockEventKind kind) noexcept {
  switch (kind) {
    case ClockEventKind::started:
      return "started";
    case ClockEventKind::synchronized:
      return "synchronized";
    case ClockEventKind::holding:
      return "holding";
    case ClockEventKind::rollback:
      return "rollback";
    case ClockEventKind::suspect:
      return "suspect";
    case ClockEventKind::followed:
      return "followed";
    case ClockEventKind::suspended:
      return "suspended";
    case ClockEventKind::confirmed:
      return "confirmed";
    case ClockEventKind::accepted:
      return "accepted";
    case ClockEventKind::rotated:
      return "rotated";
    case ClockEventKind::rotation_refused:
      return "rotation refused";
    case ClockEventKind::stopped:
      return "stopped";
    case ClockEventKind::resumed:
      return "resumed";
    case ClockEventKind::unsynchronized:
      return "unsynchronized";
    case ClockEventKind::resynchronized:
      return "resynchronized";
  }
  return "unknown";
}

SpanText span_text(std::int64_t ns) noexcept {
  SpanText out;
  const long long ms = (ns < 0 ? -ns : ns) / 1'000'000;
  const long long s = ms / 1000;
  if (s < 1) {
    std::snprintf(out.text, sizeof(out.text), "%lld ms", ms);
  } else if (s < 60) {
    std::snprintf(out.text, sizeof(out.text), "%lld.%03lld s", s, ms % 1000);
  } else if (s < 3600) {
    std::snprintf(out.text, sizeof(out.text), "%lld min %lld s", s / 60, s % 60);
  } else if (s < 2 * 86400) {
    std::snprintf(out.text, sizeof(out.text), "%lld h %lld min", s / 3600, s / 60 % 60);
  } else {
    std::snprintf(out.text, sizeof(out.text), "%lld d %lld h", s / 86400, s / 3600 % 24);
  }
  return out;
}

}  // namespace idgen::pg
