// What must hold of a fleet, seen from outside: all that its coordinator wrote, all
// that was acknowledged and published, by whomever.

#ifndef IDGEN_TEST_SIM_FLEET_CHECKS_H
#define IDGEN_TEST_SIM_FLEET_CHECKS_H

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/grant.h"
#include "history.h"
#include "instance.h"
#include "memory_store.h"

namespace idgen::sim {

class FleetChecks {
 public:
  FleetChecks(History &history, const Coordinator &coordinator, std::size_t nodes)
      : history_(history), coordinator_(coordinator), effective_(nodes), promised_(nodes) {}

  // What a write is judged by, as it was before.
  struct Before {
    FleetRoot root;
    std::vector<FleetNode> rows;  // those of the write, in its order
  };
  Before before(const FleetWrite &write) const;

  // Everybody counts as dead: nobody is spared.
  void set_blind(bool blind) { blind_ = blind; }

  // No ceiling that was ever acknowledged lies above it.
  std::uint64_t highest_promise() const {
    return *std::max_element(promised_.begin(), promised_.end());
  }

  void on_start(const Instance &instance);
  // The coordinator has carried something out, as it seems to it.
  void on_write(const Instance &by, const FleetWrite &write, const Before &before);
  void on_raise();
  void on_other_change() { check_ceilings(); }
  // It has lost what it had acknowledged, by the world's own doing. True if that
  // was anything.
  bool on_loss();
  // A write's acknowledgement has come.
  void on_acknowledged(Instance &instance, const FleetWrite &write);
  void on_publish(Instance &instance, const Grant &grant, bool acquired);

 private:
  // An acquisition that was published: it may issue from floor to ceiling.
  struct Window {
    std::uint64_t number = 0;
    std::uint64_t floor = 0;
    std::uint64_t ceiling = 0;
  };

  std::uint64_t effective(std::size_t node) const;
  void check_ceilings();
  void check_writer(const FleetWrite &write, const Before &before);
  void check_displaced(const Instance &by, const Incarnation &holder, const FleetNode &row);
  void check_window(std::uint32_t node, const Window &window, bool acquired);
  int instance_of(const Incarnation &holder) const;
  void fail(Broken broken, const std::string &what) { history_.fail(broken, what); }

  History &history_;
  const Coordinator &coordinator_;
  std::vector<std::uint64_t> effective_;          // the ceilings, as they were last
  std::vector<std::uint64_t> promised_;           // the highest that was ever acknowledged
  std::map<std::uint64_t, int> instances_;        // by the first half of an incarnation
  std::map<std::uint64_t, Incarnation> follows_;  // by incarnation: on whom, at its start
  std::set<std::pair<int, int>> displaced_;       // who, whom
  std::map<std::uint32_t, std::vector<Window>> windows_;
  std::uint64_t acquisitions_ = 0;
  bool blind_ = false;
  bool open_ = true;  // nothing was lost since the last raise
};

}  // namespace idgen::sim

#endif  // IDGEN_TEST_SIM_FLEET_CHECKS_H
