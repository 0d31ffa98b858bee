// What the views show: functions that turn shared memory into rows.

#include "pg/clocks.h"
#include "pg/foreign_text.h"
#include "pg/layouts.h"
#include "pg/mailbox.h"
#include "pg/row.h"
#include "pg/settings.h"
#include "pg/shmem.h"

IDGEN_SQL_FUNCTION(idgen_instance);
IDGEN_SQL_FUNCTION(idgen_clock);
IDGEN_SQL_FUNCTION(idgen_clock_events);
IDGEN_SQL_FUNCTION(idgen_fleet);
IDGEN_SQL_FUNCTION(idgen_registry_space);

namespace idgen::pg {
namespace {

const char *name_of(NodeState state) {
  switch (state) {
    case NodeState::free:
      return "free";
    case NodeState::held:
      return "held";
    case NodeState::retired:
      return "retired";
  }
  return "unknown";
}

const char *name_of(GrantState state) {
  switch (state) {
    case GrantState::acquiring:
      return "acquiring";
    case GrantState::active:
      return "active";
    case GrantState::fenced:
      return "fenced";
    case GrantState::breaker:
      return "breaker";
    case GrantState::drained:
      return "drained";
    case GrantState::mismatch:
      return "mismatch";
    case GrantState::exhausted:
      return "exhausted";
  }
  return "unknown";
}

// The clocks now, and what the worker knew at its last turn.
struct ClockView {
  ClockState state;
  KernelSync kernel;
  std::int64_t max_error_us;
  std::int64_t last_sample_ns;  // CLOCK_MONOTONIC; 0: none yet
  std::int64_t monotonic_ns;
  std::int64_t wall_ns;     // since the epoch
  std::int64_t issuing_ns;  // since the epoch
};

ClockView look_at_clock() {
  ClockView view = {};
  LWLockAcquire(info_lock, LW_SHARED);
  const Clock &clock = shared->keeper.clock();
  view.state = clock.state();
  view.kernel = clock.last().kernel;
  view.max_error_us = shared->info.max_error_us;
  view.last_sample_ns = clock.last().monotonic;
  const std::int64_t offset = clock.offset();
  LWLockRelease(info_lock);
  // In one state of the clock: a wall clock read later would count as skew.
  const ClockSample now = sample_clocks();
  view.monotonic_ns = now.monotonic;
  view.wall_ns = now.wall;
  const Grant grant = unpack(issue_layout, shared->grant.load(std::memory_order_acquire));
  view.issuing_ns = now.monotonic + (grant.state == GrantState::active
                                         ? shared->clock_offset.load(std::memory_order_acquire)
                                         : offset);
  return view;
}

}  // namespace
}  // namespace idgen::pg

using namespace idgen;
using namespace idgen::pg;

// One row, or NULL in a server that doesn't preload the library.
Datum idgen_instance(PG_FUNCTION_ARGS) {
  if (shared == nullptr) PG_RETURN_NULL();

  LWLockAcquire(info_lock, LW_SHARED);
  const WorkerInfo info = shared->info;
  LWLockRelease(info_lock);
  const Grant grant = unpack(issue_layout, shared->grant.load(std::memory_order_acquire));
  const ClockView clock = look_at_clock();
  const std::int64_t issuing_ns =
      monotonic_ns() + shared->clock_offset.load(std::memory_order_acquire);
  const bool held = grant.state == GrantState::active;
  const std::int64_t issuing_us = instance_layout.epoch_us + issuing_ns / 1000;
  const std::int64_t ceiling_us = tick_start_us(instance_layout, grant.ceiling);

  LWLockAcquire(info_lock, LW_SHARED);
  const bool draining = grant.state == GrantState::drained && shared->keeper.releasing();
  const std::uint64_t node_epoch = shared->keeper.node_epoch();
  LWLockRelease(info_lock);

  Row<20> row;
  row.text(draining ? "draining" : name_of(grant.state));
  row.time_or_null(info.state_since_us);
  if (held) {
    row.integer(grant.node);
    row.integer(grant.node >> instance_layout.shard.width);
    row.integer(grant.node & instance_layout.shard.max());
    row.integer(1U << grant.log2_lanes);
    if (uses_own_record_alone())
      row.null();
    else
      row.number(node_epoch);
    row.time(issuing_us);
    row.tick(info.floor);
    row.time(ceiling_us);
    row.span(std::max<std::int64_t>(0, ceiling_us - issuing_us));
  } else {
    for (int i = 0; i < 9; ++i) row.null();
  }
  row.text(name_of(clock.state));
  row.span(clock.state == ClockState::unset ? 0 : (clock.issuing_ns - clock.wall_ns) / 1000);
  row.uuid(shared->incarnation);
  row.text(to_database_text(info.registry));
  if (info.pid != 0)
    row.put(Int32GetDatum(info.pid));
  else
    row.null();
  if (info.error[0] != '\0')
    row.text(to_database_text(info.error));
  else
    row.null();
  row.time_or_null(info.error_at_us);
  row.text(to_text(instance_layout).text);
  row.time(instance_layout.epoch_us);
  PG_RETURN_DATUM(to_datum(fcinfo, row));
}

