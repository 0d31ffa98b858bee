// The worker's loop. Deciding is the core's (the keeper); this file samples the
// clocks, carries out what the keeper says, in its order, talks to the registry,
// and tells the log and the views.

#include "pg/worker.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/keeper.h"
#include "pg/clocks.h"
#include "pg/door.h"
#include "pg/injection.h"
#include "pg/settings.h"
#include "pg/shmem.h"
#include "registry/local_registry.h"

#pragma GCC visibility push(default)
extern "C" void idgen_worker_main(Datum arg);
#pragma GCC visibility pop

namespace idgen::pg {
namespace {

constexpr char kRecordDirectory[] = "idgen";  // below the data directory, where we are
constexpr int kRestartSeconds = 1;
constexpr int kShortestSleepMs = 1;
constexpr std::int64_t kKernelIntervalNs = 1'000'000'000;
constexpr std::int64_t kEndWarningUs = std::int64_t{2} * 365 * 86400 * 1000000;
constexpr std::int64_t kEndWarningIntervalNs = std::int64_t{86400} * 1000000000;

std::int64_t unix_now_us() {
  return realtime_ns() / 1000;
}

class Worker {
 public:
  explicit Worker(std::uint64_t system)
      : store_(kRecordDirectory),
        registry_(store_, instance_layout, LocalHost::here(system)),
        keeper_(issue_layout, shared->incarnation, shared->started_ns) {}

  void start();
  // One turn; returns how long to sleep, milliseconds.
  long turn();
  void reload() { keeper_.reload(); }

 private:
  ClockSample sample();
  void carry_out(const Turn &turn);
  void obey();
  void set_grant(std::uint64_t word);
  void tell(const ClockEvent &event);
  void note_reply();
  void note_error(const char *message, const char *recorded_layout);
  void clear_error();
  void save();
  void warn_of_end(std::int64_t now);

  RecordFile store_;
  LocalRegistry registry_;
  Keeper keeper_;
  RegistryReply reply_;
  KernelClock kernel_;
  ClockTrouble told_trouble_ = ClockTrouble::none;
  std::int64_t next_kernel_ = 0;
  std::int64_t next_end_warning_ = 0;
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
  if (!shared->has_keeper) return;
  keeper_ = shared->keeper;
  keeper_.resume(unpack(issue_layout, shared->grant.load(std::memory_order_relaxed)),
                 shared->clock_offset.load(std::memory_order_relaxed));
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
        raise_word(shared->last, step.value);
        break;
      case WordStep::Kind::set_back:
        shared->last.store(step.value, std::memory_order_release);
        break;
      case WordStep::Kind::offset:
        shared->clock_offset.store(static_cast<std::int64_t>(step.value),
                                   std::memory_order_release);
        break;
    }
    pause_worker(step.kind);
  }
  save();
  for (const ClockEvent &event : turn.events) tell(event);
  if (turn.asks) registry_.begin(turn.ask);
}

// For the views, and for the worker that may come after this one.
void Worker::save() {
  LWLockAcquire(info_lock, LW_EXCLUSIVE);
  shared->info.pid = MyProcPid;
  shared->info.process = proc_number();
  shared->info.trouble = keeper_.trouble();
  shared->info.max_error_us = kernel_.max_error_us;
  shared->keeper = keeper_;
  shared->has_keeper = true;
  LWLockRelease(info_lock);
}

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

// Into the ring and the log.
void Worker::tell(const ClockEvent &event) {
  LWLockAcquire(info_lock, LW_EXCLUSIVE);
  EventRing &ring = shared->events;
  ring.events[ring.count % EventRing::kSize] = {unix_now_us(), event};
  ++ring.count;
  LWLockRelease(info_lock);
  if (event.kind == ClockEventKind::started) return;
  ereport(is_alarming(event.kind) ? WARNING : LOG,
          (errmsg("idgen: %s", log_of(event)),
           errdetail("Issuing time is %s %s the wall clock; the clock's state is %s.",
                     span_text(event.skew).text, event.skew < 0 ? "behind" : "ahead of",
                     name_of(event.state))));
}

void Worker::note_error(const char *message, const char *recorded_layout) {
  const bool news = strncmp(shared->info.error, message, sizeof(shared->info.error) - 1) != 0;
  LWLockAcquire(info_lock, LW_EXCLUSIVE);
  shared->info.error_at_us = unix_now_us();
  strlcpy(shared->info.error, message, sizeof(shared->info.error));
  strlcpy(shared->info.recorded_layout, recorded_layout, sizeof(shared->info.recorded_layout));
  LWLockRelease(info_lock);
  if (news) ereport(LOG, (errmsg("idgen: %s", message)));
}

