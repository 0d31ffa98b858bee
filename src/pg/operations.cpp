// What operators do: each function asks the worker and waits for its answer.

#include "pg/errors.h"
#include "pg/foreign_text.h"
#include "pg/issue.h"
#include "pg/mailbox.h"
#include "pg/settings.h"
#include "pg/shmem.h"
#include "pg/timestamps.h"

IDGEN_SQL_FUNCTION(idgen_accept_clock);
IDGEN_SQL_FUNCTION(idgen_confirm_copy);
IDGEN_SQL_FUNCTION(idgen_confirm_local);
IDGEN_SQL_FUNCTION(idgen_rotate_node);
IDGEN_SQL_FUNCTION(idgen_drain);
IDGEN_SQL_FUNCTION(idgen_resume);
IDGEN_SQL_FUNCTION(idgen_raise_registry);
IDGEN_SQL_FUNCTION(idgen_retire_node);

namespace idgen::pg {
namespace {

constexpr std::int64_t kFarAheadUs = std::int64_t{86400} * 1'000'000;

Grant current_grant() {
  return unpack(issue_layout, shared->grant.load(std::memory_order_acquire));
}

// What the keeper knows, as of its last turn.
template <typename Read>
auto of_keeper(Read &&read) {
  LWLockAcquire(info_lock, LW_SHARED);
  const auto value = read(shared->keeper);
  LWLockRelease(info_lock);
  return value;
}

[[noreturn]] void report_still_busy(const char *what) {
  ereport(ERROR,
          (errcode(IDGEN_ERRCODE_MAX_WAIT), errmsg("%s took longer than %d ms", what, max_wait),
           errdetail("The worker goes on with it."),
           errhint("The view snowflake_instance shows its state.")));
  pg_unreachable();
}

}  // namespace
}  // namespace idgen::pg

using namespace idgen;
using namespace idgen::pg;

// True if the wall clock was suspect; it is followed now.
Datum idgen_accept_clock(PG_FUNCTION_ARGS) {
  (void)fcinfo;
  require_worker();
  if (!ask_worker(Ask::accept_clock)) PG_RETURN_BOOL(false);
  // IDs follow when a ceiling beyond it is durable; without a node, when there is one.
  (void)wait_until([] {
    if (current_grant().state != GrantState::active) return true;
    const std::int64_t offset = of_keeper([](const Keeper &k) { return k.clock().offset(); });
    return shared->clock_offset.load(std::memory_order_acquire) >= offset - Clock::kNoise;
  });
  PG_RETURN_BOOL(true);
}

// True if the pinned node was taken; false if nothing was to be confirmed.
Datum idgen_confirm_copy(PG_FUNCTION_ARGS) {
  (void)fcinfo;
  require_worker();
  if (!ask_worker(Ask::confirm_copy)) PG_RETURN_BOOL(false);
  const bool held = wait_until([] {
    const Grant grant = current_grant();
    return grant.state == GrantState::active &&
           (shard < 0 ||
            (grant.node & instance_layout.shard.max()) == static_cast<std::uint64_t>(shard));
  });
  if (!held) report_no_node();
  PG_RETURN_BOOL(true);
}

// True if the instance goes on by its own record; false if nothing was to be
// confirmed.
Datum idgen_confirm_local(PG_FUNCTION_ARGS) {
  (void)fcinfo;
  require_worker();
  if (!registry_is_local()) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("idgen.registry is not \"local\""),
                    errhint("Set idgen.registry = 'local', reload the configuration, and call "
                            "snowflake_confirm_local() again.")));
  }
  if (!ask_worker(Ask::confirm_local)) PG_RETURN_BOOL(false);
  const bool held = wait_until(
      [] { return current_grant().state == GrantState::active && uses_own_record_alone(); });
  if (!held) report_no_node();
  PG_RETURN_BOOL(true);
}

