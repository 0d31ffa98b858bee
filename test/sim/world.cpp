#include "world.h"

#include <algorithm>

namespace idgen::sim {

World::World(std::uint64_t seed, Mutant mutant, bool trace, const char *const *layouts,
             std::size_t n_layouts, const Span &span)
    : history_(seed, mutant, trace),
      random_(history_.random),
      now_(history_.now),
      layout_(parse_layout(layouts[random_.below(n_layouts)], 0).layout),
      issue_(IssueLayout::of(layout_)),
      span_(span) {
  policy_.window = random_.one_in(5) ? 300 * kSecond : random_.between(2, 20) * 100 * kMs;
  policy_.max_skew = random_.between(1, 10) * kSecond;
  policy_.confirm = random_.between(1, 6) * kSecond;
  policy_.on_rollback = static_cast<OnRollback>(random_.below(3));
  policy_.require_sync = random_.one_in(10);
  policy_.shard_mask = layout_.shard.max();
  if (issue_.tick_ns > kMs) see(Seen::coarse_ticks);
}

Instance &World::add_instance(std::int64_t start_at, std::uint64_t directory) {
  instances_.push_back(std::make_unique<Instance>(history_, directory));
  Instance &instance = *instances_.back();
  instance.number = static_cast<int>(instances_.size());
  instance.policy = policy_;
  if (is_mutant(Mutant::jumps_followed)) instance.policy.max_skew = 100'000'000 * kSecond;
  instance.start_at = start_at;
  instance.machine.booted = now_ - random_.between(1, 1000) * kSecond;
  instance.machine.boot = ++boots_;
  instance.ghost.born = now_;
  note_settings(instance);
  return instance;
}

Result World::run() {
  begin();
  next_chaos_ = now_ + random_.between(100, 1000) * kMs;
  Result &result = history_.result;
  std::uint64_t calm_since = 0;
  for (; !history_.has_failed(); ++result.events) {
    if (!history_.calm && (result.events >= span_.chaos || is_spent())) {
      calm_since = result.events;
      history_.calm = true;
      heal();
    }
    if (history_.calm) {
      if (all_is_well()) break;
      if (result.events >= calm_since + span_.calm) {
        fail(Broken::liveness, "faults have ended, and those that could issue don't:" + idle());
      }
    }
    step();
  }
  return std::move(result);
}

// Who hasn't issued, and why.
std::string World::idle() const {
  std::string who;
  for (const auto &instance : instances_) {
    if (instance->gone || instance->ghost.issued > 0) continue;
    who += " instance " + std::to_string(instance->number);
    if (!instance->keeper) continue;
    const Keeper &keeper = *instance->keeper;
    who += " (grant " + std::to_string(static_cast<int>(keeper.grant().state)) + ", clock " +
           std::to_string(static_cast<int>(keeper.clock().state())) + " ahead by " +
           std::to_string(keeper.clock().skew() / kMs) + " ms, \"" + instance->reply.message +
           "\")";
  }
  return who;
}

// Whoever is due first.
void World::step() {
  std::int64_t due = history_.calm ? INT64_MAX : next_chaos_;
  Instance *who = nullptr;
  Backend *backend = nullptr;
  const auto consider = [&](std::int64_t at, Instance *instance, Backend *which) {
    at = std::max(at, instance->frozen_until);
    if (at >= due) return;
    due = at;
    who = instance;
    backend = which;
  };
  for (const auto &instance : instances_) {
    if (instance->gone) continue;
    if (!instance->running) {
      consider(instance->start_at, instance.get(), nullptr);
      continue;
    }
    consider(instance->worker_next, instance.get(), nullptr);
    for (Backend &b : instance->backends) consider(b.next, instance.get(), &b);
  }
  const std::int64_t elsewhere = due_elsewhere();
  now_ = std::max(now_, std::min(due, elsewhere));
  if (elsewhere < due) {
    step_elsewhere();
  } else if (who == nullptr) {
    next_chaos_ = now_ + random_.between(20, 400) * kMs;
    chaos();
  } else if (!who->running) {
    start(*who);
  } else if (backend != nullptr) {
    step_backend(*who, *backend);
  } else {
    step_worker(*who);
  }
}

void World::heal() {
  for (const auto &instance : instances_) {
    instance->disk.fault = Fault::none;
    if (!instance->ghost.relies_on_clock) instance->machine.wall_offset = 0;
    instance->machine.kernel = KernelSync::synchronized;
    instance->frozen_until = 0;
    instance->ghost.issued = 0;
    if (!instance->running) instance->start_at = now_;
  }
}

// --- lives -------------------------------------------------------------------

void World::start(Instance &instance) {
  instance.running = true;
  instance.grant = 0;
  instance.offset = 0;
  instance.last = instance.observed = 0;
  instance.incarnation.words = {random_.next(), random_.next()};
  instance.disk.holder = instance.incarnation;
  instance.saved.reset();
  instance.backends = {};
  instance.steps.clear();
  instance.started = instance.machine.sample(now_).monotonic;
  if (random_.one_in(6)) instance.started -= 3600 * kSecond;  // as if it had run for an hour
  for (Backend &backend : instance.backends) backend.next = now_ + history_.soon();
  Ghost &ghost = instance.ghost;
  ghost.start_gain += ghost.window + ghost.unheard_gain;
  if (ghost.window > 0) ghost.window_before = ghost.window;
  ghost.window = ghost.slowest = ghost.unheard_gain = 0;
  ghost.evidence = {};
  ghost.has_published = ghost.raised = ghost.forgot_order = false;
  ghost.floors.clear();
  if (ghost.rotation_written) {
    ghost.returned = 0;
    ++ghost.rotations;
    ghost.rotation_written = false;
  }
  tell(instance, "server starts");
  on_start(instance);
  start_worker(instance);
}

void World::crash(Instance &instance, bool machine) {
  tell(instance, machine ? "machine crashes" : "server crashes");
  see(machine ? Seen::machine_crash : Seen::server_crash);
  if (!machine) on_end(instance);
  instance.running = false;
  close_registry(instance);
  instance.frozen_until = 0;
  instance.start_at = now_ + random_.between(10, 800) * kMs;
  if (!machine) return;
  const bool lost = instance.disk.lost;
  instance.disk.lose_cache();
  if (!lost && instance.disk.lost) see(Seen::lost_write);
  instance.machine.booted = now_;
  instance.machine.suspended = 0;
  instance.machine.boot = ++boots_;
}

void World::remove(Instance &instance) {
  instance.gone = true;
  instance.running = false;
  close_registry(instance);
}

void World::close_registry(Instance &instance) {
  instance.keeper.reset();
  instance.registry.reset();
  instance.store.reset();
  instance.steps.clear();
  instance.asks = instance.asks_for_operator = false;
  instance.request = Instance::Request::none;
}

void World::end_worker(Instance &instance) {
  tell(instance, "worker ends, steps left", instance.steps.size());
  see(instance.steps.empty() ? Seen::worker_ended : Seen::worker_ended_between_steps);
  on_worker_end(instance);
  close_registry(instance);
  instance.worker_next = now_ + random_.between(1, 1000) * kMs;
}

void World::start_worker(Instance &instance) {
  instance.registry = open_registry(instance);
  if (instance.saved) {
    Grant grant = unpack(issue_, instance.grant);
    // It can't know that what its predecessor wrote was never published.
    if (grant.state != GrantState::active) {
      instance.ghost.start_gain += instance.ghost.window;
    }
    on_resume(instance, grant);
    instance.keeper = std::make_unique<Keeper>(*instance.saved);
    instance.keeper->resume(grant, instance.offset);
  } else {
    const std::int64_t long_ago = is_mutant(Mutant::full_window_at_start) ? 3600 * kSecond : 0;
    instance.keeper =
        std::make_unique<Keeper>(issue_, instance.incarnation, instance.started - long_ago);
  }
  instance.worker_next = now_ + history_.soon();
}

// --- what may happen to any instance -------------------------------------------

void World::suspend(Instance &instance, std::int64_t longest) {
  const std::int64_t span = random_.between(1, longest) * kSecond;
  tell(instance, "suspended for ms", span / kMs);
  instance.machine.suspended += span;
  // Time passes for all; the others' actors are simply late.
  now_ += span;
  next_chaos_ += span;
  for (const auto &other : instances_) {
    if (other.get() == &instance) continue;
    other->ghost.slowest = std::max(other->ghost.slowest, span);
  }
  see(Seen::suspended);
}

void World::freeze(Instance &instance) {
  instance.frozen_until = now_ + random_.between(1, 50) * 100 * kMs;
  tell(instance, "frozen");
  see(Seen::frozen);
}

void World::change_disk(Instance &instance) {
  instance.disk.fault = random_.one_in(2) ? Fault::none : static_cast<Fault>(1 + random_.below(4));
  tell(instance, "disk fault", static_cast<int>(instance.disk.fault));
  if (instance.disk.fault != Fault::none) see(Seen::disk_fault);
}

void World::change_kernel(Instance &instance) {
  instance.machine.kernel =
      random_.one_in(2) ? KernelSync::synchronized : KernelSync::unsynchronized;
}

void World::accept_clock(Instance &instance) {
  if (!instance.running || !instance.keeper || !instance.steps.empty()) return;
  Turn turn;
  if (!instance.keeper->accept_clock(instance.machine.sample(now_), turn)) return;
  tell(instance, "operator accepts the clock");
  carry_out(instance, turn);
  see(Seen::accepted);
}

// An ID of another instance is seen: from far back, near, at the bound, beyond it.
void World::observe(Instance &instance) {
  if (!instance.running || !instance.keeper || !instance.steps.empty()) return;
  const ClockSample sample = instance.machine.sample(now_);
  const std::int64_t bound = instance.policy.max_skew;
  static constexpr std::int64_t kAhead[] = {-60'000, 0, 1, 5, 200, 3'000};
  const std::int64_t ahead = random_.one_in(3) ? bound - random_.between(-2, 2) * kSecond
                                               : kAhead[random_.below(std::size(kAhead))] * kMs;
  const std::uint64_t tick = issue_.tick_of(sample.wall + ahead);
  KeeperPolicy policy = instance.policy;
  if (is_mutant(Mutant::observed_without_bound)) policy.max_skew = 365 * 86400 * kSecond;
  const bool taken = instance.keeper->observe(tick, sample, policy);
  tell(instance, "observes tick", tick, taken ? "" : "in vain");
  if (!taken) return;
  see(Seen::observed);
  instance.observed = std::max(instance.observed, tick);
}

// It has come to where backends see it: what they are issued from now on is greater.
void World::note_observed(Instance &instance) {
  if (instance.observed == 0) return;
  const std::int64_t issuing = instance.machine.sample(now_).monotonic + instance.offset;
  const Grant grant = unpack(issue_, instance.grant);
  if (grant.state != GrantState::active || grant.ceiling <= instance.observed ||
      issuing < Keeper::passed_at(issue_, instance.observed)) {
    return;
  }
  instance.ghost.returned =
      std::max(instance.ghost.returned, ((instance.observed + 1) << issue_.time_shift()) - 1);
  instance.observed = 0;
}

void World::step_wall(Instance &instance) {
  static constexpr std::int64_t steps[] = {1,       -1,       50,       -50,         1000,
                                           -1000,   5000,     -5000,    50000,       -50000,
                                           3600000, -3600000, 86400000, 31536000000, -1500000000};
  std::int64_t &offset = instance.machine.wall_offset;
  if (instance.ghost.relies_on_clock) return;
  instance.ghost.clock_was_right = false;
  if (random_.one_in(3)) {
    offset = 0;
  } else {
    offset += steps[random_.below(std::size(steps))] * kMs;
  }
  tell(instance, "wall clock off by ms", offset / kMs);
}

// Loaded at once, as the worker does; backends take them as they come.
void World::change_settings(Instance &instance, std::int64_t longest_window) {
  // What is made up for when a record is lost is a window of before.
  if (instance.ghost.relies_on_clock) return;
  KeeperPolicy &policy = instance.policy;
  switch (random_.below(5)) {
    case 0:
    case 1: {
      static constexpr std::int64_t windows[] = {200, 500, 2000, 20000, 300000};
      policy.window = std::min(windows[random_.below(std::size(windows))] * kMs, longest_window);
      break;
    }
    case 2:
      if (!is_mutant(Mutant::jumps_followed)) policy.max_skew = random_.between(1, 10) * kSecond;
      break;
    case 3:
      policy.confirm = random_.between(1, 6) * kSecond;
      break;
    default:
      policy.on_rollback = static_cast<OnRollback>(random_.below(3));
  }
  note_settings(instance);
}

void World::note_settings(Instance &instance) {
  Ghost &ghost = instance.ghost;
  const KeeperPolicy &policy = instance.policy;
  const std::int64_t max_skew =
      is_mutant(Mutant::jumps_followed) ? policy_.max_skew : policy.max_skew;
  ghost.max_skew = std::max(ghost.max_skew, max_skew);
  ghost.confirm = std::min(ghost.confirm, policy.confirm);
  if (instance.keeper) instance.keeper->reload();
  tell(instance, "settings: window ms", policy.window / kMs, "max_skew ms", policy.max_skew / kMs,
       "confirm ms", policy.confirm / kMs, "on_rollback", static_cast<int>(policy.on_rollback),
       "shard", policy.shard);
}

void World::copy_disk(const Instance &from, Instance &to) {
  const bool older = from.disk.backup && random_.one_in(3);
  to.disk.cache = to.disk.durable = older ? from.disk.backup : from.disk.cache;
  if (older) see(Seen::older_backup);
  to.policy = from.policy;
  to.ghost.max_skew = from.ghost.max_skew;
  to.ghost.confirm = from.ghost.confirm;
  to.ghost.clock_was_right = false;  // not checked: its record may be of any time
  const auto ceiling = static_cast<std::int64_t>(to.disk.cache->ceiling) * issue_.tick_ns;
  to.ghost.allowed_lead =
      std::max({from.ghost.allowed_lead, from.machine.wall_offset, ceiling - now_});
  to.ghost.start_gain = from.ghost.start_gain + from.ghost.window;
  to.ghost.born = from.ghost.born;
}

}  // namespace idgen::sim
