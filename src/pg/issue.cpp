// The way round of a call that can't be issued IDs at once.

#include "pg/issue.h"

#include <algorithm>

#include "pg/errors.h"
#include "pg/foreign_text.h"
#include "pg/mailbox.h"
#include "pg/registry_link.h"
#include "pg/worker.h"

namespace idgen::pg {
namespace {

[[noreturn]] void report_single_user() {
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("no IDs are issued in single-user mode"),
                  errdetail("There is no background worker that would hold a node.")));
  pg_unreachable();
}

[[noreturn]] void report_no_slot() {
  ereport(ERROR, (errcode(IDGEN_ERRCODE_NO_NODE),
                  errmsg("this instance issues no IDs: the idgen worker is not running"),
                  errdetail("The server had no slot left for it: max_worker_processes is %d.",
                            max_worker_processes),
                  errhint("Raise max_worker_processes and restart the server.")));
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
  bool knows_kernel;
};

WorkerReport read_worker_report() {
  LWLockAcquire(info_lock, LW_SHARED);
  const Clock &clock = shared->keeper.clock();
  WorkerReport report = {pstrdup(shared->info.error),
                         pstrdup(shared->info.recorded_layout),
                         shared->info.trouble,
                         clock.state(),
                         clock.skew(),
                         shared->keeper.drained_by_operator(),
                         shared->keeper.cut_off(),
                         shared->info.fleet_disagrees,
                         shared->info.max_error_us >= 0};
  LWLockRelease(info_lock);
  report.error = to_database_text(report.error);
  report.recorded_layout = to_database_text(report.recorded_layout);
  return report;
}

int detail_of_error(const WorkerReport &report) {
  if (report.error[0] == '\0') return 0;
  return errdetail("The worker says: %s.", report.error);
}

bool is_about_space(const WorkerReport &report) {
  return strstr(report.error, kSpaceExceeded) != nullptr;
}

bool has_one_of(const char *text, std::initializer_list<const char *> parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [text](const char *part) { return strstr(text, part) != nullptr; });
}

// Why the registry is cut off: it turns the instance away, for a reason that does not pass;
// or it is out of reach. libpq has no SQLSTATE of a failed connection, and a coordinator may
// speak any language: where neither is known, the hint promises nothing.
bool is_turned_away(const WorkerReport &report) {
  return has_one_of(report.error,
                    {"password supplied", "certificate verify failed", "authentication failed",
                     "pg_hba.conf", "\" does not exist", "is not permitted to log in"});
}

bool is_out_of_reach(const WorkerReport &report) {
  return strncmp(registry, "etcd:", strlen("etcd:")) == 0 ||
         has_one_of(report.error,
                    {"no answer within", "Connection refused", "Connection reset", "timed out",
                     "No such file or directory", "could not translate host name", "unreachable",
                     "closed the connection", "terminating connection", "the database system is",
                     "too many", "remaining connection slots", "is a standby"});
}

const char *hint_without_node(const WorkerReport &report) {
  if (is_about_space(report)) return kSpaceHint;
  if (creating_extension) {
    return "The extension cannot be created while this instance holds no node and no record names "
           "its layout. See the server log for the reason.";
  }
  if (report.cut_off && is_turned_away(report)) {
    return "The fleet's registry turns this instance away. Correct what it objects to, there or in "
           "idgen.registry; issuing then goes on automatically.";
  }
  if (report.cut_off && !is_out_of_reach(report)) {
    return "If the fleet's registry turns this instance away, correct what it objects to. If it "
           "cannot be reached, issuing goes on automatically when it answers again.";
  }
  if (report.cut_off) {
    return "Issuing goes on automatically when the fleet's registry answers again; a longer "
           "idgen.lease_window rides out more.";
  }
  return "The view snowflake_instance shows the state of this instance; snowflake_fleet shows "
         "which "
         "instance holds which node.";
}

const char *hint_after_wait(const WorkerReport &report) {
  if (is_about_space(report)) return kSpaceHint;
  if (creating_extension) {
    return "See the server log for the reason; idgen.max_wait sets how long to wait.";
  }
  return "The view snowflake_instance shows the state; idgen.max_wait sets how long to wait.";
}

const char *hint_for(ClockTrouble trouble, bool knows_kernel) {
  switch (trouble) {
    case ClockTrouble::unsynchronized:
      if (!knows_kernel) {
        return "The kernel does not let the server read the state of its clock. Allow the system "
               "calls adjtimex and clock_adjtime in the container's seccomp profile, or turn "
               "idgen.require_clock_sync off.";
      }
      return "Start the system's time daemon, and issuing goes on automatically; or turn "
             "idgen.require_clock_sync off.";
    case ClockTrouble::rollback:
      return "Set the system's clock right, and issuing goes on automatically; or let "
             "idgen.on_clock_rollback be \"hold\" or \"rotate\".";
    default:
      return "Set the system's clock right, and issuing goes on automatically; or idgen.epoch, if "
             "that is wrong, and restart the server.";
  }
}

}  // namespace

