// What is asked of a registry and what it answers, as plain numbers: the core's
// side of registry/registry.h.

#ifndef IDGEN_CORE_REQUEST_H
#define IDGEN_CORE_REQUEST_H

#include <array>
#include <cstdint>

#include "core/clock.h"

namespace idgen {

// The holder of a node: a random value drawn at each start of shared memory (U8).
struct Incarnation {
  std::array<std::uint64_t, 2> words{};
  friend bool operator==(const Incarnation &, const Incarnation &) noexcept = default;
};

enum class RegistryAsk : std::uint8_t {
  look,     // what did an earlier run leave about the time? Changes nothing
  acquire,  // take a node; reads its old ceiling in the same step (U5)
  resume,   // go on with the node that this incarnation holds already
  extend,   // raise the ceiling of the node held (U6)
  release,  // let go of `node`, which is held or was left for another; its ceiling stays (U4)
  list,     // read the whole fleet, for people
  raise,    // an operator: let no node's ceiling count as lower than `ceiling`
  retire,   // an operator: never hand `node` out again, or do
};

struct RegistryRequest {
  RegistryAsk ask = RegistryAsk::acquire;
  Incarnation incarnation;
  std::int64_t region = 0;         // it and the shard fit the layout
  std::int64_t shard = -1;         // acquire: the pinned one, or -1 for any
  std::uint8_t log2_lanes = 0;     // acquire: an aligned block of 2^log2_lanes nodes; the others:
                                   // how many are held
  bool another = false;            // acquire: another node than the one held, which is kept until
                                   // it is released
  bool fresh = false;              // acquire: likewise, and from `issuing_tick` on even if that is
                                   // below what was held (policy `rotate`)
  bool confirmed = false;          // acquire: an operator says that the original of this copied
                                   // directory is gone, so that its pinned node may be taken
  bool local = false;              // acquire: an operator says that this instance has left its
                                   // fleet, so that it may go on by its own record alone
  bool retired = true;             // retire: never again, or again
  bool force = false;              // raise: however far ahead of the clock
  std::uint32_t node = 0;          // resume, extend, release, retire: the node
  std::uint64_t node_epoch = 0;    // resume, extend: as acquire answered it
  std::uint64_t issuing_tick = 0;  // acquire: the floor is not below this
  std::uint64_t unvouched_tick = 0;  // acquire, local: nor is the floor of a pinned node below this
                                     // if no record of this directory names the node
  std::uint64_t latest = UINT64_MAX;  // acquire, fresh: a floor above this is of no use
  std::uint64_t ticks = 0;            // acquire: how far above the floor the ceiling should lie
  std::uint64_t ceiling = 0;          // extend: the ceiling wanted; resume: the one published;
                                      // raise: at least this, and above all that may be in use
  std::int64_t issuing_ns = 0;        // issuing time, for the next start's evidence
  std::int64_t boottime = 0;          // CLOCK_BOOTTIME at that moment
  std::int64_t window = 0;            // the longest since the clocks last met
  // For fleets; ns.
  std::int64_t skew = 0;     // a ceiling further ahead of the coordinator than this and a window
                             // is refused
  std::int64_t alive = 0;    // how long the holder counts as alive without an extension
  std::int64_t timeout = 0;  // of one step
};

enum class RegistryOutcome : std::uint8_t {
  done,             // durable; the figures below hold
  failed,           // not done, or not known whether: ask again later
  unreachable,      // likewise, and nothing is to be had until the registry answers again
  lost,             // the node is another's, or that can't be ruled out: withdraw first (U7)
  refused,          // won't work until somebody does something: `message` says what
  layout_mismatch,  // refused, because the record has another layout
  exhausted,        // refused, because the layout's time field has no tick left
};

struct RegistryAnswer {
  RegistryAsk ask = RegistryAsk::acquire;
  RegistryOutcome outcome = RegistryOutcome::failed;
  std::uint32_t node = 0;
  std::uint8_t log2_lanes = 0;
  std::uint64_t node_epoch = 0;  // acquire, of a fleet: how often the node has been taken
  std::uint64_t floor = 0;       // acquire: no ID below this tick may be issued
  std::uint64_t ceiling = 0;     // durable: IDs below this tick may be issued
  // acquire, not done: this block, of 2^log2_lanes nodes from `node` on, may have been taken
  // in vain. Nobody goes on with it: it is to be released.
  bool stray = false;
  // acquire: how far the floor lies above all that this instance had reached or was
  // promised itself, ticks. No clock of ours explains that, and none is to blame.
  std::uint64_t raised = 0;
  ClockEvidence evidence;  // look
};

}  // namespace idgen

#endif  // IDGEN_CORE_REQUEST_H
