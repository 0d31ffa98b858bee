// What happens to a fleet, and what its operators do; and who has to issue when it
// is over.

#include <algorithm>

#include "fleet_world.h"

namespace idgen::sim {
namespace {

constexpr std::size_t kMostInstances = 8;
constexpr std::int64_t kReadsTheLog = 5 * kSecond;
constexpr std::int64_t kGrace = 5 * kSecond;  // longer than anybody counts as alive

}  // namespace

void FleetWorld::chaos() {
  Instance &instance = *instances_[random_.below(instances_.size())];
  if (random_.one_in(5)) {
    coordinator_chaos();
  } else if (!instance.gone) {
    random_.one_in(3) ? operator_chaos(instance) : instance_chaos(instance);
  }
}

void FleetWorld::instance_chaos(Instance &instance) {
  switch (random_.below(19)) {
    case 0:
    case 1:
    case 2:
      if (instance.running) crash(instance, false);
      break;
    case 3:
      crash(instance, true);
      break;
    case 4:
    case 5:
    case 6:
      if (instance.running && instance.keeper) end_worker(instance);
      break;
    case 7:
    case 8:
      if (wild_clocks_ && !lossy_) {
        step_wall(instance);
      } else {
        step_wall_a_little(instance);
      }
      break;
    case 9:
      if (random_.one_in(4)) suspend(instance, wild_clocks_ ? 3600 : 10);
      break;
    case 10:
    case 11:
    case 12:
      freeze(instance);
      break;
    case 13:
      change_disk(instance);
      break;
    case 14:
      change_kernel(instance);
      break;
    case 15:
      if (instances_.size() < kMostInstances && instance.disk.cache) copy(instance);
      break;
    case 16:
      if (instances_.size() < kMostInstances && instance.disk.cache) clone(instance);
      break;
    default:
      network_.cut(instance.number, now_ + random_.between(1, 50) * 100 * kMs);
      tell(instance, "cut off from the coordinator");
  }
}

void FleetWorld::operator_chaos(Instance &instance) {
  if (!instance.running || !instance.keeper) return;
  Keeper &keeper = *instance.keeper;
  switch (random_.below(13)) {
    case 0:
    case 1:
      if (keeper.rotate()) tell(instance, "operator rotates the node");
      break;
    case 2:
      keeper.drain();
      tell(instance, "operator drains it");
      see(Seen::drained);
      break;
    case 3:
    case 4:
      keeper.undrain();
      break;
    case 5:
      accept_clock(instance);
      break;
    case 6:
      retire(instance);
      break;
    case 7:
      if (random_.one_in(4)) ask_raise(instance);
      break;
    case 10:
      if (keeper.rotate()) {
        tell(instance, "operator rotates the node, and drains it at once");
        instance.ghost.drains = true;
      }
      break;
    case 8:
      tell(instance, "server shuts down");
      keeper.drain();
      instance.ghost.leaves_by = now_ + 500 * kMs;
      break;
    case 9:
      list(instance);
      break;
    case 11:
      observe(instance);
      break;
    default:
      change_fleet_settings(instance);
  }
}

void FleetWorld::coordinator_chaos() {
  switch (random_.below(9)) {
    case 0:
      network_.cut(0, now_ + random_.between(1, 60) * 100 * kMs);
      history_.tell(0, "the coordinator is unreachable");
      break;
    case 1:
      restart_coordinator();
      break;
    case 2:
    case 3:
      lose(random_.one_in(4) ? Loss::other_cluster : Loss::fail_over);
      break;
    case 4:
      lose(Loss::restore);
      break;
    case 5:
      lose(Loss::put_back);
      break;
    case 6:
      replicate();
      break;
    default:
      // What the raise rests on: a clock that doesn't go back.
      coordinator_offset_ += random_.between(lossy_ ? 0 : -2000, 2000) * kMs;
      coordinator_offset_ = std::clamp(coordinator_offset_, -5 * kSecond, 5 * kSecond);
      history_.tell(0, "the coordinator's clock is off by ms", coordinator_offset_ / kMs);
  }
}

void FleetWorld::step_wall_a_little(Instance &instance) {
  static constexpr std::int64_t steps[] = {1,    -1,    50,   -50,   500,   -500,
                                           1500, -1500, 4000, -4000, -12000};
  instance.ghost.clock_was_right = false;
  std::int64_t &offset = instance.machine.wall_offset;
  offset = random_.one_in(3) ? 0 : offset + steps[random_.below(std::size(steps))] * kMs;
  if (lossy_) offset = std::min(offset, policy_.max_skew);
  tell(instance, "wall clock off by ms", offset / kMs);
}

// What a fleet's raise rests on, skew and liveness, stays as it is where it may
// have to be right.
void FleetWorld::change_fleet_settings(Instance &instance) {
  KeeperPolicy &policy = instance.policy;
  switch (random_.below(6)) {
    case 0:
      policy.auto_drain = !policy.auto_drain;
      break;
    case 1:
      policy.on_rollback = static_cast<OnRollback>(random_.below(3));
      break;
    case 2:
      policy.shard = -1;
      break;
    case 3:
      pin(instance);
      break;
    case 4:
      if (lossy_) {
        policy.window = random_.between(2, 5) * 100 * kMs;
      } else {
        policy.lease_ttl = random_.between(5, 40) * 100 * kMs;
      }
      break;
    default:
      if (!lossy_) change_settings(instance, 3 * kSecond);
  }
  note_settings(instance);
  see(Seen::settings_changed);
}

// A base backup, started beside the original or in its place: it shows as a copy.
void FleetWorld::copy(Instance &from) {
  Instance &to = add_instance(now_ + random_.between(1, 500) * kMs, ++directories_);
  copy_disk(from, to);
  const bool in_place = random_.one_in(3);
  tell(to, in_place ? "restored from" : "copied from", from.number);
  see(in_place ? Seen::restore : Seen::clone);
  if (in_place) remove(from);
}

// A block device was cloned, inodes and all.
void FleetWorld::clone(Instance &from) {
  Instance &to = add_instance(now_ + random_.between(1, 500) * kMs, from.disk.directory());
  copy_disk(from, to);
  tell(to, "cloned from", from.number);
  see(Seen::block_clone);
}

// --- operators -------------------------------------------------------------------

bool FleetWorld::is_idle(const Instance &instance) const {
  return instance.running && instance.keeper && instance.steps.empty() && !instance.asks &&
         instance.request == Instance::Request::none;
}

// What an operator asks the registry; false if it's busy.
bool FleetWorld::prepare(Instance &instance, RegistryAsk ask, RegistryRequest &request) const {
  if (!is_idle(instance) || !instance.keeper->begin_other()) return false;
  request = instance.keeper->request(ask, instance.machine.sample(now_), instance.policy);
  return true;
}

void FleetWorld::list(Instance &instance) {
  RegistryRequest request;
  if (!prepare(instance, RegistryAsk::list, request)) return;
  tell(instance, "operator lists the fleet");
  ask_for_operator(instance, request);
}

void FleetWorld::retire(Instance &instance) {
  RegistryRequest request;
  if (!prepare(instance, RegistryAsk::retire, request)) return;
  request.retired = random_.one_in(2);
  request.node = static_cast<std::uint32_t>(random_.below(layout_.max_node() + 1));
  tell(instance, request.retired ? "operator retires node" : "operator calls back node",
       request.node);
  ask_for_operator(instance, request);
}

void FleetWorld::ask_raise(Instance &instance) {
  RegistryRequest request;
  if (!prepare(instance, RegistryAsk::raise, request)) return;
  if (!lossy_) {
    request.ceiling =
        issue_.tick_of(now_ + coordinator_offset_ + random_.between(-3, 12) * kSecond);
  }
  tell(instance, "operator raises the ceilings");
  ask_for_operator(instance, request);
}

// And puts it back into service soon, perhaps before anything was let go.
void FleetWorld::drain_if_rotated(Instance &instance) {
  Ghost &ghost = instance.ghost;
  if (!instance.keeper) return;
  if (ghost.drains && !instance.keeper->rotating()) {
    ghost.drains = false;
    ghost.undrains_at = now_ + random_.between(1, 400) * kMs;
    instance.keeper->drain();
    see(Seen::drained);
  } else if (ghost.undrains_at > 0 && now_ >= ghost.undrains_at) {
    ghost.undrains_at = 0;
    instance.keeper->undrain();
  }
}

void FleetWorld::on_worker_step(Instance &instance) {
  drain_if_rotated(instance);
  leave(instance);
  // Whoever restores a coordinator has its ceilings raised, once. After several losses the
  // generation can be one that an instance has seen before, in another history. It then
  // refuses, and says that the ceilings are to be raised: somebody reads that.
  const bool told = history_.calm && now_ - raised_at_ > kReadsTheLog &&
                    instance.reply.message.find("gone back") != std::string::npos;
  const bool lost = loss_ != Loss::none && loss_ != Loss::fail_over;
  if (!instance.running || !(lost || told)) return;
  const bool asked = std::any_of(instances_.begin(), instances_.end(), [](const auto &other) {
    return other->asks_for_operator && other->ask.ask == RegistryAsk::raise;
  });
  if (!asked && random_.one_in(history_.calm ? 3 : 60)) ask_raise(instance);
}

// A server that shuts down waits for a moment for its node to be let go.
void FleetWorld::leave(Instance &instance) {
  if (instance.ghost.leaves_by == 0 || !instance.keeper) return;
  const bool drained = unpack(issue_, instance.grant).state == GrantState::drained;
  const bool left = is_idle(instance) && drained && !instance.keeper->releasing();
  if (left) see(Seen::shut_down);
  if (left || now_ >= instance.ghost.leaves_by) crash(instance, false);
}

// --- liveness ----------------------------------------------------------------------

void FleetWorld::heal() {
  World::heal();
  network_.heal();
  blind_ = false;
  checks_.set_blind(false);
  if (!lossy_) coordinator_offset_ = 0;
  for (const auto &instance : instances_) {
    instance->policy.auto_drain = false;
    instance->ghost.drains = false;
    for (Keeper *keeper : {instance->keeper.get(), instance->saved.get()}) {
      if (keeper != nullptr) keeper->undrain();
    }
  }
  pass_time();
  history_.tell(0, "faults have ended");
}

// Where ceilings lie far ahead, time has to pass, and does.
void FleetWorld::pass_time() {
  std::uint64_t highest = coordinator_.root.base;
  for (const auto &[node, row] : coordinator_.nodes) highest = std::max(highest, row.ceiling);
  const auto far = static_cast<std::int64_t>(highest) * issue_.tick_ns;
  if (far > now_) {
    for (const auto &instance : instances_) {
      instance->ghost.slowest = std::max(instance->ghost.slowest, far - now_);
    }
    now_ = far;
  }
  well_by_ = now_ + kGrace;
}

// Each issues, or can't: what it wants is in use by others, or retired.
bool FleetWorld::all_is_well() {
  if (raised_at_ > well_by_ - kGrace) pass_time();
  const bool in_time = now_ < well_by_;
  return nothing_strays() &&
         std::all_of(instances_.begin(), instances_.end(), [&](const auto &instance) {
           if (instance->gone || instance->ghost.issued > 0) return true;
           return !in_time && is_excused(*instance);
         });
}

// Nothing stays alive that nobody holds.
bool FleetWorld::nothing_strays() const {
  const FleetView fleet = coordinator_.view(0, static_cast<std::uint32_t>(layout_.max_node()));
  return std::all_of(fleet.nodes.begin(), fleet.nodes.end(), [&](const FleetNode &row) {
    return !row.alive || twins_.contains(row.node) ||
           std::any_of(instances_.begin(), instances_.end(), [&](const auto &one) {
             const Grant grant = unpack(issue_, one->grant);
             return one->running && one->incarnation == row.holder &&
                    grant.state == GrantState::active && row.node >= grant.node &&
                    row.node - grant.node < 1U << grant.log2_lanes;
           });
  });
}

bool FleetWorld::is_used_by_another(const Instance &instance, std::uint32_t node) const {
  return std::any_of(instances_.begin(), instances_.end(), [&](const auto &other) {
    if (other.get() == &instance || other->gone || !other->running) return false;
    const Grant grant = unpack(issue_, other->grant);
    return grant.state == GrantState::active && node >= grant.node &&
           node - grant.node < 1U << grant.log2_lanes;
  });
}

bool FleetWorld::is_excused(const Instance &instance) const {
  const KeeperPolicy &policy = instance.policy;
  const auto region = static_cast<std::uint32_t>(policy.region) << layout_.shard.width;
  const std::uint32_t size = 1U << policy.log2_lanes;
  if (policy.shard >= 0 && policy.shard % size != 0) return false;  // the settings see to that
  const auto shards = static_cast<std::uint32_t>(layout_.shard.max()) + 1;
  for (std::uint32_t first = 0; first < shards; first += size) {
    if (policy.shard >= 0 && first != static_cast<std::uint32_t>(policy.shard)) continue;
    bool usable = policy.shard >= 0 || region + first > 0;
    for (std::uint32_t node = region + first; node < region + first + size; ++node) {
      const auto row = coordinator_.nodes.find(node);
      const bool retired =
          row != coordinator_.nodes.end() && row->second.state == NodeState::retired;
      usable = usable && !retired && !is_used_by_another(instance, node);
    }
    if (usable) return false;
  }
  return true;
}

}  // namespace idgen::sim
