// An instance with its machine: clocks, a disk, shared memory, a worker and
// backends; and what is known of it that the code under test can't see.

#ifndef IDGEN_TEST_SIM_INSTANCE_H
#define IDGEN_TEST_SIM_INSTANCE_H

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/keeper.h"
#include "disk.h"
#include "history.h"
#include "registry/fleet_store.h"
#include "registry/registry.h"

namespace idgen::sim {

// Clocks as their machine shows them.
struct Machine {
  std::int64_t booted = 0;       // true time
  std::int64_t suspended = 0;    // since then
  std::int64_t wall_offset = 0;  // of the wall clock, from true time
  std::uint64_t boot = 0;
  KernelSync kernel = KernelSync::synchronized;

  ClockSample sample(std::int64_t now) const {
    return {now - booted - suspended, now + wall_offset, suspended, 0, kernel};
  }
};

struct Backend {
  enum class At : std::uint8_t { idle, word, grant, offset, decided, won };
  At at = At::idle;
  std::int64_t next = 0;
  std::uint64_t n = 1;
  std::uint64_t last = 0;
  std::uint64_t grant = 0;
  std::int64_t clock_offset = 0;
  Decision decision;
  std::uint64_t must_exceed = 0;  // greatest ID returned before this call began
  std::uint64_t changes = 0;      // of the instance's grant when it began
  std::uint64_t rotations = 0;
};

// What became of the grants of one life, for the checks.
struct Ghost {
  std::uint64_t returned = 0;   // greatest ID returned
  std::uint64_t rotations = 0;  // after which order begins anew
  std::uint64_t changes = 0;
  bool forgets_order = false;     // its record is lost: order begins again with another node
  bool forgot_order = false;      // so it was in this life, and the word may be further on
  bool relies_on_clock = false;   // a pinned node's record is lost, and it is not held again yet
  bool rotation_written = false;  // a record of a rotation may be on disk
  std::map<std::uint32_t, std::uint64_t> floors;  // of the grants of this life
  bool has_published = false;                     // since this start
  bool raised = false;                            // likewise
  ClockEvidence evidence;                         // at this start
  std::int64_t allowed_lead = 0;                  // over true time, but for max_skew and windows
  std::int64_t born = 0;
  std::int64_t window = 0;         // greatest seen in this life
  std::int64_t window_before = 0;  // and in the one before
  std::int64_t slowest = 0;        // write in this life
  std::int64_t start_gain = 0;     // what starts, and the fleet's ceilings, may have added
  std::int64_t unheard_gain = 0;   // likewise an acquisition that the keeper may not hear of
  // The extremes of the settings so far: what was promised by them counts on.
  std::int64_t max_skew = 0;
  std::int64_t confirm = INT64_MAX;
  std::int64_t longest_window = 0;  // since the clocks last met
  bool clock_was_right = true;      // always, as far as this instance saw
  std::uint64_t issued = 0;
  // `local`
  std::map<std::uint32_t, std::uint64_t> durable;  // highest durable ceiling of a node
  std::vector<std::uint32_t> forbidden;            // nodes that the copied record named
  // Fleets
  std::vector<std::pair<std::uint32_t, std::uint64_t>> acknowledged;  // ceilings, in this life
  std::uint64_t window_number = 0;    // of the acquisition that is published
  Incarnation follows;                // whom the record named at this start
  std::uint64_t seen_generation = 0;  // of the fleet: what was acknowledged last, and
  std::uint64_t seen_revision = 0;    // its revision
  std::uint64_t in_vain = 0;          // a ceiling that a restored coordinator acknowledged
  bool lost = false;                  // the registry said so; the keeper is to hear of it
  bool was_refused = false;           // for want of a node
  bool undone = false;                // the coordinator went back while a request was on its way
  std::int64_t leaves_by = 0;         // the server is shutting down
  bool drains = false;                // when it has rotated
  std::int64_t undrains_at = 0;       // and is back in service
};

struct Instance {
  Instance(History &history, std::uint64_t directory) : disk(history, directory) {}

  int number = 0;
  Machine machine;
  Disk disk;
  KeeperPolicy policy;
  bool gone = false;  // for good
  bool running = false;
  int put_right = 0;  // how often
  std::int64_t frozen_until = 0;
  std::int64_t start_at = 0;

  // Shared memory.
  std::uint64_t grant = 0;
  std::int64_t offset = 0;
  std::uint64_t last = 0;
  std::uint64_t observed = 0;  // greatest tick that was, and that backends don't see yet
  Incarnation incarnation;
  std::unique_ptr<Keeper> saved;
  std::array<Backend, 3> backends;
  std::int64_t started = 0;  // monotonic

  // The worker.
  std::unique_ptr<Keeper> keeper;  // null: there is none
  std::unique_ptr<FleetStore> store;
  std::unique_ptr<Registry> registry;
  std::deque<WordStep> steps;
  bool asks = false;
  bool asks_for_operator = false;  // the request is an operator's
  RegistryRequest ask;
  enum class Request : std::uint8_t { none, sent, begun, replied } request = Request::none;
  RegistryReply reply;
  std::int64_t sent_at = 0;
  std::int64_t reply_at = 0;
  std::int64_t worker_next = 0;

  Ghost ghost;
};

}  // namespace idgen::sim

#endif  // IDGEN_TEST_SIM_INSTANCE_H
