// A coordinator in memory, and the store that reaches it: what PostgreSQL and
// etcd are to the server, for the simulation and for histories that are played by
// hand. It keeps to the contract of registry/fleet_store.h, and can lose requests
// and replies, apply requests late, and go back in time.

#ifndef IDGEN_TEST_SIM_MEMORY_STORE_H
#define IDGEN_TEST_SIM_MEMORY_STORE_H

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "registry/fleet_store.h"

namespace idgen::sim {

struct Coordinator {
  FleetRoot root;
  std::map<std::uint32_t, FleetNode> nodes;
  std::map<std::uint32_t, std::int64_t> alive_until_us;
  std::uint64_t revision = 0;
  std::int64_t clock_us = 0;
  std::int64_t took_over_us = 0;
  std::uint64_t writes = 0;
  // As PostgreSQL does: rows count their own writes, which are compared, and of the
  // root only the generation. Otherwise the fleet's revision and all values, as etcd.
  bool compares_less = false;
  // As etcd has it: what a store has written as held is alive together, for as long as the
  // store goes on writing. By the number of the lease that a write names; 0: each by itself.
  std::map<std::uint32_t, std::uint64_t> lease_of;

  FleetView view(std::uint32_t first, std::uint32_t last) const {
    FleetView view;
    view.root = root;
    view.revision = revision;
    view.clock_us = clock_us;
    view.took_over_us = took_over_us;
    for (auto it = nodes.lower_bound(first); it != nodes.end() && it->first <= last; ++it) {
      view.nodes.push_back(it->second);
      const auto until = alive_until_us.find(it->first);
      view.nodes.back().alive = it->second.state == NodeState::held &&
                                until != alive_until_us.end() && until->second > clock_us;
    }
    return view;
  }

  bool is_same(const FleetRoot &read) const {
    return root.exists && root.generation == read.generation && !root.moved &&
           (compares_less || (root.id == read.id && root.base == read.base));
  }
  bool is_same(const FleetNode &read) const {
    const auto it = nodes.find(read.node);
    if (it == nodes.end()) return read.revision == 0;
    return it->second.revision == read.revision && it->second.epoch == read.epoch &&
           (compares_less || it->second.ceiling == read.ceiling);
  }

  // Whoever holds anything by this lease is alive as long as the latest of them.
  void keep_alive(const FleetWrite &write, std::uint64_t lease) {
    const bool is_held = write.state == NodeState::held;
    const std::int64_t until = is_held ? clock_us + write.alive_ms * 1000 : 0;
    // What has expired is not alive again.
    std::erase_if(lease_of,
                  [this](const auto &one) { return alive_until_us[one.first] <= clock_us; });
    for (const FleetNode &node : write.nodes) {
      alive_until_us[node.node] = until;
      lease_of[node.node] = is_held ? lease : 0;
    }
    if (!is_held || lease == 0) return;
    for (const auto &[node, other] : lease_of) {
      if (other == lease) alive_until_us[node] = until;
    }
  }

  StoreResult apply(const FleetWrite &write, std::uint64_t lease = 0) {
    StoreResult result;
    result.outcome = StoreOutcome::conflict;
    if (!is_same(write.root)) return result;
    for (const FleetNode &read : write.nodes) {
      if (!is_same(read)) return result;
      const auto it = nodes.find(read.node);
      if (it != nodes.end() && it->second.ceiling > write.ceiling) {
        result.outcome = StoreOutcome::refused;
        result.message = "a ceiling never goes down";
        return result;
      }
    }
    const std::int64_t tolerance =
        std::max(write.skew_us, lead_left(write.lead_us, root.raised_us, clock_us));
    if (write.window_us > 0 &&
        write.ceiling_us > std::max(clock_us + tolerance, write.recorded_us) + write.window_us) {
      result.outcome = StoreOutcome::refused;
      result.message = "the ceiling lies too far ahead of the coordinator's clock";
      return result;
    }
    ++revision;
    ++writes;
    for (const FleetNode &read : write.nodes) {
      FleetNode &row = nodes[read.node];
      row.node = read.node;
      row.revision = compares_less ? row.revision + 1 : revision;
      row.epoch += write.take ? 1 : 0;
      row.state = write.state;
      row.holder = write.holder;
      row.ceiling = write.ceiling;
      row.ceiling_us = write.ceiling_us;
      row.log2_lanes = write.log2_lanes;
      row.name = write.name;
      result.nodes.push_back(row);
    }
    keep_alive(write, lease);
    result.outcome = StoreOutcome::done;
    result.revision = revision;
    return result;
  }

