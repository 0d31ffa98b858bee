// What the views show: functions that turn shared memory into rows.

#include "pg/layouts.h"
#include "pg/settings.h"
#include "pg/shmem.h"
#include "pg/timestamps.h"

IDGEN_SQL_FUNCTION(idgen_instance);
IDGEN_SQL_FUNCTION(idgen_stats);

namespace idgen::pg {
namespace {

// Fills a row from the left.
template <int N>
struct Row {
  Datum values[N] = {};
  bool nulls[N] = {};
  int next = 0;

  void put(Datum value) { values[next++] = value; }
  void null() { nulls[next++] = true; }
  void text(const char *value) { put(CStringGetTextDatum(value)); }
  void integer(std::uint64_t value) { put(Int32GetDatum(static_cast<int32>(value))); }
  void number(std::uint64_t value) { put(Int64GetDatum(static_cast<int64>(value))); }
  void time(std::int64_t unix_us) { put(TimestampTzGetDatum(to_timestamptz(unix_us))); }
  void tick(std::uint64_t tick) { time(tick_start_us(instance_layout, tick)); }
  void span(std::int64_t us) {
    auto *interval = static_cast<Interval *>(palloc0(sizeof(Interval)));
    interval->time = us;
    put(IntervalPGetDatum(interval));
  }
};

template <int N>
Datum to_datum(FunctionCallInfo fcinfo, Row<N> &row) {
  TupleDesc columns = nullptr;
  if (get_call_result_type(fcinfo, nullptr, &columns) != TYPEFUNC_COMPOSITE ||
      columns->natts != N || row.next != N) {
    elog(ERROR, "return type must be a row type of %d columns", N);
  }
  return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(columns), row.values, row.nulls));
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

const char *name_of(ClockState state) {
  switch (state) {
    case ClockState::unset:
      return "unset";
    case ClockState::synchronized:
      return "synchronized";
    case ClockState::holding:
      return "holding";
    case ClockState::suspect:
      return "suspect";
  }
  return "unknown";
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
  const std::int64_t issuing_ns =
      monotonic_ns() + shared->clock_offset.load(std::memory_order_acquire);
  const bool held = grant.state == GrantState::active;
  const std::int64_t issuing_us = instance_layout.epoch_us + issuing_ns / 1000;
  const std::int64_t ceiling_us = tick_start_us(instance_layout, grant.ceiling);

  Row<19> row;
  row.text(name_of(grant.state));
  if (info.state_since_us != 0)
    row.time(info.state_since_us);
  else
    row.null();
  if (held) {
    row.integer(grant.node);
    row.integer(grant.node >> instance_layout.shard.width);
    row.integer(grant.node & instance_layout.shard.max());
    row.integer(1U << grant.log2_lanes);
    row.time(issuing_us);
    row.tick(info.floor);
    row.time(ceiling_us);
    row.span(std::max<std::int64_t>(0, ceiling_us - issuing_us));
  } else {
    for (int i = 0; i < 8; ++i) row.null();
  }
  row.text(name_of(info.clock_state));
  row.span(info.clock_skew_ns / 1000);
  auto *incarnation = static_cast<pg_uuid_t *>(palloc(sizeof(pg_uuid_t)));
  for (int i = 0; i < UUID_LEN; ++i) {  // as the record writes it: high byte first
    incarnation->data[i] =
        static_cast<unsigned char>(shared->incarnation.words[i / 8] >> (8 * (7 - i % 8)));
  }
  row.put(UUIDPGetDatum(incarnation));
  row.text("local");
  if (info.pid != 0)
    row.put(Int32GetDatum(info.pid));
  else
    row.null();
  if (info.error[0] != '\0')
    row.text(info.error);
  else
    row.null();
  if (info.error_at_us != 0)
    row.time(info.error_at_us);
  else
    row.null();
  row.text(to_text(instance_layout).text);
  row.time(instance_layout.epoch_us);
  PG_RETURN_DATUM(to_datum(fcinfo, row));
}

// One row: sums over all slots; NULL in a server that doesn't preload.
Datum idgen_stats(PG_FUNCTION_ARGS) {
  if (shared == nullptr) PG_RETURN_NULL();
  const auto total = [](std::atomic<std::uint64_t> Counters::*counter) {
    std::uint64_t sum = 0;
    for (int i = 0; i < shared->slots; ++i) {
      sum += (shared->counters()[i].*counter).load(std::memory_order_relaxed);
    }
    return sum;
  };
  Row<8> row;
  row.text("default");
  row.number(total(&Counters::ids));
  row.number(total(&Counters::calls));
  row.number(total(&Counters::batches));
  row.number(total(&Counters::waits_lead));
  row.number(total(&Counters::waits_ceiling));
  row.number(total(&Counters::waits_grant));
  row.span(static_cast<std::int64_t>(total(&Counters::wait_us)));
  PG_RETURN_DATUM(to_datum(fcinfo, row));
}
