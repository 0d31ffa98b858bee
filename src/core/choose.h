// Which nodes of a region an instance should ask for.
//
// A pure decision on what the registry showed; it carries no safety. Whoever
// chooses by an old picture loses the compare-and-write that follows.
//
// In this order:
//   1. the pinned block
//   2. the block that is mine already (or was this identity's)
//   3. one that nobody holds and whose ceiling has passed by the coordinator's
//      clock: of those the one that breaks up the smallest free aligned block,
//      so that room for blocks of lanes stays; random among equals
//   4. the one with the lowest ceiling, if that is not too far ahead

#ifndef IDGEN_CORE_CHOOSE_H
#define IDGEN_CORE_CHOOSE_H

#include <cstdint>
#include <span>

namespace idgen {

inline constexpr unsigned kMaxLog2Lanes = 6;

struct NodeOffer {
  enum class Is : std::uint8_t {
    free,    // nobody holds it, or nobody alive does
    mine,    // held by this incarnation, or by the one that it follows on
    taken,   // held by another that is alive
    barred,  // never handed out: retired, or node 0
  };
  Is is = Is::free;
  std::uint64_t ceiling = 0;  // what counts: at least the fleet's base
};

struct ChooseRules {
  unsigned log2_lanes = 0;        // 0 to kMaxLog2Lanes
  std::int64_t pinned = -1;       // index of the block's first node, aligned; -1: any
  bool not_mine = false;          // another than what is mine
  bool scatter = false;           // anywhere: others have been faster again and again
  std::uint64_t now = 0;          // tick of the coordinator's clock: ceilings up to it have passed
  std::uint64_t latest = 0;       // a block with a ceiling above it is of no use
  std::uint64_t latest_mine = 0;  // unless it is wholly mine, and not above this
};

struct Choice {
  enum class Why : std::uint8_t {
    found,
    pinned_taken,   // the pinned block is held, or partly
    pinned_barred,  // or never handed out
    full,           // no aligned block is free
    ahead,          // those that are free have ceilings too far ahead
  };
  Why why = Why::full;
  std::uint32_t first = 0;    // index of the block's first node
  std::uint64_t ceiling = 0;  // found, ahead: the greatest of its nodes'
};

// `nodes`: the region's, by index; their number is a power of two and at least
// 2^log2_lanes. `luck`: a random number, which chooses among equals.
Choice choose(std::span<const NodeOffer> nodes, const ChooseRules &rules,
              std::uint64_t luck) noexcept;

}  // namespace idgen

#endif  // IDGEN_CORE_CHOOSE_H
