#include "local_world.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <utility>
#include <vector>

#include "registry/local_registry.h"

namespace idgen::sim {
namespace {

// Between drawn nodes, see open_registry.
constexpr std::uint64_t kDrawStride = 20;
constexpr std::uint64_t kMaxDraws = 45;
// In worlds with blocks of nodes.
constexpr std::uint64_t kWideStride = 48;
constexpr std::uint64_t kMaxWideDraws = 18;
constexpr std::uint8_t kLog2Lanes = 2;
constexpr std::uint32_t kFirstPinned = 1000;  // above all that are drawn
constexpr const char *kLayouts[] = {"time:41 shard:10 sequence:5", "time:41 shard:10 sequence:5",
                                    "time:38 shard:10 sequence:9 tick:10ms",
                                    "time:36 shard:10 sequence:12 tick:50ms"};

bool is_left(const OwnRecord &record, std::uint32_t node) {
  return std::any_of(record.left.begin(), record.left.end(),
                     [node](const PastNode &left) { return left.node == node; });
}

bool contains(const std::vector<std::uint32_t> &nodes, std::uint32_t node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

}  // namespace

LocalWorld::LocalWorld(std::uint64_t seed, Mutant mutant, bool trace)
    : World(seed, mutant, trace, kLayouts, std::size(kLayouts), {1200, 20000, 150}) {}

void LocalWorld::begin() {
  has_lanes_ = random_.one_in(4);
  has_boot_ids_ = !random_.one_in(4);
  Instance &first = add_instance(now_, ++directories_);
  if (random_.one_in(5)) {
    first.policy.shard = kFirstPinned;
    see(Seen::pinned);
  }
}

bool LocalWorld::is_spent() const {
  return draws_ >= max_draws();
}

std::uint64_t LocalWorld::max_draws() const {
  return has_lanes_ ? kMaxWideDraws : kMaxDraws;
}

// With other settings, perhaps.
void LocalWorld::on_start(Instance &instance) {
  if (!has_lanes_ || !random_.one_in(3)) return;
  std::uint8_t &lanes = instance.policy.log2_lanes;
  lanes = lanes == 0 ? kLog2Lanes : 0;
  if (instance.policy.shard % (1 << kLog2Lanes) > 0) lanes = 0;
}

// Has each issued since the faults ended, but for those that say why not?
bool LocalWorld::all_is_well() {
  if (draws_ > max_draws()) return true;
  return std::all_of(instances_.begin(), instances_.end(), [&](const auto &instance) {
    if (instance->gone || instance->ghost.issued > 0) return true;
    if (!instance->running || !instance->keeper) return false;
    const Keeper &keeper = *instance->keeper;
    return (keeper.grant().state == GrantState::fenced && instance->policy.shard >= 0);
  });
}

// With policy `stop`: the clock is put nearly right, and the rest is to be slewed.
// If a long window still lay ahead, wholly right.
void LocalWorld::put_right(Instance &instance) {
  if (instance.keeper->trouble() != ClockTrouble::rollback) return;
  const ClockSample sample = instance.machine.sample(now_);
  const std::int64_t lead = sample.monotonic + instance.keeper->clock().offset() - sample.wall;
  const std::int64_t limit = instance.policy.max_skew + instance.keeper->clock().window();
  if (lead <= limit || instance.put_right == 4) return;
  ++instance.put_right;
  instance.machine.wall_offset += instance.put_right == 1 ? lead - limit - 100 * kMs : lead;
  see(Seen::stop_recovered);
}

void LocalWorld::chaos() {
  Instance &instance = *instances_[random_.below(instances_.size())];
  if (instance.gone) return;
  switch (random_.below(20)) {
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
    case 7:
      suspend(instance, 3600);
      break;
    case 8:
      freeze(instance);
      break;
    case 9:
    case 10:
      change_disk(instance);
      break;
    case 11:
      if (instances_.size() < 4 && instance.disk.cache) copy(instance, false);
      break;
    case 12:
      if (instances_.size() < 4 && instance.disk.cache && random_.one_in(2)) copy(instance, true);
      break;
    case 13:
      change_kernel(instance);
      break;
    case 14:
      accept_clock(instance);
      break;
    case 15:
    case 16:
      change_settings(instance, INT64_MAX);
      see(Seen::settings_changed);
      break;
    case 17:
    case 18:
      observe(instance);
      break;
    default:
      confirm_copy(instance);
  }
}

// An operator who knows that the original is gone, and its time past.
void LocalWorld::confirm_copy(Instance &instance) {
  if (!instance.running || !instance.keeper || instance.policy.shard < 0) return;
  std::vector<std::uint32_t> nodes(std::size_t{1} << instance.policy.log2_lanes);
  std::iota(nodes.begin(), nodes.end(), static_cast<std::uint32_t>(instance.policy.shard));
  const std::vector<std::uint32_t> &forbidden = instance.ghost.forbidden;
  if (std::none_of(nodes.begin(), nodes.end(),
                   [&](auto node) { return contains(forbidden, node); })) {
    return;
  }
  const auto is_anothers = [&](std::uint32_t node) {
    return std::any_of(instances_.begin(), instances_.end(), [&](const auto &o) {
      if (o.get() == &instance || o->gone) return false;
      const auto &policy = o->policy;
      return (policy.shard >= 0 &&
              node >> policy.log2_lanes ==
                  static_cast<std::uint32_t>(policy.shard) >> policy.log2_lanes) ||
             (o->disk.cache && (holds(*o->disk.cache, node) || is_left(*o->disk.cache, node)));
    });
  };
  // What the original has issued since, a window above its clock at most.
  // What it had issued before the copy was made, the record must know.
  const std::uint64_t passed =
      issue_.tick_of(instance.machine.sample(now_).wall + instance.policy.window);
  const auto is_clear = [&](std::uint32_t node) {
    return highest_tick_[node] < std::max(passed, ceiling_in(*instance.disk.cache, node));
  };
  for (const std::uint32_t node : nodes) {
    if (is_anothers(node) || !is_clear(node)) return;
  }
  if (!instance.keeper->confirm_copy(instance.machine.sample(now_), instance.policy)) return;
  tell(instance, "operator confirms the copy");
  instance.ghost.start_gain += instance.policy.window;
  // It holds for the clock as it was.
  instance.ghost.allowed_lead = std::max(instance.ghost.allowed_lead, instance.machine.wall_offset);
  for (const std::uint32_t node : nodes) std::erase(instance.ghost.forbidden, node);
  see(Seen::confirmed_copy);
}

// A copy of the data directory: started beside the original, or in its place.
void LocalWorld::copy(Instance &from, bool in_place) {
  Instance &to = add_instance(now_ + random_.between(1, 500) * kMs, ++directories_);
  copy_disk(from, to);
  const OwnRecord &record = *to.disk.cache;
  to.ghost.forbidden.clear();
  for (std::uint32_t i = 0; i < 1U << record.log2_lanes; ++i) {
    to.ghost.forbidden.push_back(record.node + i);
  }
  for (const auto *past : {&record.left, &record.former}) {
    for (const PastNode &known : *past) to.ghost.forbidden.push_back(known.node);
  }
  // Its settings may pin one of those, whichever.
  if (random_.one_in(4)) {
    to.policy.shard = to.ghost.forbidden[random_.below(to.ghost.forbidden.size())];
    if (to.policy.shard % (1 << kLog2Lanes) != 0) to.policy.log2_lanes = 0;
  }
  tell(to, in_place ? "restored from" : "copied from", from.number, "node", record.node);
  if (!in_place) {
    see(Seen::clone);
    return;
  }
  remove(from);
  see(Seen::restore);
}

// --- the registry ------------------------------------------------------------

std::unique_ptr<Registry> LocalWorld::open_registry(Instance &instance) {
  LocalHost host;
  host.boot = std::to_string(instance.machine.boot);
  if (!has_boot_ids_) host.boot = random_.one_in(2) ? "unknown" : "";
  instance.disk.boot = instance.machine.boot;
  // Two copies may draw the same node: a documented limit. Here they don't. The
  // registry skips nodes, fewer than the stride, so what it makes of these
  // differs.
  host.draw = [this](std::uint64_t n) {
    const std::uint64_t node = draws_++ * (has_lanes_ ? kWideStride : kDrawStride);
    const bool is_block = n <= layout_.shard.max() >> kLog2Lanes;
    return (is_block ? node >> kLog2Lanes : node) % n;
  };
  return std::make_unique<LocalRegistry>(instance.disk, layout_, host);
}

void LocalWorld::on_end(Instance &instance) {
  if (!is_mutant(Mutant::old_life_writes) || !instance.registry ||
      instance.request != Instance::Request::sent) {
    return;
  }
  instance.registry->begin(instance.ask);
  old_registries_[instance.number] = std::move(instance.registry);
}

void LocalWorld::on_worker_step(Instance &instance) {
  const auto old = old_registries_.find(instance.number);
  if (old == old_registries_.end() || !random_.one_in(4)) return;
  RegistryReply ignored;
  (void)old->second->poll(ignored);
  old_registries_.erase(old);
  check_disk(instance);
}

void LocalWorld::on_resume(Instance &instance, Grant &grant) {
  if (!is_mutant(Mutant::read_back_is_ceiling) || !instance.disk.cache ||
      instance.disk.cache->node != grant.node || grant.state != GrantState::active) {
    return;
  }
  grant.ceiling = std::max(grant.ceiling, instance.disk.cache->ceiling);
  instance.grant = pack(issue_, grant);
  on_publish(instance, grant, false);
}

// The record is gone when the node is asked for. Where it is pinned, only as far as a
// start without a record can make up for: all that was issued lies below the wall
// clock + max_clock_skew + a window, now and until the node is held again.
void LocalWorld::lose_record(const RegistryRequest &ask, Instance &instance) {
  if (history_.calm || !instance.disk.cache || !random_.one_in(25)) return;
  Ghost &ghost = instance.ghost;
  if (ask.shard >= 0) {
    const std::uint64_t returned = ghost.returned >> issue_.time_shift();
    const auto issued = highest_tick_.find(static_cast<std::uint32_t>(ask.shard));
    const std::uint64_t highest = issued == highest_tick_.end() ? 0 : issued->second;
    if (has_lanes_ || !ghost.forbidden.empty()) return;
    if (std::max(returned, highest) >= ask.unvouched_tick) return;
    see(Seen::pinned_record_vanished);
    ghost.relies_on_clock = true;
  } else {
    // It begins at the clock, with another node. Until then it goes on with the one it holds.
    ghost.forgets_order = true;
    see(Seen::record_vanished);
  }
  tell(instance, "the record vanishes");
  instance.disk.vanish();
  ghost.durable.clear();
}

// What a pinned node that no record names begins above is no lead of its clock.
void LocalWorld::begin_unvouched(RegistryRequest &ask, Instance &instance) {
  if (ask.shard < 0) return;
  // What shows of a write that failed does not count: the next try begins where that did.
  const auto &cache = instance.disk.cache;
  const bool vouches = cache && !instance.disk.unsure;
  for (std::uint32_t i = 0; i < 1U << ask.log2_lanes; ++i) {
    if (vouches && ceiling_in(*cache, static_cast<std::uint32_t>(ask.shard) + i) > 0) continue;
    // As the settings and the clock were when it was asked for.
    const auto floor = static_cast<std::int64_t>(ask.unvouched_tick + 1) * issue_.tick_ns;
    instance.ghost.allowed_lead = std::max(instance.ghost.allowed_lead, floor - now_);
    break;
  }
  if (is_mutant(Mutant::vanished_at_the_clock)) ask.unvouched_tick = 0;
}

void LocalWorld::tamper(RegistryRequest &ask, Instance &instance) {
  if (ask.ask != RegistryAsk::acquire) return;
  lose_record(ask, instance);
  begin_unvouched(ask, instance);
  if (is_mutant(Mutant::copy_always_confirmed)) ask.confirmed = true;
  if (is_mutant(Mutant::order_not_kept)) {
    ask.fresh = true;
    ask.issuing_tick = issue_.tick_of(instance.machine.sample(now_).wall);
  }
}

bool LocalWorld::poll(Instance &instance) {
  const RegistryRequest &ask = instance.ask;
  if (!ask.fresh || !is_mutant(Mutant::rotation_keeps_node) || !instance.disk.cache) {
    return World::poll(instance);
  }
  RegistryReply &reply = instance.reply;
  reply.ask = ask.ask;
  reply.outcome = RegistryOutcome::done;
  reply.node = instance.disk.cache->node;
  reply.floor = ask.issuing_tick;
  reply.ceiling = ask.issuing_tick + ask.ticks;
  instance.disk.cache->ceiling = reply.ceiling;
  instance.disk.durable = instance.disk.cache;
  return true;
}

void LocalWorld::on_reply(Instance &instance) {
  check_disk(instance);
  RegistryReply &reply = instance.reply;
  if (reply.outcome == RegistryOutcome::refused && instance.policy.shard >= 0) {
    see(Seen::refused_copy);
  }
  if (is_mutant(Mutant::evidence_ignored)) reply.evidence.known = false;
  if (reply.ask == RegistryAsk::look && reply.outcome == RegistryOutcome::done) {
    if (!has_boot_ids_) see(Seen::boot_without_id);
    if (is_mutant(Mutant::no_boot_is_same_boot) && !has_boot_ids_) reply.evidence.same_boot = true;
    if (reply.evidence.known && reply.evidence.same_boot &&
        instance.disk.written_in != instance.machine.boot) {
      fail(Broken::boot, "the record was written in another boot");
    }
  }
  if ((!history_.calm && random_.one_in(40)) || is_mutant(Mutant::never_acknowledged)) {
    // What was written and not heard of is skipped by the next acquisition, and
    // explains no lead to the keeper.
    if (reply.ask == RegistryAsk::acquire) {
      instance.ghost.start_gain += instance.ghost.window;
      instance.ghost.clock_was_right = false;
    }
    reply.outcome = RegistryOutcome::failed;
    see(Seen::lost_answer);
  }
}

// --- checks ------------------------------------------------------------------

void LocalWorld::on_publish(Instance &instance, const Grant &grant, bool acquired) {
  if (grant.log2_lanes > 0) see(Seen::lanes);
  instance.ghost.relies_on_clock = false;
  if (acquired && std::exchange(instance.ghost.forgets_order, false)) {
    instance.ghost.returned = 0;
    instance.ghost.forgot_order = true;
    ++instance.ghost.rotations;
  }
  for (std::uint32_t i = 0; i < 1U << grant.log2_lanes; ++i) {
    check_published(instance, grant.node + i, grant, acquired);
  }
}

void LocalWorld::check_published(Instance &instance, std::uint32_t node, const Grant &grant,
                                 bool acquired) {
  Ghost &ghost = instance.ghost;
  const auto &durable = instance.disk.durable;
  if (!durable || ceiling_in(*durable, node) < grant.ceiling) {
    fail(Broken::u3, "ceiling " + std::to_string(grant.ceiling) + " is published and not durable");
  }
  ghost.durable[node] = std::max(ghost.durable[node], grant.ceiling);
  if (contains(ghost.forbidden, node)) {
    fail(Broken::u8, "a copy holds node " + std::to_string(node) + " of its original");
  }
  const auto highest = highest_tick_.find(node);
  if (acquired && highest != highest_tick_.end() && ghost.floors[grant.node] <= highest->second) {
    fail(Broken::u5, "the floor is not above what was issued with the node");
  }
}

// After each write: whose it is, and that nothing promised is forgotten.
void LocalWorld::check_disk(Instance &instance) {
  const Disk &disk = instance.disk;
  if (disk.foreign) fail(Broken::u6, "a life that has ended wrote the record");
  if (!disk.durable) return;
  for (const auto &[node, ceiling] : instance.ghost.durable) {
    if (ceiling_in(*disk.durable, node) >= ceiling || disk.durable->base >= ceiling) continue;
    fail(Broken::u4, "the ceiling of node " + std::to_string(node) + " went down on disk");
  }
}

}  // namespace idgen::sim
