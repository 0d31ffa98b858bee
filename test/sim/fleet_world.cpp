#include "fleet_world.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>

#include "registry/fleet_registry.h"

namespace idgen::sim {
namespace {

constexpr const char *kLayouts[] = {
    "time:41 region:1 shard:3 sequence:5", "time:41 region:1 shard:3 sequence:5",
    "time:41 region:1 shard:4 sequence:5", "time:38 region:1 shard:3 sequence:9 tick:10ms"};
constexpr std::size_t kMaxSnapshots = 12;
constexpr std::int64_t kRaiseIsNews = 20 * kSecond;
constexpr unsigned kMaxInstances = 8;

bool says(const RegistryReply &reply, std::string_view words) {
  return reply.message.find(words) != std::string::npos;
}

Link &link_of(Instance &instance) {
  return static_cast<Link &>(*instance.store);
}

}  // namespace

FleetWorld::FleetWorld(std::uint64_t seed, Mutant mutant, bool trace)
    : World(seed, mutant, trace, kLayouts, std::size(kLayouts), {4000, 20000, 600, 60}),
      checks_(history_, coordinator_, layout_.max_node() + 1),
      network_(history_, *this) {
  lossy_ = random_.one_in(2);
  blind_ = random_.one_in(8);
  lanes_ = random_.one_in(2);
  wild_clocks_ = random_.one_in(4);
  coordinator_.compares_less = random_.one_in(2);
  checks_.set_blind(blind_);
  network_.set_loss(random_.one_in(4) ? 8 : 40);
  if (blind_) see(Seen::blind_to_liveness);
  policy_.window = lossy_ ? random_.between(2, 5) * 100 * kMs : random_.between(2, 20) * 100 * kMs;
  policy_.max_skew = random_.between(1, 4) * kSecond;
  policy_.lease_ttl = random_.between(5, 40) * 100 * kMs;
  policy_.region = static_cast<std::int64_t>(random_.below(2));
}

void FleetWorld::begin() {
  set_clock();
  const std::int64_t n = random_.between(2, kMaxInstances - 2);
  for (std::int64_t i = 0; i < n; ++i) {
    Instance &instance = add_instance(now_ + random_.between(0, 500) * kMs, ++directories_);
    if (random_.one_in(5)) pin(instance);
    instance.policy.on_rollback = static_cast<OnRollback>(random_.below(3));
  }
}

void FleetWorld::pin(Instance &instance) {
  KeeperPolicy &policy = instance.policy;
  const std::uint64_t lanes =
      is_mutant(Mutant::lanes_ignored) ? 1 : std::uint64_t{1} << policy.log2_lanes;
  policy.shard = static_cast<std::int64_t>(random_.below(layout_.shard.max() + 1) / lanes * lanes);
  see(Seen::pinned);
}

// Lanes are a setting that counts from a server's start on.
void FleetWorld::on_start(Instance &instance) {
  KeeperPolicy &policy = instance.policy;
  if (lanes_ && random_.one_in(3)) {
    policy.log2_lanes = static_cast<std::uint8_t>(random_.below(3));
    if (policy.shard >= 0 && !is_mutant(Mutant::lanes_ignored)) {
      policy.shard &= ~((std::int64_t{1} << policy.log2_lanes) - 1);
    }
  }
  Ghost &ghost = instance.ghost;
  ghost.acknowledged.clear();
  ghost.leaves_by = 0;
  ghost.follows = Incarnation{};
  const auto &record = instance.disk.cache;
  if (record && record->directory.number == instance.disk.directory()) {
    ghost.follows = record->incarnation;
  }
  checks_.on_start(instance);
}

std::unique_ptr<Registry> FleetWorld::open_registry(Instance &instance) {
  LocalHost host;
  host.system = static_cast<std::uint64_t>(instance.number);
  host.boot = std::to_string(instance.machine.boot);
  host.draw = [this](std::uint64_t n) { return random_.below(n); };
  if (is_mutant(Mutant::living_displaced)) {
    instance.disk.holder_of = [this](std::uint32_t node) {
      return coordinator_.nodes[node].holder;
    };
  }
  Ghost &ghost = instance.ghost;
  const auto &record = instance.disk.cache;
  ghost.seen_generation = record ? record->generation : 0;
  ghost.seen_revision = record ? record->revision : 0;
  ghost.lost = false;
  instance.store = std::make_unique<Link>(network_, instance.number);
  return std::make_unique<FleetRegistry>(instance.disk, *instance.store, layout_, host,
                                         "i" + std::to_string(instance.number));
}

// What its keeper has not heard of explains no lead to it.
void FleetWorld::on_worker_end(Instance &instance) {
  if (instance.request == Instance::Request::replied || !instance.steps.empty()) {
    instance.ghost.clock_was_right = false;
  }
}

void FleetWorld::tamper(RegistryRequest &ask, Instance &instance) {
  link_of(instance).for_operator = ask.ask == RegistryAsk::raise;
  instance.ghost.undone = false;
}

// What was to be released before the last is forgotten.
bool FleetWorld::poll(Instance &instance) {
  const bool forgets = is_mutant(Mutant::one_release_slot) &&
                       instance.ask.ask == RegistryAsk::release && instance.keeper->releases() > 1;
  if (!forgets) return World::poll(instance);
  instance.reply.ask = RegistryAsk::release;
  instance.reply.outcome = RegistryOutcome::done;
  return true;
}

// --- the coordinator -----------------------------------------------------------

void FleetWorld::set_clock() {
  coordinator_.clock_us = (now_ + coordinator_offset_) / 1000;
}

StoreResult FleetWorld::carry_out(const Message &message, Sender sender) {
  set_clock();
  if (is_mutant(Mutant::expiry_lowers)) expire();
  StoreResult result;
  if (const auto *read = std::get_if<ReadStep>(message.step.get())) {
    result.outcome = StoreOutcome::done;
    result.view = coordinator_.view(read->first, read->last);
    mutate_view(result.view);
  } else if (const auto *wanted = std::get_if<FleetWrite>(message.step.get())) {
    result = write(message, *wanted, sender);
  } else if (const auto *root = std::get_if<FleetRoot>(message.step.get())) {
    result = coordinator_.apply(*root);
  } else {
    result = raise(std::get<FleetRaise>(*message.step));
  }
  return result;
}

StoreResult FleetWorld::write(const Message &message, const FleetWrite &wanted, Sender sender) {
  FleetWrite write = wanted;
  mutate_write(write);
  const FleetChecks::Before before = checks_.before(wanted);
  StoreResult result = coordinator_.apply(write, coordinator_.compares_less ? 0 : message.lease);
  if (result.outcome == StoreOutcome::conflict) {
    see(message.second            ? Seen::applied_twice
        : sender == Sender::waits ? Seen::conflict
                                  : Seen::applied_late_in_vain);
    note_twin(wanted);
  }
  if (result.outcome != StoreOutcome::done) return result;
  if (is_mutant(Mutant::release_lowers) && write.state == NodeState::free) expire();
  for (std::size_t i = result.nodes.size(); i < wanted.nodes.size(); ++i) {
    result.nodes.push_back(result.nodes.front());  // Mutant::block_written_partly
    result.nodes.back().node = wanted.nodes[i].node;
  }
  const Instance &by = *instances_[static_cast<std::size_t>(message.instance - 1)];
  tell(by, "wrote node", wanted.nodes.front().node, "take", wanted.take, "state",
       static_cast<int>(wanted.state), "ceiling", wanted.ceiling, "revision", result.revision);
  checks_.on_write(by, wanted, before);
  note_write(wanted, message, sender);
  keep_snapshot();
  return result;
}

// It was refused because the same request has arrived before, of which the sender knows
// nothing. (TCP rules that out.) What it then changes its node for stays alive with it.
void FleetWorld::note_twin(const FleetWrite &write) {
  for (const FleetNode &node : write.nodes) {
    const auto row = coordinator_.nodes.find(node.node);
    const bool is_its_own = row != coordinator_.nodes.end() && row->second.holder == write.holder;
    if (write.take && is_its_own) twins_.insert(node.node);
  }
}

void FleetWorld::note_write(const FleetWrite &write, const Message &message, Sender sender) {
  if (write.state == NodeState::free && !write.take) see(Seen::released);
  if (write.state == NodeState::retired) see(Seen::retired);
  if (sender == Sender::ended) {
    see(Seen::applied_after_death);
  } else if (now_ > message.deadline) {
    see(Seen::applied_after_time_out);
  }
}

StoreResult FleetWorld::raise(const FleetRaise &wanted) {
  FleetRaise raise = wanted;
  if (is_mutant(Mutant::raise_without_base)) raise.base = coordinator_.root.base;
  StoreResult result = coordinator_.apply(raise);
  if (result.outcome != StoreOutcome::done) return result;
  history_.tell(0, "ceilings raised to", raise.base, "generation", raise.generation, "rows above",
                raise.above.size());
  loss_ = Loss::none;
  raised_at_ = now_;
  checks_.on_raise();
  keep_snapshot();
  return result;
}

// Some states are kept to go back to.
void FleetWorld::keep_snapshot() {
  if (!lossy_ || loss_ != Loss::none || !random_.one_in(5)) return;
  snapshots_.push_back({now_, coordinator_});
  if (snapshots_.size() > kMaxSnapshots) snapshots_.pop_front();
}

// The coordinator has lost what it did since a snapshot: a little while ago if that
// is by a fail-over, any time ago if that is by a restore. Not a raise that still lies
// ahead of the clock, with what was taken above it, or that somebody may not have heard
// of yet: the next one can't know of that.
void FleetWorld::lose(Loss loss) {
  if (!lossy_ || loss_ != Loss::none || !coordinator_.root.exists) return;
  set_clock();
  const bool fails_over = loss == Loss::fail_over;
  std::int64_t oldest = fails_over ? now_ - std::min(policy_.lease_ttl, policy_.max_skew) : 0;
  const std::int64_t allowed = policy_.max_skew + policy_.alive();
  const std::uint64_t next = issue_.tick_of(coordinator_.clock_us * 1000 + allowed);
  if (checks_.highest_promise() > next || now_ - raised_at_ < kRaiseIsNews) {
    oldest = std::max(oldest, raised_at_);
  }
  const auto young = std::find_if(snapshots_.begin(), snapshots_.end(),
                                  [&](const Snapshot &snapshot) { return snapshot.at >= oldest; });
  if (young == snapshots_.end()) {
    if (loss == Loss::restore || loss == Loss::put_back) return;
  } else {
    const auto choices = static_cast<std::uint64_t>(snapshots_.end() - young);
    const auto chosen = young + static_cast<std::ptrdiff_t>(random_.below(choices));
    const std::uint64_t grown = coordinator_.revision + 1;
    coordinator_ = chosen->coordinator;
    // The server is the same, and goes on counting.
    if (loss == Loss::put_back) coordinator_.revision = grown;
    snapshots_.erase(chosen + 1, snapshots_.end());
  }
  set_clock();
  loss_ = loss;
  const Mutant hides = loss == Loss::put_back ? Mutant::place_unseen : Mutant::move_unseen;
  const bool shows = loss != Loss::restore && !is_mutant(hides);
  coordinator_.root.moved = shows;
  coordinator_.root.same_system = loss != Loss::other_cluster;
  // Put back by who has disabled the triggers, or elsewhere in the cluster.
  const bool unguarded = shows && loss == Loss::put_back && random_.one_in(3);
  coordinator_.root.guarded = !unguarded;
  coordinator_.root.same_place = !shows || loss != Loss::put_back || unguarded;
  // Connections end with the server; what it has answered may still be on its way.
  for (const auto &instance : instances_) instance->ghost.undone = true;
  network_.drop_requests();
  if (loss == Loss::restore) network_.drop_all();
  if (checks_.on_loss()) see(Seen::lost_commits);
  see(loss == Loss::fail_over       ? Seen::fail_over
      : loss == Loss::other_cluster ? Seen::other_cluster
      : loss == Loss::put_back      ? Seen::put_back
                                    : Seen::coordinator_restored);
  history_.tell(0, "the coordinator went back to revision", coordinator_.revision, "kind",
                static_cast<int>(loss));
}

// Another fleet's rows, or older ones of this, are written over the coordinator's.
void FleetWorld::replicate() {
  if (!coordinator_.root.exists || loss_ != Loss::none) return;
  FleetNode foreign;
  foreign.node = static_cast<std::uint32_t>(random_.below(layout_.max_node() + 1));
  foreign.revision = 1 + random_.below(50);
  foreign.epoch = random_.below(3);
  foreign.name = "another";
  foreign.ceiling = issue_.tick_of(now_) / 2;
  if (coordinator_.apply_foreign(foreign, !is_mutant(Mutant::guard_missing))) {
    history_.tell(0, "a row of another fleet is written over node", foreign.node);
  } else {
    see(Seen::foreign_rows);
  }
  checks_.on_other_change();
}

void FleetWorld::restart_coordinator() {
  network_.drop_all();
  network_.cut(0, now_ + random_.between(50, 3000) * kMs);
  history_.tell(0, "the coordinator restarts");
  see(Seen::coordinator_restart);
}

// --- what instances hear -------------------------------------------------------

void FleetWorld::on_result(const Message &message) {
  Instance &instance = *instances_[static_cast<std::size_t>(message.instance - 1)];
  instance.worker_next = std::min(instance.worker_next, now_ + history_.soon());
  const auto *write = std::get_if<FleetWrite>(message.step.get());
  if (write == nullptr || message.result->outcome != StoreOutcome::done) return;
  checks_.on_acknowledged(instance, *write);
  const bool in_vain = loss_ == Loss::restore && write->state == NodeState::held;
  instance.ghost.in_vain = in_vain ? write->ceiling : 0;
  note_seen(instance, write->root, message.result->revision);
}

void FleetWorld::note_seen(Instance &instance, const FleetRoot &root,
                           std::uint64_t revision) const {
  Ghost &ghost = instance.ghost;
  if (ghost.seen_generation != root.generation) ghost.seen_revision = 0;
  ghost.seen_generation = root.generation;
  ghost.seen_revision = std::max(ghost.seen_revision, revision);
}

// Would it notice that the coordinator has gone back? By far enough, that is: those
// who notice may still let nodes go.
bool FleetWorld::has_seen_later(const Instance &instance) const {
  constexpr std::uint64_t kEnough = 3;
  const Ghost &ghost = instance.ghost;
  const FleetRoot &root = coordinator_.root;
  if (ghost.seen_generation != root.generation) return ghost.seen_generation > root.generation;
  return ghost.seen_revision > coordinator_.revision + kEnough;
}

// A coordinator that was restored is raised before others may reach it.
bool FleetWorld::is_barred(const Message &message) const {
  return loss_ == Loss::restore && !message.for_operator &&
         !has_seen_later(*instances_[static_cast<std::size_t>(message.instance - 1)]);
}

void FleetWorld::on_reply(Instance &instance) {
  RegistryReply &reply = instance.reply;
  Ghost &ghost = instance.ghost;
  const bool done = reply.outcome == RegistryOutcome::done;
  const bool holds = reply.ask == RegistryAsk::acquire || reply.ask == RegistryAsk::extend;
  if (done && holds && ghost.in_vain == reply.ceiling) {
    fail(Broken::u6, "goes on with a coordinator that has gone back in time");
  }
  // Also of a node that the own record couldn't be told of.
  ghost.start_gain += static_cast<std::int64_t>(reply.raised) * issue_.tick_ns;
  if (done && reply.ask == RegistryAsk::acquire) {
    if (ghost.was_refused) see(Seen::waited_for_liveness);
    if (instance.ask.another) see(Seen::rotated_by_operator);
    ghost.was_refused = false;
  }
  if (done && reply.ask == RegistryAsk::resume) see(Seen::resumed_node);
  if (reply.outcome == RegistryOutcome::unreachable) see(Seen::cut_off);
  if (reply.ask == RegistryAsk::release) {
    if (!done) see(Seen::release_failed);
    if (done && !ghost.undone) check_let_go(instance);
  }
  if (reply.stray) see(Seen::taken_in_vain);
  if (reply.outcome == RegistryOutcome::lost) {
    see(Seen::lost_node);
    ghost.lost = true;
    if (is_mutant(Mutant::loss_unheeded)) reply.outcome = RegistryOutcome::failed;
  }
  if (reply.outcome == RegistryOutcome::refused) {
    const bool pinned = says(reply, "is held") || says(reply, "was retired");
    const bool full = says(reply, " is free");
    ghost.was_refused = ghost.was_refused || pinned || full;
    if (pinned) see(Seen::refused_pinned);
    if (full) see(Seen::refused_full);
    if (says(reply, "too far ahead")) see(Seen::refused_ahead);
    if (says(reply, "gone back")) see(Seen::refused_gone_back);
  }
  if (is_mutant(Mutant::never_acknowledged) && done && holds) {
    reply.outcome = RegistryOutcome::failed;
  }
}

// Of a node that was let go nothing is left that the next extension keeps alive.
void FleetWorld::check_let_go(Instance &instance) {
  if (coordinator_.compares_less) return;  // each lives by itself
  const std::uint32_t first = instance.ask.node;
  for (std::uint32_t node = first; node < first + (1U << instance.ask.log2_lanes); ++node) {
    const auto row = coordinator_.nodes.find(node);
    const auto lease = coordinator_.lease_of.find(node);
    if (row == coordinator_.nodes.end() || lease == coordinator_.lease_of.end()) continue;
    if (row->second.holder == instance.incarnation && row->second.state == NodeState::held &&
        lease->second == link_of(instance).lease()) {
      fail(Broken::liveness, "node " + std::to_string(node) + " was let go, and stays alive");
    }
  }
}

void FleetWorld::on_operators_reply(Instance &instance) {
  if (instance.reply.outcome != RegistryOutcome::done) return;
  if (instance.reply.ask == RegistryAsk::raise) see(Seen::raised_by_operator);
  if (instance.reply.ask != RegistryAsk::list) return;
  see(Seen::listed);
  const FleetView &fleet = *instance.registry->fleet();
  const Ghost &ghost = instance.ghost;
  if (ghost.seen_generation == fleet.root.generation && fleet.revision >= ghost.seen_revision) {
    note_seen(instance, fleet.root, fleet.revision);
  }
}

// U7: on a loss the grant is withdrawn before all else.
void FleetWorld::on_answer(Instance &instance, const Turn &turn) {
  const bool active = unpack(issue_, instance.grant).state == GrantState::active;
  const WordStep *first = turn.words.begin();
  if (instance.ghost.lost && active &&
      (first == turn.words.end() || first->kind != WordStep::Kind::withdraw)) {
    fail(Broken::u7, "the node was lost, and the grant is not withdrawn");
  }
  instance.ghost.lost = false;
  for (const WordStep &step : turn.words) {
    const bool fences = step.kind == WordStep::Kind::withdraw &&
                        unpack(issue_, step.value).state == GrantState::fenced;
    if (fences && instance.keeper->cut_off()) see(Seen::fenced_when_cut_off);
  }
}

void FleetWorld::on_publish(Instance &instance, const Grant &grant, bool acquired) {
  if (grant.log2_lanes > 0) see(Seen::lanes);
  checks_.on_publish(instance, grant, acquired);
}

}  // namespace idgen::sim
