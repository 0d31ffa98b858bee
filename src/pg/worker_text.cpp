#include "pg/worker_text.h"

#include "pg/clocks.h"
#include "pg/settings.h"

#include "pg/prelude.h"

namespace idgen::pg {

const char *log_of(const ClockEvent &event) {
  switch (event.kind) {
    case ClockEventKind::started:
      return "the clock is read";
    case ClockEventKind::synchronized:
      return "issuing time and the wall clock have met";
    case ClockEventKind::holding:
      return "the wall clock is behind; issuing time goes on slower until they meet";
    case ClockEventKind::rollback:
      return "the wall clock is further behind than idgen.max_clock_skew and a window explain";
    case ClockEventKind::suspect:
      return "the wall clock is further ahead than idgen.max_clock_skew and is not believed yet";
    case ClockEventKind::followed:
      return "the wall clock stepped ahead and was followed";
    case ClockEventKind::suspended:
      return "the machine was suspended; its clock was followed";
    case ClockEventKind::confirmed:
      return "the wall clock has stayed where it is for idgen.clock_confirm and was followed";
    case ClockEventKind::accepted:
      return "an operator accepted the wall clock; it was followed";
    case ClockEventKind::rotated:
      return "took another node to follow the wall clock back; the order of IDs begins anew";
    case ClockEventKind::rotation_refused:
      return "there is no other node to follow the wall clock back with; issuing time holds on";
    case ClockEventKind::stopped:
      return "issuing stops because of the clock";
    case ClockEventKind::resumed:
      return "the clock can be used again; issuing goes on";
    case ClockEventKind::unsynchronized:
      return "the kernel says that its clock is not synchronized";
    case ClockEventKind::resynchronized:
      return "the kernel says that its clock is synchronized again";
  }
  return "unknown";
}

bool is_alarming(ClockEventKind kind) {
  return kind == ClockEventKind::rollback || kind == ClockEventKind::suspect ||
         kind == ClockEventKind::rotated || kind == ClockEventKind::rotation_refused ||
         kind == ClockEventKind::stopped || kind == ClockEventKind::unsynchronized;
}

const char *describe(ClockTrouble trouble, const Clock &clock) {
  switch (trouble) {
    case ClockTrouble::none:
      return nullptr;
    case ClockTrouble::before_epoch:
      return psprintf("the system's clock is before the epoch of the layout, %s",
                      epoch_to_text(instance_layout.epoch_us).text);
    case ClockTrouble::unsynchronized:
      return "the kernel doesn't say that its clock is synchronized, and "
             "idgen.require_clock_sync is on";
    case ClockTrouble::rollback:
      return psprintf(
          "the system's clock is %s behind issuing time, and "
          "idgen.on_clock_rollback is \"stop\"",
          span_text(clock.skew()).text);
  }
  return nullptr;
}

}  // namespace idgen::pg
