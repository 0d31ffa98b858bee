#include "fleet_checks.h"

#include <algorithm>

namespace idgen::sim {

FleetChecks::Before FleetChecks::before(const FleetWrite &write) const {
  Before before;
  before.root = coordinator_.root;
  for (const FleetNode &read : write.nodes) {
    const FleetView view = coordinator_.view(read.node, read.node);
    before.rows.push_back(view.nodes.empty() ? FleetNode{} : view.nodes.front());
    before.rows.back().node = read.node;
  }
  return before;
}

void FleetChecks::on_start(const Instance &instance) {
  instances_[instance.incarnation.words[0]] = instance.number;
  follows_[instance.incarnation.words[0]] = instance.ghost.follows;
}

int FleetChecks::instance_of(const Incarnation &holder) const {
  const auto found = instances_.find(holder.words[0]);
  return found == instances_.end() ? 0 : found->second;
}

std::uint64_t FleetChecks::effective(std::size_t node) const {
  const auto row = coordinator_.nodes.find(static_cast<std::uint32_t>(node));
  const std::uint64_t own = row == coordinator_.nodes.end() ? 0 : row->second.ceiling;
  return std::max(own, coordinator_.root.base);
}

// --- what the coordinator wrote ------------------------------------------------

void FleetChecks::check_ceilings() {
  for (std::size_t node = 0; node < effective_.size(); ++node) {
    const std::uint64_t now = effective(node);
    if (now < effective_[node]) {
      fail(Broken::u4, "the ceiling of node " + std::to_string(node) + " went down from " +
                           std::to_string(effective_[node]) + " to " + std::to_string(now));
    }
    effective_[node] = now;
  }
}

// Whatever was lost, nothing that was ever promised lies above the ceilings when
// writes are let in again.
void FleetChecks::on_raise() {
  open_ = true;
  check_ceilings();
  for (std::size_t node = 0; node < effective_.size(); ++node) {
    if (promised_[node] <= effective_[node]) continue;
    fail(Broken::u4, "node " + std::to_string(node) + " was promised up to " +
                         std::to_string(promised_[node]) + ", and raised to " +
                         std::to_string(effective_[node]));
  }
}

bool FleetChecks::on_loss() {
  open_ = false;
  bool lost = false;
  for (std::size_t node = 0; node < effective_.size(); ++node) {
    effective_[node] = effective(node);
    lost = lost || promised_[node] > effective_[node];
  }
  return lost;
}

void FleetChecks::on_write(const Instance &by, const FleetWrite &write, const Before &before) {
  check_ceilings();
  check_writer(write, before);
  if (!write.take) return;
  for (std::size_t i = 0; i < before.rows.size(); ++i) {
    const FleetNode &row = before.rows[i];
    const bool others = row.state == NodeState::held && row.holder != write.holder;
    if (!others) continue;
    // A clock that was set back since brings nobody back to life.
    if (!row.alive || !write.nodes[i].alive || blind_) {
      history_.see(Seen::took_over);
    } else {
      check_displaced(by, write.holder, row);
    }
  }
}

// A write names what it was decided by, and that must be so. (Where rows count their
// own writes, numbers come back when the coordinator goes back: until the next raise
// nobody may rely on what is written then, see FleetWorld::on_reply.)
void FleetChecks::check_writer(const FleetWrite &write, const Before &before) {
  const bool moved = before.root.moved || before.root.generation != write.root.generation;
  if (moved) fail(Broken::u6, "a write of another generation was let in");
  for (std::size_t i = 0; i < before.rows.size(); ++i) {
    const FleetNode &row = before.rows[i];
    const FleetNode &read = write.nodes[i];
    if (row.revision != read.revision || row.epoch != read.epoch) {
      fail(Broken::u6, "node " + std::to_string(row.node) + " was written by who hadn't read it");
    }
    // An operator's write, which isn't the holder's, names the holder as it was.
    const bool is_held = row.state == NodeState::held || write.state != NodeState::held;
    if (write.take || !open_ || (is_held && row.holder == write.holder)) continue;
    fail(Broken::u6, "node " + std::to_string(row.node) + " was written by who doesn't hold it");
  }
}

// A holder that is alive is displaced only by who follows on it: the next life of
// the same instance; or a clone that doesn't show as one, and whose record is still
// the original's. Nobody ever displaces back. A write that comes late is by the life
// that it was sent in.
void FleetChecks::check_displaced(const Instance &by, const Incarnation &holder,
                                  const FleetNode &row) {
  const int victim = instance_of(row.holder);
  if (victim == by.number) return;
  const std::string what = "instance " + std::to_string(by.number) + " displaces instance " +
                           std::to_string(victim) + " from node " + std::to_string(row.node);
  if (follows_[holder.words[0]] != row.holder) fail(Broken::u8, what);
  if (displaced_.count({victim, by.number}) > 0) fail(Broken::u8, what + ", back");
  displaced_.insert({by.number, victim});
  history_.see(Seen::displaced);
}

// --- what came of it -------------------------------------------------------------

void FleetChecks::on_acknowledged(Instance &instance, const FleetWrite &write) {
  if (write.state != NodeState::held) return;
  for (const FleetNode &node : write.nodes) {
    promised_[node.node] = std::max(promised_[node.node], write.ceiling);
    const auto row = coordinator_.nodes.find(node.node);
    if (row != coordinator_.nodes.end() && row->second.ceiling >= write.ceiling) continue;
    history_.see(Seen::late_acknowledgement);
    if (!open_ || effective(node.node) >= write.ceiling) continue;
    fail(Broken::u4, "node " + std::to_string(node.node) + " is promised up to " +
                         std::to_string(write.ceiling) + ", above its ceiling");
  }
  instance.ghost.acknowledged.emplace_back(write.nodes.front().node, write.ceiling);
}

void FleetChecks::on_publish(Instance &instance, const Grant &grant, bool acquired) {
  const auto &acknowledged = instance.ghost.acknowledged;
  if (std::find(acknowledged.begin(), acknowledged.end(), std::pair(grant.node, grant.ceiling)) ==
      acknowledged.end()) {
    fail(Broken::u3, "ceiling " + std::to_string(grant.ceiling) + " of node " +
                         std::to_string(grant.node) + " was not acknowledged");
  }
  const auto &record = instance.disk.durable;
  if (!record || record->node != grant.node || record->ceiling < grant.ceiling) {
    fail(Broken::order, "the own record doesn't know of ceiling " + std::to_string(grant.ceiling));
  }
  if (acquired) instance.ghost.window_number = ++acquisitions_;
  const Window window = {instance.ghost.window_number, instance.ghost.floors[grant.node],
                         grant.ceiling};
  for (std::uint32_t i = 0; i < 1U << grant.log2_lanes; ++i) {
    check_window(grant.node + i, window, acquired);
  }
}

// All that was ever published with a node is disjoint.
void FleetChecks::check_window(std::uint32_t node, const Window &window, bool acquired) {
  std::vector<Window> &windows = windows_[node];
  Window *known = nullptr;
  for (Window &other : windows) {
    if (other.number == window.number) {
      known = &other;
    } else if (window.floor < other.ceiling && other.floor < window.ceiling) {
      fail(acquired ? Broken::u5 : Broken::u6,
           "node " + std::to_string(node) + ": [" + std::to_string(window.floor) + ", " +
               std::to_string(window.ceiling) + ") was granted, and [" +
               std::to_string(other.floor) + ", " + std::to_string(other.ceiling) + ") before");
    }
  }
  if (known != nullptr) {
    known->ceiling = std::max(known->ceiling, window.ceiling);
  } else {
    windows.push_back(window);
  }
}

}  // namespace idgen::sim
