// Whole instances in one random history: machines with clocks that are set,
// drift and sleep; disks that fail; servers that crash, freeze, are copied and
// restored; a worker and backends that may stop between any two loads and stores.
//
// What runs is the code of the server: Keeper (with Clock and Lease), decide() and
// a registry. What is simulated is what surrounds it. After each step the
// invariants are checked against what really happened, which the code can't see.
//
// Here is what goes for every registry; local_world.h and fleet_world.h have each
// its own events and checks.

#ifndef IDGEN_TEST_SIM_WORLD_H
#define IDGEN_TEST_SIM_WORLD_H

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "history.h"
#include "instance.h"

namespace idgen::sim {

inline constexpr std::int64_t kMaxLead = 10;  // ticks, as idgen.max_lead

class World {
 public:
  World(const World &) = delete;
  World &operator=(const World &) = delete;
  virtual ~World() = default;
  Result run();

 protected:
  // How much happens, how long nothing may be issued after that, and how busy
  // everybody is.
  struct Span {
    std::uint64_t chaos = 0;
    std::uint64_t calm = 0;
    std::int64_t issue_pause_ms = 0;   // between a backend's calls, at most
    std::int64_t worker_pause_ms = 0;  // how late a worker wakes, at most
  };
  World(std::uint64_t seed, Mutant mutant, bool trace, const char *const *layouts,
        std::size_t n_layouts, const Span &span);

  // --- what worlds differ in ---
  virtual void begin() = 0;
  virtual void chaos() = 0;
  // No more can happen in this one.
  virtual bool is_spent() const { return false; }
  virtual void heal();
  // Does everybody issue who could?
  virtual bool all_is_well() = 0;
  virtual std::unique_ptr<Registry> open_registry(Instance &instance) = 0;
  // Something else than an instance or a backend: when, and do it.
  virtual std::int64_t due_elsewhere() const { return INT64_MAX; }
  virtual void step_elsewhere() {}
  // A life begins, ends; a worker ends, makes a step.
  virtual void on_start(Instance & /*instance*/) {}
  virtual void on_end(Instance & /*instance*/) {}
  virtual void on_worker_end(Instance & /*instance*/) {}
  virtual void on_worker_step(Instance & /*instance*/) {}
  virtual void on_resume(Instance & /*instance*/, Grant & /*grant*/) {}
  // The request is about to be begun.
  virtual void tamper(RegistryRequest & /*ask*/, Instance & /*instance*/) {}
  // With the faults over, after a turn.
  virtual void put_right(Instance & /*instance*/) {}
  virtual bool poll(Instance &instance) { return instance.registry->poll(instance.reply); }
  virtual void on_reply(Instance & /*instance*/) {}
  virtual void on_operators_reply(Instance & /*instance*/) {}
  // The keeper has heard of the reply.
  virtual void on_answer(Instance & /*instance*/, const Turn & /*turn*/) {}
  virtual void on_publish(Instance &instance, const Grant &grant, bool acquired) = 0;

  // --- what may happen to any instance ---
  Instance &add_instance(std::int64_t start_at, std::uint64_t directory);
  // `to` gets what there is of the disk of `from`, or of a backup of it.
  void copy_disk(const Instance &from, Instance &to);
  void crash(Instance &instance, bool machine);
  void end_worker(Instance &instance);
  void step_wall(Instance &instance);
  void suspend(Instance &instance, std::int64_t longest);
  void freeze(Instance &instance);
  void change_disk(Instance &instance);
  void change_kernel(Instance &instance);
  void accept_clock(Instance &instance);
  void observe(Instance &instance);
  void note_observed(Instance &instance);
  void change_settings(Instance &instance, std::int64_t longest_window);
  void note_settings(Instance &instance);
  void remove(Instance &instance);

  void ask_for_operator(Instance &instance, const RegistryRequest &request);
  void carry_out(Instance &instance, const Turn &turn);
  template <typename... Parts>
  void tell(const Instance &instance, const Parts &...parts) {
    history_.tell(instance.number, parts...);
  }
  void see(Seen what) { history_.see(what); }
  void fail(Broken broken, const std::string &what) { history_.fail(broken, what); }
  bool is_mutant(Mutant mutant) const { return history_.mutant == mutant; }

  History history_;
  Random &random_;
  std::int64_t &now_;
  Layout layout_;
  IssueLayout issue_;
  std::uint64_t directories_ = 0;
  std::vector<std::unique_ptr<Instance>> instances_;
  std::map<std::uint32_t, std::uint64_t> highest_tick_;  // issued with a node, by anybody
  KeeperPolicy policy_;

 private:
  void step();
  std::string idle() const;
  void start(Instance &instance);
  void start_worker(Instance &instance);
  void close_registry(Instance &instance);

  // the parts of an instance
  void step_worker(Instance &instance);
  bool step_request(Instance &instance);
  void take_reply(Instance &instance);
  void deliver(Instance &instance);
  void mutate_steps(std::deque<WordStep> &steps) const;
  void note_event(Instance &instance, const ClockEvent &event);
  void check_window(Instance &instance);
  void store_word(Instance &instance, const WordStep &step);
  void step_backend(Instance &instance, Backend &backend);
  void decide_next(Instance &instance, Backend &backend);
  void won(Instance &instance, Backend &backend);
  void check_lead(const Instance &instance, std::uint64_t tick);

  Span span_;
  std::int64_t next_chaos_ = 0;
  std::uint64_t boots_ = 0;
  std::unordered_set<std::uint64_t> issued_;
};

}  // namespace idgen::sim

#endif  // IDGEN_TEST_SIM_WORLD_H
