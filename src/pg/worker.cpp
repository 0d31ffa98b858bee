// The worker's loop. Deciding is the core's (clock, lease); this file samples,
// carries out and publishes.
//
//   U3  a ceiling is published only on the acknowledgement of its own durable
//       write: publish_*() take theirs from a reply that is `done`.
//   U7  on loss or doubt the grant is withdrawn first.

#include "pg/worker.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/clock.h"
#include "core/lease.h"
#include "pg/door.h"
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
constexpr int kShortestSleepMs = 10;
constexpr std::int64_t kEndWarningUs = std::int64_t{2} * 365 * 86400 * 1000000;
constexpr std::int64_t kEndWarningIntervalNs = std::int64_t{86400} * 1000000000;

std::int64_t unix_now_us() {
  return realtime_ns() / 1000;
}

class Worker {
 public:
  explicit Worker(std::uint64_t system)
      : registry_(kRecordDirectory, instance_layout, system),
        lease_(issue_layout, shared->started_ns) {}

  void start();
  // One turn; returns how long to sleep, milliseconds.
  long turn();
  void reload();

 private:
  ClockSample sample() const;
  std::uint64_t issuing_tick(std::int64_t now) const {
    return issue_layout.tick_of(now + clock_.offset());
  }
  void ask(const Lease::Step &step, const ClockSample &sample);
  void take_reply(const ClockSample &sample);
  void publish_acquired(const RegistryReply &reply, const ClockSample &sample);
  void publish_extended(const RegistryReply &reply);
  void publish_offset(const ClockSample &sample);
  void refuse(GrantState state);
  void withdraw(GrantState state);
  void set_grant(const Grant &grant);
  void note_failure(const RegistryReply &reply);
  void note_clock();
  void warn_of_end(std::int64_t now);
  // Does idgen.shard name another node than the one held?
  bool pinned_elsewhere() const {
    return shard >= 0 &&
           static_cast<std::uint64_t>(shard) != (grant().node & instance_layout.shard.max());
  }
  Grant grant() const {
    return unpack(issue_layout, shared->grant.load(std::memory_order_relaxed));
  }

  LocalRegistry registry_;
  Clock clock_;
  Lease lease_;
  RegistryReply reply_;
  bool moving_ = false;  // the node held is to be left for the pinned one
  std::int64_t next_end_warning_ = 0;
};

ClockSample Worker::sample() const {
  // The wall clock between two readings of the monotonic one: a worker that is
  // put to sleep in between would see a jump that isn't there.
  ClockSample best;
  std::int64_t best_gap = INT64_MAX;
  for (int attempt = 0; attempt < 3; ++attempt) {
    const std::int64_t before = monotonic_ns();
    const std::int64_t wall = realtime_ns();
    const std::int64_t after = monotonic_ns();
    if (after - before >= best_gap) continue;
    best_gap = after - before;
    best = {before + (after - before) / 2, wall - instance_layout.epoch_us * 1000};
  }
  return best;
}

// Every change of what backends read ends here. Waiters look again.
void Worker::set_grant(const Grant &grant) {
  const std::uint64_t word = pack(issue_layout, grant);
  const Grant old = this->grant();
  shared->grant.store(word, std::memory_order_release);
  if (old.state != grant.state) {
    LWLockAcquire(info_lock, LW_EXCLUSIVE);
    shared->info.state_since_us = unix_now_us();
    LWLockRelease(info_lock);
  }
  ConditionVariableBroadcast(&shared->grant_changed);
}

void Worker::withdraw(GrantState state) {
  Grant none = grant();
  none.state = state;
  set_grant(none);
}

// Issuing stops until something outside changes.
void Worker::refuse(GrantState state) {
  if (grant().state != state) withdraw(state);
  lease_.restart();
}

