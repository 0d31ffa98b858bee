// A fleet's store: what a coordinator keeps, and the few atomic steps that it
// must offer. PostgreSQL and etcd implement it in a library of their own
// (src/network/), which only the worker loads; the simulation has one in memory.
//
// What a step means for the protocol is fleet_registry.h's. A store only
// carries it out, wholly or not at all, and says truthfully which:
//
//   done      acknowledged by the coordinator, durably
//   conflict  not done, as something is no longer what the caller had read
//   refused   not done, and won't be until somebody acts: `message` says what
//   unknown   not reached, or no answer: done or not, or to be done yet
//
// A step that is asked for twice must do no harm: clients' retries may apply
// twice and late, so each names the revisions that it was decided by.

#ifndef IDGEN_REGISTRY_FLEET_STORE_H
#define IDGEN_REGISTRY_FLEET_STORE_H

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/request.h"
#include "registry/registry.h"

namespace idgen {

enum class NodeState : std::uint8_t {
  free,     // released, or never taken
  held,     // and alive or not
  retired,  // by an operator: never handed out
};

// One node's row or key.
struct FleetNode {
  std::uint32_t node = 0;
  std::uint64_t revision = 0;  // changes with every write; 0: there is no row yet
  std::uint64_t epoch = 0;     // taken so many times
  NodeState state = NodeState::free;
  Incarnation holder;           // the last one
  std::uint64_t ceiling = 0;    // tick; never decreases (U4)
  std::uint8_t log2_lanes = 0;  // of the block that it is held with
  bool alive = false;           // held, and extended lately by the coordinator's clock
  std::uint64_t system = 0;     // the holder's system identifier, for people
  std::string name;             // the holder's name, for people
  std::int64_t ceiling_us = 0;  // the ceiling as Unix time, for people
  std::int64_t since_us = 0;  // when it was taken; Unix time of the coordinator (etcd: the holder)
  std::int64_t extended_us = 0;  // when it was last written, likewise
  // The value as the coordinator gave it, for stores that compare values.
  std::string value;
};

// What goes for all nodes.
struct FleetRoot {
  bool exists = false;
  Incarnation id;                // drawn when the fleet was made
  std::string layout;            // canonical, as to_text() writes it
  std::string epoch;             // as epoch_to_text() writes it
  std::uint64_t generation = 0;  // grows with each raise
  std::uint64_t base = 0;        // no node's ceiling counts as lower than this tick
  std::int64_t raised_us = 0;    // when the base was set; Unix time of the coordinator
  // The coordinator is another one than the generation was made on (PostgreSQL:
  // system identifier, timeline, database or table), or its rows were unguarded:
  // nothing is taken or extended before a raise.
  bool moved = false;
  // If moved: a fail-over, so that any instance may raise. Otherwise only an operator may.
  bool same_system = true;
  bool same_place = true;  // the same database and table
  bool guarded = true;     // nothing but the steps below can have written the rows
  std::uint64_t revision = 0;
  std::string value;
};

struct FleetView {
  FleetRoot root;
  // Grows with every write to the coordinator, whoever's; one that has gone down
  // means that writes were lost. Within one generation.
  std::uint64_t revision = 0;
  std::int64_t clock_us = 0;  // Unix time of the coordinator, not later than true by it
  // When the coordinator took over from another by a fail-over, by that clock; 0:
  // it never did.
  std::int64_t took_over_us = 0;
  std::vector<FleetNode> nodes;  // those that have a row, by number
  std::string warning;           // what an operator should know of the coordinator, or empty
};

// Compare and write: all of `nodes`, or none.
struct FleetWrite {
  FleetRoot root;                // must still be this (by revision and value)
  std::vector<FleetNode> nodes;  // each must still have this revision, epoch and value
  // What is written to each. since_us is set when `take`; extended_us always.
  bool take = false;  // the epoch is bumped
  NodeState state = NodeState::held;
  Incarnation holder;
  std::uint64_t ceiling = 0;  // the store refuses to lower one
  std::int64_t ceiling_us = 0;
  std::uint8_t log2_lanes = 0;
  std::uint64_t system = 0;
  std::string name;
  std::int64_t alive_ms = 0;  // counts as alive for so long from now on; held only
  // Refused, if the ceiling lies further ahead than `window_us` above the greater
  // of the coordinator's clock + tolerance and `recorded_us`: one bad clock must not
  // poison nodes. The tolerance is the greater of `skew_us` and what is left, by the
  // coordinator's clock, of the last raise's lead. 0: nothing is promised, so it is not
  // checked, and a PostgreSQL coordinator leaves each node the ceiling that it has.
  std::int64_t recorded_us = 0;  // the highest effective ceiling among the nodes, as Unix time
  std::int64_t skew_us = 0;
  std::int64_t lead_us = 0;  // how far ahead of the clock the last raise was; see lead_left()
  std::int64_t window_us = 0;
};

// How far a raise may still have instances ahead of the coordinator's clock: issuing
// time runs at 0.9 of real speed until it meets the wall clock, or somewhat faster
// where the worker wakes late. All in us.
constexpr std::int64_t lead_left(std::int64_t lead_us, std::int64_t raised_us,
                                 std::int64_t clock_us) noexcept {
  const std::int64_t since = std::max<std::int64_t>(clock_us - raised_us, 0);
  return std::max<std::int64_t>(lead_us - since / 16, 0);
}

// Sets base and generation of a root, if it is still this one (for a root that
// has `moved`: to the coordinator as it is), and the ceilings of single rows, if
// they are still these. The root only together with the last row; a raise that
// fails half-way leaves nothing but rows that are higher than need be.
struct FleetRaise {
  FleetRoot root;
  std::uint64_t base = 0;        // not lower than root.base
  std::uint64_t generation = 0;  // greater than root.generation
  std::int64_t raised_us = 0;    // PostgreSQL takes its own clock instead
  // Rows that are raised further than to `base`: as read, but for `ceiling`, which
  // is what each is raised to. PostgreSQL leaves one that lies more than 60 days beyond
  // the base where it is.
  std::vector<FleetNode> above;
};

// How full the database of a coordinator's member is, where that has a limit.
struct StoreSpace {
  std::string member;           // "host:port"
  std::int64_t size = 0;        // bytes that the file takes, which the quota limits
  std::int64_t in_use = 0;      // bytes of those that would be left after a defragmentation
  std::int64_t quota = 0;       // bytes; 0: there is none
  bool quota_known = false;     // else it is the default, as the member did not tell
  bool full = false;            // the quota was exceeded, and the coordinator refuses writes
  std::int64_t read_at_us = 0;  // Unix time
};

// What an operator should know of how a store connects, and what to do about it. Both are
// empty if there is nothing.
struct StoreCaution {
  std::string message;  // without a full stop
  std::string hint;     // a sentence
};

// Does traffic to this host stay on this machine?
inline bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

enum class StoreOutcome : std::uint8_t { done, conflict, refused, unknown };

struct StoreResult {
  StoreOutcome outcome = StoreOutcome::unknown;
  std::string message;           // of all but done: one line, without a credential
  FleetView view;                // read
  std::uint64_t revision = 0;    // write, done: as in FleetView
  bool crowded = false;          // write, done: a read may have something to warn of
  std::vector<FleetNode> nodes;  // write, done: as they are now
};

class FleetStore {
 public:
  FleetStore() = default;
  FleetStore(const FleetStore &) = delete;
  FleetStore &operator=(const FleetStore &) = delete;
  virtual ~FleetStore() = default;

