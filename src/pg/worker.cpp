// The worker's loop. Deciding is the core's (the keeper); this file samples the
// clocks, carries out what the keeper says, in its order, talks to the registry,
// and tells the log and the views.

#include "pg/worker.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/event_limit.h"
#include "core/keeper.h"
#include "pg/clocks.h"
#include "pg/door.h"
#include "pg/injection.h"
#include "pg/mailbox.h"
#include "pg/registry_link.h"
#include "pg/scopes.h"
#include "pg/settings.h"
#include "pg/shmem.h"
#include "pg/statistics.h"
#include "pg/worker_report.h"

#pragma GCC visibility push(default)
extern "C" void idgen_worker_main(Datum arg);
#pragma GCC visibility pop

namespace idgen::pg {
namespace {

constexpr char kWorkerName[] = "idgen worker";
constexpr int kRestartSeconds = 1;
constexpr int kShortestSleepMs = 1;
constexpr int kProbeSleepMs = 20;  // while another registry is asked whether it answers
constexpr std::int64_t kLeaveNs = 500'000'000;
constexpr std::int64_t kKernelIntervalNs = 1'000'000'000;
constexpr std::int64_t kEndWarningUs = std::int64_t{2} * 365 * 86400 * 1000000;
constexpr std::int64_t kEndWarningIntervalNs = std::int64_t{86400} * 1000000000;
constexpr std::int64_t kLookPauseNs = std::int64_t{60} * 1000000000;
constexpr std::int64_t kWarnedPauseNs = std::int64_t{3600} * 1000000000;

class Worker {
 public:
  explicit Worker(std::uint64_t system)
      : link_(system), keeper_(issue_layout, shared->incarnation, shared->started_ns) {}

  void start();
  // One turn; returns what to wait for.
  Wait turn();
  void reload();
  // The server shuts down: lets go of a fleet's node, so that it is free at once.
  void leave();

 private:
  ClockSample sample();
  void carry_out(const Turn &turn);
  void observe();
  void tell_observers();
  void obey();
  bool obey(const Mailbox::Call &call);
  bool ask_registry(const Mailbox::Call &call);
  void finish_call();
  void look_at_fleet(std::int64_t now);
  void finish_look();
  void consider_candidate();
  void tell_candidate(const std::string &why);
  void go_over();
  bool poll();
  void set_grant(std::uint64_t word);
  void note_reply();
  void save();
  bool is_behind_clock() const;
  static void note_turn();
  void tell_if_stopped();
  void warn_of_end(std::int64_t now);

