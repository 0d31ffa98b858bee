#include "pg/statistics.h"

#include <algorithm>

#include "pg/clocks.h"
#include "pg/foreign_text.h"
#include "pg/issue.h"
#include "pg/row.h"
#include "pg/scopes.h"

IDGEN_SQL_FUNCTION(idgen_stats);
IDGEN_SQL_FUNCTION(idgen_worker_stats);
IDGEN_SQL_FUNCTION(idgen_reset_stats);

namespace idgen::pg {
namespace {

std::uint64_t read(const std::atomic<std::uint64_t> &counter) {
  return counter.load(std::memory_order_relaxed);
}

std::uint64_t ids_of(const Counters &counters) {
  return read(counters.calls) + read(counters.batch_ids);
}

void add_counters(Sums &sums, const Counters &counters) {
  sums.calls += read(counters.calls);
  sums.batches += read(counters.batches);
  sums.ids += ids_of(counters);
  sums.exhausted += read(counters.exhausted);
  sums.peak = std::max(sums.peak, read(counters.peak));
  for (int i = 0; i < kWaitReasons; ++i) {
    const Counters::Waits &waits = counters.waits[i];
    sums.waits[i].count += read(waits.count);
    sums.waits[i].us += read(waits.us);
    sums.waits[i].longest_us = std::max(sums.waits[i].longest_us, read(waits.longest_us));
  }
}

// Columns that have ever been used.
int columns_used() {
  return shared->places_used.load(std::memory_order_relaxed) + 1;
}

Sums sum_columns(int first, int last) {
  Sums sums;
  for (int slot = 0; slot < shared->slots; ++slot) {
    for (int column = first; column <= last; ++column) {
      add_counters(sums, shared->counters(slot)[column]);
    }
  }
  return sums;
}

// Maxima have no beginning: they are set to 0.
void forget_maxima(int column) {
  for (int slot = 0; slot < shared->slots; ++slot) {
    Counters &counters = shared->counters(slot)[column];
    counters.peak.store(0, std::memory_order_relaxed);
    for (Counters::Waits &waits : counters.waits) {
      waits.longest_us.store(0, std::memory_order_relaxed);
    }
  }
}

Sums without_maxima(Sums sums) {
  sums.peak = 0;
  for (Sums::Waits &waits : sums.waits) waits.longest_us = 0;
  return sums;
}

Sums since(Sums sums, const Sums &began) {
  sums.peak = std::max(sums.peak, began.peak);
  sums.calls -= began.calls;
  sums.batches -= began.batches;
  sums.ids -= began.ids;
  sums.exhausted -= began.exhausted;
  for (int i = 0; i < kWaitReasons; ++i) {
    sums.waits[i].count -= began.waits[i].count;
    sums.waits[i].us -= began.waits[i].us;
    sums.waits[i].longest_us = std::max(sums.waits[i].longest_us, began.waits[i].longest_us);
  }
  return sums;
}

// Another database may have another encoding.
void only_ascii(NameData &name) {
  for (char *c = name.data; *c != '\0'; ++c) {
    if (IS_HIGHBIT_SET(*c)) *c = '?';
  }
}

// One line of snowflake_stats.
struct Line {
  Sums sums;
  std::uint64_t last = 0;  // the scope's word
  Oid database = InvalidOid;
  NameData name = {};
  bool used = false;
};

// How far a word is ahead of the clock, us.
std::int64_t lead_of(std::uint64_t last) {
  const std::int64_t now = monotonic_ns() + shared->clock_offset.load(std::memory_order_acquire);
  const std::uint64_t tick = issue_layout.tick_in(last);
  const std::uint64_t now_tick = issue_layout.tick_of(now);
  if (tick <= now_tick) return 0;
  return (issue_layout.ns_of(tick) - now) / 1000;
}

constexpr int kStatsColumns = 18;

void put_line(FunctionCallInfo fcinfo, const Line &line, const char *scope, std::int64_t lead,
              std::int64_t reset_us) {
  const Grant grant = unpack(issue_layout, shared->grant.load(std::memory_order_acquire));
  const double capacity = static_cast<double>(Block(issue_layout, grant).capacity());
  Row<kStatsColumns> row;
  if (scope != nullptr)
    row.text(scope);
  else
    row.null();
  const char *database = OidIsValid(line.database) ? get_database_name(line.database) : nullptr;
  if (database != nullptr)
    row.text(to_database_text(database));
  else
    row.null();
  row.number(line.sums.ids);
  row.number(line.sums.calls);
  row.number(line.sums.batches);
  for (const Sums::Waits &waits : line.sums.waits) {
    row.number(waits.count);
    row.span(static_cast<std::int64_t>(waits.us));
    row.span(static_cast<std::int64_t>(waits.longest_us));
  }
  row.number(line.sums.exhausted);
  row.put(Float8GetDatum(std::min(1.0, static_cast<double>(line.sums.peak) / capacity)));
  row.span(lead);
  row.time_or_null(reset_us);
  put_row(fcinfo, row);
}

}  // namespace

void begin_counting(int column) {
  const Sums now = sum_columns(column, column);
  Sums &all = shared->began()[shared->columns()];
  all.peak = std::max(all.peak, now.peak);
  for (int i = 0; i < kWaitReasons; ++i) {
    all.waits[i].longest_us = std::max(all.waits[i].longest_us, now.waits[i].longest_us);
  }
  forget_maxima(column);
  shared->began()[column] = without_maxima(now);
}

void count_request(const RegistryAnswer &answer, std::int64_t took_ns) {
  LWLockAcquire(info_lock, LW_EXCLUSIVE);
  WorkerStats &stats = shared->worker;
  if (answer.outcome != RegistryOutcome::done) {
    ++stats.failures;
    if (answer.outcome == RegistryOutcome::lost) ++stats.losses;
  } else if (answer.ask == RegistryAsk::acquire) {
    ++stats.acquisitions;
  } else if (answer.ask == RegistryAsk::extend) {
    ++stats.renewals;
    stats.renewed_us = unix_now_us();
    stats.last_ns = took_ns;
    stats.longest_ns = std::max(stats.longest_ns, took_ns);
    stats.total_ns += took_ns;
  }
  LWLockRelease(info_lock);
}

void UseWatch::look(std::int64_t now) {
  const std::int64_t elapsed = now - looked_;
  if (elapsed < kSpan) return;
  const int columns = columns_used();
  const bool first = ids_.empty();
  ids_.resize(static_cast<std::size_t>(shared->columns()));
  warned_.resize(static_cast<std::size_t>(shared->columns()));
  const Grant grant = unpack(issue_layout, shared->grant.load(std::memory_order_relaxed));
  const auto per_tick = static_cast<double>(Block(issue_layout, grant).capacity());
  const double room =
      per_tick * static_cast<double>(elapsed) / static_cast<double>(issue_layout.tick_ns);
  looked_ = now;
  for (int column = 0; column < columns; ++column) {
    std::uint64_t ids = 0;
    for (int slot = 0; slot < shared->slots; ++slot) {
      const Counters &counters = shared->counters(slot)[column];
      ids += ids_of(counters) + read(counters.skipped);
    }
    const auto i = static_cast<std::size_t>(column);
    const double use = static_cast<double>(ids - ids_[i]) / room;
    ScopePlace *place =
        column == SharedState::kDefaultColumn ? nullptr : shared->scope_places() + column - 1;
    if (place != nullptr && ids != ids_[i]) place->used_ns = now;
    ids_[i] = ids;
    if (first || use <= kMuch || (warned_[i] != 0 && now - warned_[i] < kWarnAgain)) continue;
    warned_[i] = now;
    NameData scope = {};
    namestrcpy(&scope, kDefaultScope.data());
    Oid database = InvalidOid;
    if (place != nullptr) {
      LWLockAcquire(scopes_lock, LW_SHARED);
      scope = place->name;
      database = place->database;
      LWLockRelease(scopes_lock);
      only_ascii(scope);
    }
    ereport(WARNING,
            (errmsg("idgen: scope \"%s\" used %.0f %% of what this instance can issue in a scope",
                    NameStr(scope), 100 * use),
             database == InvalidOid
                 ? errdetail("In the last %s; a tick has room for %.0f IDs.",
                             span_text(elapsed).text, per_tick)
                 : errdetail("In the last %s; a tick has room for %.0f IDs. It is a scope of the "
                             "database with OID %u.",
                             span_text(elapsed).text, per_tick, database),
             errhint("Calls wait when all is used. idgen.lanes makes more room, and so do other "
                     "scopes for other tables.")));
  }
}

}  // namespace idgen::pg