// One row, or NULL in a server that doesn't preload the library.
Datum idgen_clock(PG_FUNCTION_ARGS) {
  if (shared == nullptr) PG_RETURN_NULL();
  const ClockView clock = look_at_clock();
  const auto unix_us = [](std::int64_t ns) { return instance_layout.epoch_us + ns / 1000; };

  Row<7> row;
  row.text(name_of(clock.state));
  row.time(unix_us(clock.wall_ns));
  if (clock.state == ClockState::unset) {
    for (int i = 0; i < 5; ++i) row.null();
    PG_RETURN_DATUM(to_datum(fcinfo, row));
  }
  row.time(unix_us(clock.issuing_ns));
  row.span(unix_us(clock.issuing_ns) - unix_us(clock.wall_ns));
  row.text(name_of(clock.kernel));
  if (clock.max_error_us >= 0)
    row.span(clock.max_error_us);
  else
    row.null();
  row.time(unix_us(clock.wall_ns - (clock.monotonic_ns - clock.last_sample_ns)));
  PG_RETURN_DATUM(to_datum(fcinfo, row));
}

// The ring, oldest first; no row in a server that doesn't preload the library.
Datum idgen_clock_events(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  if (shared == nullptr) PG_RETURN_NULL();
  auto *ring = static_cast<EventRing *>(palloc(sizeof(EventRing)));
  LWLockAcquire(info_lock, LW_SHARED);
  *ring = shared->events;
  LWLockRelease(info_lock);

  const std::uint64_t first = ring->count > EventRing::kSize ? ring->count - EventRing::kSize : 0;
  for (std::uint64_t i = first; i < ring->count; ++i) {
    const LoggedEvent &logged = ring->events[i % EventRing::kSize];
    Row<6> row;
    row.number(i + 1);
    row.time(logged.at_us);
    row.text(name_of(logged.event.kind));
    row.text(name_of(logged.event.state));
    row.span(logged.event.skew / 1000);
    row.span(logged.event.step / 1000);
    put_row(fcinfo, row);
  }
  PG_RETURN_NULL();
}

// The fleet that this instance leases from, as its coordinator knows it now, or as
// it was last read if that can't be had; no row where there is none.
Datum idgen_fleet(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  if (shared == nullptr || !IsUnderPostmaster || uses_own_record_alone()) PG_RETURN_NULL();
  if (!read_fleet()) {
    ereport(WARNING, (errmsg("the fleet's registry could not be read"),
                      errdetail("What is shown, if anything, was read earlier."),
                      errhint("The view snowflake_instance has the worker's last error.")));
  }
  LWLockAcquire(info_lock, LW_SHARED);
  const FleetInfo info = shared->fleet;
  const Size size = static_cast<Size>(info.rows) * sizeof(FleetRow);
  auto *rows = static_cast<FleetRow *>(palloc(Max(size, 1)));
  memcpy(rows, shared->fleet_rows(), size);
  LWLockRelease(info_lock);

  for (std::int64_t i = 0; i < info.rows; ++i) {
    const FleetRow &node = rows[i];
    Row<13> row;
    row.number(node.node);
    row.integer(node.node >> instance_layout.shard.width);
    row.integer(node.node & instance_layout.shard.max());
    row.text(name_of(node.state));
    row.put(BoolGetDatum(node.alive));
    row.text(to_database_text(node.name));
    if (node.epoch != 0)
      row.uuid(node.holder);
    else
      row.null();
    row.number(node.epoch);
    row.integer(1U << node.log2_lanes);
    row.tick(node.ceiling);
    row.time_or_null(node.since_us);
    row.time_or_null(node.extended_us);
    row.time(info.read_at_us);
    put_row(fcinfo, row);
  }
  PG_RETURN_NULL();
}

// A row for each member of a coordinator that has a quota, as last read.
Datum idgen_registry_space(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  if (shared == nullptr) PG_RETURN_NULL();
  auto *space = static_cast<SpaceInfo *>(palloc(sizeof(SpaceInfo)));
  LWLockAcquire(info_lock, LW_SHARED);
  *space = shared->space;
  LWLockRelease(info_lock);

  for (int i = 0; i < space->count; ++i) {
    const SpaceInfo::Member &member = space->members[i];
    Row<8> row;
    row.text(member.name);
    row.number(member.size);
    row.number(member.in_use);
    if (member.quota > 0) {
      row.number(member.quota);
      row.put(BoolGetDatum(member.quota_known));
      row.put(Float8GetDatum(static_cast<double>(member.size) / static_cast<double>(member.quota)));
    } else {
      row.null();
      row.put(BoolGetDatum(member.quota_known));
      row.null();
    }
    row.put(BoolGetDatum(member.full));
    row.time(member.read_at_us);
    put_row(fcinfo, row);
  }
  PG_RETURN_NULL();
}
