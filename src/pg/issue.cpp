// snowflake_nextval() and snowflake_batch(): fmgr -> the core's generator on the
// words in shared memory -> Datum. No lock, system call, allocation, WAL or
// catalogue access unless a caller has to wait.

#include "pg/issue.h"

#include "core/generator.h"
#include "pg/clocks.h"
#include "pg/errors.h"
#include "pg/injection.h"
#include "pg/layouts.h"
#include "pg/registry_link.h"
#include "pg/settings.h"
#include "pg/shmem.h"

IDGEN_SQL_FUNCTION(idgen_nextval);
IDGEN_SQL_FUNCTION(idgen_batch);
IDGEN_SQL_FUNCTION(idgen_batch_support);

namespace idgen::pg {
namespace {

[[noreturn]] void report_not_preloaded() {
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("idgen is not preloaded, so this server can't issue IDs"),
                  errhint("Add \"shared_preload_libraries = 'idgen'\" to postgresql.conf and "
                          "restart the server. Decoding works without.")));
  pg_unreachable();
}

[[noreturn]] void report_single_user() {
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("no IDs are issued in single-user mode"),
                  errdetail("There is no background worker that would hold a node.")));
  pg_unreachable();
}

// What the worker last reported, in this backend's memory.
struct WorkerReport {
  const char *error;
  const char *recorded_layout;
  ClockTrouble trouble;
  ClockState clock_state;
  std::int64_t clock_skew;
  bool drained_by_operator;
  bool cut_off;
  bool fleet_disagrees;
};

WorkerReport read_worker_report() {
  LWLockAcquire(info_lock, LW_SHARED);
  const Clock &clock = shared->keeper.clock();
  const WorkerReport report = {pstrdup(shared->info.error),
                               pstrdup(shared->info.recorded_layout),
                               shared->info.trouble,
                               clock.state(),
                               clock.skew(),
                               shared->keeper.drained_by_operator(),
                               shared->keeper.cut_off(),
                               shared->info.fleet_disagrees};
  LWLockRelease(info_lock);
  return report;
}

int detail_of_error(const WorkerReport &report) {
  if (report.error[0] == '\0') return 0;
  return errdetail("The worker says: %s.", report.error);
}

const char *hint_for(ClockTrouble trouble) {
  switch (trouble) {
    case ClockTrouble::unsynchronized:
      return "Start the system's time daemon, and issuing goes on by itself; or turn "
             "idgen.require_clock_sync off.";
    case ClockTrouble::rollback:
      return "Set the system's clock right, and issuing goes on by itself; or let "
             "idgen.on_clock_rollback be \"hold\" or \"rotate\".";
    default:
      return "Set the system's clock right, and issuing goes on by itself; or idgen.epoch, if "
             "that is wrong, and restart the server.";
  }
}

// The instance can't issue, and waiting won't help.
[[noreturn]] void report_refusal(GrantState state) {
  const WorkerReport report = read_worker_report();
  switch (state) {
    case GrantState::breaker:
      ereport(ERROR, (errcode(IDGEN_ERRCODE_CLOCK_BREAKER),
                      errmsg("this instance issues no IDs because of its clock"),
                      detail_of_error(report), errhint("%s", hint_for(report.trouble))));
      break;
    case GrantState::mismatch:
      ereport(ERROR, (errcode(IDGEN_ERRCODE_LAYOUT_MISMATCH),
                      errmsg("the configured layout is not the one that is recorded"),
                      errdetail("The settings say \"%s epoch %s\"; the %s says \"%s\".",
                                pstrdup(to_text(instance_layout).text),
                                pstrdup(epoch_to_text(instance_layout.epoch_us).text),
                                report.fleet_disagrees ? "fleet's registry" : "record",
                                report.recorded_layout),
                      errhint("Set idgen.layout and idgen.epoch to that and restart the server.")));
      break;
    case GrantState::drained:
      ereport(ERROR, (errcode(IDGEN_ERRCODE_DRAINED),
                      errmsg("this instance has been drained and issues no IDs"),
                      report.drained_by_operator
                          ? errdetail("It was taken out of service by snowflake_drain().")
                          : errdetail("idgen.auto_drain is on, and the system's clock can't be "
                                      "trusted: its state is %s.",
                                      name_of(report.clock_state)),
                      report.drained_by_operator
                          ? errhint("snowflake_resume() puts it back into service.")
                          : errhint("Set the system's clock right, and it goes on by itself.")));
      break;
    case GrantState::exhausted:
      ereport(
          ERROR,
          (errcode(IDGEN_ERRCODE_TIME_EXHAUSTED),
           errmsg("the time field of the layout is exhausted"),
           errdetail("The layout \"%s\" ends at %s.", pstrdup(to_text(instance_layout).text),
                     pstrdup(epoch_to_text(instance_layout.end_us()).text)),
           errhint("Is the system's clock right? If so, new IDs need a new cluster with a later "
                   "idgen.epoch or a wider time field.")));
      break;
    default:
      ereport(
          ERROR,
          (errcode(IDGEN_ERRCODE_NO_NODE), errmsg("this instance holds no node"),
           detail_of_error(report),
           report.cut_off
               ? errhint("Issuing goes on by itself when the fleet's registry answers again; a "
                         "longer idgen.window rides out more.")
               : errhint("The view snowflake_instance shows its state, snowflake_fleet who holds "
                         "which node of a fleet.")));
  }
  pg_unreachable();
}

