#include "network/etcd_transactions.h"

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>

namespace idgen {
namespace {

constexpr std::size_t kRootComparisons = 2;

// Neighbours whose revisions are compared at once.
struct Run {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  std::uint64_t lowest = 0;
  std::uint64_t highest = 0;
};

std::vector<Run> runs_of_equal_revision(const std::vector<FleetNode> &nodes) {
  std::vector<Run> runs;
  for (const FleetNode &node : nodes) {
    if (!runs.empty() && node.node == runs.back().last + 1 &&
        node.revision == runs.back().highest) {
      runs.back().last = node.node;
    } else {
      runs.push_back({node.node, node.node, node.revision, node.revision});
    }
  }
  return runs;
}

// Joins two runs, so that only the highest of their revisions is compared. Not
// with nodes that aren't there: for those the revision is all there is to compare.
bool join_two(std::vector<Run> &runs) {
  const auto found = std::adjacent_find(runs.begin(), runs.end(), [](const Run &a, const Run &b) {
    return a.lowest > 0 && b.lowest > 0 && b.first == a.last + 1;
  });
  if (found == runs.end()) return false;
  const auto next = found + 1;
  found->last = next->last;
  found->lowest = std::min(found->lowest, next->lowest);
  found->highest = std::max(found->highest, next->highest);
  runs.erase(next);
  return true;
}

// Each key is one that there is, once.
bool are_rows(const std::vector<EtcdKeyValue> &found) {
  std::vector<std::string_view> seen;
  for (const EtcdKeyValue &pair : found) {
    if (pair.revision == 0) return false;
    seen.emplace_back(pair.key);
  }
  std::sort(seen.begin(), seen.end());
  return std::adjacent_find(seen.begin(), seen.end()) == seen.end();
}

// A key for a message.
std::string printable(std::string_view key) {
  std::string text(key.substr(0, 200));
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  return text;
}

}  // namespace

void expect_root(EtcdTransaction &transaction, const EtcdKeys &keys, const FleetRoot &root) {
  transaction.expect_revision(keys.root(), {}, root.revision);
  transaction.expect_value(keys.root(), root.value);
}

void expect_nodes(EtcdTransaction &transaction, const EtcdKeys &keys,
                  const std::vector<FleetNode> &nodes) {
  std::size_t values = 0;
  for (const FleetNode &node : nodes) {
    if (node.revision == 0) continue;
    transaction.expect_value(keys.node(node.node), node.value);
    ++values;
  }
  std::vector<Run> runs = runs_of_equal_revision(nodes);
  // A block of 64 that were all written apart has more to compare than is allowed.
  // Where only a bound is compared, the values' nonces still tell every write.
  while (kRootComparisons + values + runs.size() > EtcdTransaction::kMaxOperations &&
         join_two(runs)) {
  }
  for (const Run &run : runs) {
    const std::string first = keys.node(run.first);
    const std::string end = keys.node(std::uint64_t{run.last} + 1);
    if (run.lowest == run.highest) {
      transaction.expect_revision(first, end, run.highest);
    } else {
      transaction.expect_revision_below(first, end, run.highest + 1);
    }
  }
}

void read_fleet(EtcdTransaction &transaction, const EtcdKeys &keys, std::uint32_t first,
                std::uint32_t last) {
  const std::uint64_t end = std::uint64_t{last} + 1;
  transaction.range(keys.root());
  transaction.range(keys.node(first), keys.node(end));
  transaction.range(keys.alive(first), keys.alive(end));
}

StoreOutcome take_fleet(const EtcdAnswer &answer, const EtcdKeys &keys, FleetView &view,
                        std::map<std::uint32_t, EtcdAlive> &alive, std::string &why) {
  std::vector<EtcdKeyValue> roots;
  std::vector<EtcdKeyValue> nodes;
  std::vector<EtcdKeyValue> living;
  if (!read_range(answer.body.get(), 0, roots) || !read_range(answer.body.get(), 1, nodes) ||
      !read_range(answer.body.get(), 2, living) || !are_rows(roots) || !are_rows(nodes)) {
    why = "etcd's answer to a read makes no sense";
    return StoreOutcome::unknown;
  }
  const auto is_no_record = [&why](const std::string &key) {
    why = "the value of etcd's key \"" + printable(key) + "\" is no record of idgen's";
    return StoreOutcome::refused;
  };
  view.revision = answer.revision;
  view.clock_us = answer.date_us;
  for (const EtcdKeyValue &found : roots) {
    if (found.key != keys.root() || !parse_root(found.value, answer.cluster, view.root)) {
      return is_no_record(found.key);
    }
    view.root.revision = found.revision;
  }
  alive.clear();
  for (EtcdKeyValue &found : living) {
    std::uint32_t number = 0;
    // Liveness is a hint: a key that makes no sense says nothing.
    if (!keys.number_of(found.key, number)) continue;
    alive[number] = {std::move(found.value), found.lease};
  }
  for (const EtcdKeyValue &found : nodes) {
    FleetNode &node = view.nodes.emplace_back();
    if (!keys.number_of(found.key, node.node) || found.key != keys.node(node.node) ||
        !parse_node(found.value, node)) {
      return is_no_record(found.key);
    }
    node.revision = found.revision;
    const auto liveness = alive.find(node.node);
    node.alive = node.state == NodeState::held && liveness != alive.end() &&
                 liveness->second.holder == to_text(node.holder);
  }
  std::sort(view.nodes.begin(), view.nodes.end(),
            [](const FleetNode &a, const FleetNode &b) { return a.node < b.node; });
  return StoreOutcome::done;
}

}  // namespace idgen