void Worker::clear_error() {
  if (shared->info.error[0] == '\0') return;
  LWLockAcquire(info_lock, LW_EXCLUSIVE);
  shared->info.error[0] = '\0';
  LWLockRelease(info_lock);
}

// What came of a request, for the log and the views.
void Worker::note_reply() {
  if (reply_.outcome != RegistryOutcome::done) {
    if (reply_.ask == RegistryAsk::resume) {
      ereport(LOG, (errmsg("idgen: the node is acquired anew: %s", reply_.message.c_str())));
      return;
    }
    note_error(("the registry request failed: " + reply_.message).c_str(),
               reply_.recorded_layout.c_str());
    return;
  }
  // The refusal of a pinned node stays to be seen for as long as it is pinned.
  if (reply_.ask != RegistryAsk::look && !keeper_.pinned_elsewhere(keeper_policy())) clear_error();
  if (reply_.ask != RegistryAsk::acquire) return;
  LWLockAcquire(info_lock, LW_EXCLUSIVE);
  shared->info.floor = reply_.floor;
  LWLockRelease(info_lock);
  ereport(LOG,
          (errmsg("idgen: holds node %u, IDs from %s on", reply_.node,
                  epoch_to_text(tick_start_us(instance_layout, reply_.floor)).text),
           reply_.message.empty() ? 0 : errdetail("The registry: %s.", reply_.message.c_str())));
}

// The clock breaker's reason, as the last error.
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

// Once a day, from two years before.
void Worker::warn_of_end(std::int64_t now) {
  if (now < next_end_warning_ || keeper_.grant().state != GrantState::active) return;
  const std::int64_t end_us = instance_layout.end_us();
  if (end_us - tick_start_us(instance_layout, keeper_.issuing_tick(now)) >= kEndWarningUs) return;
  next_end_warning_ = now + kEndWarningIntervalNs;
  ereport(WARNING,
          (errmsg("idgen: the time field of the layout ends at %s", epoch_to_text(end_us).text),
           errdetail("No ID can be issued after that.")));
}

// Commands of operators.
void Worker::obey() {
  const auto answer = [](Command &command, auto &&act) {
    const std::uint64_t asked = command.asked.load(std::memory_order_acquire);
    if (asked == command.answered.load(std::memory_order_relaxed)) return;
    command.result.store(act(), std::memory_order_relaxed);
    command.answered.store(asked, std::memory_order_release);
    ConditionVariableBroadcast(&shared->grant_changed);
  };
  answer(shared->accept_clock, [&] {
    Turn turn;
    const bool accepted = keeper_.accept_clock(sample(), turn);
    carry_out(turn);
    return accepted;
  });
  answer(shared->confirm_copy, [&] { return keeper_.confirm_copy(sample(), keeper_policy()); });
}

long Worker::turn() {
  fail_worker_if_told();
  obey();
  const KeeperPolicy policy = keeper_policy();
  Turn turn = keeper_.turn(sample(), policy);
  carry_out(turn);
  while (keeper_.waiting() && registry_.poll(reply_)) {
    turn = keeper_.answer(reply_, sample(), policy);
    note_reply();
    carry_out(turn);
  }
  if (keeper_.trouble() != told_trouble_) {
    told_trouble_ = keeper_.trouble();
    const char *why = describe(told_trouble_, keeper_.clock());
    if (why != nullptr) note_error(why, "");
  }
  const std::int64_t now = monotonic_ns();
  warn_of_end(now);
  return std::clamp<long>(static_cast<long>((turn.wake_at - now) / 1'000'000),
                          std::min(kShortestSleepMs, clock_interval), clock_interval);
}

void leave(int, Datum) {
  LWLockAcquire(info_lock, LW_EXCLUSIVE);
  shared->info.pid = 0;
  LWLockRelease(info_lock);
}

}  // namespace

void register_worker() {
  if (IsBinaryUpgrade) return;
  BackgroundWorker worker = {};
  worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
  worker.bgw_start_time = BgWorkerStart_PostmasterStart;
  worker.bgw_restart_time = kRestartSeconds;
  strlcpy(worker.bgw_name, "idgen worker", sizeof(worker.bgw_name));
  strlcpy(worker.bgw_type, "idgen worker", sizeof(worker.bgw_type));
  strlcpy(worker.bgw_library_name, "idgen", sizeof(worker.bgw_library_name));
  strlcpy(worker.bgw_function_name, "idgen_worker_main", sizeof(worker.bgw_function_name));
  RegisterBackgroundWorker(&worker);
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
  long sleep_ms = 0;
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
      worker->reload();
    }
    check(guarded([&] { sleep_ms = worker->turn(); }));
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, sleep_ms,
                    worker_wait_event());
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
  }
  // Exit code 0 would unregister the worker for good.
  proc_exit(1);
}
