#include "core/choose.h"

#include <algorithm>

namespace idgen {
namespace {

using Is = NodeOffer::Is;

bool all_are(std::span<const NodeOffer> nodes, std::size_t first, std::size_t size,
             Is is) noexcept {
  const auto block = nodes.subspan(first, size);
  return std::all_of(block.begin(), block.end(), [is](const NodeOffer &n) { return n.is == is; });
}

// Log2 of the greatest free aligned block around a free one of 2^log2_lanes, up
// to the greatest that can be leased.
unsigned free_order(std::span<const NodeOffer> nodes, std::size_t first,
                    unsigned log2_lanes) noexcept {
  unsigned order = log2_lanes;
  while (order < kMaxLog2Lanes) {
    const std::size_t size = std::size_t{2} << order;
    if (size > nodes.size() || !all_are(nodes, first / size * size, size, Is::free)) break;
    ++order;
  }
  return order;
}

// How well a block serves; the lowest wins.
struct Rank {
  enum Kind : std::uint8_t { mine, passed, ahead, useless };
  Kind kind = useless;
  std::uint64_t cost = 0;
  friend bool operator==(const Rank &, const Rank &) noexcept = default;
  bool better_than(const Rank &other) const noexcept {
    return kind != other.kind ? kind < other.kind : cost < other.cost;
  }
};

struct Block {
  Rank rank;
  std::uint64_t ceiling = 0;
  bool free = false;  // but for its ceiling it could be had
};

Block look_at(std::span<const NodeOffer> nodes, const ChooseRules &rules,
              std::size_t first) noexcept {
  const std::size_t size = std::size_t{1} << rules.log2_lanes;
  Block block;
  std::size_t mine = 0;
  for (const NodeOffer &node : nodes.subspan(first, size)) {
    if (node.is == Is::taken || node.is == Is::barred) return block;
    mine += node.is == Is::mine ? 1 : 0;
    block.ceiling = std::max(block.ceiling, node.ceiling);
  }
  if (mine > 0 && rules.not_mine) return block;
  block.free = true;
  if (block.ceiling > (mine == size ? rules.latest_mine : rules.latest)) return block;
  if (mine == size) {
    block.rank = {Rank::mine, 0};
  } else if (block.ceiling <= rules.now) {
    const bool fits = !rules.scatter && mine == 0;
    block.rank = {Rank::passed, fits ? free_order(nodes, first, rules.log2_lanes) : 0};
  } else {
    block.rank = {Rank::ahead, block.ceiling};
  }
  return block;
}

Choice choose_pinned(std::span<const NodeOffer> nodes, const ChooseRules &rules) noexcept {
  const auto first = static_cast<std::size_t>(rules.pinned);
  const std::size_t size = std::size_t{1} << rules.log2_lanes;
  Choice choice;
  choice.first = static_cast<std::uint32_t>(first);
  choice.why = Choice::Why::found;
  const bool mine = all_are(nodes, first, size, Is::mine);
  for (const NodeOffer &node : nodes.subspan(first, size)) {
    choice.ceiling = std::max(choice.ceiling, node.ceiling);
    if (node.is == Is::taken) choice.why = Choice::Why::pinned_taken;
    if (node.is == Is::barred) choice.why = Choice::Why::pinned_barred;
    if (choice.why != Choice::Why::found) return choice;
  }
  if (choice.ceiling > (mine ? rules.latest_mine : rules.latest)) choice.why = Choice::Why::ahead;
  return choice;
}

}  // namespace

Choice choose(std::span<const NodeOffer> nodes, const ChooseRules &rules,
              std::uint64_t luck) noexcept {
  if (rules.pinned >= 0) return choose_pinned(nodes, rules);
  const std::size_t size = std::size_t{1} << rules.log2_lanes;
  Rank best;
  std::uint64_t equals = 0;
  Choice choice;
  for (std::size_t first = 0; first < nodes.size(); first += size) {
    const Block block = look_at(nodes, rules, first);
    if (block.free && block.rank.kind == Rank::useless &&
        (choice.why == Choice::Why::full || block.ceiling < choice.ceiling)) {
      choice.why = Choice::Why::ahead;
      choice.ceiling = block.ceiling;
    }
    if (block.rank.better_than(best)) {
      best = block.rank;
      equals = 0;
    }
    equals += block.rank == best && best.kind != Rank::useless ? 1 : 0;
  }
  if (equals == 0) return choice;
  std::uint64_t skip = luck % equals;
  for (std::size_t first = 0; first < nodes.size(); first += size) {
    const Block block = look_at(nodes, rules, first);
    if (block.rank != best || skip-- > 0) continue;
    choice.why = Choice::Why::found;
    choice.first = static_cast<std::uint32_t>(first);
    choice.ceiling = block.ceiling;
    break;
  }
  return choice;
}

}  // namespace idgen