  RegistryLink link_;
  Keeper keeper_;
  RegistryReply reply_;
  bool asks_for_operator_ = false;  // the request in flight is an operator's
  bool looks_ = false;              // it is of look_at_fleet()
  std::string warned_;              // of what the registry says, last
  std::string told_candidate_;      // of what keeps the candidate from being used, last
  std::int64_t asked_at_ = 0;       // when the last request of the keeper's was begun
  std::uint64_t observing_ = 0;     // of what was observed, the greatest tick plus one; 0: nothing
  bool was_behind_ = false;         // is_behind_clock(), at the last turn
  ClockEventLimit event_limit_;
  bool registry_fails_ = false;  // the last request for a node or its ceiling was not done
  UseWatch use_watch_;
  KernelClock kernel_;
  ClockTrouble told_trouble_ = ClockTrouble::none;
  bool told_stopped_ = false;  // that no IDs are issued
  std::int64_t next_kernel_ = 0;
  std::int64_t next_end_warning_ = 0;
  std::int64_t next_look_ = 0;
};

ClockSample Worker::sample() {
  ClockSample sample = sample_clocks();
  if (sample.monotonic >= next_kernel_) {
    kernel_ = read_kernel_clock();
    next_kernel_ = sample.monotonic + kKernelIntervalNs;
  }
  sample.kernel = kernel_.sync;
  return sample;
}

// Goes on after a worker that has ended, with its keeper and with the grant and
// the offset that backends use.
void Worker::start() {
  link_.open();
  report_registry(link_.name().c_str());
  report_caution(link_.caution());
  LWLockAcquire(info_lock, LW_EXCLUSIVE);
  shared->worker.started_us = unix_now_us();
  ++shared->worker.starts;
  LWLockRelease(info_lock);
  if (!shared->has_keeper) return;
  keeper_ = shared->keeper;
  keeper_.resume(unpack(issue_layout, shared->grant.load(std::memory_order_relaxed)),
                 shared->clock_offset.load(std::memory_order_relaxed));
}

// The settings have changed; the registry may be another one.
void Worker::reload() {
  if (link_.reload()) {
    keeper_.drop_candidate();
    told_candidate_.clear();
    clear_error();
  }
  keeper_.reload();
}

// Another registry is to be gone over to. With a node that is held only when it has
// answered, and one was taken there; without one as soon as it answers. `local` is
// gone over to by an instance of a fleet when an operator has said so.
void Worker::consider_candidate() {
  if (!link_.has_candidate()) return;
  const bool holds = keeper_.grant().state == GrantState::active;
  std::string why = link_.candidate_trouble();
  bool answers = false;
  if (link_.candidate_is_local() && keeper_.has_held() && !keeper_.confirmed_local()) {
    why =
        "the instance has leased its node from a fleet, which will hand it to others; call "
        "snowflake_confirm_local() if the instance has left that fleet for good";
  } else if (!keeper_.asks_candidate()) {
    answers = link_.candidate_answers(monotonic_ns());
    why = link_.candidate_trouble();
  }
  tell_candidate(why);
  if (!answers) return;
  if (holds) {
    keeper_.set_candidate();
  } else if (!keeper_.waiting() && (!keeper_.releasing() || keeper_.cut_off())) {
    go_over();
    Turn turn;
    keeper_.change_registry(turn);
    carry_out(turn);
  }
}

// Once for each reason.
void Worker::tell_candidate(const std::string &why) {
  if (why.empty() || why == told_candidate_) return;
  told_candidate_ = why;
  report_error(("idgen.registry was changed, and the new one cannot be used yet: " + why).c_str());
  ereport(WARNING, (errmsg("idgen: idgen.registry was changed, and the new one cannot be used yet"),
                    errdetail("The instance stays with registry \"%s\". The reason: %s.",
                              link_.name().c_str(), why.c_str()),
                    errhint("If the setting is wrong, correct it and reload the configuration. The "
                            "switch is made as soon as the new registry can be used; after a "
                            "restart only the new setting counts.")));
}

// The candidate is the registry from now on.
void Worker::go_over() {
  if (asks_for_operator_) answer_call(false, "the setting idgen.registry was changed");
  asks_for_operator_ = looks_ = false;
  link_.promote();
  outdate_fleet();
  told_candidate_.clear();
  report_registry(link_.name().c_str());
  report_caution(link_.caution());
  report_space({});
  clear_error();
  ereport(LOG, (errmsg("idgen: the registry is now \"%s\"", link_.name().c_str())));
}

// Every change of the grant ends here. Waiters look again.
void Worker::set_grant(std::uint64_t word) {
  const std::uint64_t old = shared->grant.load(std::memory_order_relaxed);
  shared->grant.store(word, std::memory_order_release);
  if (unpack(issue_layout, old).state != unpack(issue_layout, word).state) {
    LWLockAcquire(info_lock, LW_EXCLUSIVE);
    shared->info.state_since_us = unix_now_us();
    LWLockRelease(info_lock);
  }
  ConditionVariableBroadcast(&shared->grant_changed);
}

void Worker::carry_out(const Turn &turn) {
  for (const WordStep &step : turn.words) {
    switch (step.kind) {
      case WordStep::Kind::withdraw:
      case WordStep::Kind::publish:
        set_grant(step.value);
        break;
      case WordStep::Kind::raise:
        raise_words(step.value);
        break;
      case WordStep::Kind::set_back:
        set_back_words(step.value);
        break;
      case WordStep::Kind::offset:
        shared->clock_offset.store(static_cast<std::int64_t>(step.value),
                                   std::memory_order_release);
        break;
    }
    pause_worker(step.kind);
  }
  save();
  for (const ClockEvent &event : turn.events) {
    if (event_limit_.admits(event, monotonic_ns())) report_event(event, event_limit_.left_out());
  }
  if (turn.asks) {
    asked_at_ = monotonic_ns();
    (turn.to_candidate ? link_.candidate() : link_.registry()).begin(turn.ask);
  }
}

// For the views, and for the worker that may come after this one.
void Worker::save() {
  LWLockAcquire(info_lock, LW_EXCLUSIVE);
  shared->info.pid = MyProcPid;
  shared->info.process = proc_number();
  shared->info.trouble = keeper_.trouble();
  shared->info.max_error_us = kernel_.max_error_us;
  ++shared->worker.turns;
  const Keeper::Moves moves = shared->keeper.moves();
  const bool released = shared->keeper.releasing() && !keeper_.releasing();
  shared->keeper = keeper_;
  shared->has_keeper = true;
  LWLockRelease(info_lock);
  // What operators' functions wait for, besides the grant. The clock is come to when its
  // offset has been stored, which is before this.
  const bool behind = is_behind_clock();
  const bool came = std::exchange(was_behind_, behind) && !behind;
  if (released || came || keeper_.moves().ended != moves.ended) {
    ConditionVariableBroadcast(&shared->grant_changed);
  }
}

// What is issued by is not yet where the clock is: the ceiling comes first.
bool Worker::is_behind_clock() const {
  return shared->clock_offset.load(std::memory_order_relaxed) <
         keeper_.clock().offset() - Clock::kNoise;
}

// Where issuing time is, as callers see it.
std::uint64_t issued_tick() {
  return issue_layout.tick_of(monotonic_ns() +
                              shared->clock_offset.load(std::memory_order_relaxed));
}

// Calls fail from now on, or do no longer. While the registry fails (the disk under the own
// record, say), they do so as soon as there is no node, or no room below the ceiling.
void Worker::tell_if_stopped() {
  const Grant grant = unpack(issue_layout, shared->grant.load(std::memory_order_relaxed));
  const GrantState state = grant.state;
  const bool stopped =
      state == GrantState::fenced || state == GrantState::breaker ||
      state == GrantState::mismatch || state == GrantState::exhausted ||
      (registry_fails_ && (state == GrantState::acquiring ||
                           (state == GrantState::active && issued_tick() >= grant.ceiling)));
  if (stopped == told_stopped_) return;
  told_stopped_ = stopped;
  report_stopped(stopped, state == GrantState::active);
}

// The end of a turn shows: a worker that hangs has none.
void Worker::note_turn() {
  LWLockAcquire(info_lock, LW_EXCLUSIVE);
  shared->worker.last_turn_us = unix_now_us();
  LWLockRelease(info_lock);
}

// What came of a request, for the log and the views.
void Worker::note_reply() {
  count_request(reply_, monotonic_ns() - asked_at_);
  if (reply_.ask == RegistryAsk::acquire || reply_.ask == RegistryAsk::extend) {
    registry_fails_ = reply_.outcome != RegistryOutcome::done;
  }
  if (const std::string note = link_.take_note(); !note.empty()) {
    ereport(LOG, (errmsg("idgen: %s", note.c_str())));
  }
  if (reply_.ask == RegistryAsk::acquire || reply_.ask == RegistryAsk::release) outdate_fleet();
  if (const FleetView *fleet = link_.registry().fleet()) {
    if (!fleet->warning.empty() && fleet->warning != warned_) {
      ereport(WARNING, (errmsg("idgen: %s", fleet->warning.c_str())));
    }
    warned_ = fleet->warning;
  }
  if (reply_.outcome != RegistryOutcome::done) {
    // Without an answer it is asked again.
    if (reply_.ask == RegistryAsk::resume && reply_.outcome != RegistryOutcome::unreachable) {
      ereport(LOG, (errmsg("idgen: the node is acquired again: %s", reply_.message.c_str())));
      return;
    }
    if (reply_.ask == RegistryAsk::release) {
      ereport(LOG, (errmsg("idgen: a node that was left could not be released: %s",
                           reply_.message.c_str())));
      return;
    }
    const char *what = reply_.outcome == RegistryOutcome::lost ? "the node was lost: "
                                                               : "the registry request failed: ";
    if (!reply_.recorded_layout.empty()) {
      report_layout(reply_.recorded_layout.c_str(), reply_.fleet_disagrees);
    }
    report_error((what + reply_.message).c_str());
    return;
  }
  // The refusal of a pinned node stays to be seen for as long as it is pinned.
  const bool tells = reply_.ask == RegistryAsk::acquire || reply_.ask == RegistryAsk::extend;
  if (tells && !keeper_.pinned_elsewhere(keeper_policy()) && told_candidate_.empty()) clear_error();
  if (reply_.ask != RegistryAsk::acquire) return;
  LWLockAcquire(info_lock, LW_EXCLUSIVE);
  shared->info.floor = reply_.floor;
  LWLockRelease(info_lock);
  ereport(LOG,
          (errmsg("idgen: holds node %u, IDs from %s on", reply_.node,
                  epoch_to_text(tick_start_us(instance_layout, reply_.floor)).text),
           reply_.message.empty() ? 0 : errdetail("The registry: %s.", reply_.message.c_str())));
}

// Once a day, from two years before.
void Worker::warn_of_end(std::int64_t now) {
  if (now < next_end_warning_ || keeper_.grant().state != GrantState::active) return;
  const std::int64_t end_us = tick_start_us(instance_layout, issue_layout.max_ceiling());
  if (end_us - tick_start_us(instance_layout, keeper_.issuing_tick(now)) >= kEndWarningUs) return;
  next_end_warning_ = now + kEndWarningIntervalNs;
  ereport(WARNING,
          (errmsg("idgen: the time field of the layout ends at %s", epoch_to_text(end_us).text),
           errdetail("No ID can be issued after that.")));
}

// What backends have seen of others' IDs. One that is too far ahead is not taken in;
// who has seen it finds that out from the bound, which is stored with the turn.
void Worker::observe() {
  const std::uint64_t seen = shared->observed.exchange(0, std::memory_order_acq_rel);
  if (seen == 0) return;
  keeper_.observe(seen - 1, sample(), keeper_policy());
  observing_ = std::max(observing_, seen);
}

// They wait for issuing time to be beyond it, or for the bound to be below it.
void Worker::tell_observers() {
  if (observing_ == 0) return;
  const std::int64_t now = monotonic_ns();
  const std::int64_t passed = Keeper::passed_at(issue_layout, observing_ - 1);
  const bool is_passed = now + shared->clock_offset.load(std::memory_order_relaxed) >= passed;
  const bool is_ignored = now + shared->observe_offset.load(std::memory_order_relaxed) < passed;
  if (!is_passed && !is_ignored) return;
  observing_ = 0;
  ConditionVariableBroadcast(&shared->grant_changed);
}

// What operators have asked for, in their order.
void Worker::obey() {
  Mailbox::Call call;
  while (!asks_for_operator_ && next_call(call)) {
    if (!obey(call)) return;
  }
}

// False if it has to wait.
bool Worker::obey(const Mailbox::Call &call) {
  switch (call.ask) {
    case Ask::accept_clock: {
      Turn turn;
      const bool accepted = keeper_.accept_clock(sample(), turn);
      carry_out(turn);
      answer_call(accepted);
      return true;
    }
    case Ask::confirm_copy:
      answer_call(keeper_.confirm_copy(sample(), keeper_policy()));
      return true;
    case Ask::confirm_local:
      answer_call(keeper_.confirm_local(link_.has_candidate() && link_.candidate_is_local()));
      return true;
    case Ask::rotate:
      answer_call(keeper_.rotate());
      return true;
    case Ask::drain:
    case Ask::undrain: {
      const bool drains = call.ask == Ask::drain;
      const bool news = keeper_.drained_by_operator() != drains;
      if (drains) {
        keeper_.drain();
      } else {
        keeper_.undrain();
      }
      // What callers see changes with the answer.
      carry_out(keeper_.turn(sample(), keeper_policy()));
      answer_call(news);
      return true;
    }
    default:
      return ask_registry(call);
  }
}

bool Worker::ask_registry(const Mailbox::Call &call) {
  if (!keeper_.begin_other()) return false;
  const bool raises = call.ask == Ask::raise || call.ask == Ask::force;
  const RegistryAsk ask = call.ask == Ask::list ? RegistryAsk::list
                          : raises              ? RegistryAsk::raise
                                                : RegistryAsk::retire;
  RegistryRequest request = keeper_.request(ask, sample(), keeper_policy());
  request.retired = call.ask == Ask::retire;
  request.force = call.ask == Ask::force;
  if (raises) request.ceiling = static_cast<std::uint64_t>(call.argument);
  if (ask == RegistryAsk::retire) request.node = static_cast<std::uint32_t>(call.argument);
  link_.registry().begin(request);
  asks_for_operator_ = true;
  return true;
}

// A table of nodes that has grown shows in the answers to renewals, and why in a read. What
// there is to warn of is told with the next reply.
void Worker::look_at_fleet(std::int64_t now) {
  if (now < next_look_ || !link_.registry().crowded() || !keeper_.begin_other()) return;
  next_look_ = now + kLookPauseNs;
  link_.registry().begin(keeper_.request(RegistryAsk::list, sample(), keeper_policy()));
  looks_ = true;
}

void Worker::finish_look() {
  looks_ = false;
  keeper_.end_other();
  if (reply_.outcome != RegistryOutcome::done) return;
  const FleetView &fleet = *link_.registry().fleet();
  report_fleet(fleet);
  if (!fleet.warning.empty()) next_look_ = monotonic_ns() + kWarnedPauseNs;
}

// An operator's request of the registry has its reply.
void Worker::finish_call() {
  asks_for_operator_ = false;
  keeper_.end_other();
  outdate_fleet();
  if (reply_.outcome != RegistryOutcome::done) {
    if (reply_.ask == RegistryAsk::list) report_no_fleet();
    answer_call(false, reply_.message.c_str());
    return;
  }
  if (reply_.ask == RegistryAsk::list) report_fleet(*link_.registry().fleet());
  if (reply_.ask == RegistryAsk::raise) {
    ereport(LOG, (errmsg("idgen: the ceilings of the fleet were raised by an operator")));
  }
  answer_call(true);
}

// True when the request in flight has its reply, wherever it was sent.
bool Worker::poll() {
  return (keeper_.asks_candidate() ? link_.candidate() : link_.registry()).poll(reply_);
}

Wait Worker::turn() {
  fail_worker_if_told();
  obey();
  observe();
  consider_candidate();
  const KeeperPolicy policy = keeper_policy();
  Turn turn = keeper_.turn(sample(), policy);
  carry_out(turn);
  look_at_fleet(monotonic_ns());
  while (keeper_.waiting() && poll()) {
    if (looks_) {
      finish_look();
      turn = keeper_.turn(sample(), policy);
    } else if (asks_for_operator_) {
      finish_call();
      turn = keeper_.turn(sample(), policy);
    } else if (keeper_.asks_candidate() && reply_.outcome != RegistryOutcome::done) {
      // The node that is held goes on, and so do its errors.
      if (reply_.outcome == RegistryOutcome::unreachable) link_.doubt_candidate(reply_.message);
      tell_candidate(reply_.message);
      turn = keeper_.answer(reply_, sample(), policy);
    } else {
      if (keeper_.asks_candidate()) go_over();
      turn = keeper_.answer(reply_, sample(), policy);
      note_reply();
    }
    carry_out(turn);
  }
  if (keeper_.trouble() != told_trouble_) {
    told_trouble_ = keeper_.trouble();
    const char *why = describe(told_trouble_, keeper_.clock());
    if (why != nullptr) report_error(why);
  }
  tell_if_stopped();
  shared->observe_offset.store(keeper_.observe_offset(policy), std::memory_order_release);
  tell_observers();
  const std::int64_t now = monotonic_ns();
  warn_of_end(now);
  use_watch_.look(now);
  if (const std::vector<StoreSpace> *space = link_.tend()) report_space(*space);
  note_turn();
  idgen::Wait wait;
  if (keeper_.waiting()) {
    wait = (keeper_.asks_candidate() ? link_.candidate() : link_.registry()).waits_for();
  }
  const bool sooner = wait.until == 0 || turn.wake_at < wait.until;
  if (sooner) wait.until = turn.wake_at;
  const std::int64_t shortest = ms_to_ns(std::min(kShortestSleepMs, clock_interval));
  const int longest =
      link_.has_candidate() ? std::min(kProbeSleepMs, clock_interval) : clock_interval;
  wait.until = std::clamp(wait.until, now + shortest, now + ms_to_ns(longest));
  return wait;
}

// The last line of the postmaster's pid file says so, before anybody is told to
// stop. A worker that is stopped alone lets go of nothing: it comes back.
bool server_shuts_down() {
  char text[MAXPGPATH * 2] = {};
  FILE *file = fopen("postmaster.pid", "r");
  if (file == nullptr) return false;
  const size_t length = fread(text, 1, sizeof(text) - 1, file);
  fclose(file);
  return std::string_view(text, length).find("\nstopping") != std::string_view::npos;
}

void Worker::leave() {
  const bool held = keeper_.grant().state == GrantState::active;
  if (!held || link_.is_local() || !server_shuts_down()) return;
  const std::int64_t deadline = monotonic_ns() + kLeaveNs;
  keeper_.drain();
  do {
    const Wait wait = turn();
    if (!keeper_.waiting() && !keeper_.releasing()) break;
    pg_usleep(std::clamp<long>(static_cast<long>((wait.until - monotonic_ns()) / 1000), 1, 1000));
  } while (monotonic_ns() < deadline);
}

void leave(int, Datum) {
  LWLockAcquire(info_lock, LW_EXCLUSIVE);
  shared->info.pid = 0;
  LWLockRelease(info_lock);
}

}  // namespace

bool no_worker_slot = false;

void register_worker() {
  if (IsBinaryUpgrade) return;
  BackgroundWorker worker = {};
  worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
  worker.bgw_start_time = BgWorkerStart_PostmasterStart;
  worker.bgw_restart_time = kRestartSeconds;
  strlcpy(worker.bgw_name, kWorkerName, sizeof(worker.bgw_name));
  strlcpy(worker.bgw_type, "idgen worker", sizeof(worker.bgw_type));
  strlcpy(worker.bgw_library_name, "idgen", sizeof(worker.bgw_library_name));
  strlcpy(worker.bgw_function_name, "idgen_worker_main", sizeof(worker.bgw_function_name));
  RegisterBackgroundWorker(&worker);
  no_worker_slot = !has_worker_slot(kWorkerName);
  if (!no_worker_slot) return;
  ereport(WARNING,
          (errmsg("idgen: there is no slot for the worker, so this server will issue no IDs"),
           errdetail("max_worker_processes is %d.", max_worker_processes),
           errhint("Raise max_worker_processes and restart the server.")));
}

}  // namespace idgen::pg