using namespace idgen;
using namespace idgen::pg;

// One row a scope, and one for all together; none in a server that doesn't preload.
Datum idgen_stats(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  if (shared == nullptr) PG_RETURN_NULL();
  const int columns = columns_used();
  auto *lines = static_cast<Line *>(
      MemoryContextAllocZero(CurrentMemoryContext, static_cast<Size>(columns) * sizeof(Line)));
  ScopePlace *places = shared->scope_places();
  LWLockAcquire(scopes_lock, LW_SHARED);
  const Sums *began = shared->began();
  const Sums total = since(sum_columns(0, columns - 1), began[shared->columns()]);
  const std::int64_t reset_us = shared->stats_reset_us;
  for (int column = 0; column < columns; ++column) {
    Line &line = lines[column];
    line.used = column == SharedState::kDefaultColumn;
    line.last = shared->last.load(std::memory_order_acquire);
    if (!line.used) {
      const ScopePlace &place = places[column - 1];
      line.used = place.word.owner.load(std::memory_order_relaxed) != 0;
      line.last = place.word.last.load(std::memory_order_acquire);
      line.database = place.database;
      line.name = place.name;
      if (line.database != MyDatabaseId) only_ascii(line.name);
    }
    if (line.used) line.sums = since(sum_columns(column, column), began[column]);
  }
  LWLockRelease(scopes_lock);

  std::int64_t longest_lead = 0;
  for (int column = 0; column < columns; ++column) {
    const Line &line = lines[column];
    if (!line.used) continue;
    const std::int64_t lead = lead_of(line.last);
    longest_lead = std::max(longest_lead, lead);
    put_line(fcinfo, line,
             column == SharedState::kDefaultColumn ? kDefaultScope.data() : NameStr(line.name),
             lead, reset_us);
  }
  Line all;
  all.sums = total;
  put_line(fcinfo, all, nullptr, longest_lead, reset_us);
  PG_RETURN_NULL();
}