void report_refusal(GrantState state) {
  const WorkerReport report = read_worker_report();
  switch (state) {
    case GrantState::breaker:
      ereport(ERROR,
              (errcode(IDGEN_ERRCODE_CLOCK_BREAKER),
               errmsg("this instance issues no IDs because of its clock"), detail_of_error(report),
               errhint("%s", hint_for(report.trouble, report.knows_kernel))));
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
      ereport(ERROR,
              (errcode(IDGEN_ERRCODE_DRAINED),
               errmsg("this instance has been drained and issues no IDs"),
               report.drained_by_operator
                   ? errdetail("It was taken out of service by snowflake_drain().")
                   : errdetail("idgen.auto_drain is on, and the system's clock cannot be "
                               "trusted: its state is %s.",
                               name_of(report.clock_state)),
               report.drained_by_operator
                   ? errhint(creating_extension
                                 ? "snowflake_resume(), in a database that has the extension, "
                                   "puts it back into service."
                                 : "snowflake_resume() puts it back into service.")
                   : errhint("Set the system's clock right, and it goes on automatically.")));
      break;
    case GrantState::exhausted:
      ereport(
          ERROR,
          (errcode(IDGEN_ERRCODE_TIME_EXHAUSTED),
           errmsg("the time field of the layout is exhausted"),
           errdetail(
               "The layout \"%s\" ends at %s.", pstrdup(to_text(instance_layout).text),
               pstrdup(
                   epoch_to_text(tick_start_us(instance_layout, issue_layout.max_ceiling())).text)),
           errhint("Check the system's clock. If it is right, new IDs need a new cluster with a "
                   "later idgen.epoch or a wider time field.")));
      break;
    default:
      ereport(ERROR, (errcode(IDGEN_ERRCODE_NO_NODE), errmsg("this instance holds no node"),
                      detail_of_error(report), errhint("%s", hint_without_node(report))));
  }
  pg_unreachable();
}

void report_max_wait(const Decision &decision, const char *failure) {
  const WorkerReport report = read_worker_report();
  const char *reason = "no node has been acquired yet";
  if (decision.verdict == Verdict::lead) {
    reason = psprintf(
        "IDs have run ahead of the clock by more than idgen.max_lead; there is room "
        "again in %llu ms",
        static_cast<unsigned long long>(issue_layout.ns_of(decision.wait_ticks) / 1000000));
  } else if (decision.verdict == Verdict::ceiling) {
    reason = "the clock has reached the durable ceiling, and the worker has not raised it";
  }
  if (report.clock_state == ClockState::holding || report.clock_state == ClockState::rollback) {
    reason = psprintf("%s; the wall clock is %s behind issuing time", reason,
                      span_text(report.clock_skew).text);
  }
  ereport(ERROR, (errcode(IDGEN_ERRCODE_MAX_WAIT), errmsg("%s within %d ms", failure, max_wait),
                  report.error[0] == '\0'
                      ? errdetail("The reason: %s.", reason)
                      : errdetail("The reason: %s. The worker says: %s.", reason, report.error),
                  errhint("%s", hint_after_wait(report))));
  pg_unreachable();
}

namespace {

GrantState current_state() {
  return unpack(issue_layout, shared->grant.load(std::memory_order_acquire)).state;
}

// A call's wait, which may be several sleeps.
struct Waiting {
  std::int64_t deadline;
  std::int64_t since = 0;  // for this reason
  WaitReason reason = kWaitReasons;
};

WaitReason reason_of(const Decision &decision) {
  if (decision.verdict == Verdict::lead) return kWaitClock;
  return decision.verdict == Verdict::ceiling ? kWaitCeiling : kWaitNode;
}

uint32 event_of(WaitReason reason) {
  if (reason == kWaitClock) return clock_wait_event();
  return reason == kWaitCeiling ? ceiling_wait_event() : node_wait_event();
}

// Counts the time also if the sleep ends by an error (cancelled). A wait for the clock is short
// and frequent, and needs no worker.
pg_noinline void sleep_counted(long ms, WaitReason reason, Counters::Waits &waits,
                               std::int64_t since) {
  const std::int64_t before = monotonic_ns();
  PG_TRY();
  {
    if (reason == kWaitClock)
      ConditionVariableTimedSleep(&shared->grant_changed, ms, event_of(reason));
    else
      sleep_on_grant(ms, event_of(reason));
  }
  PG_FINALLY();
  {
    const std::int64_t after = monotonic_ns();
    add(waits.us, static_cast<std::uint64_t>((after - before) / 1000));
    note_most(waits.longest_us, static_cast<std::uint64_t>((after - since) / 1000));
  }
  PG_END_TRY();
}

// Sleeps until the worker publishes or the time is near when `decision` might
// come out better, at most until the deadline, which is still to come.
void wait_for_room(const Decision &decision, Waiting &waiting, int column) {
  const WaitReason reason = reason_of(decision);
  const std::int64_t before = monotonic_ns();
  std::int64_t ns = waiting.deadline - before;
  if (reason == kWaitClock) {
    // From now to the start of the tick that makes room.
    const std::int64_t issuing = before + shared->clock_offset.load(std::memory_order_relaxed);
    const std::int64_t needed =
        issue_layout.ns_of(decision.wait_ticks) - issuing % issue_layout.tick_ns;
    if (needed < ns) ns = needed;
  }
  Counters::Waits &waits = my_counters(column).waits[reason];
  if (reason != waiting.reason) {
    waiting.reason = reason;
    waiting.since = before;
    add(waits.count, 1);
  }
  const long ms = static_cast<long>((ns + 999999) / 1000000);
  sleep_counted(ms > 0 ? ms : 1, reason, waits, waiting.since);
}

// Attempts until one comes out: `attempt(waited)` says how.
template <typename Attempt>
Issued attempt_slowly(int column, Attempt &&attempt) {
  if (!IsUnderPostmaster) report_single_user();
  if (no_worker_slot) report_no_slot();
  Waiting waiting = {monotonic_ns() + ms_to_ns(max_wait)};
  ConditionVariablePrepareToSleep(&shared->grant_changed);
  for (;;) {
    // Again after being on the waiters' list: a grant published in between
    // would be missed.
    const Issued issued = attempt(waiting.reason != kWaitReasons);
    const Decision &decision = issued.decision;
    if (decision.verdict == Verdict::issued || decision.verdict == Verdict::moved) {
      ConditionVariableCancelSleep();
      return issued;
    }
    if (decision.verdict == Verdict::end) report_refusal(GrantState::exhausted);
    if (decision.verdict == Verdict::not_held && decision.grant_state != GrantState::acquiring) {
      report_refusal(decision.grant_state);
    }
    if (monotonic_ns() >= waiting.deadline) report_max_wait(decision);
    wait_for_room(decision, waiting, column);
  }
}

}  // namespace