// The node that is held afterwards.
Datum idgen_rotate_node(PG_FUNCTION_ARGS) {
  (void)fcinfo;
  require_worker();
  const auto moves = [] { return of_keeper([](const Keeper &k) { return k.moves(); }); };
  const std::uint64_t before = moves().ended;
  if (!ask_worker(Ask::rotate)) report_no_node();
  if (!wait_until([&] { return moves().ended > before; })) report_still_busy("the rotation");
  if (!moves().succeeded) {
    LWLockAcquire(info_lock, LW_SHARED);
    const char *error = pstrdup(shared->info.last_failure);
    LWLockRelease(info_lock);
    ereport(ERROR,
            (errcode(IDGEN_ERRCODE_NO_NODE), errmsg("no other node could be taken"),
             error[0] == '\0' ? 0 : errdetail("The worker says: %s.", to_database_text(error)),
             errhint("The instance goes on with the node that it holds.")));
  }
  PG_RETURN_INT32(static_cast<int32>(current_grant().node));
}

// True if the instance was in service; afterwards its node is released.
Datum idgen_drain(PG_FUNCTION_ARGS) {
  (void)fcinfo;
  require_worker();
  if (!ask_worker(Ask::drain)) PG_RETURN_BOOL(false);
  const bool released = wait_until([] {
    return current_grant().state != GrantState::active &&
           of_keeper([](const Keeper &k) { return !k.releasing(); });
  });
  if (!released) report_still_busy("releasing the node");
  PG_RETURN_BOOL(true);
}

// True if the instance had been drained; afterwards it holds a node.
Datum idgen_resume(PG_FUNCTION_ARGS) {
  (void)fcinfo;
  require_worker();
  if (!ask_worker(Ask::undrain)) PG_RETURN_BOOL(false);
  if (!wait_until([] { return current_grant().state == GrantState::active; })) report_no_node();
  PG_RETURN_BOOL(true);
}

// Raises the ceilings of all nodes of the fleet, above all that may be in use and,
// if a time is given, to that.
Datum idgen_raise_registry(PG_FUNCTION_ARGS) {
  require_worker();
  const bool force = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
  std::int64_t ceiling = 0;
  if (!PG_ARGISNULL(0)) {
    const TimestampTz at = PG_GETARG_TIMESTAMPTZ(0);
    if (TIMESTAMP_NOT_FINITE(at)) {
      ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
                      errmsg("cannot raise ceilings to infinity")));
    }
    std::int64_t unix_us = 0;
    TickResult tick = {0, Fault::past_end};
    if (!__builtin_add_overflow(at, kUnixToPostgresUs, &unix_us)) {
      tick = tick_not_before(instance_layout, unix_us);
    }
    if (tick.fault != Fault::none) {
      ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
                      errmsg("time %s is outside of the layout", timestamptz_to_str(at)),
                      errdetail("It holds times from %s to before %s.",
                                pstrdup(epoch_to_text(instance_layout.epoch_us).text),
                                pstrdup(epoch_to_text(instance_layout.end_us()).text)),
                      errhint("The layout begins at idgen.epoch.")));
    }
    const TimestampTz now = GetCurrentTimestamp();
    if (!force && at > now + kFarAheadUs) {
      ereport(ERROR,
              (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
               errmsg("time %s is more than a day ahead", timestamptz_to_str(at)),
               errdetail("All IDs of the fleet would be of that time or later from now on, and "
                         "ceilings never go down."),
               errhint("If this is intended, pass force => true.")));
    }
    ceiling = static_cast<std::int64_t>(tick.tick);
  }
  (void)ask_worker(force ? Ask::force : Ask::raise, ceiling);
  PG_RETURN_VOID();
}

// Never hands a node out again; or does, if it was retired.
Datum idgen_retire_node(PG_FUNCTION_ARGS) {
  require_worker();
  const std::int64_t node = PG_GETARG_INT64(0);
  if (node < 0 || static_cast<std::uint64_t>(node) > instance_layout.max_node()) {
    ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
                    errmsg("node %lld is out of range", static_cast<long long>(node)),
                    errdetail("The layout has nodes from 0 to %llu.",
                              static_cast<unsigned long long>(instance_layout.max_node()))));
  }
  (void)ask_worker(PG_GETARG_BOOL(1) ? Ask::retire : Ask::unretire, node);
  PG_RETURN_VOID();
}
