// The keeper's part for operators and fleets: another registry, rotation, drain,
// what is lost, and what is cut off.

#include "core/keeper.h"

#include <algorithm>

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
  has_block_ = false;
  releases_ = 0;
  has_candidate_ = asks_candidate_ = false;
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

void Keeper::drop_candidate() noexcept {
  if (asks_candidate_) lease_.forget_request();
  has_candidate_ = asks_candidate_ = false;
  candidate_at_ = 0;
  if (move_ != Move::registry) return;
  move_ = Move::none;
  if (grant_.state == GrantState::active) lease_.resume(grant_.ceiling);
}

// Nothing was taken at the registry that is to be gone over to: the one that there is
// stays.
void Keeper::not_gone_over(const RegistryAnswer &answer, const ClockSample &sample) noexcept {
  lease_.failed(sample.monotonic);
  confirmed_ = false;
  if (answer.outcome == RegistryOutcome::unreachable) {
    has_candidate_ = false;  // until it is known to answer again
  } else if (answer.outcome != RegistryOutcome::failed) {
    candidate_at_ = sample.monotonic + kRefusedPause;
    confirmed_local_ = false;
  }
  if (move_ == Move::registry) give_up_move(sample);
}

bool Keeper::confirm_local(bool is_candidate) noexcept {
  if (lease_.held() && !is_candidate) return false;
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

// These nodes are held from now on, and those that were held before are not.
void Keeper::hold(const HeldNodes &fresh) noexcept {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < releases_; ++i) {
    // It was taken again before it was released. What overlaps it otherwise is released by
    // its liveness.
    if (!to_release_[i].overlaps(fresh)) to_release_[kept++] = to_release_[i];
  }
  releases_ = kept;
  if (has_block_ && !block_.overlaps(fresh)) release_later(block_);
  has_block_ = true;
  block_ = fresh;
}

void Keeper::release_held() noexcept {
  if (has_block_) release_later(block_);
  has_block_ = false;
}

void Keeper::release_later(const HeldNodes &block) noexcept {
  const auto end = to_release_.begin() + static_cast<std::ptrdiff_t>(releases_);
  if (std::find(to_release_.begin(), end, block) != end) return;
  if (releases_ == kMaxReleases) return;  // never: may_acquire()
  to_release_[releases_++] = block;
  release_at_ = release_pause_ = 0;
}

// While the registry doesn't answer, what is held comes first.
bool Keeper::may_release() const noexcept {
  if (!releasing() || waiting()) return false;
  return !cut_off_ || grant_.state == GrantState::drained || !may_acquire();
}

bool Keeper::ask_release(Turn &turn, const ClockSample &sample,
                         const KeeperPolicy &policy) noexcept {
  if (!may_release() || sample.monotonic < release_at_) return false;
  turn.asks = other_in_flight_ = true;
  turn.ask = request(RegistryAsk::release, sample, policy);
  turn.ask.node = to_release_.front().node;
  turn.ask.log2_lanes = to_release_.front().log2_lanes;
  return true;
}

// What failed, was refused (until somebody acts), or of which nothing is known, is tried again,
// after all the others.
void Keeper::end_release(const RegistryAnswer &answer, const ClockSample &sample) noexcept {
  end_other();
  if (releases_ == 0) return;
  const auto first = to_release_.begin();
  std::rotate(first, first + 1, first + static_cast<std::ptrdiff_t>(releases_));
  if (answer.outcome != RegistryOutcome::done && answer.outcome != RegistryOutcome::lost) {
    const std::int64_t last =
        answer.outcome == RegistryOutcome::refused ? kLastRefusedPause : kLastReleasePause;
    release_pause_ = release_pause_ == 0 ? kFirstReleasePause : std::min(2 * release_pause_, last);
    release_at_ = sample.monotonic + release_pause_;
    return;
  }
  --releases_;
  release_at_ = release_pause_ = 0;
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
    withdraw(turn, GrantState::drained);
  }
  release_held();
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
