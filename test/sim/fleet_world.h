// A fleet: several instances, each with its own machine and disk, that lease their
// nodes from one coordinator.
//
// What runs is Keeper, decide() and FleetRegistry; what is simulated is, besides
// all that world.h has, the coordinator and the way there: it is unreachable, it
// restarts, fails over and loses commits, is restored, and its clock is set. The
// instances are copied, cloned, drained, rotated and pinned, and there are hardly
// more nodes than they want.

#ifndef IDGEN_TEST_SIM_FLEET_WORLD_H
#define IDGEN_TEST_SIM_FLEET_WORLD_H

#include <deque>
#include <memory>
#include <set>
#include <vector>

#include "fleet_checks.h"
#include "memory_store.h"
#include "network.h"
#include "world.h"

namespace idgen::sim {

class FleetWorld final : public World, private NetworkEnds {
 public:
  FleetWorld(std::uint64_t seed, Mutant mutant, bool trace);
  // The stores end before the network.
  ~FleetWorld() override { instances_.clear(); }

 private:
  // How the coordinator got to be as it is.
  enum class Loss : std::uint8_t {
    none,
    fail_over,      // it says so itself: who comes first raises the ceilings
    other_cluster,  // likewise, but an operator has to
    restore,        // nothing shows; an operator has to raise the ceilings
    put_back,       // its revisions have only grown; its place shows, an operator has to raise
  };
  struct Snapshot {
    std::int64_t at = 0;
    Coordinator coordinator;
  };

  // World
  void begin() override;
  void chaos() override;
  void heal() override;
  bool all_is_well() override;
  std::unique_ptr<Registry> open_registry(Instance &instance) override;
  std::int64_t due_elsewhere() const override { return network_.due(); }
  void step_elsewhere() override { network_.step(); }
  void on_start(Instance &instance) override;
  void on_worker_end(Instance &instance) override;
  void on_worker_step(Instance &instance) override;
  void tamper(RegistryRequest &ask, Instance &instance) override;
  bool poll(Instance &instance) override;
  void on_reply(Instance &instance) override;
  void on_operators_reply(Instance &instance) override;
  void on_answer(Instance &instance, const Turn &turn) override;
  void on_publish(Instance &instance, const Grant &grant, bool acquired) override;

  // NetworkEnds
  StoreResult carry_out(const Message &message, Sender sender) override;
  void on_result(const Message &message) override;
  void on_time_out(const Message &message, StoreResult &result) override;
  bool is_barred(const Message &message) const override;

  // The coordinator.
  StoreResult write(const Message &message, const FleetWrite &wanted, Sender sender);
  StoreResult raise(const FleetRaise &wanted);
  void note_write(const FleetWrite &write, const Message &message, Sender sender);
  void mutate_view(FleetView &view) const;
  void mutate_write(FleetWrite &write) const;
  void set_clock();
  void expire();
  void keep_snapshot();

  // What may happen.
  void instance_chaos(Instance &instance);
  void operator_chaos(Instance &instance);
  void coordinator_chaos();
  void copy(Instance &from);
  void clone(Instance &from);
  void step_wall_a_little(Instance &instance);
  void change_fleet_settings(Instance &instance);
  void pin(Instance &instance);
  void leave(Instance &instance);
  void drain_if_rotated(Instance &instance);
  bool prepare(Instance &instance, RegistryAsk ask, RegistryRequest &request) const;
  void list(Instance &instance);
  void retire(Instance &instance);
  void ask_raise(Instance &instance);
  void restart_coordinator();
  void lose(Loss loss);
  void replicate();
  bool is_idle(const Instance &instance) const;
  void note_seen(Instance &instance, const FleetRoot &root, std::uint64_t revision) const;
  bool has_seen_later(const Instance &instance) const;

  // Liveness.
  void pass_time();
  bool nothing_strays() const;
  void check_let_go(Instance &instance);
  void note_twin(const FleetWrite &write);
  bool is_excused(const Instance &instance) const;
  bool is_used_by_another(const Instance &instance, std::uint32_t node) const;

  // What this history is like.
  bool lossy_ = false;  // acknowledged commits are lost. Then what the raise rests on is as it
                        // has to be: settings that stay as they are, and for all; a coordinator
                        // whose clock isn't set back; no instance's further ahead than max_skew
  bool blind_ = false;  // everybody counts as dead
  bool lanes_ = false;
  bool wild_clocks_ = false;

  Coordinator coordinator_;
  std::int64_t coordinator_offset_ = 0;  // of its clock, from true time
  std::deque<Snapshot> snapshots_;
  Loss loss_ = Loss::none;  // not raised since
  std::int64_t raised_at_ = 0;
  std::int64_t well_by_ = 0;       // true time, when faults have ended
  std::set<std::uint32_t> twins_;  // nodes that a request which arrived twice has taken
  FleetChecks checks_;
  Network network_;
};

}  // namespace idgen::sim

#endif  // IDGEN_TEST_SIM_FLEET_WORLD_H