// max_wait is over.
[[noreturn]] void report_max_wait(const Decision &decision) {
  const WorkerReport report = read_worker_report();
  const char *reason = "no node has been acquired yet";
  if (decision.verdict == Verdict::lead) {
    reason = psprintf(
        "IDs have run ahead of the clock by more than idgen.max_lead; there is room "
        "again in %llu ms",
        static_cast<unsigned long long>(
            decision.wait_ticks * static_cast<std::uint64_t>(issue_layout.tick_ns) / 1000000));
  } else if (decision.verdict == Verdict::ceiling) {
    reason = "the clock has reached the durable ceiling, and the worker has not raised it";
  }
  if (report.clock_state == ClockState::holding || report.clock_state == ClockState::rollback) {
    reason = psprintf("%s; the wall clock is %s behind issuing time", reason,
                      span_text(report.clock_skew).text);
  }
  ereport(ERROR,
          (errcode(IDGEN_ERRCODE_MAX_WAIT), errmsg("could not issue an ID within %d ms", max_wait),
           report.error[0] == '\0'
               ? errdetail("The reason: %s.", reason)
               : errdetail("The reason: %s. The worker says: %s.", reason, report.error),
           errhint("The view snowflake_instance shows the state; idgen.max_wait sets how long to "
                   "wait.")));
  pg_unreachable();
}

GrantState current_state() {
  return unpack(issue_layout, shared->grant.load(std::memory_order_acquire)).state;
}

IssueWords issue_words() {
  return {shared->last, shared->grant, shared->clock_offset};
}

pg_attribute_always_inline Issued try_issue_here(std::uint64_t n) {
  return try_issue(issue_words(), issue_layout, n, max_lead_ticks, monotonic_ns, PauseCaller{});
}

// Sleeps until the worker publishes or the time is near when `decision` might
// come out better, at most `left_ns`.
void wait_for_room(const Decision &decision, std::int64_t left_ns) {
  std::int64_t ns = left_ns;
  uint32 event = node_wait_event();
  Counters &counters = my_counters();
  if (decision.verdict == Verdict::lead) {
    event = clock_wait_event();
    add(counters.waits_lead, 1);
    // From now to the start of the tick that makes room.
    const std::int64_t issuing =
        monotonic_ns() + shared->clock_offset.load(std::memory_order_relaxed);
    const std::int64_t needed =
        static_cast<std::int64_t>(decision.wait_ticks) * issue_layout.tick_ns -
        issuing % issue_layout.tick_ns;
    if (needed < ns) ns = needed;
  } else if (decision.verdict == Verdict::ceiling) {
    event = ceiling_wait_event();
    add(counters.waits_ceiling, 1);
  } else {
    add(counters.waits_grant, 1);
  }
  const std::int64_t before = monotonic_ns();
  const long ms = static_cast<long>((ns + 999999) / 1000000);
  ConditionVariableTimedSleep(&shared->grant_changed, ms > 0 ? ms : 1, event);
  add(counters.wait_us, static_cast<std::uint64_t>((monotonic_ns() - before) / 1000));
}

// The way of a caller that can't be served at once: waits, or reports why not.
pg_noinline Issued issue_slowly(std::uint64_t n) {
  if (!IsUnderPostmaster) report_single_user();
  const std::int64_t deadline = monotonic_ns() + ms_to_ns(max_wait);
  bool waited = false;
  ConditionVariablePrepareToSleep(&shared->grant_changed);
  for (;;) {
    // Again after being on the waiters' list: a grant published in between
    // would be missed.
    Issued issued = try_issue_here(n);
    // Who has waited and finds the room of long requests taken again, by single
    // callers, takes a few IDs as one of them: or he would wait for ever.
    if (waited && issued.decision.verdict == Verdict::lead && n > issue_layout.short_run()) {
      issued = try_issue_here(issue_layout.short_run());
    }
    const Decision &decision = issued.decision;
    if (decision.verdict == Verdict::issued) {
      ConditionVariableCancelSleep();
      return issued;
    }
    if (decision.verdict == Verdict::end) report_refusal(GrantState::exhausted);
    if (decision.verdict == Verdict::not_held && decision.grant_state != GrantState::acquiring) {
      report_refusal(decision.grant_state);
    }
    const std::int64_t left = deadline - monotonic_ns();
    if (left <= 0) report_max_wait(decision);
    wait_for_room(decision, left);
    waited = true;
  }
}

