// The keeper: everything the worker decides. It feeds the clock and the lease,
// and says in which order what backends read is to be changed.
//
// A pure state machine of plain numbers, so that the server's worker, the unit
// tests and the simulation run the very same one, and so that it can be kept in
// shared memory for a worker that goes on after another. The driver calls
// turn() with a sample, carries out `words` in order, sends `ask` to the
// registry, and brings its answer to answer().
//
//   U3  a ceiling is published only by answer(), from one that is `done`.
//   U7  words are changed in one order: withdraw the grant, raise (or, for
//       policy `rotate`, set back) the word, set the offset, publish the grant.
//       On loss, or doubt of it, the grant is withdrawn before all else.

#ifndef IDGEN_CORE_KEEPER_H
#define IDGEN_CORE_KEEPER_H

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "core/clock.h"
#include "core/generator.h"
#include "core/grant.h"
#include "core/lease.h"
#include "core/request.h"

namespace idgen {

enum class OnRollback : std::uint8_t { hold, rotate, stop };

// The settings a turn is decided by.
struct KeeperPolicy {
  std::int64_t window = 3'000'000'000;
  std::int64_t max_skew = 60'000'000'000;
  std::int64_t confirm = 600'000'000'000;
  std::int64_t interval = 100'000'000;
  OnRollback on_rollback = OnRollback::hold;
  bool require_sync = false;
  std::int64_t region = 0;
  std::int64_t shard = -1;                  // the pinned one; -1: any
  std::uint64_t shard_mask = UINT64_MAX;    // the shard's bits of a node
  std::uint8_t log2_lanes = 0;              // nodes wanted, as an aligned block
  std::int64_t lease_ttl = 10'000'000'000;  // how long a holder counts as alive; at least a window
  bool auto_drain = false;                  // hand the node back while the clock can't be trusted

  std::int64_t alive() const noexcept { return lease_ttl > window ? lease_ttl : window; }
  // How long one step of a registry may take: long enough for a slow one, short
  // enough to try another endpoint within half a window.
  std::int64_t timeout() const noexcept {
    return std::clamp<std::int64_t>(window / 4, 200'000'000, 1'000'000'000);
  }
  ClockPolicy clock() const noexcept { return {max_skew, confirm, window, interval}; }
  Lease::Policy lease() const noexcept { return {window, max_skew}; }
};

// One change of what backends read.
struct WordStep {
  enum class Kind : std::uint8_t {
    withdraw,  // the grant becomes `value`, which is not active
    raise,     // the word becomes at least `value`
    set_back,  // the word becomes `value` (policy `rotate`, under a withdrawn grant)
    offset,    // the clock offset becomes `value`
    publish,   // the grant becomes `value`
  };
  Kind kind = Kind::withdraw;
  std::uint64_t value = 0;
};

class WordSteps {
 public:
  void add(WordStep::Kind kind, std::uint64_t value) noexcept { steps_[size_++] = {kind, value}; }
  const WordStep *begin() const noexcept { return steps_.data(); }
  const WordStep *end() const noexcept { return steps_.data() + size_; }

 private:
  std::array<WordStep, 8> steps_{};
  std::size_t size_ = 0;
};

// Why nothing is issued although a node could be had.
enum class ClockTrouble : std::uint8_t {
  none,
  before_epoch,    // the wall clock is before the layout's epoch, and no node is held
  unsynchronized,  // the kernel doesn't say that its clock is synchronised, and it must
  rollback,        // the wall clock is far behind, policy `stop`
};

struct Turn {
  WordSteps words;  // to be carried out in this order, before all else
  bool asks = false;
  RegistryRequest ask;        // if `asks`: to be begun; answer() hears of its reply
  bool to_candidate = false;  // at the registry that is to be gone over to
  ClockEvents events;
  std::int64_t wake_at = 0;  // CLOCK_MONOTONIC: the next turn is due
};

class Keeper {
 public:
  // Between two attempts at a change of nodes that fails. Meanwhile the node that is held
  // is extended.
  static constexpr std::int64_t kMovePause = 1'000'000'000;
  // And of one that was refused: what stands in its way may have gone.
  static constexpr std::int64_t kRefusedPause = 60'000'000'000;
  // Between attempts to release a node: the first pause, and the longest.
  static constexpr std::int64_t kFirstReleasePause = 50'000'000;
  static constexpr std::int64_t kLastReleasePause = 2'000'000'000;
  // The longest after a refusal, which lasts until somebody acts.
  static constexpr std::int64_t kLastRefusedPause = 30'000'000'000;

