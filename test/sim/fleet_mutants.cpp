// What mutants make of the coordinator and of the way there.

#include <algorithm>

#include "fleet_world.h"

namespace idgen::sim {

void FleetWorld::mutate_view(FleetView &view) const {
  for (FleetNode &row : view.nodes) {
    if (blind_) row.alive = false;
    if (is_mutant(Mutant::liveness_never_ends)) row.alive = row.state == NodeState::held;
    if (is_mutant(Mutant::old_ceiling_hidden))
      row.ceiling -= std::min<std::uint64_t>(row.ceiling, 500);
  }
}

void FleetWorld::mutate_write(FleetWrite &write) const {
  const bool extends = !write.take && write.state == NodeState::held;
  const bool compares_not = (write.take && is_mutant(Mutant::take_not_compared)) ||
                            (extends && is_mutant(Mutant::extend_not_compared));
  if (is_mutant(Mutant::generation_not_compared)) write.root = coordinator_.root;
  if (is_mutant(Mutant::block_written_partly)) write.nodes.resize(1);
  for (FleetNode &read : write.nodes) {
    const auto row = coordinator_.nodes.find(read.node);
    if (row == coordinator_.nodes.end()) continue;
    if (compares_not) read = row->second;
    if (is_mutant(Mutant::old_ceiling_hidden)) {
      read.ceiling = row->second.ceiling;
      write.ceiling = std::max(write.ceiling, read.ceiling);
    }
  }
}

// A ceiling counts for no more than the clock, once nobody is alive to use it.
void FleetWorld::expire() {
  const std::uint64_t now = issue_.tick_of(coordinator_.clock_us * 1000);
  for (auto &[node, row] : coordinator_.nodes) {
    const FleetView view = coordinator_.view(node, node);
    if (!view.nodes.front().alive) row.ceiling = std::min(row.ceiling, now);
  }
}

void FleetWorld::on_time_out(const Message &message, StoreResult &result) {
  const auto *write = std::get_if<FleetWrite>(message.step.get());
  if (write == nullptr || write->state != NodeState::held) return;
  if (is_mutant(Mutant::request_is_done)) {
    result.outcome = StoreOutcome::done;
    result.nodes = write->nodes;
  } else if (is_mutant(Mutant::read_back_is_done)) {
    const FleetView view = coordinator_.view(write->nodes.front().node, write->nodes.back().node);
    const bool shows = view.nodes.size() == write->nodes.size() &&
                       std::all_of(view.nodes.begin(), view.nodes.end(), [&](const FleetNode &row) {
                         return row.holder == write->holder && row.ceiling == write->ceiling;
                       });
    if (!shows) return;
    result.outcome = StoreOutcome::done;
    result.nodes = view.nodes;
  } else {
    return;
  }
  for (FleetNode &node : result.nodes) node.ceiling = write->ceiling;
  result.revision = coordinator_.revision;
}

}  // namespace idgen::sim