  // Each starts a step; none may be in flight. `timeout` (ns) is for the whole of
  // it, connecting included; a step that takes longer ends as unknown.

  // One linearizable read of the root and of the rows of [first, last].
  virtual void read(std::uint32_t first, std::uint32_t last, std::int64_t timeout) = 0;
  virtual void write(const FleetWrite &write, std::int64_t timeout) = 0;
  // Makes the root if there is none: conflict if there is.
  virtual void create(const FleetRoot &root, std::int64_t timeout) = 0;
  virtual void raise(const FleetRaise &raise, std::int64_t timeout) = 0;

  // Goes on with the step in flight. True, once, when its result is there.
  virtual bool poll(StoreResult &result) = 0;
  // When poll() is worth calling again.
  virtual Wait waits_for() const noexcept = 0;

  // Goes on with what is done beside steps; to be called a few times a second, and does
  // not block. Not null, once, when it has found out how full the coordinator is; valid
  // until the next call.
  virtual const std::vector<StoreSpace> *tend() { return nullptr; }

  // Known from the setting alone.
  virtual StoreCaution caution() const { return {}; }

  // For people: the kind and the endpoints, without credentials.
  virtual std::string describe() const = 0;
};

}  // namespace idgen

#endif  // IDGEN_REGISTRY_FLEET_STORE_H