  // `started`: CLOCK_MONOTONIC when this incarnation began.
  Keeper(const IssueLayout &layout, const Incarnation &incarnation, std::int64_t started) noexcept
      : layout_(layout), lease_(layout, started) {
    incarnation_ = incarnation;
  }

  // A new worker goes on after one that has ended, with its keeper, and with the
  // grant and the offset that backends use. The outcome of a request that was in
  // flight is not known and will not be.
  void resume(const Grant &grant, std::int64_t offset) noexcept;

  // What is to be done now.
  Turn turn(const ClockSample &sample, const KeeperPolicy &policy) noexcept;

  // The outcome of the request in flight.
  Turn answer(const RegistryAnswer &answer, const ClockSample &sample,
              const KeeperPolicy &policy) noexcept;
  bool waiting() const noexcept { return lease_.waiting() || other_in_flight_; }

  // The registry is to be asked something else (an operator's request): true if
  // none is in flight; then none is asked until end_other().
  bool begin_other() noexcept { return !waiting() && (other_in_flight_ = true); }
  void end_other() noexcept { other_in_flight_ = false; }
  // What every request says, as of now.
  RegistryRequest request(RegistryAsk ask, const ClockSample &sample,
                          const KeeperPolicy &policy) const noexcept;

  // The registry is another one from now on: the grant is withdrawn, and nothing is
  // known of it. For one that issues nothing; what is held goes over by set_candidate().
  void change_registry(Turn &turn) noexcept;
  // There is another registry, which answers: a node is to be taken there. Until that is
  // done the node that is held is extended where it is. When an acquisition that was sent
  // to_candidate is `done`, the candidate is the registry, and answer() must hear of it.
  void set_candidate() noexcept { has_candidate_ = true; }
  // There is none any more; a request that is in flight there is forgotten.
  void drop_candidate() noexcept;
  // The request in flight is one that was sent there.
  bool asks_candidate() const noexcept { return asks_candidate_; }

  // The settings were loaded again: what was refused is tried again.
  void reload() noexcept {
    rotation_refused_ = false;
    move_at_ = pin_at_ = candidate_at_ = 0;
  }

  // An ID of this tick, of another instance, was seen: what is issued from the next
  // turns on, as far as ceilings allow, is greater. False if it is ignored, for it
  // lies too far ahead of the wall clock; or without a node, when nothing is issued.
  bool observe(std::uint64_t tick, const ClockSample &sample, const KeeperPolicy &policy) noexcept;
  // When, in issuing time, an ID of this tick has been passed for good, if there is a
  // published ceiling above the tick, too: what comes after this grant begins there.
  // Any tick, within the layout or not: what lies beyond all times is never passed.
  static constexpr std::int64_t passed_at(const IssueLayout &layout, std::uint64_t tick) noexcept {
    if (tick >= layout.max_ceiling()) return INT64_MAX;
    return layout.ns_of(tick + 1) + Clock::kMaxStepBack;
  }
  // From CLOCK_MONOTONIC to how far ahead an ID may be to be observed.
  std::int64_t observe_offset(const KeeperPolicy &policy) const noexcept {
    return clock_.believed_offset(clock_.last()) + policy.max_skew;
  }

