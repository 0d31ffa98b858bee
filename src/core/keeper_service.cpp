// The keeper's part for operators and fleets: another registry, rotation, drain,
// what is lost, and what is cut off.

#include "core/keeper.h"

namespace idgen {

void Keeper::change_registry(Turn &turn) noexcept {
  if (grant_.state == GrantState::active || grant_.state == GrantState::fenced ||
      grant_.state == GrantState::mismatch) {
    withdraw(turn, GrantState::acquiring);
  }
  end_move(false);
  move_ = Move::none;
  lease_.forget_request();
  lease_.restart();
  lease_.retry_at_once();
  other_in_flight_ = resuming_ = cut_off_ = false;
  to_release_.due = false;
  reload();
}

bool Keeper::observe(std::uint64_t tick, const ClockSample &sample,
                     const KeeperPolicy &policy) noexcept {
  if (grant_.state != GrantState::active) return false;
  if (tick >= layout_.max_ceiling()) return false;
  const std::int64_t passed = passed_at(layout_, tick);
  if (sample.monotonic + clock_.offset() >= passed) return true;
  return clock_.observe(sample, passed, policy.max_skew);
}

bool Keeper::confirm_local() noexcept {
  if (lease_.held()) return false;
  confirmed_local_ = true;
  lease_.retry_at_once();
  reload();
  return true;
}

bool Keeper::rotate() noexcept {
  if (grant_.state != GrantState::active) return false;
  rotate_wanted_ = true;
  return true;
}

// An operator's rotation is over.
void Keeper::end_move(bool succeeded) noexcept {
  if (move_ != Move::requested && !rotate_wanted_) return;
  rotate_wanted_ = false;
  ++moves_.ended;
  moves_.succeeded = succeeded;
}

void Keeper::release_later(const Grant &grant) noexcept {
  to_release_ = {true, grant.node, grant.log2_lanes};
}

bool Keeper::ask_release(Turn &turn, const ClockSample &sample,
                         const KeeperPolicy &policy) noexcept {
  if (!to_release_.due || waiting()) return false;
  turn.asks = other_in_flight_ = true;
  turn.ask = request(RegistryAsk::release, sample, policy);
  turn.ask.node = to_release_.node;
  turn.ask.log2_lanes = to_release_.log2_lanes;
  return true;
}

// Drained, by an operator or of itself: true while nothing is to be issued.
bool Keeper::is_drained(Turn &turn, const KeeperPolicy &policy) noexcept {
  const bool unwell =
      policy.auto_drain &&
      (clock_.state() == ClockState::suspect ||
       (clock_.state() == ClockState::rollback && policy.on_rollback == OnRollback::hold));
  if (!drained_by_operator_ && !unwell) {
    if (grant_.state == GrantState::drained) withdraw(turn, GrantState::acquiring);
    return false;
  }
  if (grant_.state != GrantState::drained) {
    end_move(false);
    move_ = Move::none;
    const bool held = grant_.state == GrantState::active;
    withdraw(turn, GrantState::drained);
    if (held) release_later(grant_);
  }
  lease_.restart();
  return true;
}

// Nothing more is to be had from the registry, and what there was is used up: calls
// fail at once, and say why.
void Keeper::fence_if_cut_off(Turn &turn, const ClockSample &sample) noexcept {
  if (!cut_off_) return;
  if (grant_.state == GrantState::acquiring ||
      (grant_.state == GrantState::active && issuing_tick(sample.monotonic) >= grant_.ceiling)) {
    end_move(false);
    move_ = Move::none;
    refuse(turn, GrantState::fenced);
  }
}

// The node is another's, or that can't be ruled out.
void Keeper::lose(Turn &turn) noexcept {
  if (grant_.state == GrantState::active) withdraw(turn, GrantState::acquiring);
  end_move(false);
  move_ = Move::none;
  lease_.forget_request();
  lease_.restart();
  lease_.retry_at_once();
}

}  // namespace idgen
