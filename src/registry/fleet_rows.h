// Rows of a fleet's registry, for the files of FleetRegistry.

#ifndef IDGEN_REGISTRY_FLEET_ROWS_H
#define IDGEN_REGISTRY_FLEET_ROWS_H

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "registry/fleet_store.h"

namespace idgen {

// The row of a node among rows by number, or null.
inline const FleetNode *find_row(const std::vector<FleetNode> &rows, std::uint32_t node) {
  const auto row = std::lower_bound(rows.begin(), rows.end(), node,
                                    [](const FleetNode &r, std::uint32_t n) { return r.node < n; });
  return row == rows.end() || row->node != node ? nullptr : &*row;
}

inline bool begins_at(const std::vector<FleetNode> &rows, std::uint32_t node) {
  return !rows.empty() && rows.front().node == node;
}

// The row is behind what was known of it: it has lost what was written.
inline bool is_older(const FleetNode &row, const FleetNode &known) {
  return row.revision < known.revision || row.ceiling < known.ceiling || row.epoch < known.epoch;
}

// "node 5", "nodes 8 to 15".
inline std::string node_text(std::uint32_t first, std::uint8_t log2_lanes) {
  if (log2_lanes == 0) return "node " + std::to_string(first);
  return "nodes " + std::to_string(first) + " to " + std::to_string(first + (1U << log2_lanes) - 1);
}

}  // namespace idgen

#endif  // IDGEN_REGISTRY_FLEET_ROWS_H
