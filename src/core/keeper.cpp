#include "core/keeper.h"

#include <algorithm>

namespace idgen {

void Keeper::withdraw(Turn &turn, GrantState state) noexcept {
  grant_.state = state;
  turn.words.add(WordStep::Kind::withdraw, pack(layout_, grant_));
}

void Keeper::publish(Turn &turn, const Grant &grant) noexcept {
  grant_ = grant;
  turn.words.add(WordStep::Kind::publish, pack(layout_, grant_));
}

// Issuing stops until something outside changes.
void Keeper::refuse(Turn &turn, GrantState state) noexcept {
  if (grant_.state != state) withdraw(turn, state);
  lease_.restart();
}

void Keeper::resume(const Grant &grant, std::int64_t offset) noexcept {
  grant_ = grant;
  published_offset_ = offset;
  end_move(false);
  move_ = Move::none;
  lease_.forget_request();
  lease_.restart();
  other_in_flight_ = cut_off_ = false;
  has_candidate_ = asks_candidate_ = false;
  looked_ = false;  // a node may have been written and not published
  if (grant.state != GrantState::active) return;
  // Its ceiling was acknowledged before it was published, so it may stay; what
  // is published from here on will have an acknowledgement of its own.
  clock_.resume(offset);
  highest_ = std::max(highest_, grant.ceiling);
  has_held_ = true;
  resuming_ = true;
}

bool Keeper::accept_clock(const ClockSample &sample, Turn &turn) noexcept {
  if (!clock_.accept(sample, turn.events)) return false;
  note_judgement(sample);
  return true;
}

bool Keeper::confirm_copy(const ClockSample &sample, const KeeperPolicy &policy) noexcept {
  if (lease_.held() && !pinned_elsewhere(policy)) return false;
  confirmed_ = true;
  // The original may have issued up to a window ahead of its clock.
  confirmed_floor_ = layout_.tick_of(sample.wall) + layout_.ticks_covering(policy.window);
  lease_.retry_at_once();
  reload();
  return true;
}

ClockTrouble Keeper::trouble_with(const ClockSample &sample,
                                  const KeeperPolicy &policy) const noexcept {
  if (sample.wall < 0 && !has_held_) return ClockTrouble::before_epoch;
  if (policy.require_sync && sample.kernel != KernelSync::synchronized) {
    return ClockTrouble::unsynchronized;
  }
  if (policy.on_rollback == OnRollback::stop && clock_.state() == ClockState::rollback) {
    return ClockTrouble::rollback;
  }
  return ClockTrouble::none;
}

// The clock breaker: true while nothing may be issued because of the clock.
bool Keeper::breaker(Turn &turn, const ClockSample &sample, const KeeperPolicy &policy) noexcept {
  trouble_ = trouble_with(sample, policy);
  if (trouble_ != ClockTrouble::none) {
    lease_.restart();  // also of a node that was acquired meanwhile
    if (grant_.state != GrantState::breaker) {
      withdraw(turn, GrantState::breaker);
      turn.events.add(clock_.event(ClockEventKind::stopped));
    }
    return true;
  }
  if (grant_.state == GrantState::breaker) {
    withdraw(turn, GrantState::acquiring);  // callers wait for the node
    turn.events.add(clock_.event(ClockEventKind::resumed));
  }
  return false;
}

void Keeper::note_kernel(Turn &turn, const ClockSample &sample) noexcept {
  if (sample.kernel == kernel_) return;
  if (sample.kernel == KernelSync::unsynchronized) {
    turn.events.add(clock_.event(ClockEventKind::unsynchronized));
  } else if (kernel_ == KernelSync::unsynchronized) {
    turn.events.add(clock_.event(ClockEventKind::resynchronized));
  }
  kernel_ = sample.kernel;
}

// A node that is held is left for the pinned one; and for a fresh one if, by
// policy `rotate`, a rollback is to be followed. The old one's grant is good until
// the new one is held, and is kept if that can't be had.
void Keeper::move_if_due(const ClockSample &sample, const KeeperPolicy &policy) noexcept {
  const bool due = policy.on_rollback == OnRollback::rotate &&
                   clock_.state() == ClockState::rollback && sample.wall >= 0;
  if (clock_.state() != ClockState::rollback) rotation_refused_ = false;
  // A change of nodes waits while there is no room to release what it would leave.
  if (waiting() || sample.monotonic < move_at_ || !may_acquire()) return;
  if (lease_.held() && has_candidate_ && sample.monotonic >= candidate_at_) {
    move_ = Move::registry;
    lease_.restart();
  } else if (lease_.held() && pinned_elsewhere(policy) && sample.monotonic >= pin_at_) {
    end_move(false);
    move_ = Move::pinned;
    lease_.restart();
  } else if (rotate_wanted_ && lease_.held()) {
    rotate_wanted_ = false;
    move_ = Move::requested;
    lease_.restart();
  } else if (due && !rotation_refused_ && lease_.held()) {
    move_ = Move::rotate;
    lease_.restart();
  } else if (!due && move_ == Move::rotate) {
    move_ = Move::none;
    if (grant_.state == GrantState::active) lease_.resume(grant_.ceiling);
  }
}

RegistryRequest Keeper::request(RegistryAsk ask, const ClockSample &sample,
                                const KeeperPolicy &policy) const noexcept {
  RegistryRequest request;
  request.ask = ask;
  request.incarnation = incarnation_;
  request.region = policy.region;
  request.log2_lanes = grant_.log2_lanes;
  request.issuing_ns = sample.monotonic + clock_.offset();
  request.boottime = sample.monotonic + sample.suspended;
  request.issuing_tick = issuing_tick(sample.monotonic);
  request.window = clock_.window();
  request.skew = policy.max_skew;
  request.alive = policy.alive();
  request.timeout = policy.timeout();
  return request;
}

void Keeper::ask(Turn &turn, const Lease::Step &step, const ClockSample &sample,
                 const KeeperPolicy &policy) noexcept {
  turn.asks = true;
  turn.ask = this->request(RegistryAsk::acquire, sample, policy);
  RegistryRequest &request = turn.ask;
  request.ticks = step.ticks;
  request.window = std::max(clock_.window(), layout_.ns_of(step.ticks));
  if (step.ask == Lease::Ask::extend) {
    request.ask = RegistryAsk::extend;
    request.node = grant_.node;
    request.node_epoch = node_epoch_;
    request.ceiling = step.ceiling;
  } else if (resuming_) {
    request.ask = RegistryAsk::resume;
    request.node = grant_.node;
    request.node_epoch = node_epoch_;
    request.ceiling = grant_.ceiling;
  } else if (!looked_ && !has_held_) {
    request.ask = RegistryAsk::look;
  } else {
    request.shard = policy.shard;
    request.log2_lanes = policy.log2_lanes;
    request.confirmed = confirmed_;
    request.local = confirmed_local_;
    request.another = move_ == Move::requested;
    if (move_ == Move::rotate) {
      request.fresh = true;
      request.issuing_tick = layout_.tick_of(sample.wall);
      request.issuing_ns = sample.wall;
      // A floor above this would leave the clock as far behind as before.
      request.latest = layout_.tick_of(sample.wall + policy.max_skew);
    } else {
      // U5: the instance's own highest ceiling counts, whatever a record says.
      request.issuing_tick = std::max(request.issuing_tick, highest_);
    }
    if (confirmed_) request.issuing_tick = std::max(request.issuing_tick, confirmed_floor_);
    // A lead over the wall clock that is no rollback is smaller than this.
    request.unvouched_tick =
        layout_.tick_of(sample.wall) + layout_.ticks_covering(policy.max_skew + policy.window);
    turn.to_candidate = asks_candidate_ = move_ == Move::registry;
  }
}

// What has been promised ahead may be the next floor, so it explains a lead, too.
ClockPolicy Keeper::clock_policy(const ClockSample &sample,
                                 const KeeperPolicy &policy) const noexcept {
  ClockPolicy clock = policy.clock();
  const std::uint64_t now = issuing_tick(sample.monotonic);
  if (highest_ > now) {
    clock.window = std::max(clock.window, layout_.ns_of(highest_ - now));
  }
  return clock;
}

// Until a node is held the clock starts anew at each turn: nothing was issued by
// it, and the next floor will raise it. But a suspect one is watched, and what it
// comes to counts more than the record.
void Keeper::judge_clock(Turn &turn, const ClockSample &sample,
                         const KeeperPolicy &policy) noexcept {
  const ClockState before = clock_.state();
  if (has_held_ || before == ClockState::suspect) {
    clock_.sample(sample, clock_policy(sample, policy), turn.events);
    if (before == ClockState::suspect && clock_.state() != ClockState::suspect) {
      note_judgement(sample);
    }
    return;
  }
  clock_.start(sample, evidence_, policy.clock());
  if (before == ClockState::unset) {
    turn.events.add(clock_.event(ClockEventKind::started));
  } else if (clock_.state() == ClockState::suspect) {
    turn.events.add(clock_.event(ClockEventKind::suspect));
  }
}

// Without a node nothing is issued, so time need not go on from where a clock, or a
// node that wasn't to be had, has carried it: only from above all that was promised.
void Keeper::rest(Turn &turn, const ClockSample &sample) noexcept {
  if (grant_.state == GrantState::active || lease_.held() || waiting() || !has_held_) return;
  const ClockState before = clock_.state();
  if (before != ClockState::holding && before != ClockState::rollback) return;
  const std::int64_t promised = layout_.ns_of(highest_);
  if (sample.monotonic + clock_.offset() <= std::max(promised, sample.wall)) return;
  clock_.follow(sample, promised);
  if (clock_.state() == ClockState::synchronized) {
    turn.events.add(clock_.event(ClockEventKind::synchronized));
  }
}

void Keeper::note_judgement(const ClockSample &sample) noexcept {
  judged_ = true;
  evidence_ = {true, true, sample.monotonic + sample.suspended, sample.monotonic + clock_.offset(),
               evidence_.window};
}

Turn Keeper::turn(const ClockSample &sample, const KeeperPolicy &policy) noexcept {
  Turn turn;
  judge_clock(turn, sample, policy);
  rest(turn, sample);
  note_kernel(turn, sample);
  turn.wake_at = sample.monotonic + sample_interval(policy);
  if (breaker(turn, sample, policy)) {
    // A clock that the record contradicts is to show, and to be accepted, now.
    if (!looked_ && !has_held_ && !resuming_ && !waiting()) {
      const Lease::Step step =
          lease_.next(sample.monotonic, issuing_tick(sample.monotonic), policy.lease());
      if (step.ask != Lease::Ask::nothing) ask(turn, step, sample, policy);
    }
    return turn;
  }
  if (is_drained(turn, policy)) {
    ask_release(turn, sample, policy);
    if (may_release()) turn.wake_at = std::min(turn.wake_at, release_at_);
    return turn;
  }
  move_if_due(sample, policy);
  fence_if_cut_off(turn, sample);
  rest(turn, sample);
  if (!ask_release(turn, sample, policy) && !waiting() && (lease_.held() || may_acquire())) {
    const Lease::Step step =
        lease_.next(sample.monotonic, issuing_tick(sample.monotonic), policy.lease());
    if (step.ask != Lease::Ask::nothing) ask(turn, step, sample, policy);
  }
  if (lease_.held() && lease_.ceiling() >= layout_.max_ceiling() &&
      issuing_tick(sample.monotonic) >= layout_.max_ceiling()) {
    refuse(turn, GrantState::exhausted);
  }
  publish_offset(turn, sample);
  set_wake(turn, sample, policy);
  return turn;
}

// The offset is moved only as far as the ceiling allows: a wall clock that has
// jumped ahead of it is followed when the next ceiling has been acknowledged.
void Keeper::publish_offset(Turn &turn, const ClockSample &sample) noexcept {
  if (grant_.state != GrantState::active || published_offset_ == clock_.offset()) return;
  if (issuing_tick(sample.monotonic) >= grant_.ceiling) return;
  published_offset_ = clock_.offset();
  turn.words.add(WordStep::Kind::offset, static_cast<std::uint64_t>(published_offset_));
}

std::int64_t Keeper::sample_interval(const KeeperPolicy &policy) const noexcept {
  const ClockState state = clock_.state();
  if (state != ClockState::holding && state != ClockState::rollback) return policy.interval;
  return std::min(policy.interval, Clock::kSlewInterval);
}

void Keeper::set_wake(Turn &turn, const ClockSample &sample,
                      const KeeperPolicy &policy) const noexcept {
  turn.wake_at = sample.monotonic + sample_interval(policy);
  if (grant_.state == GrantState::exhausted) return;
  if (!waiting() && (lease_.held() || may_acquire())) {
    turn.wake_at =
        std::min(turn.wake_at,
                 lease_.wake_at(sample.monotonic, issuing_tick(sample.monotonic), policy.lease()));
  }
  if (cut_off_ && grant_.state == GrantState::active) {
    const std::int64_t end = layout_.ns_of(grant_.ceiling);
    turn.wake_at = std::min(turn.wake_at, end - clock_.offset());
  }
  if (may_release()) turn.wake_at = std::min(turn.wake_at, release_at_);
}

Turn Keeper::answer(const RegistryAnswer &answer, const ClockSample &sample,
                    const KeeperPolicy &policy) noexcept {
  Turn turn;
  turn.wake_at = sample.monotonic;
  if (asks_candidate_ && answer.outcome != RegistryOutcome::done) {
    asks_candidate_ = false;
    not_gone_over(answer, sample);
    set_wake(turn, sample, policy);
    return turn;
  }
  cut_off_ = answer.outcome == RegistryOutcome::unreachable;
  if (answer.ask == RegistryAsk::release) {
    end_release(answer, sample);
    if (answer.outcome == RegistryOutcome::lost) lose(turn);
    return turn;
  }
  if (answer.ask == RegistryAsk::resume && !cut_off_) {
    resuming_ = false;
    lease_.forget_request();
    if (answer.outcome == RegistryOutcome::lost) {
      lose(turn);
    } else if (answer.outcome == RegistryOutcome::done && grant_.state == GrantState::active) {
      lease_.resume(grant_.ceiling);
    }
    return turn;
  }
  if (answer.outcome == RegistryOutcome::lost) {
    lose(turn);
    return turn;
  }
  if (answer.outcome != RegistryOutcome::done) {
    not_done(turn, answer, sample);
    fence_if_cut_off(turn, sample);
    set_wake(turn, sample, policy);
    return turn;
  }
  switch (answer.ask) {
    case RegistryAsk::look:
      lease_.forget_request();
      if (!judged_ && clock_.state() != ClockState::suspect) evidence_ = answer.evidence;
      looked_ = true;
      return turn;
    case RegistryAsk::extend:
      lease_.acknowledged(sample.monotonic, answer.ceiling);
      if (!lease_.held() || grant_.state != GrantState::active || answer.node != grant_.node) {
        return turn;
      }
      highest_ = std::max(highest_, answer.ceiling);
      if (answer.ceiling > grant_.ceiling) {
        Grant next = grant_;
        next.ceiling = answer.ceiling;
        // The offset first: what was slewed while callers stood at the ceiling
        // must not come as a step when they go on.
        grant_ = next;
        publish_offset(turn, sample);
        publish(turn, next);
      }
      break;
    default:
      lease_.acknowledged(sample.monotonic, answer.ceiling);
      acquired(turn, answer, sample, policy);
  }
  publish_offset(turn, sample);
  set_wake(turn, sample, policy);
  return turn;
}

// The order is the proof's: withdraw the grant, raise the word, set the offset,
// publish the grant.
void Keeper::acquired(Turn &turn, const RegistryAnswer &answer, const ClockSample &sample,
                      const KeeperPolicy &policy) noexcept {
  // A wall clock that has moved on meanwhile is judged as any other: the node is
  // taken, but order goes on.
  const bool rotated = move_ == Move::rotate && clock_.is_rollback(sample);
  // How far the floor is ahead of issuing time by what was promised here.
  const std::uint64_t now = issuing_tick(sample.monotonic);
  const std::uint64_t skipped = has_held_ && std::min(highest_, answer.floor) > now
                                    ? std::min(highest_, answer.floor) - now
                                    : 0;
  end_move(true);
  move_ = Move::none;
  confirmed_ = confirmed_local_ = false;
  has_held_ = true;
  const Grant fresh = {GrantState::active, answer.log2_lanes, answer.node, answer.ceiling};
  const std::uint64_t below = Block(layout_, fresh).last_below(answer.floor);
  const std::int64_t floor_ns = layout_.ns_of(answer.floor);
  if (grant_.state == GrantState::active) {
    withdraw(turn, GrantState::acquiring);
  }
  if (asks_candidate_) {
    // What was left is another registry's: its liveness ends there.
    has_candidate_ = asks_candidate_ = has_block_ = false;
    releases_ = 0;
  }
  hold({fresh.node, fresh.log2_lanes});
  if (rotated) {
    highest_ = answer.ceiling;
    turn.words.add(WordStep::Kind::set_back, below);
    clock_.follow(sample, floor_ns);
    turn.events.add(clock_.event(ClockEventKind::rotated));
  } else {
    highest_ = std::max(highest_, answer.ceiling);
    turn.words.add(WordStep::Kind::raise, below);
    const ClockState before = clock_.state();
    clock_.raise(sample, floor_ns, layout_.ns_of(answer.raised + skipped));
    if (clock_.state() != before) {
      turn.events.add(clock_.event(clock_.state() == ClockState::rollback
                                       ? ClockEventKind::rollback
                                       : ClockEventKind::holding));
    }
  }
  node_epoch_ = answer.node_epoch;
  const GrantState was = grant_.state;
  const bool closed = was == GrantState::breaker || was == GrantState::drained;
  grant_ = fresh;
  grant_.state = closed ? was : GrantState::acquiring;
  if (breaker(turn, sample, policy)) return;
  if (is_drained(turn, policy)) return;
  published_offset_ = clock_.offset();
  turn.words.add(WordStep::Kind::offset, static_cast<std::uint64_t>(published_offset_));
  publish(turn, fresh);
}

// For now: what is held goes on.
void Keeper::give_up_move(const ClockSample &sample) noexcept {
  end_move(false);
  move_ = Move::none;
  move_at_ = sample.monotonic + kMovePause;
  if (grant_.state == GrantState::active) lease_.resume(grant_.ceiling);
}

void Keeper::not_done(Turn &turn, const RegistryAnswer &answer,
                      const ClockSample &sample) noexcept {
  lease_.failed(sample.monotonic);
  if (answer.stray) release_later({answer.node, answer.log2_lanes});
  if (answer.outcome == RegistryOutcome::failed || answer.outcome == RegistryOutcome::unreachable) {
    if (move_ == Move::none) return;  // asked again
    // Whatever keeps it from moving, the node that is held is extended.
    if (grant_.state == GrantState::active || move_ == Move::requested) give_up_move(sample);
    return;
  }
  confirmed_ = confirmed_local_ = false;
  if (trouble_ != ClockTrouble::none) return;
  looked_ = false;  // whoever mends the record may change what it says of the time
  const bool active = grant_.state == GrantState::active;
  const Move move = move_;
  end_move(false);
  move_ = Move::none;
  if (move == Move::pinned) pin_at_ = sample.monotonic + kRefusedPause;
  if (move == Move::rotate) {
    rotation_refused_ = true;
    turn.events.add(clock_.event(ClockEventKind::rotation_refused));
  }
  if (answer.outcome == RegistryOutcome::layout_mismatch) {
    refuse(turn, GrantState::mismatch);
  } else if (answer.outcome == RegistryOutcome::exhausted) {
    refuse(turn, GrantState::exhausted);
  } else if (move != Move::none && active) {
    lease_.resume(grant_.ceiling);  // only the change of nodes was refused
  } else if (!active || issuing_tick(sample.monotonic) >= grant_.ceiling) {
    // A grant that is held stays good up to its ceiling.
    refuse(turn, GrantState::fenced);
  } else {
    lease_.restart();  // the registry doesn't know us any more: acquired anew
  }
}

}  // namespace idgen