  // An operator says: the wall clock is right, follow it.
  bool accept_clock(const ClockSample &sample, Turn &turn) noexcept;
  // An operator says: the original of this copied directory is gone, its pinned
  // node may be taken, a window above the clock as it is now. False if no node is
  // wanted.
  bool confirm_copy(const ClockSample &sample, const KeeperPolicy &policy) noexcept;
  // An operator says: this instance has left its fleet for good. False if no node
  // is wanted, and if `local` is not to be gone over to.
  bool confirm_local(bool is_candidate = false) noexcept;
  bool confirmed_local() const noexcept { return confirmed_local_; }
  // A node, in this incarnation.
  bool has_held() const noexcept { return has_held_; }
  // An operator says: take another node, keep the order, then let the old one go.
  // False if none is held. What came of it shows in moves().
  bool rotate() noexcept;
  // An operator says: let the node go and issue nothing; issue again.
  void drain() noexcept { drained_by_operator_ = true; }
  void undrain() noexcept { drained_by_operator_ = false; }

  // Rotations that an operator asked for, and have ended; whether the last did.
  struct Moves {
    std::uint64_t ended = 0;
    bool succeeded = false;
  };
  Moves moves() const noexcept { return moves_; }
  bool rotating() const noexcept { return rotate_wanted_ || move_ == Move::requested; }
  bool drained_by_operator() const noexcept { return drained_by_operator_; }
  // Nodes that are no longer used are still to be released: so many blocks.
  std::size_t releases() const noexcept { return releases_; }
  bool releasing() const noexcept { return releases_ > 0; }
  // The registry doesn't answer.
  bool cut_off() const noexcept { return cut_off_; }

  const Clock &clock() const noexcept { return clock_; }
  const Lease &lease() const noexcept { return lease_; }
  const Grant &grant() const noexcept { return grant_; }
  // How often the grant's node has been taken, in a fleet.
  std::uint64_t node_epoch() const noexcept { return node_epoch_; }
  ClockTrouble trouble() const noexcept { return trouble_; }
  bool pinned_elsewhere(const KeeperPolicy &policy) const noexcept {
    return policy.shard >= 0 &&
           static_cast<std::uint64_t>(policy.shard) != (grant_.node & policy.shard_mask);
  }
  std::uint64_t issuing_tick(std::int64_t monotonic) const noexcept {
    return layout_.tick_of(monotonic + clock_.offset());
  }

 private:
  // Why a node that is held is to be left for another.
  enum class Move : std::uint8_t {
    none,
    registry,   // for one of the registry that is to be gone over to
    pinned,     // for the one that the settings pin
    rotate,     // to follow the wall clock back, by policy `rotate`
    requested,  // by an operator; the order is kept
  };
  // Nodes that the registry may count as this instance's.
  struct HeldNodes {
    std::uint32_t node = 0;
    std::uint8_t log2_lanes = 0;

    std::uint32_t end() const noexcept { return node + (1U << log2_lanes); }
    bool overlaps(const HeldNodes &other) const noexcept {
      return node < other.end() && other.node < end();
    }
    friend bool operator==(const HeldNodes &, const HeldNodes &) noexcept = default;
  };
  // What is to be released, oldest first. It never overflows: an acquisition is begun
  // with room for two, of which one is for what it leaves, or has taken in vain; the other
  // for what is held, should that be drained.
  static constexpr std::size_t kMaxReleases = 8;