  StoreResult apply(const FleetRaise &raise) {
    StoreResult result;
    result.outcome = StoreOutcome::conflict;
    if (!root.exists || root.id != raise.root.id || root.generation != raise.root.generation ||
        raise.generation <= root.generation || raise.base < root.base) {
      return result;
    }
    for (const FleetNode &row : raise.above) {
      const auto it = nodes.find(row.node);
      if (it == nodes.end() || it->second.revision != row.revision ||
          it->second.ceiling > row.ceiling) {
        return result;
      }
    }
    ++revision;
    root.generation = raise.generation;
    root.base = raise.base;
    root.raised_us = raise.raised_us;
    root.moved = false;
    root.same_system = root.same_place = root.guarded = true;
    for (const FleetNode &row : raise.above) {
      FleetNode &raised = nodes[row.node];
      raised.ceiling = row.ceiling;
      raised.revision = compares_less ? raised.revision + 1 : revision;
    }
    result.outcome = StoreOutcome::done;
    result.revision = revision;
    return result;
  }

  // A row that comes by none of the steps: by a restore, a replication, a script. The
  // guard of the tables skips it where a fleet lives. False if it was skipped.
  bool apply_foreign(const FleetNode &row, bool guard) {
    if (guard && root.exists && !root.moved) return false;
    nodes[row.node] = row;
    alive_until_us.erase(row.node);
    ++revision;
    return true;
  }

  StoreResult apply(const FleetRoot &wanted) {
    StoreResult result;
    result.outcome = root.exists ? StoreOutcome::conflict : StoreOutcome::done;
    if (root.exists) return result;
    ++revision;
    root = wanted;
    root.exists = true;
    return result;
  }
};

class MemoryStore final : public FleetStore {
 public:
  enum class Fault : std::uint8_t {
    none,
    request_lost,  // it never arrives
    reply_lost,    // it is applied, and nobody hears of it
    late,          // likewise not heard of, and applied when deliver_late() is called
  };

  explicit MemoryStore(Coordinator &coordinator) : coordinator_(&coordinator) {}

  void read(std::uint32_t first, std::uint32_t last, std::int64_t /*timeout*/) override {
    run([this, first, last] {
      StoreResult result;
      result.outcome = StoreOutcome::done;
      result.view = coordinator_->view(first, last);
      return result;
    });
  }
  void write(const FleetWrite &write, std::int64_t /*timeout*/) override {
    run([this, write] { return coordinator_->apply(write); });
  }
  void create(const FleetRoot &root, std::int64_t /*timeout*/) override {
    run([this, root] { return coordinator_->apply(root); });
  }
  void raise(const FleetRaise &raise, std::int64_t /*timeout*/) override {
    run([this, raise] { return coordinator_->apply(raise); });
  }

  bool poll(StoreResult &result) override {
    if (!pending_ || hold) return false;
    pending_ = false;
    result = result_;
    return true;
  }
  Wait waits_for() const noexcept override { return {}; }
  std::string describe() const override { return name; }

  void deliver_late() {
    for (const auto &step : late_) (void)step();
    late_.clear();
  }
  bool is_pending() const { return pending_; }

  Fault fault = Fault::none;  // of the steps from now on
  bool hold = false;          // replies wait
  std::string name = "memory://one";
  int steps = 0;

 private:
  using Action = std::function<StoreResult()>;

  void run(Action action) {
    pending_ = true;
    ++steps;
    result_ = StoreResult{};
    result_.message = "no answer";
    switch (fault) {
      case Fault::none:
        result_ = action();
        break;
      case Fault::request_lost:
        break;
      case Fault::reply_lost:
        (void)action();
        break;
      case Fault::late:
        late_.push_back(std::move(action));
        break;
    }
  }

  Coordinator *coordinator_;
  bool pending_ = false;
  StoreResult result_;
  std::vector<Action> late_;
};

}  // namespace idgen::sim

#endif  // IDGEN_TEST_SIM_MEMORY_STORE_H