using namespace idgen::pg;

void idgen_worker_main(Datum) {
  pqsignal(SIGHUP, SignalHandlerForConfigReload);
  pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
  BackgroundWorkerUnblockSignals();
  before_shmem_exit(leave, 0);

  const std::uint64_t system = GetSystemIdentifier();
  Worker *worker = nullptr;
  idgen::Wait wait;
  const auto check = [](const Outcome &outcome) {
    // A fresh process with fresh memory has the best chance.
    if (!outcome.ok) ereport(FATAL, (errmsg("idgen: worker failed: %s", outcome.message)));
  };
  check(guarded([&] {
    worker = new Worker(system);
    worker->start();
  }));
  while (!ShutdownRequestPending) {
    if (ConfigReloadPending) {
      ConfigReloadPending = false;
      ProcessConfigFile(PGC_SIGHUP);
      check(guarded([&] { worker->reload(); }));
    }
    check(guarded([&] { wait = worker->turn(); }));
    const long sleep_ms = static_cast<long>((wait.until - monotonic_ns() + 999'999) / 1'000'000);
    int events = WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH;
    if (wait.descriptor >= 0) events |= wait.for_writing ? WL_SOCKET_WRITEABLE : WL_SOCKET_READABLE;
    (void)WaitLatchOrSocket(MyLatch, events, wait.descriptor, std::max(sleep_ms, 0L),
                            worker_wait_event());
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
  }
  check(guarded([&] { worker->leave(); }));
  // Exit code 0 would unregister the worker for good.
  proc_exit(1);
}