  void withdraw(Turn &turn, GrantState state) noexcept;
  void publish(Turn &turn, const Grant &grant) noexcept;
  void refuse(Turn &turn, GrantState state) noexcept;
  ClockTrouble trouble_with(const ClockSample &sample, const KeeperPolicy &policy) const noexcept;
  bool breaker(Turn &turn, const ClockSample &sample, const KeeperPolicy &policy) noexcept;
  void note_kernel(Turn &turn, const ClockSample &sample) noexcept;
  void judge_clock(Turn &turn, const ClockSample &sample, const KeeperPolicy &policy) noexcept;
  ClockPolicy clock_policy(const ClockSample &sample, const KeeperPolicy &policy) const noexcept;
  void rest(Turn &turn, const ClockSample &sample) noexcept;
  void note_judgement(const ClockSample &sample) noexcept;
  void move_if_due(const ClockSample &sample, const KeeperPolicy &policy) noexcept;
  void ask(Turn &turn, const Lease::Step &step, const ClockSample &sample,
           const KeeperPolicy &policy) noexcept;
  void acquired(Turn &turn, const RegistryAnswer &answer, const ClockSample &sample,
                const KeeperPolicy &policy) noexcept;
  void not_done(Turn &turn, const RegistryAnswer &answer, const ClockSample &sample) noexcept;
  void not_gone_over(const RegistryAnswer &answer, const ClockSample &sample) noexcept;
  void give_up_move(const ClockSample &sample) noexcept;
  void lose(Turn &turn) noexcept;
  void end_move(bool succeeded) noexcept;
  void fence_if_cut_off(Turn &turn, const ClockSample &sample) noexcept;
  bool is_drained(Turn &turn, const KeeperPolicy &policy) noexcept;
  bool may_acquire() const noexcept { return releases_ + 2 <= kMaxReleases; }
  void hold(const HeldNodes &fresh) noexcept;
  void release_held() noexcept;
  void release_later(const HeldNodes &block) noexcept;
  void end_release(const RegistryAnswer &answer, const ClockSample &sample) noexcept;
  bool may_release() const noexcept;
  bool ask_release(Turn &turn, const ClockSample &sample, const KeeperPolicy &policy) noexcept;
  void publish_offset(Turn &turn, const ClockSample &sample) noexcept;
  std::int64_t sample_interval(const KeeperPolicy &policy) const noexcept;
  void set_wake(Turn &turn, const ClockSample &sample, const KeeperPolicy &policy) const noexcept;

  IssueLayout layout_;
  Incarnation incarnation_;
  Clock clock_;
  Lease lease_;
  Grant grant_;                   // as backends read it
  std::uint64_t node_epoch_ = 0;  // of its node
  std::int64_t published_offset_ = 0;
  std::uint64_t highest_ = 0;  // ceiling ever held since the last rotation
  ClockEvidence evidence_;
  KernelSync kernel_ = KernelSync::unknown;
  ClockTrouble trouble_ = ClockTrouble::none;
  Move move_ = Move::none;
  std::int64_t move_at_ = 0;       // CLOCK_MONOTONIC; not before that, as the last one failed
  std::int64_t pin_at_ = 0;        // likewise, as the pinned node was refused
  std::int64_t candidate_at_ = 0;  // likewise, as the candidate gave no node
  bool has_candidate_ = false;     // another registry, to be gone over to
  bool asks_candidate_ = false;    // the request in flight
  bool rotation_refused_ = false;  // in this rollback
  bool confirmed_ = false;         // confirm_copy(), until the next acquisition
  std::uint64_t confirmed_floor_ = 0;
  bool looked_ = false;           // evidence_ is what the record says
  bool judged_ = false;           // evidence_ is what became of a suspect clock
  bool has_held_ = false;         // a node, in this incarnation
  bool resuming_ = false;         // the registry is to be asked to go on
  bool confirmed_local_ = false;  // confirm_local(), until the next acquisition
  bool rotate_wanted_ = false;    // rotate(), until it is asked for
  bool drained_by_operator_ = false;
  bool cut_off_ = false;          // the registry did not answer the last request
  bool other_in_flight_ = false;  // a request that is not the lease's
  bool has_block_ = false;        // block_ is held, as far as this keeper knows
  HeldNodes block_;
  std::array<HeldNodes, kMaxReleases> to_release_{};
  std::size_t releases_ = 0;
  std::int64_t release_at_ = 0;     // CLOCK_MONOTONIC; the next is not asked before that
  std::int64_t release_pause_ = 0;  // after a failure; doubles
  Moves moves_;
};

}  // namespace idgen

#endif  // IDGEN_CORE_KEEPER_H
