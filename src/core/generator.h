// The generator: one word, one compare-and-swap.
//
// A scope's whole state is one 64-bit word, the last ID issued. decide() is the
// arithmetic, free of any memory or clock: the server, the threaded tests and
// the exhaustive model of the words all run this very function. try_issue()
// adds the loads and the compare-and-swap in the one order that is right.
//
//   U1  `last` never decreases, and only a successful CAS issues.
//   U2  an ID's tick is at or above the floor and below the ceiling of the
//       grant it was issued under.
//
// The floor is not part of the grant: before it publishes, the worker raises the
// word to the block's last ID below the floor (Block::last_below, raise_word), so
// that "greater than `last`" implies "at or above the floor".
//
// A word may be one of several that scopes come and go on: core/scope_word.h.

#ifndef IDGEN_CORE_GENERATOR_H
#define IDGEN_CORE_GENERATOR_H

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "core/grant.h"

namespace idgen {

// The nodes of a grant as one block of bits below the time. Node bits sit above
// sequence bits, so an aligned block of 2^j nodes counts as one node with a
// sequence j bits wider: all IDs of the block, in ascending order, have the
// consecutive indexes tick * 2^width + offset.
struct Block {
  unsigned time_shift = 0;
  unsigned width = 0;      // sequence bits + log2 of the lanes
  std::uint64_t base = 0;  // the lowest node, in place

  constexpr Block(const IssueLayout &layout, const Grant &grant) noexcept
      : time_shift(layout.time_shift()),
        width(unsigned{layout.sequence_width} + grant.log2_lanes),
        base(std::uint64_t{grant.node} << layout.sequence_width) {}

