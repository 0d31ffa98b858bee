// The grant: what the instance may issue now, in one 64-bit word.
//
//    63   61 60      58 57                                             0
//    +------+----------+-----------------------------+----------------+
//    | state|log2 lanes|        ceiling tick         |      node      |
//    +------+----------+-----------------------------+----------------+
//       3        3           width of `time`           width of node
//
// A layout that is_issuable() has at least 5 bits of sequence and at most 63
// in all, so time and node always fit the 58 bits that are left.

#ifndef IDGEN_CORE_GRANT_H
#define IDGEN_CORE_GRANT_H

#include <algorithm>
#include <cstdint>

#include "core/issuing_time.h"
#include "idgen/layout.h"

namespace idgen {

enum class GrantState : std::uint8_t {
  acquiring = 0,  // no node yet: callers wait
  active = 1,     // IDs are issued below the ceiling
  fenced = 2,     // no node, and none to be expected without help (IDG01)
  breaker = 3,    // the clock can't be used (IDG02)
  drained = 4,    // taken out of service by an operator (IDG05)
  mismatch = 5,   // settings and record disagree about the layout (IDG06)
  exhausted = 6,  // the time field has no tick left (IDG04)
};

struct Grant {
  GrantState state = GrantState::acquiring;
  std::uint8_t log2_lanes = 0;  // the instance holds 2^log2_lanes nodes, aligned
  std::uint32_t node = 0;       // the lowest of them
  std::uint64_t ceiling = 0;    // first tick that may not be issued
  friend constexpr bool operator==(const Grant &, const Grant &) noexcept = default;
};

// What the hot path needs of a layout, precomputed. Only for layouts that
// is_issuable() (the model of the words uses narrower ones, made by hand).
struct IssueLayout {
  std::uint8_t time_width = 0;
  std::uint8_t node_width = 0;
  std::uint8_t sequence_width = 0;
  std::int64_t tick_ns = 1000000;

  static constexpr IssueLayout of(const Layout &layout) noexcept {
    return {layout.time.width, static_cast<std::uint8_t>(layout.node_width()),
            layout.sequence.width, layout.tick_us * 1000};
  }
  constexpr unsigned time_shift() const noexcept { return unsigned{node_width} + sequence_width; }
  // The last tick of the time field.
  constexpr std::uint64_t max_tick() const noexcept { return (std::uint64_t{1} << time_width) - 1; }
  // Greatest value a ceiling can have: the last tick of the time field itself is never
  // issued, nor any after issuing time ends.
  constexpr std::uint64_t max_ceiling() const noexcept {
    return std::min(max_tick(), static_cast<std::uint64_t>(kEndOfIssuing / tick_ns));
  }
  // When a tick begins, or as long as so many ticks last, nanoseconds. What lies
  // beyond the end of issuing counts as that end.
  constexpr std::int64_t ns_of(std::uint64_t ticks) const noexcept {
    if (ticks >= static_cast<std::uint64_t>(kEndOfIssuing / tick_ns)) return kEndOfIssuing;
    return static_cast<std::int64_t>(ticks) * tick_ns;
  }
  // The tick of an instant, nanoseconds since the epoch. Instants before it
  // count as 0: the floor of every grant is above that.
  constexpr std::uint64_t tick_of(std::int64_t ns_since_epoch) const noexcept {
    if (ns_since_epoch < 0) return 0;
    // The common case divides by a constant: 64-bit division costs more than
    // the compare-and-swap.
    if (tick_ns == 1000000) return static_cast<std::uint64_t>(ns_since_epoch) / 1000000;
    return static_cast<std::uint64_t>(ns_since_epoch) / static_cast<std::uint64_t>(tick_ns);
  }
  // How many ticks cover a span (rounded up, at least one).
  constexpr std::uint64_t ticks_covering(std::int64_t ns) const noexcept {
    return ns <= tick_ns ? 1 : static_cast<std::uint64_t>((ns - 1) / tick_ns) + 1;
  }
  constexpr std::uint64_t tick_in(std::uint64_t id) const noexcept { return id >> time_shift(); }
  // A request for up to this many IDs counts as a single caller's: a 64th of
  // what a node may issue in a tick, at least one.
  constexpr std::uint64_t short_run() const noexcept {
    return sequence_width > 6 ? std::uint64_t{1} << (sequence_width - 6) : 1;
  }
};

inline constexpr unsigned kGrantStateShift = 61;
inline constexpr unsigned kGrantLanesShift = 58;

// `grant.ceiling` must not exceed layout.max_tick(), `grant.node` the node
// field; its state survives whatever they are.
constexpr std::uint64_t pack(const IssueLayout &layout, const Grant &grant) noexcept {
  return static_cast<std::uint64_t>(grant.state) << kGrantStateShift |
         static_cast<std::uint64_t>(grant.log2_lanes) << kGrantLanesShift |
         grant.ceiling << layout.node_width | grant.node;
}

constexpr Grant unpack(const IssueLayout &layout, std::uint64_t word) noexcept {
  Grant grant;
  grant.state = static_cast<GrantState>(word >> kGrantStateShift);
  grant.log2_lanes = static_cast<std::uint8_t>(word >> kGrantLanesShift & 7);
  grant.ceiling = word >> layout.node_width & layout.max_tick();
  grant.node = static_cast<std::uint32_t>(word & ((std::uint64_t{1} << layout.node_width) - 1));
  return grant;
}

}  // namespace idgen

#endif  // IDGEN_CORE_GRANT_H