// One row, or NULL in a server that doesn't preload the library.
Datum idgen_worker_stats(PG_FUNCTION_ARGS) {
  if (shared == nullptr) PG_RETURN_NULL();
  LWLockAcquire(info_lock, LW_SHARED);
  const WorkerStats stats = shared->worker;
  LWLockRelease(info_lock);
  LWLockAcquire(scopes_lock, LW_SHARED);
  const std::int64_t reset_us = shared->stats_reset_us;
  LWLockRelease(scopes_lock);
  Row<15> row;
  row.number(stats.starts);
  row.time_or_null(stats.started_us);
  row.number(stats.turns);
  row.number(stats.acquisitions);
  row.number(stats.renewals);
  row.number(stats.failures);
  row.number(stats.losses);
  row.time_or_null(stats.renewed_us);
  row.span(stats.last_ns / 1000);
  row.span(stats.renewals == 0 ? 0
                               : stats.total_ns / static_cast<std::int64_t>(stats.renewals) / 1000);
  row.span(stats.longest_ns / 1000);
  row.number(read(shared->observations));
  row.number(read(shared->observations_ignored));
  row.time_or_null(reset_us);
  row.time_or_null(stats.last_turn_us);
  PG_RETURN_DATUM(to_datum(fcinfo, row));
}

Datum idgen_reset_stats(PG_FUNCTION_ARGS) {
  (void)fcinfo;
  if (shared == nullptr) report_not_preloaded();
  LWLockAcquire(scopes_lock, LW_EXCLUSIVE);
  const int columns = columns_used();
  for (int column = 0; column < columns; ++column) begin_counting(column);
  shared->began()[shared->columns()] = without_maxima(sum_columns(0, columns - 1));
  shared->observations.store(0, std::memory_order_relaxed);
  shared->observations_ignored.store(0, std::memory_order_relaxed);
  shared->stats_reset_us = unix_now_us();
  LWLockRelease(scopes_lock);
  LWLockAcquire(info_lock, LW_EXCLUSIVE);
  WorkerStats fresh;
  fresh.starts = shared->worker.starts;
  fresh.started_us = shared->worker.started_us;
  fresh.last_turn_us = shared->worker.last_turn_us;
  fresh.renewed_us = shared->worker.renewed_us;
  fresh.last_ns = shared->worker.last_ns;
  shared->worker = fresh;
  LWLockRelease(info_lock);
  PG_RETURN_VOID();
}