// Issues 1 to n IDs; returns when it has some.
pg_attribute_always_inline Issued issue(std::uint64_t n) {
  if (unlikely(shared == nullptr)) report_not_preloaded();
  require_own_layout_is_issued();
  Issued issued = try_issue_here(n);
  if (unlikely(issued.decision.verdict != Verdict::issued)) issued = issue_slowly(n);
  add(my_counters().ids, issued.decision.count);
  return issued;
}

// What a call of snowflake_batch() has still to return.
struct Batch {
  Block block;
  std::uint64_t next_index;
  std::uint64_t run_left;    // of the run reserved
  std::uint64_t to_reserve;  // beyond it
};

}  // namespace

void require_worker() {
  if (shared == nullptr) report_not_preloaded();
  if (!IsUnderPostmaster) report_single_user();
}

void report_no_node() {
  const GrantState state = current_state();
  const bool waits = state == GrantState::active || state == GrantState::acquiring;
  report_refusal(waits ? GrantState::fenced : state);
}

void require_layout_matches_record() {
  // Single-user mode has no worker that would read the record.
  if (shared == nullptr || !IsUnderPostmaster) return;
  // Right after a start the worker may not have read the record yet.
  const std::int64_t deadline = monotonic_ns() + ms_to_ns(max_wait);
  ConditionVariablePrepareToSleep(&shared->grant_changed);
  while (current_state() == GrantState::acquiring && monotonic_ns() < deadline) {
    ConditionVariableTimedSleep(&shared->grant_changed, max_wait, node_wait_event());
  }
  ConditionVariableCancelSleep();
  switch (const GrantState state = current_state()) {
    case GrantState::active:
    case GrantState::drained:
    case GrantState::exhausted:
      return;
    case GrantState::acquiring:
      report_max_wait({});
    case GrantState::fenced:
      // Without a node, but what it would be used with is known.
      if (record_names_the_layout()) return;
      report_refusal(state);
    default:
      report_refusal(state);
  }
}

}  // namespace idgen::pg

using namespace idgen;
using namespace idgen::pg;

Datum idgen_nextval(PG_FUNCTION_ARGS) {
  (void)fcinfo;
  const Issued issued = issue(1);
  add(my_counters().calls, 1);
  PG_RETURN_INT64(static_cast<int64>(issued.decision.first));
}

Datum idgen_batch(PG_FUNCTION_ARGS) {
  if (SRF_IS_FIRSTCALL()) {
    const int32 n = PG_GETARG_INT32(0);
    if (shared == nullptr) report_not_preloaded();
    if (n < 1 || n > max_batch) {
      ereport(ERROR,
              (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid number of IDs: %d", n),
               errdetail("A batch has from 1 to %d IDs.", max_batch),
               errhint("idgen.max_batch sets the limit.")));
    }
    FuncCallContext *context = SRF_FIRSTCALL_INIT();
    auto *batch =
        static_cast<Batch *>(MemoryContextAllocZero(context->multi_call_memory_ctx, sizeof(Batch)));
    batch->to_reserve = static_cast<std::uint64_t>(n);
    context->user_fctx = batch;
    add(my_counters().batches, 1);
  }
  FuncCallContext *context = SRF_PERCALL_SETUP();
  auto *batch = static_cast<Batch *>(context->user_fctx);
  if (batch->run_left == 0) {
    if (batch->to_reserve == 0) SRF_RETURN_DONE(context);
    CHECK_FOR_INTERRUPTS();
    const Issued issued = issue(batch->to_reserve);
    batch->block = issued.block;
    batch->next_index = issued.decision.first_index;
    batch->run_left = issued.decision.count;
    batch->to_reserve -= issued.decision.count;
  }
  --batch->run_left;
  SRF_RETURN_NEXT(context,
                  Int64GetDatum(static_cast<int64>(batch->block.id_at(batch->next_index++))));
}

// Tells the planner how many rows snowflake_batch(n) returns.
Datum idgen_batch_support(PG_FUNCTION_ARGS) {
  auto *request = reinterpret_cast<Node *>(PG_GETARG_POINTER(0));
  if (!IsA(request, SupportRequestRows)) PG_RETURN_POINTER(nullptr);
  auto *rows = reinterpret_cast<SupportRequestRows *>(request);
  if (!is_funcclause(rows->node)) PG_RETURN_POINTER(nullptr);
  const auto *args = reinterpret_cast<FuncExpr *>(rows->node)->args;
  Node *n = estimate_expression_value(rows->root, static_cast<Node *>(linitial(args)));
  if (!IsA(n, Const)) PG_RETURN_POINTER(nullptr);
  const auto *value = reinterpret_cast<Const *>(n);
  rows->rows = value->constisnull ? 0 : Max(DatumGetInt32(value->constvalue), 0);
  PG_RETURN_POINTER(rows);
}
