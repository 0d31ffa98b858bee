// snowflake_observe(): the receive rule of a hybrid logical clock. An ID of another
// instance that is ahead of our issuing time moves it on, by way of the worker, so
// that what is issued here from then on is greater.

#include "pg/issue.h"
#include "pg/mailbox.h"

IDGEN_SQL_FUNCTION(idgen_observe);

namespace idgen::pg {
namespace {

enum class Seen : std::uint8_t { passed, ignored, ahead };

Seen look(std::uint64_t tick) {
  const std::int64_t passed_at = Keeper::passed_at(issue_layout, tick);
  const Grant grant = unpack(issue_layout, shared->grant.load(std::memory_order_acquire));
  if (grant.state == GrantState::active && grant.ceiling > tick &&
      monotonic_ns() + shared->clock_offset.load(std::memory_order_acquire) >= passed_at) {
    return Seen::passed;
  }
  // Before the worker has said so, nothing is known to be too far ahead.
  const std::int64_t offset = shared->observe_offset.load(std::memory_order_acquire);
  return offset != 0 && monotonic_ns() + offset < passed_at ? Seen::ignored : Seen::ahead;
}

void require_grant() {
  const GrantState state =
      unpack(issue_layout, shared->grant.load(std::memory_order_acquire)).state;
  if (state != GrantState::active && state != GrantState::acquiring) report_refusal(state);
}

// So near that the clock will be there soon: nothing needs to be moved for that.
constexpr std::int64_t kSoon = 4'000'000;
constexpr long kNapUs = 300;

bool is_soon(std::uint64_t tick) {
  const std::int64_t issuing =
      monotonic_ns() + shared->clock_offset.load(std::memory_order_acquire);
  const std::int64_t left = Keeper::passed_at(issue_layout, tick) - issuing;
  return left > 0 && left <= kSoon;
}

Seen wait_until_passed(std::uint64_t tick) {
  Seen seen = Seen::ahead;
  const bool done = wait_until([&] {
    require_grant();
    seen = look(tick);
    for (int naps = 0; naps < 16 && seen == Seen::ahead && is_soon(tick); ++naps) {
      pg_usleep(kNapUs);
      seen = look(tick);
    }
    if (seen != Seen::ahead) return true;
    // Each time: the worker takes it away, and may not have been able to take it in.
    raise_word(shared->observed, tick + 1);
    wake_worker();
    return false;
  });
  if (!done) {
    report_max_wait({.verdict = Verdict::ceiling}, "could not move issuing time beyond the ID");
  }
  return seen;
}

}  // namespace
}  // namespace idgen::pg

using namespace idgen;
using namespace idgen::pg;

Datum idgen_observe(PG_FUNCTION_ARGS) {
  const int64 id = PG_GETARG_INT64(0);
  require_worker();
  require_own_layout_is_issued();
  if (id < 0) PG_RETURN_BOOL(true);  // every ID is greater
  const std::uint64_t tick = issue_layout.tick_in(static_cast<std::uint64_t>(id));
  Seen seen = look(tick);
  const bool ahead = seen == Seen::ahead;
  if (ahead) seen = wait_until_passed(tick);
  if (seen == Seen::ignored) {
    shared->observations_ignored.fetch_add(1, std::memory_order_relaxed);
  } else if (ahead) {
    shared->observations.fetch_add(1, std::memory_order_relaxed);
  }
  PG_RETURN_BOOL(seen == Seen::passed);
}