void Worker::start() {
  const ClockSample now = sample();
  const Grant held = grant();
  if (held.state != GrantState::active) {
    clock_.start(now, 0);
    return;
  }
  // A worker before us published this grant and ended; backends use it. Its
  // ceiling was acknowledged then, so it may stay; what we publish from here on
  // will have our own acknowledgement.
  clock_.resume(now, shared->clock_offset.load(std::memory_order_relaxed));
  RegistryRequest request;
  request.ask = RegistryAsk::resume;
  request.incarnation = shared->incarnation;
  request.node = held.node;
  request.ceiling = held.ceiling;
  registry_.begin(request);
  if (registry_.poll(reply_) && reply_.outcome == RegistryOutcome::done) {
    lease_.resume(held.ceiling);
    reload();  // idgen.shard may have changed while there was no worker
  } else {
    ereport(LOG, (errmsg("idgen: the node is acquired anew: %s", reply_.message.c_str())));
  }
}

// A pinned shard that isn't the one held is acquired; the old node's grant is
// good until then, and is kept if the pinned one can't be had.
void Worker::reload() {
  if (!lease_.held() || !pinned_elsewhere()) return;
  moving_ = true;
  lease_.restart();
}

void Worker::ask(const Lease::Step &step, const ClockSample &sample) {
  RegistryRequest request;
  request.incarnation = shared->incarnation;
  request.region = region;
  request.issuing_tick = issuing_tick(sample.monotonic);
  request.ticks = step.ticks;
  if (step.ask == Lease::Ask::acquire) {
    request.ask = RegistryAsk::acquire;
    request.shard = shard;
    // U5: the instance's own highest ceiling counts, whatever a record says.
    request.issuing_tick = std::max(request.issuing_tick, grant().ceiling);
  } else {
    request.ask = RegistryAsk::extend;
    request.ceiling = step.ceiling;
  }
  registry_.begin(request);
}

// The order is the proof's: withdraw the grant, raise the words, set the
// offset, publish the grant.
void Worker::publish_acquired(const RegistryReply &reply, const ClockSample &sample) {
  if (grant().state == GrantState::active) withdraw(GrantState::acquiring);
  const Grant fresh = {GrantState::active, 0, reply.node, reply.ceiling};
  raise_word(shared->last, Block(issue_layout, fresh).last_below(reply.floor));
  clock_.raise(sample.monotonic, static_cast<std::int64_t>(reply.floor) * issue_layout.tick_ns);
  shared->clock_offset.store(clock_.offset(), std::memory_order_release);
  set_grant(fresh);

  LWLockAcquire(info_lock, LW_EXCLUSIVE);
  shared->info.floor = reply.floor;
  LWLockRelease(info_lock);
  ereport(LOG, (errmsg("idgen: holds node %u, IDs from %s on", reply.node,
                       epoch_to_text(tick_start_us(instance_layout, reply.floor)).text),
                reply.message.empty() ? 0 : errdetail("The registry: %s.", reply.message.c_str())));
}

void Worker::publish_extended(const RegistryReply &reply) {
  Grant next = grant();
  next.ceiling = std::max(next.ceiling, reply.ceiling);
  set_grant(next);
}

void Worker::note_failure(const RegistryReply &reply) {
  const bool news =
      strncmp(shared->info.error, reply.message.c_str(), sizeof(shared->info.error) - 1) != 0;
  LWLockAcquire(info_lock, LW_EXCLUSIVE);
  shared->info.error_at_us = unix_now_us();
  strlcpy(shared->info.error, reply.message.c_str(), sizeof(shared->info.error));
  strlcpy(shared->info.recorded_layout, reply.recorded_layout.c_str(),
          sizeof(shared->info.recorded_layout));
  LWLockRelease(info_lock);
  if (news) ereport(LOG, (errmsg("idgen: the registry request failed: %s", reply.message.c_str())));
}

void Worker::take_reply(const ClockSample &sample) {
  if (reply_.outcome == RegistryOutcome::done) {
    lease_.acknowledged(reply_.ceiling);
    if (reply_.ask == RegistryAsk::acquire) {
      moving_ = false;
      publish_acquired(reply_, sample);
    } else {
      publish_extended(reply_);
    }
    // The refusal of a pinned node stays to be seen for as long as it is pinned.
    if (!pinned_elsewhere()) {
      LWLockAcquire(info_lock, LW_EXCLUSIVE);
      shared->info.error[0] = '\0';
      LWLockRelease(info_lock);
    }
    return;
  }
  lease_.failed(sample.monotonic);
  note_failure(reply_);
  if (reply_.outcome == RegistryOutcome::failed) return;  // asked again
  const bool only_moving = std::exchange(moving_, false) && grant().state == GrantState::active;
  if (reply_.outcome == RegistryOutcome::layout_mismatch) {
    refuse(GrantState::mismatch);
  } else if (reply_.outcome == RegistryOutcome::exhausted) {
    refuse(GrantState::exhausted);
  } else if (reply_.outcome == RegistryOutcome::refused) {
    // A grant that is held stays good up to its ceiling, and beyond that if
    // only a change of nodes was refused.
    if (only_moving) {
      lease_.resume(grant().ceiling);
    } else if (grant().state != GrantState::active ||
               issuing_tick(sample.monotonic) >= grant().ceiling) {
      refuse(GrantState::fenced);
    }
  }
}