  constexpr std::uint64_t max_offset() const noexcept { return (std::uint64_t{1} << width) - 1; }
  // How many IDs there are in a tick.
  constexpr std::uint64_t capacity() const noexcept { return std::uint64_t{1} << width; }
  constexpr std::uint64_t id_at(std::uint64_t index) const noexcept {
    return (index >> width) << time_shift | (base + (index & max_offset()));
  }
  // The index of the smallest ID of this block that is greater than `old`.
  constexpr std::uint64_t index_after(std::uint64_t old) const noexcept {
    const std::uint64_t tick = old >> time_shift;
    const std::uint64_t low = old & ((std::uint64_t{1} << time_shift) - 1);
    if (low < base) return tick << width;
    const std::uint64_t offset = low - base;
    return offset < max_offset() ? (tick << width) + offset + 1 : (tick + 1) << width;
  }
  // How many IDs, from an index on, are consecutive integers: those of its tick. Node
  // bits follow, or, where the block has all nodes, the next tick.
  constexpr std::uint64_t consecutive_from(std::uint64_t index) const noexcept {
    return width == time_shift ? UINT64_MAX - index : capacity() - (index & max_offset());
  }
  // The block's own last ID below a tick (above 0): what a word is raised to so
  // that nothing below the tick is issued. Not the last ID of any node: that
  // value is the same for every block, and a word that has come back to it lets
  // a paused CAS succeed (hole; test/model: floor_word_shared_by_nodes).
  constexpr std::uint64_t last_below(std::uint64_t tick) const noexcept {
    return tick == 0 ? 0 : id_at((tick << width) - 1);
  }
};

enum class Verdict : std::uint8_t {
  issued,    // [first, last] are the caller's
  not_held,  // the grant's state is not `active`; see `grant_state`
  lead,      // issuing has run as far ahead of the clock as it may: wait
  ceiling,   // the clock has reached the durable ceiling: wait for the worker
  end,       // the time field has no tick left
  moved,     // the word isn't the scope's any more: look the scope up again
};

// What is asked for.
struct Want {
  std::uint64_t n = 1;  // how many IDs, at least 1; the run may come out shorter
  bool whole = false;   // all `n` in one tick, or none; at most Block::capacity()
};

// A run of IDs of one block. Its IDs are block.id_at(first_index + 0, 1, ...).
struct Decision {
  Verdict verdict = Verdict::not_held;
  GrantState grant_state = GrantState::acquiring;
  std::uint64_t first_index = 0;
  std::uint64_t count = 0;
  std::uint64_t skipped = 0;     // IDs before it that nobody is issued (Want::whole)
  std::uint64_t first = 0;       // the run's first ID
  std::uint64_t last = 0;        // and its last: the word's next value
  std::uint64_t wait_ticks = 0;  // `lead`: until `first` may be issued
};

// What the IDs asked for at `now` would be, given the last ID and the grant. The
// run is never empty.
//
// max_lead  how many ticks issuing may run ahead of `now`. A long request stops at
//           half of that, or half-way to the ceiling, so that single callers find
//           room
constexpr Decision decide(const IssueLayout &layout, std::uint64_t last, const Grant &grant,
                          std::uint64_t now, const Want &want, std::uint64_t max_lead) noexcept {
  Decision decision;
  decision.grant_state = grant.state;
  if (grant.state != GrantState::active) return decision;

  // A clock beyond the ceiling is settled before anything is shifted: it may be
  // beyond the time field, too.
  const auto beyond = [&layout, &grant]() noexcept {
    return grant.ceiling >= layout.max_ceiling() ? Verdict::end : Verdict::ceiling;
  };
  if (now >= grant.ceiling) {
    decision.verdict = beyond();
    return decision;
  }

  // first = the smallest ID of this node that is > last and whose tick is >= now
  const Block block(layout, grant);
  std::uint64_t first = block.index_after(last);
  if (first >> block.width < now) first = now << block.width;
  std::uint64_t skipped = 0;
  if (want.whole && want.n > block.capacity() - (first & block.max_offset())) {
    skipped = block.capacity() - (first & block.max_offset());
    first += skipped;
  }

  // limit = min(now + max_lead, ceiling - 1)
  std::uint64_t lead = max_lead;
  if (want.n > layout.short_run()) {
    lead = std::min(max_lead, grant.ceiling - now) / 2;
  }
  const std::uint64_t lead_limit = now + lead;
  const std::uint64_t first_tick = first >> block.width;
  if (first_tick >= grant.ceiling) {
    decision.verdict = beyond();
    if (first_tick > lead_limit) decision.wait_ticks = first_tick - lead_limit;
    return decision;
  }
  if (first_tick > lead_limit) {
    decision.verdict = Verdict::lead;
    decision.wait_ticks = first_tick - lead_limit;
    return decision;
  }
  const std::uint64_t limit = lead_limit < grant.ceiling ? lead_limit : grant.ceiling - 1;

  // last' = the n-th ID from first, cut at limit
  const std::uint64_t room = (limit << block.width | block.max_offset()) - first + 1;
  decision.verdict = Verdict::issued;
  decision.first_index = first;
  decision.skipped = skipped;
  decision.count = want.n < room ? want.n : room;
  decision.first = block.id_at(first);
  decision.last = block.id_at(first + decision.count - 1);
  return decision;
}

// The three words of shared memory that issuing reads. In the server they lie
// in shared memory, in tests anywhere.
struct IssueWords {
  std::atomic<std::uint64_t> &last;
  const std::atomic<std::uint64_t> &grant;
  const std::atomic<std::int64_t> &clock_offset;  // ns from CLOCK_MONOTONIC to ns since the epoch
};

// The block of the grant a decision was made under travels with it, so that the
// run's IDs can be told after the grant has changed.
struct Issued {
  Decision decision;
  Block block;
};

// Where a test may stop a caller; nothing otherwise.
enum class PausePoint : std::uint8_t { none, word_loaded, grant_loaded, offset_loaded, decided };
struct NoPause {
  constexpr void operator()(PausePoint /*point*/) const noexcept {}
};

// The word is nobody else's, ever.
struct AlwaysOurs {
  constexpr bool operator()() const noexcept { return true; }
};

// One attempt: issues at once or says why not; never waits. `monotonic_ns` is
// called once per try. `is_ours` tells, after the word was loaded, whether the word
// was still the scope's at that moment (core/scope_word.h).
//
// The order of the loads is part of the proof (hole): the word first, then the
// grant, then the clock, and all three again after a lost CAS. A grant read
// before the word could be an old one whose node has been given up, while the
// word has moved on: the CAS would succeed and issue from a window that is no
// longer ours. test/model shows each other order repeating an ID.
template <typename Monotonic, typename Ours = AlwaysOurs, typename Pause = NoPause>
Issued try_issue(const IssueWords &words, const IssueLayout &layout, const Want &want,
                 std::uint64_t max_lead, Monotonic &&monotonic_ns, Ours &&is_ours = {},
                 Pause &&pause = {}) noexcept {
  for (;;) {
    std::uint64_t last = words.last.load(std::memory_order_acquire);
    if (!is_ours()) return {{.verdict = Verdict::moved}, Block(layout, Grant{})};
    pause(PausePoint::word_loaded);
    const Grant grant = unpack(layout, words.grant.load(std::memory_order_acquire));
    pause(PausePoint::grant_loaded);
    const std::int64_t offset = words.clock_offset.load(std::memory_order_acquire);
    pause(PausePoint::offset_loaded);
    const std::uint64_t now = layout.tick_of(monotonic_ns() + offset);
    // Not const, here and on its way to the caller: GCC 12 keeps a const struct in memory,
    // which costs a call some 10 ns.
    Decision decision = decide(layout, last, grant, now, want, max_lead);
    pause(PausePoint::decided);
    if (decision.verdict != Verdict::issued ||
        words.last.compare_exchange_strong(last, decision.last, std::memory_order_acq_rel,
                                           std::memory_order_relaxed)) {
      return {decision, Block(layout, grant)};
    }
  }
}

// Raises a word to at least `floor_word` (CAS-max). Keeps U1: never lowers. A word that
// is issued from is raised by the worker only, under a withdrawn grant.
inline void raise_word(std::atomic<std::uint64_t> &last, std::uint64_t floor_word) noexcept {
  std::uint64_t old = last.load(std::memory_order_acquire);
  while (old < floor_word && !last.compare_exchange_weak(old, floor_word, std::memory_order_acq_rel,
                                                         std::memory_order_acquire)) {
  }
}

}  // namespace idgen

#endif  // IDGEN_CORE_GENERATOR_H
