#include "world.h"

#include <algorithm>
#include <sstream>

namespace idgen::sim {

const char *const kSeenNames[kSeen] = {"IDs",
                                       "rotation",
                                       "suspect confirmed",
                                       "suspect accepted",
                                       "suspect",
                                       "stopped",
                                       "suspended",
                                       "server crash",
                                       "machine crash",
                                       "write lost by a crash",
                                       "late answer",
                                       "lost answer",
                                       "worker ended",
                                       "worker ended between steps",
                                       "lost CAS",
                                       "paused across a change of grants",
                                       "clone",
                                       "restore",
                                       "restore of an older backup",
                                       "settings changed",
                                       "coarse ticks",
                                       "stopped, and recovered by slewing",
                                       "start far ahead by a longer window",
                                       "copy refused",
                                       "copy confirmed",
                                       "disk fault",
                                       "frozen",
                                       "start ahead of the clock",
                                       "pinned"};

namespace {

constexpr std::int64_t kMaxLead = 10;      // ticks, as idgen.max_lead
constexpr std::uint64_t kDrawStride = 20;  // between drawn nodes, see draw
constexpr std::uint64_t kMaxDraws = 45;
constexpr std::uint32_t kFirstPinned = 1000;  // above all that are drawn
constexpr std::uint64_t kChaosEvents = 1200;
constexpr std::uint64_t kCalmEvents = 20000;
constexpr std::size_t kTraceLines = 60;
constexpr const char *kLayouts[] = {"time:41 shard:10 sequence:5", "time:41 shard:10 sequence:5",
                                    "time:38 shard:10 sequence:9 tick:10ms",
                                    "time:36 shard:10 sequence:12 tick:50ms"};

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  return (hash ^ value) * 0x100000001b3u;
}

bool is_left(const OwnRecord &record, std::uint32_t node) {
  return std::any_of(record.left.begin(), record.left.end(),
                     [node](const PastNode &left) { return left.node == node; });
}

bool contains(const std::vector<std::uint32_t> &nodes, std::uint32_t node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

}  // namespace

World::World(std::uint64_t seed, Mutant mutant, bool trace)
    : random_(seed),
      mutant_(mutant),
      trace_(trace),
      layout_(parse_layout(kLayouts[random_.below(std::size(kLayouts))], 0).layout),
      issue_(IssueLayout::of(layout_)) {
  policy_.window = random_.one_in(5) ? 300 * kSecond : random_.between(2, 20) * 100 * kMs;
  policy_.max_skew = random_.between(1, 10) * kSecond;
  policy_.confirm = random_.between(1, 6) * kSecond;
  policy_.on_rollback = static_cast<OnRollback>(random_.below(3));
  policy_.require_sync = random_.one_in(10);
  policy_.shard_mask = layout_.shard.max();
  if (issue_.tick_ns > kMs) see(Seen::coarse_ticks);
}

template <typename... Parts>
void World::tell(const Instance &instance, const Parts &...parts) {
  const auto hash = [this](const auto &part) {
    if constexpr (std::is_convertible_v<decltype(part), std::string_view>) {
      for (const char c : std::string_view(part)) {
        result_.hash = mix(result_.hash, static_cast<unsigned char>(c));
      }
    } else {
      result_.hash = mix(result_.hash, static_cast<std::uint64_t>(part));
    }
  };
  hash(instance.number);
  hash(now_);
  (hash(parts), ...);
  if (!trace_) return;
  std::ostringstream line;
  line << (now_ - 1'000'000 * kSecond) / 1000 << " us  instance " << instance.number << ": ";
  ((line << parts << ' '), ...);
  result_.trace.push_back(line.str());
  if (result_.trace.size() > kTraceLines) result_.trace.erase(result_.trace.begin());
}

void World::fail(Broken broken, const std::string &what) {
  if (result_.broken != Broken::nothing) return;
  result_.broken = broken;
  result_.what = what;
}

// --- the world ---------------------------------------------------------------

Instance &World::add_instance(std::int64_t start_at) {
  instances_.push_back(std::make_unique<Instance>(random_, mutant_, ++directories_));
  Instance &instance = *instances_.back();
  instance.number = static_cast<int>(instances_.size());
  instance.policy = policy_;
  if (mutant_ == Mutant::jumps_followed) instance.policy.max_skew = 100'000'000 * kSecond;
  instance.start_at = start_at;
  instance.machine.booted = now_ - random_.between(1, 1000) * kSecond;
  instance.machine.boot = ++boots_;
  instance.ghost.born = now_;
  note_settings(instance);
  return instance;
}

Result World::run() {
  Instance &first = add_instance(now_);
  if (random_.one_in(5)) {
    first.policy.shard = kFirstPinned;
    see(Seen::pinned);
  }
  next_chaos_ = now_ + random_.between(100, 1000) * kMs;
  bool issues = false;
  for (; result_.broken == Broken::nothing; ++result_.events) {
    if (!calm_ && (result_.events >= kChaosEvents || draws_ >= kMaxDraws)) heal();
    if (calm_) {
      issues = draws_ > kMaxDraws || all_issue();
      if (issues) break;
      if (result_.events >= kChaosEvents + kCalmEvents) break;
    }
    // Whoever is due first.
    std::int64_t due = calm_ ? INT64_MAX : next_chaos_;
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
    now_ = std::max(now_, due);
    if (who == nullptr) {
      chaos();
    } else if (!who->running) {
      start(*who);
    } else if (backend != nullptr) {
      step_backend(*who, *backend);
    } else {
      step_worker(*who);
    }
  }
  if (result_.broken == Broken::nothing && !issues) {
    fail(Broken::liveness, "faults have ended, and an instance that could issue doesn't");
  }
  return result_;
}

void World::heal() {
  calm_ = true;
  for (const auto &instance : instances_) {
    instance->disk.fault = Fault::none;
    instance->machine.wall_offset = 0;
    instance->machine.kernel = KernelSync::synchronized;
    instance->frozen_until = 0;
    instance->ghost.issued = 0;
    if (!instance->running) instance->start_at = now_;
  }
}

// With policy `stop`: the clock is put nearly right, and the rest is to be slewed.
// If a long window still lay ahead, wholly right.
void World::put_right(Instance &instance) {
  if (instance.keeper->trouble() != ClockTrouble::rollback) return;
  const ClockSample sample = instance.machine.sample(now_);
  const std::int64_t lead = sample.monotonic + instance.keeper->clock().offset() - sample.wall;
  const std::int64_t limit = instance.policy.max_skew + instance.keeper->clock().window();
  if (lead <= limit || instance.put_right == 4) return;
  ++instance.put_right;
  instance.machine.wall_offset += instance.put_right == 1 ? lead - limit - 100 * kMs : lead;
  see(Seen::stop_recovered);
}

// Has each issued since the faults ended, but for those that say why not?
bool World::all_issue() const {
  return std::all_of(instances_.begin(), instances_.end(), [&](const auto &instance) {
    if (instance->gone || instance->ghost.issued > 0) return true;
    if (!instance->running || !instance->keeper) return false;
    const Keeper &keeper = *instance->keeper;
    return (keeper.grant().state == GrantState::fenced && instance->policy.shard >= 0);
  });
}

void World::chaos() {
  next_chaos_ = now_ + random_.between(20, 400) * kMs;
  Instance &instance = *instances_[random_.below(instances_.size())];
  if (instance.gone) return;
  switch (random_.below(18)) {
    case 0:
    case 1:
      if (instance.running) crash(instance, false);
      break;
    case 2:
      crash(instance, true);
      break;
    case 3:
      if (instance.running && instance.keeper) end_worker(instance);
      break;
    case 4:
    case 5:
    case 6:
      step_wall(instance);
      break;
    case 7: {
      const std::int64_t span = random_.between(1, 3600) * kSecond;
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
      break;
    }
    case 8:
      instance.frozen_until = now_ + random_.between(1, 50) * 100 * kMs;
      tell(instance, "frozen");
      see(Seen::frozen);
      break;
    case 9:
    case 10:
      instance.disk.fault =
          random_.one_in(2) ? Fault::none : static_cast<Fault>(1 + random_.below(4));
      tell(instance, "disk fault", static_cast<int>(instance.disk.fault));
      if (instance.disk.fault != Fault::none) see(Seen::disk_fault);
      break;
    case 11:
      if (instances_.size() < 4 && instance.disk.cache) copy(instance, false);
      break;
    case 12:
      if (instances_.size() < 4 && instance.disk.cache && random_.one_in(2)) copy(instance, true);
      break;
    case 13:
      instance.machine.kernel =
          random_.one_in(2) ? KernelSync::synchronized : KernelSync::unsynchronized;
      break;
    case 14:
      if (instance.running && instance.keeper && instance.steps.empty()) {
        Turn turn;
        if (instance.keeper->accept_clock(instance.machine.sample(now_), turn)) {
          tell(instance, "operator accepts the clock");
          carry_out(instance, turn);
          see(Seen::accepted);
        }
      }
      break;
    case 15:
    case 16:
      change_settings(instance);
      break;
    default:
      // An operator who knows that the original is gone, and its time past.
      if (instance.running && instance.keeper && instance.policy.shard >= 0 &&
          contains(instance.ghost.forbidden, static_cast<std::uint32_t>(instance.policy.shard))) {
        const auto node = static_cast<std::uint32_t>(instance.policy.shard);
        const bool others = std::any_of(instances_.begin(), instances_.end(), [&](const auto &o) {
          return o.get() != &instance && !o->gone &&
                 (o->policy.shard == instance.policy.shard ||
                  (o->disk.cache && o->disk.cache->node == node) ||
                  (o->disk.cache && is_left(*o->disk.cache, node)));
        });
        // What the original has issued since, a window above its clock at most.
        // What it had issued before the copy was made, the record must know.
        const std::uint64_t clear =
            std::max(issue_.tick_of(instance.machine.sample(now_).wall + instance.policy.window),
                     ceiling_in(*instance.disk.cache, node));
        if (!others && highest_tick_[node] < clear &&
            instance.keeper->confirm_copy(instance.machine.sample(now_), instance.policy)) {
          tell(instance, "operator confirms the copy");
          instance.ghost.start_gain += instance.policy.window;
          // It holds for the clock as it was.
          instance.ghost.allowed_lead =
              std::max(instance.ghost.allowed_lead, instance.machine.wall_offset);
          std::erase(instance.ghost.forbidden, node);
          see(Seen::confirmed_copy);
        }
      }
  }
}

void World::step_wall(Instance &instance) {
  static constexpr std::int64_t steps[] = {1,       -1,       50,       -50,         1000,
                                           -1000,   5000,     -5000,    50000,       -50000,
                                           3600000, -3600000, 86400000, 31536000000, -1500000000};
  std::int64_t &offset = instance.machine.wall_offset;
  instance.ghost.clock_was_right = false;
  if (random_.one_in(3)) {
    offset = 0;
  } else {
    offset += steps[random_.below(std::size(steps))] * kMs;
  }
  tell(instance, "wall clock off by ms", offset / kMs);
}

// Loaded at once, as the worker does; backends take them as they come.
void World::change_settings(Instance &instance) {
  KeeperPolicy &policy = instance.policy;
  switch (random_.below(5)) {
    case 0:
    case 1: {
      static constexpr std::int64_t windows[] = {200, 500, 2000, 20000, 300000};
      policy.window = windows[random_.below(std::size(windows))] * kMs;
      break;
    }
    case 2:
      if (mutant_ != Mutant::jumps_followed) policy.max_skew = random_.between(1, 10) * kSecond;
      break;
    case 3:
      policy.confirm = random_.between(1, 6) * kSecond;
      break;
    default:
      policy.on_rollback = static_cast<OnRollback>(random_.below(3));
  }
  note_settings(instance);
  if (instance.keeper) instance.keeper->reload();
  tell(instance, "settings: window ms", policy.window / kMs, "max_skew ms", policy.max_skew / kMs,
       "confirm ms", policy.confirm / kMs, "on_rollback", static_cast<int>(policy.on_rollback));
  see(Seen::settings_changed);
}

void World::note_settings(Instance &instance) const {
  Ghost &ghost = instance.ghost;
  const std::int64_t max_skew =
      mutant_ == Mutant::jumps_followed ? policy_.max_skew : instance.policy.max_skew;
  ghost.max_skew = std::max(ghost.max_skew, max_skew);
  ghost.confirm = std::min(ghost.confirm, instance.policy.confirm);
}

// A copy of the data directory: started beside the original, or in its place.
void World::copy(Instance &from, bool in_place) {
  Instance &to = add_instance(now_ + random_.between(1, 500) * kMs);
  to.policy = from.policy;
  const bool older = from.disk.backup && random_.one_in(3);
  to.disk.cache = to.disk.durable = older ? from.disk.backup : from.disk.cache;
  if (older) see(Seen::older_backup);
  to.ghost.max_skew = from.ghost.max_skew;
  to.ghost.confirm = from.ghost.confirm;
  to.ghost.clock_was_right = false;  // not checked: its record may be of any time
  to.ghost.allowed_lead = std::max(from.ghost.allowed_lead, from.machine.wall_offset);
  to.ghost.start_gain = from.ghost.start_gain + from.ghost.window;
  to.ghost.born = from.ghost.born;
  const OwnRecord &record = *to.disk.cache;
  to.ghost.forbidden = {record.node};
  for (const auto *past : {&record.left, &record.former}) {
    for (const PastNode &known : *past) to.ghost.forbidden.push_back(known.node);
  }
  // Its settings may pin one of those, whichever.
  if (random_.one_in(4)) {
    to.policy.shard = to.ghost.forbidden[random_.below(to.ghost.forbidden.size())];
  }
  tell(to, in_place ? "restored from" : "copied from", from.number, "node", record.node);
  if (!in_place) {
    see(Seen::clone);
    return;
  }
  from.gone = true;
  from.running = false;
  see(Seen::restore);
}

// --- an instance -------------------------------------------------------------

void World::start(Instance &instance) {
  instance.running = true;
  instance.grant = 0;
  instance.offset = 0;
  instance.last = 0;
  instance.incarnation.words = {random_.next(), random_.next()};
  instance.disk.holder = instance.incarnation;
  instance.saved.reset();
  instance.backends = {};
  instance.steps.clear();
  instance.started = instance.machine.sample(now_).monotonic;
  if (random_.one_in(6)) instance.started -= 3600 * kSecond;  // as if it had run for an hour
  for (Backend &backend : instance.backends) backend.next = now_ + soon();
  Ghost &ghost = instance.ghost;
  ghost.start_gain += ghost.window;
  ghost.window = ghost.slowest = 0;
  ghost.evidence = {};
  ghost.has_published = ghost.raised = false;
  ghost.floors.clear();
  if (ghost.rotation_written) {
    ghost.returned = 0;
    ++ghost.rotations;
    ghost.rotation_written = false;
  }
  tell(instance, "server starts");
  start_worker(instance);
}

void World::crash(Instance &instance, bool machine) {
  tell(instance, machine ? "machine crashes" : "server crashes");
  see(machine ? Seen::machine_crash : Seen::server_crash);
  if (mutant_ == Mutant::old_life_writes && !machine && instance.registry &&
      instance.request == Instance::Request::sent) {
    instance.registry->begin(instance.ask);
    instance.old_registry = std::move(instance.registry);
  }
  instance.running = false;
  instance.keeper.reset();
  instance.registry.reset();
  instance.steps.clear();
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

void World::end_worker(Instance &instance) {
  tell(instance, "worker ends, steps left", instance.steps.size());
  see(instance.steps.empty() ? Seen::worker_ended : Seen::worker_ended_between_steps);
  instance.keeper.reset();
  instance.registry.reset();
  instance.steps.clear();
  instance.asks = false;
  instance.request = Instance::Request::none;
  instance.worker_next = now_ + random_.between(1, 1000) * kMs;
}

void World::start_worker(Instance &instance) {
  LocalHost host;
  host.boot = std::to_string(instance.machine.boot);
  // Two copies may draw the same node: a documented limit. Here they don't. The
  // registry skips nodes, fewer than the stride, so what it makes of these
  // differs.
  host.draw = [this](std::uint64_t n) { return draws_++ * kDrawStride % n; };
  instance.registry = std::make_unique<LocalRegistry>(instance.disk, layout_, host);
  instance.request = Instance::Request::none;
  instance.asks = false;
  if (instance.saved) {
    Grant grant = unpack(issue_, instance.grant);
    // It can't know that what its predecessor wrote was never published.
    if (grant.state != GrantState::active) {
      instance.ghost.start_gain += instance.ghost.window;
    }
    if (mutant_ == Mutant::read_back_is_ceiling && instance.disk.cache &&
        instance.disk.cache->node == grant.node && grant.state == GrantState::active) {
      grant.ceiling = std::max(grant.ceiling, instance.disk.cache->ceiling);
      instance.grant = pack(issue_, grant);
      check_publish(instance, grant, false);
    }
    instance.keeper = std::make_unique<Keeper>(*instance.saved);
    instance.keeper->resume(grant, instance.offset);
  } else {
    const std::int64_t long_ago = mutant_ == Mutant::full_window_at_start ? 3600 * kSecond : 0;
    instance.keeper =
        std::make_unique<Keeper>(issue_, instance.incarnation, instance.started - long_ago);
  }
  instance.worker_next = now_ + soon();
}

void World::step_worker(Instance &instance) {
  if (instance.old_registry && random_.one_in(4)) {
    RegistryReply ignored;
    (void)instance.old_registry->poll(ignored);
    instance.old_registry.reset();
    check_disk(instance);
  }
  if (!instance.keeper) {
    start_worker(instance);
    return;
  }
  if (!instance.steps.empty()) {
    const WordStep step = instance.steps.front();
    instance.steps.pop_front();
    store_word(instance, step);
  }
  if (!instance.steps.empty()) {
    instance.worker_next = now_ + soon();
    return;
  }
  const ClockSample sample = instance.machine.sample(now_);
  if (!instance.saved) {
    instance.saved = std::make_unique<Keeper>(*instance.keeper);
  } else {
    *instance.saved = *instance.keeper;
  }
  if (instance.asks) {
    instance.asks = false;
    instance.request = Instance::Request::sent;
    instance.sent_at = now_;
    instance.reply_at = now_ + soon();
  }
  if (instance.request == Instance::Request::sent && now_ >= instance.reply_at) {
    send(instance);
    return;
  }
  if (instance.request == Instance::Request::written && now_ >= instance.reply_at) {
    deliver(instance);
    return;
  }
  // What may be believed before the first grant of a life: the wall clock, if
  // nothing is known, or of another boot only and the kernel doesn't doubt it.
  Ghost &ghost = instance.ghost;
  if (!ghost.has_published &&
      (!ghost.evidence.known ||
       (!ghost.evidence.same_boot && sample.kernel != KernelSync::unsynchronized))) {
    ghost.allowed_lead = std::max(ghost.allowed_lead, instance.machine.wall_offset);
  }
  const Turn turn = instance.keeper->turn(sample, instance.policy);
  carry_out(instance, turn);
  if (calm_) put_right(instance);
  instance.worker_next = now_ + std::max<std::int64_t>(turn.wake_at - sample.monotonic, kMs) +
                         (is_pause() ? soon() : 0);
  if (instance.request != Instance::Request::none || instance.asks) {
    instance.worker_next = std::min(instance.worker_next, std::max(now_ + kMs, instance.reply_at));
  }
  if (!instance.steps.empty()) instance.worker_next = now_ + soon();
}

void World::carry_out(Instance &instance, const Turn &turn) {
  const auto kind = [](WordStep::Kind wanted) {
    return [wanted](const WordStep &step) { return step.kind == wanted; };
  };
  // A node that is acquired again begins at the old ceiling, as a start does.
  if (std::any_of(turn.words.begin(), turn.words.end(), kind(WordStep::Kind::raise))) {
    if (instance.ghost.raised) instance.ghost.start_gain += instance.ghost.window;
    instance.ghost.raised = true;
    if (instance.keeper->clock().state() == ClockState::synchronized) {
      instance.ghost.longest_window = instance.ghost.window;
    }
  }
  std::deque<WordStep> &steps = instance.steps;
  steps.insert(steps.end(), turn.words.begin(), turn.words.end());
  const bool changes = std::any_of(steps.begin(), steps.end(), kind(WordStep::Kind::raise)) ||
                       std::any_of(steps.begin(), steps.end(), kind(WordStep::Kind::set_back));
  if (changes && mutant_ == Mutant::no_withdraw) {
    std::erase_if(steps, kind(WordStep::Kind::withdraw));
  }
  if (mutant_ == Mutant::no_raise) std::erase_if(steps, kind(WordStep::Kind::raise));
  if (changes && mutant_ == Mutant::publish_first) {
    std::stable_partition(steps.begin(), steps.end(), kind(WordStep::Kind::publish));
  }
  for (const ClockEvent &event : turn.events) {
    tell(instance, "clock event", static_cast<int>(event.kind), "skew ms", event.skew / kMs);
    Ghost &ghost = instance.ghost;
    switch (event.kind) {
      case ClockEventKind::accepted:
      case ClockEventKind::confirmed:
        ghost.allowed_lead = std::max(ghost.allowed_lead, instance.machine.wall_offset);
        ghost.allowed_lead += ghost.max_skew;  // and may be stepped on from there
        if (event.kind == ClockEventKind::confirmed) see(Seen::confirmed);
        break;
      case ClockEventKind::rotated:
        see(Seen::rotation);
        break;
      case ClockEventKind::suspect:
        see(Seen::suspect);
        break;
      case ClockEventKind::stopped:
        see(Seen::stopped);
        break;
      case ClockEventKind::synchronized:
        ghost.longest_window = ghost.window;
        break;
      case ClockEventKind::holding:
      case ClockEventKind::rollback: {
        const std::int64_t explained = instance.policy.max_skew + ghost.longest_window;
        if (!ghost.clock_was_right) break;
        if (event.skew > instance.policy.max_skew + instance.policy.window &&
            event.skew <= explained) {
          see(Seen::started_far_ahead);
          if (event.kind == ClockEventKind::rollback) {
            fail(Broken::rollback, "a lead of " + std::to_string(event.skew / kMs) +
                                       " ms counts as a rollback, " +
                                       std::to_string(explained / kMs) + " ms are explained");
          }
        }
        break;
      }
      default:
        break;
    }
  }
  if (!turn.asks) return;
  instance.asks = true;
  instance.ask = turn.ask;
  RegistryRequest &ask = instance.ask;
  if (ask.fresh) instance.ghost.rotation_written = true;
  if (mutant_ == Mutant::copy_always_confirmed) ask.confirmed = true;
  if (mutant_ == Mutant::order_not_kept && ask.ask == RegistryAsk::acquire) {
    ask.fresh = true;
    ask.issuing_tick = issue_.tick_of(instance.machine.sample(now_).wall);
  }
  // How long a window may be, by DESIGN's rule: min(window, uptime), at least
  // 200 ms; a slow disk gets more of a long uptime.
  if (ask.ask != RegistryAsk::acquire && ask.ask != RegistryAsk::extend) return;
  Ghost &ghost = instance.ghost;
  const std::int64_t uptime = instance.machine.sample(now_).monotonic - instance.started;
  std::int64_t limit = std::max(std::min(instance.policy.window, uptime), 200 * kMs);
  if (ghost.slowest > 0)
    limit =
        std::max(limit, std::min(std::max(ghost.max_skew, instance.policy.max_skew), uptime / 10));
  const std::uint64_t ticks =
      ask.ask == RegistryAsk::acquire ? ask.ticks : ask.ceiling - ask.issuing_tick;
  const std::int64_t span = static_cast<std::int64_t>(ticks) * issue_.tick_ns;
  ghost.window = std::max(ghost.window, span);
  ghost.longest_window = std::max(ghost.longest_window, span);
  if (span > limit + 2 * issue_.tick_ns) {
    fail(Broken::window, "a window of " + std::to_string(span / kMs) + " ms after " +
                             std::to_string(uptime / kMs) + " ms");
  }
}

void World::store_word(Instance &instance, const WordStep &step) {
  const Grant held = unpack(issue_, instance.grant);
  const bool active = held.state == GrantState::active;
  switch (step.kind) {
    case WordStep::Kind::withdraw:
      instance.grant = step.value;
      ++instance.ghost.changes;
      tell(instance, "grant withdrawn, state", static_cast<int>(unpack(issue_, step.value).state));
      if (unpack(issue_, step.value).state == GrantState::active) {
        fail(Broken::u7, "withdrawn to an active grant");
      }
      break;
    case WordStep::Kind::raise:
      if (active) fail(Broken::u7, "the word is raised under an active grant");
      instance.last = std::max(instance.last, step.value);
      tell(instance, "word raised to", instance.last);
      break;
    case WordStep::Kind::set_back:
      if (active) fail(Broken::u7, "the word is set back under an active grant");
      if (!instance.ghost.rotation_written) fail(Broken::u1, "set back");
      if (issued_.count(step.value) != 0) {
        fail(Broken::u1, "the word is set to an ID that was issued");
      }
      instance.last = step.value;
      instance.ghost.returned = 0;
      ++instance.ghost.rotations;
      tell(instance, "word set back to", instance.last);
      break;
    case WordStep::Kind::offset: {
      const auto offset = static_cast<std::int64_t>(step.value);
      // Or callers would wait until it has caught up with what they have issued.
      const std::int64_t issuing = instance.machine.sample(now_).monotonic + offset;
      if (active && issue_.tick_of(issuing) + kMaxLead + 2 < issue_.tick_in(instance.last)) {
        fail(Broken::u7, "issuing time steps back under an active grant");
      }
      if (offset < instance.offset - 2 * Clock::kMaxSlewStep) {
        tell(instance, "offset lowered by ms", (instance.offset - offset) / kMs);
      }
      instance.offset = offset;
      break;
    }
    case WordStep::Kind::publish: {
      const Grant grant = unpack(issue_, step.value);
      const bool acquired = !active || grant.node != held.node;
      instance.grant = step.value;
      ++instance.ghost.changes;
      tell(instance, "grant published, node", grant.node, "ceiling", grant.ceiling);
      if (acquired) instance.ghost.floors[grant.node] = instance.reply.floor;
      check_publish(instance, grant, acquired);
      break;
    }
  }
}

void World::send(Instance &instance) {
  RegistryRequest &ask = instance.ask;
  instance.reply = RegistryReply{};
  if (ask.fresh && mutant_ == Mutant::rotation_keeps_node && instance.disk.cache) {
    instance.reply.ask = ask.ask;
    instance.reply.outcome = RegistryOutcome::done;
    instance.reply.node = instance.disk.cache->node;
    instance.reply.floor = ask.issuing_tick;
    instance.reply.ceiling = ask.issuing_tick + ask.ticks;
    instance.disk.cache->ceiling = instance.reply.ceiling;
    instance.disk.durable = instance.disk.cache;
  } else {
    instance.registry->begin(ask);
    (void)instance.registry->poll(instance.reply);
  }
  check_disk(instance);
  RegistryReply &reply = instance.reply;
  tell(instance, "request", static_cast<int>(reply.ask), "outcome", static_cast<int>(reply.outcome),
       "node", reply.node, "floor", reply.floor, "ceiling", reply.ceiling);
  if (reply.outcome == RegistryOutcome::refused && instance.policy.shard >= 0) {
    see(Seen::refused_copy);
  }
  if (reply.outcome == RegistryOutcome::done && ask.ask == RegistryAsk::acquire && !ask.fresh &&
      reply.floor > issue_.tick_of(instance.machine.sample(now_).wall)) {
    see(Seen::ahead_at_start);
  }
  if (reply.ask == RegistryAsk::look) {
    instance.ghost.evidence = reply.evidence;
    instance.ghost.allowed_lead += instance.ghost.max_skew;  // a start may find it that far ahead
    if (mutant_ == Mutant::evidence_ignored) reply.evidence.known = false;
  }
  if ((!calm_ && random_.one_in(40)) || mutant_ == Mutant::never_acknowledged) {
    // What was written and not heard of is skipped by the next acquisition.
    if (ask.ask == RegistryAsk::acquire) instance.ghost.start_gain += instance.ghost.window;
    reply.outcome = RegistryOutcome::failed;
    see(Seen::lost_answer);
  }
  instance.request = Instance::Request::written;
  instance.reply_at = now_ + soon();
  if (instance.reply_at - now_ > kSecond) see(Seen::late_answer);
  instance.worker_next = now_ + kMs;
}

void World::deliver(Instance &instance) {
  instance.request = Instance::Request::none;
  instance.ghost.slowest = std::max(instance.ghost.slowest, now_ - instance.sent_at);
  const ClockSample sample = instance.machine.sample(now_);
  const Turn turn = instance.keeper->answer(instance.reply, sample, instance.policy);
  carry_out(instance, turn);
  instance.worker_next = now_ + soon();
}

void World::step_backend(Instance &instance, Backend &backend) {
  backend.next = now_ + soon();
  Ghost &ghost = instance.ghost;
  switch (backend.at) {
    case Backend::At::idle:
      backend.n = random_.one_in(4) ? 1 + random_.below(20) : 1;
      backend.must_exceed = ghost.returned;
      backend.rotations = ghost.rotations;
      backend.changes = ghost.changes;
      backend.at = Backend::At::word;
      break;
    case Backend::At::word:
      backend.last = instance.last;
      backend.at = Backend::At::grant;
      break;
    case Backend::At::grant:
      backend.grant = instance.grant;
      backend.at = Backend::At::offset;
      break;
    case Backend::At::offset:
      backend.clock_offset = instance.offset;
      backend.at = Backend::At::decided;
      break;
    case Backend::At::decided: {
      Grant grant = unpack(issue_, backend.grant);
      if (mutant_ == Mutant::ceiling_ignored) grant.ceiling = issue_.max_ceiling();
      const std::uint64_t tick =
          issue_.tick_of(instance.machine.sample(now_).monotonic + backend.clock_offset);
      backend.decision = decide(issue_, backend.last, grant, tick, backend.n, kMaxLead);
      if (backend.decision.verdict == Verdict::issued) {
        backend.at = Backend::At::won;
      } else {
        backend.at = Backend::At::idle;
        backend.next = now_ + random_.between(1, 100) * kMs;
      }
      break;
    }
    case Backend::At::won: {
      if (backend.changes != ghost.changes) see(Seen::paused_across_a_change);
      const bool wins = instance.last == backend.last;
      if (!wins) {
        see(Seen::lost_cas);
        backend.at = Backend::At::word;
        if (mutant_ != Mutant::store_instead_of_cas) break;
      }
      if (!wins && backend.decision.last < instance.last) {
        fail(Broken::u1, "the word went down");
      }
      instance.last = backend.decision.last;
      won(instance, backend);
      backend.at = Backend::At::idle;
      backend.next = now_ + random_.between(1, 150) * kMs;
      break;
    }
  }
}

// --- checks ------------------------------------------------------------------

// A CAS was won: the IDs of the run are issued, and returned at once (the pause
// before a call's return is that before the next call's start).
void World::won(Instance &instance, Backend &backend) {
  Ghost &ghost = instance.ghost;
  const Grant grant = unpack(issue_, backend.grant);
  const Block block(issue_, grant);
  const Decision &run = backend.decision;
  see(Seen::ids);
  tell(instance, "issued", run.first, "to", run.last, "node", grant.node);
  const std::uint64_t first_tick = issue_.tick_in(run.first);
  const std::uint64_t last_tick = issue_.tick_in(run.last);
  if (last_tick >= grant.ceiling) fail(Broken::u2, "an ID at or above the ceiling of its grant");
  if (first_tick < ghost.floors[grant.node]) fail(Broken::u2, "an ID below the floor of its grant");
  if (backend.rotations == ghost.rotations && run.first <= backend.must_exceed) {
    fail(Broken::order, "an ID not greater than one returned before");
  }
  for (std::uint64_t i = 0; i < run.count; ++i) {
    if (!issued_.insert(block.id_at(run.first_index + i)).second) {
      fail(Broken::repeat, "ID " + std::to_string(block.id_at(run.first_index + i)) + " again");
    }
  }
  highest_tick_[grant.node] = std::max(highest_tick_[grant.node], last_tick);
  if (backend.rotations == ghost.rotations) ghost.returned = std::max(ghost.returned, run.last);
  ++ghost.issued;
  check_lead(instance, last_tick);
}

// Issuing time may be ahead of true time by what was accepted of the wall clock
// (at a first start, after `confirm`, by an operator), by max_skew in each
// `confirm` since and at each start, by the windows that starts skipped; and IDs
// by max_lead.
void World::check_lead(const Instance &instance, std::uint64_t tick) {
  const Ghost &ghost = instance.ghost;
  const std::int64_t lead = static_cast<std::int64_t>(tick) * issue_.tick_ns - now_;
  const std::int64_t periods = 1 + (now_ - ghost.born) / ghost.confirm;
  const std::int64_t bound = std::max<std::int64_t>(ghost.allowed_lead, 0) +
                             2 * periods * ghost.max_skew + ghost.start_gain +
                             (kMaxLead + 2) * issue_.tick_ns;
  if (lead > bound) {
    fail(Broken::lead, "an ID " + std::to_string(lead / kMs) + " ms ahead, " +
                           std::to_string(bound / kMs) + " ms are allowed");
  }
}

void World::check_publish(Instance &instance, const Grant &grant, bool acquired) {
  Ghost &ghost = instance.ghost;
  ghost.has_published = true;
  const auto &durable = instance.disk.durable;
  if (!durable || ceiling_in(*durable, grant.node) < grant.ceiling) {
    fail(Broken::u3, "ceiling " + std::to_string(grant.ceiling) + " is published and not durable");
  }
  ghost.durable[grant.node] = std::max(ghost.durable[grant.node], grant.ceiling);
  if (contains(ghost.forbidden, grant.node)) {
    fail(Broken::u8, "a copy holds node " + std::to_string(grant.node) + " of its original");
  }
  const auto highest = highest_tick_.find(grant.node);
  if (acquired && highest != highest_tick_.end() && ghost.floors[grant.node] <= highest->second) {
    fail(Broken::u5, "the floor is not above what was issued with the node");
  }
}

// After each write: whose it is, and that nothing promised is forgotten.
void World::check_disk(Instance &instance) {
  const Disk &disk = instance.disk;
  if (disk.foreign) fail(Broken::u6, "a life that has ended wrote the record");
  if (!disk.durable) return;
  for (const auto &[node, ceiling] : instance.ghost.durable) {
    if (ceiling_in(*disk.durable, node) >= ceiling || disk.durable->base >= ceiling) continue;
    fail(Broken::u4, "the ceiling of node " + std::to_string(node) + " went down on disk");
  }
}

}  // namespace idgen::sim