// The offset is moved only as far as the ceiling allows: a wall clock that has
// jumped ahead of it is followed when the next ceiling has been acknowledged.
void Worker::publish_offset(const ClockSample &sample) {
  if (grant().state != GrantState::active) return;
  if (issuing_tick(sample.monotonic) >= grant().ceiling) return;
  if (shared->clock_offset.load(std::memory_order_relaxed) != clock_.offset()) {
    shared->clock_offset.store(clock_.offset(), std::memory_order_release);
  }
}

void Worker::note_clock() {
  if (shared->info.clock_state == clock_.state() && shared->info.clock_skew_ns == clock_.skew() &&
      shared->info.pid == MyProcPid) {
    return;
  }
  LWLockAcquire(info_lock, LW_EXCLUSIVE);
  shared->info.pid = MyProcPid;
  shared->info.clock_state = clock_.state();
  shared->info.clock_skew_ns = clock_.skew();
  LWLockRelease(info_lock);
}

// Once a day, from two years before.
void Worker::warn_of_end(std::int64_t now) {
  if (now < next_end_warning_ || grant().state != GrantState::active) return;
  const std::int64_t end_us = instance_layout.end_us();
  if (end_us - tick_start_us(instance_layout, issuing_tick(now)) >= kEndWarningUs) return;
  next_end_warning_ = now + kEndWarningIntervalNs;
  ereport(WARNING,
          (errmsg("idgen: the time field of the layout ends at %s", epoch_to_text(end_us).text),
           errdetail("No ID can be issued after that.")));
}

long Worker::turn() {
  const ClockSample now = sample();
  if (grant().state == GrantState::active) {
    clock_.sample(now, {ms_to_ns(max_clock_skew), ms_to_ns(clock_confirm)});
  } else {
    clock_.start(now, 0);  // nothing is issued by it yet: the next floor will raise it
  }
  note_clock();

  if (now.wall < 0 && !lease_.held()) {
    // Before the epoch there is no ID that a clock could stand for.
    RegistryReply reply;
    reply.message = std::string("the system's clock is before the epoch of the layout, ") +
                    epoch_to_text(instance_layout.epoch_us).text;
    if (grant().state != GrantState::breaker) note_failure(reply);
    refuse(GrantState::breaker);
    return clock_interval;
  }
  const Lease::Step step =
      lease_.next(now.monotonic, issuing_tick(now.monotonic), ms_to_ns(window));
  if (step.ask != Lease::Ask::nothing) ask(step, now);
  if (lease_.waiting() && registry_.poll(reply_)) take_reply(now);
  if (lease_.held() && lease_.ceiling() >= issue_layout.max_ceiling() &&
      issuing_tick(now.monotonic) >= issue_layout.max_ceiling()) {
    refuse(GrantState::exhausted);
  }
  publish_offset(now);
  warn_of_end(now.monotonic);

  if (grant().state == GrantState::exhausted) return clock_interval;
  const std::int64_t then = monotonic_ns();
  const std::int64_t wake = lease_.wake_at(then, issuing_tick(then), ms_to_ns(window));
  const std::int64_t until_ms = (wake - then) / 1000000;
  std::int64_t longest = clock_interval;
  if (clock_.state() == ClockState::holding) {
    longest = std::min(longest, Clock::kSlewInterval / 1000000);
  }
  return static_cast<long>(std::clamp<std::int64_t>(
      until_ms, std::min<std::int64_t>(kShortestSleepMs, longest), longest));
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
