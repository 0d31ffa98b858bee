// Taking a node: which one, and how.

#include <algorithm>
#include <utility>

#include "core/issuing_time.h"
#include "registry/fleet_registry.h"
#include "registry/fleet_rows.h"

namespace idgen {
namespace {

// From this round on the choice is scattered: too many want the same best fit.
constexpr int kScatterFrom = 3;
constexpr std::size_t kMaxHoldersNamed = 8;

}  // namespace

FleetRegistry::Next FleetRegistry::acquire() {
  if (unrecorded_ && !request_.another && !request_.fresh) {
    reply_ = *unrecorded_;
    if (keep_record() != Next::proceed) return Next::reply;
    unrecorded_.reset();
    return answer(RegistryOutcome::done, std::move(reply_.message));
  }
  if (const Next next = load_record(); next != Next::proceed) return next;
  const std::int64_t lanes = std::int64_t{1} << request_.log2_lanes;
  if (lanes > static_cast<std::int64_t>(layout_.shard.max()) + 1) {
    return answer(RegistryOutcome::refused, "idgen.lanes is more than a region's nodes");
  }
  if (request_.shard >= 0 && request_.shard % lanes != 0) {
    return answer(
        RegistryOutcome::refused,
        "idgen.shard must be a multiple of idgen.lanes, which is " + std::to_string(lanes));
  }
  // A change of nodes that can't be recorded must not use up one after another.
  std::string why;
  if (!held_.empty() && record_is_ours_ && !record_store_.store(record_, why)) {
    return answer(RegistryOutcome::failed, std::move(why));
  }
  if (request_.shard >= 0 && (request_.another || request_.fresh)) {
    return answer(RegistryOutcome::refused, "idgen.shard pins node " +
                                                std::to_string(request_.shard) +
                                                " of the region, so that no other can be taken");
  }
  return read_region();
}

// Or of it as much as counts: the pinned block; of a huge region the beginning.
FleetRegistry::Next FleetRegistry::read_region() {
  const auto region = static_cast<std::uint64_t>(request_.region) << layout_.shard.width;
  std::uint64_t first = region;
  std::uint64_t size = std::min(layout_.shard.max() + 1, kMaxChoices);
  if (request_.shard >= 0) {
    first += static_cast<std::uint64_t>(request_.shard);
    size = std::uint64_t{1} << request_.log2_lanes;
  }
  return read(static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(first + size - 1));
}

// Held by this incarnation (perhaps by a write whose answer was lost); or what the
// own record names, if whoever wrote that was the last to hold it.
bool FleetRegistry::is_mine(const FleetNode &row) const {
  if (row.state == NodeState::held && row.holder == request_.incarnation) return true;
  return record_found_ && !record_copied_ && record_.fleet == view_.root.id && row.revision > 0 &&
         row.holder == record_.incarnation && row.node >= record_.node &&
         row.node - record_.node < 1U << record_.log2_lanes;
}

NodeOffer FleetRegistry::offer(const FleetNode &row) const {
  NodeOffer offer;
  offer.ceiling = std::max(row.ceiling, view_.root.base);
  if (row.state == NodeState::retired) {
    offer.is = NodeOffer::Is::barred;
  } else if (is_mine(row)) {
    offer.is = NodeOffer::Is::mine;
  } else if (row.state == NodeState::held && row.alive) {
    offer.is = NodeOffer::Is::taken;
  }
  return offer;
}

// Node 0 is not handed out unless it is pinned: it is free for IDs that are made
// by hand (snowflake_encode).
std::vector<NodeOffer> FleetRegistry::offers(std::uint32_t first, std::uint32_t size) const {
  NodeOffer untouched;
  untouched.ceiling = view_.root.base;
  std::vector<NodeOffer> offers(size, untouched);
  for (const FleetNode &row : view_.nodes) {
    if (row.node >= first && row.node - first < size) offers[row.node - first] = offer(row);
  }
  if (first == 0 && request_.shard < 0) offers[0].is = NodeOffer::Is::barred;
  return offers;
}

FleetRegistry::Next FleetRegistry::choose_node() {
  const auto region = static_cast<std::uint32_t>(request_.region) << layout_.shard.width;
  auto size = static_cast<std::uint32_t>(std::min(layout_.shard.max() + 1, kMaxChoices));
  std::uint32_t first = region;
  ChooseRules rules;
  rules.log2_lanes = request_.log2_lanes;
  if (request_.shard >= 0) {
    first += static_cast<std::uint32_t>(request_.shard);
    size = 1U << request_.log2_lanes;
    rules.pinned = 0;
  }
  rules.not_mine = request_.another || request_.fresh;
  rules.scatter = attempts_ >= kScatterFrom;
  rules.now = coordinator_tick(0);
  rules.latest = std::max(coordinator_tick(tolerance() + request_.alive), view_.root.base);
  if (request_.fresh && request_.latest > 0) {
    rules.latest = std::min(rules.latest, request_.latest - 1);
  }
  // Its own node takes an instance no further than it is itself, but for a raise.
  const std::uint64_t own = std::max(request_.issuing_tick, record_.ceiling);
  rules.latest_mine =
      std::max(rules.latest, own + issue_.ticks_covering(request_.skew + 2 * request_.alive));
  const Choice choice = choose(offers(first, size), rules, host_.draw(UINT64_MAX));
  if (choice.why == Choice::Why::found) return take(choice, first);
  return answer(RegistryOutcome::refused, why_none(choice, first, size));
}

std::string FleetRegistry::why_none(const Choice &choice, std::uint32_t first,
                                    std::uint32_t size) const {
  const std::string what =
      request_.log2_lanes == 0
          ? "node"
          : "aligned block of " + std::to_string(1U << request_.log2_lanes) + " nodes";
  if (choice.why == Choice::Why::ahead) {
    return "what is free in region " + std::to_string(request_.region) + " has been used up to " +
           epoch_to_text(to_us(choice.ceiling)).text + ", which is too far ahead";
  }
  std::string why = "no " + what + " of region " + std::to_string(request_.region) + " is free";
  if (request_.shard >= 0) {
    why = node_text(first, request_.log2_lanes) + ", which idgen.shard pins, ";
    why += choice.why == Choice::Why::pinned_barred ? "was retired" : "is held";
  }
  std::size_t named = 0;
  std::size_t more = 0;
  for (const FleetNode &row : view_.nodes) {
    const bool counts = row.node >= first && row.node - first < size &&
                        row.state == NodeState::held && row.alive &&
                        row.node % (1U << row.log2_lanes) == 0;
    if (!counts) continue;
    if (++named > kMaxHoldersNamed) {
      ++more;
      continue;
    }
    why += (named == 1 ? "; held: " : ", ") + node_text(row.node, row.log2_lanes) + " by \"" +
           row.name + "\"";
  }
  if (more > 0) why += " and " + std::to_string(more) + " more";
  return why;
}

std::vector<FleetNode> FleetRegistry::rows_of(std::uint32_t first, std::uint8_t log2_lanes) const {
  std::vector<FleetNode> rows;
  for (std::uint32_t node = first; node < first + (1U << log2_lanes); ++node) {
    const FleetNode *row = find_row(view_.nodes, node);
    rows.push_back(row != nullptr ? *row : FleetNode{});
    rows.back().node = node;
  }
  return rows;
}

std::uint64_t FleetRegistry::effective_ceiling(const std::vector<FleetNode> &rows,
                                               const FleetRoot &root) const {
  std::uint64_t ceiling = root.base;
  for (const FleetNode &row : rows) ceiling = std::max(ceiling, row.ceiling);
  return ceiling;
}

// The coordinator's clock and so much more, in ticks; for one that doesn't tell,
// the instance's own.
std::uint64_t FleetRegistry::coordinator_tick(std::int64_t ahead_ns) const {
  const std::int64_t ns =
      view_.clock_us > 0 ? since_epoch(view_.clock_us, layout_.epoch_us) : request_.issuing_ns;
  return std::min(issue_.tick_of(ns + ahead_ns), issue_.max_ceiling());
}

FleetRegistry::Next FleetRegistry::take(const Choice &choice, std::uint32_t range_first) {
  FleetWrite write = write_of(rows_of(range_first + choice.first, request_.log2_lanes));
  const std::uint64_t old = effective_ceiling(write.nodes, view_.root);
  if (record_found_ && record_.fleet != view_.root.id) raise_base(record_);
  floor_ = std::max(request_.issuing_tick, record_.base);
  if (request_.fresh) {
    // Strictly above: a word that is set back must not be set to an ID that could
    // have been issued (hole).
    floor_ = std::max(floor_, old + 1);
  } else {
    floor_ = std::max({floor_, old, record_.ceiling});
  }
  for (const PastNode &left : record_.left) {
    const bool is_taken =
        left.node >= write.nodes.front().node && left.node <= write.nodes.back().node;
    if (is_taken) floor_ = std::max(floor_, left.ceiling + 1);
  }
  const std::uint64_t end = issue_.max_ceiling();
  if (floor_ >= end) {
    return answer(RegistryOutcome::exhausted, "the time field of the layout is exhausted");
  }
  const std::uint64_t own = std::max({request_.issuing_tick, record_.base, record_.ceiling});
  reply_.raised = !request_.fresh && floor_ > own ? floor_ - own : 0;
  const FleetNode &first = write.nodes.front();
  if (first.node != record_.node || !record_found_) {
    reply_.message = "took " + node_text(first.node, request_.log2_lanes);
    if (first.state == NodeState::held) reply_.message += " after \"" + first.name + "\"";
    if (record_copied_) {
      reply_.message = "this data directory is a copy of one that holds node " +
                       std::to_string(record_.node) + "; " + reply_.message;
    }
  }
  write.root = view_.root;
  write.take = true;
  write.ceiling = std::min(floor_ + request_.ticks, end);
  // A window may be longer than what is accepted at first.
  const std::uint64_t most = std::max(coordinator_tick(tolerance() + request_.alive),
                                      old + issue_.ticks_covering(request_.alive));
  if (most > floor_) write.ceiling = std::min(write.ceiling, most);
  write.ceiling_us = to_us(write.ceiling);
  write.log2_lanes = request_.log2_lanes;
  write.recorded_us = to_us(old);
  return this->write(std::move(write));
}

}  // namespace idgen