pg_noinline Issued issue_slowly(Stream stream, Want want) {
  return attempt_slowly(stream.column, [&](bool waited) {
    Issued issued = try_issue_here(stream, want);
    // Who has waited and finds the room of long requests taken again, by single
    // callers, takes a few IDs as one of them: or he would wait for ever. So few that
    // hundreds may do so at once. A long whole run can't be had that way: it would
    // take what single callers are to find.
    if (waited && !want.whole && issued.decision.verdict == Verdict::lead) {
      const std::uint64_t few = std::max<std::uint64_t>(issue_layout.short_run() / 4, 1);
      issued = try_issue_here(stream, {.n = std::min(want.n, few)});
    }
    return issued;
  });
}

void start_scope_slowly(ScopeStart &start) {
  attempt_slowly(SharedState::kDefaultColumn, [&](bool /*waited*/) {
    Issued issued = {{.verdict = Verdict::issued}, Block(issue_layout, Grant{})};
    LWLockAcquire(scopes_lock, LW_EXCLUSIVE);
    if (ScopePlace *place = start.free_place()) {
      const std::uint64_t owner = shared->owners + 1;
      issued = start_scope_word(place->word, owner,
                                {shared->high_water, shared->grant, shared->clock_offset},
                                issue_layout, max_lead_ticks, monotonic_ns);
      if (issued.decision.verdict == Verdict::issued) {
        shared->owners = owner;
        start.started(*place);
      }
    }
    LWLockRelease(scopes_lock);
    return issued;
  });
}

void report_not_preloaded() {
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("idgen is not preloaded, so this server cannot issue IDs"),
                  errhint("Add \"shared_preload_libraries = 'idgen'\" to postgresql.conf and "
                          "restart the server. Decoding works without.")));
  pg_unreachable();
}

void require_worker() {
  if (shared == nullptr) report_not_preloaded();
  if (!IsUnderPostmaster) report_single_user();
  if (no_worker_slot) report_no_slot();
}

void report_no_node() {
  const GrantState state = current_state();
  const bool waits = state == GrantState::active || state == GrantState::acquiring;
  report_refusal(waits ? GrantState::fenced : state);
}

// False as well if there is no record.
static bool record_has_the_layout() {
  const RecordedLayout recorded = read_recorded_layout();
  return recorded.layout.view() == to_text(instance_layout).view() &&
         recorded.epoch.view() == epoch_to_text(instance_layout.epoch_us).view();
}

void require_layout_matches_record() {
  // Single-user mode has no worker that would read the record.
  if (shared == nullptr || !IsUnderPostmaster) return;
  if (no_worker_slot) report_no_slot();
  // Right after a start the worker may not have read the record yet.
  const std::int64_t deadline = monotonic_ns() + ms_to_ns(max_wait);
  ConditionVariablePrepareToSleep(&shared->grant_changed);
  while (current_state() == GrantState::acquiring && monotonic_ns() < deadline) {
    sleep_on_grant(max_wait, node_wait_event());
  }
  ConditionVariableCancelSleep();
  switch (const GrantState state = current_state()) {
    case GrantState::active:
    case GrantState::exhausted:
      return;
    case GrantState::acquiring:
      report_max_wait({}, "could not compare the layout with the record's");
    case GrantState::fenced:
    case GrantState::drained:
      // Without a node, but what it would be used with is known. An instance that
      // is drained may never have compared its settings, or found them different.
      if (record_has_the_layout()) return;
      report_refusal(state);
    default:
      report_refusal(state);
  }
}

}  // namespace idgen::pg
