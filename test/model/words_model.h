// An exhaustive model of the words in shared memory: last, grant and clock
// offset, as backends, the worker and a rival for our nodes read and write them.
//
// Every load, store and compare-and-swap is a step of its own, every
// interleaving of the steps is visited, and whoever is between two steps may
// stay there for ever. The arithmetic is the server's own: decide(), pack(),
// unpack() of core/generator.h, on a layout of 6 bits.
//
// The rival stands for the rest of the fleet. It may take any node at any time,
// as if our liveness had ended, reads the old ceiling as its floor (U5) and
// issues its whole window at once: whatever it could issue counts as issued.
// Our clock is free to be wrong; nothing here rests on it.

#ifndef IDGEN_TEST_MODEL_WORDS_MODEL_H
#define IDGEN_TEST_MODEL_WORDS_MODEL_H

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/generator.h"
#include "explore.h"

namespace idgen::model {

// 8 ticks, 4 nodes, 2 IDs a tick and node: every ID is a bit of one uint64.
inline constexpr IssueLayout kTiny{3, 2, 1, 1};
inline constexpr unsigned kNodes = 4;
inline constexpr unsigned kMaxBackends = 3;

enum class Mutant : std::uint8_t {
  none,
  grant_before_last,
  grant_kept_after_lost_cas,
  offset_kept_after_lost_cas,
  store_instead_of_cas,
  ceiling_ignored,
  lanes_beside_grant,
  no_raise,
  publish_before_raise,
  rotate_without_withdrawing,
  publish_before_set_back,
  old_grant_published_again,
  set_back_to_id_of_old_node,
  floor_word_shared_by_nodes,
  raise_to_last_below,
  set_back_at_old_ceiling,
  publish_before_durable,
  ceiling_above_durable,
  floor_without_old_ceiling,
};

struct Backend {
  std::uint8_t pc = 0;  // 0: between calls; else 1 + index of the next step
  std::uint8_t n = 0;
  std::uint8_t last = 0;
  std::uint8_t now = 0;
  std::uint8_t lanes = 0;
  std::uint8_t retry = 0;
  std::uint8_t unused = 0;
  std::int8_t offset = 0;
  std::uint8_t floor = 0;  // ghost: of the grant that was loaded
  std::uint8_t seen = 0;   // ghost: greatest ID returned before the call began
  std::uint16_t grant = 0;
};

enum class Holder : std::uint8_t { nobody, us, rival };

struct Node {
  std::uint8_t bits = 0;
  constexpr Holder holder() const { return static_cast<Holder>(bits >> 3); }
  constexpr std::uint8_t ceiling() const { return bits & 7; }
  constexpr void set(Holder holder, std::uint64_t ceiling) {
    bits = static_cast<std::uint8_t>(static_cast<unsigned>(holder) << 3 | ceiling);
  }
};

struct Worker {
  std::uint8_t pc = 0;  // position in the list of steps; 0: idle
  std::uint8_t task = 0;
  std::uint8_t eras_left = 0;
  std::uint8_t node = 0;  // of the grant it is about to publish
  std::uint8_t log2_lanes = 0;
  std::uint8_t floor = 0;
  std::uint8_t ceiling = 0;
  std::uint8_t loaded = 0;       // raise_word()'s own load
  std::uint8_t own_highest = 0;  // greatest ceiling this instance ever had
};

struct State {
  std::uint64_t issued = 0;  // by anybody, ever
  std::array<Backend, kMaxBackends> backends{};
  std::uint16_t grant = 0;
  std::uint16_t old_grant = 0;
  std::uint8_t last = 0;
  std::uint8_t lanes = 0;  // the mutant's word beside the grant
  std::int8_t offset = 0;
  std::uint8_t floor = 0;     // ghost: of the published grant
  std::uint8_t returned = 0;  // ghost: greatest ID returned since order last restarted
  std::uint8_t monotonic = 0;
  std::int8_t wall_offset = 0;
  std::uint8_t steps_back_left = 0;
  std::array<Node, kNodes> nodes{};
  Worker worker;
  std::uint8_t takes_left = 0;
  std::uint8_t extends_left = 0;
  std::uint8_t calls_left = 0;
};
static_assert(std::has_unique_object_representations_v<State>, "states are compared as bytes");

struct Choice {
  std::uint8_t node;
  std::uint8_t log2_lanes;
};

// One small world, explored to the end.
struct Setup {
  std::string_view name;
  unsigned backends;
  unsigned calls;  // that issue, by all backends together
  std::vector<std::uint8_t> sizes;
  std::uint64_t max_lead;
  std::vector<Choice> choices;  // what an acquisition may take
  bool in_order = false;        // these one after another, all but the first to move back
  unsigned eras;                // acquisitions in all
  bool rotation;                // may they move the word back?
  std::array<std::uint8_t, kNodes> ceilings;  // at the start; everything below is issued
  std::array<bool, kNodes> contested;         // may the rival take it?
  std::int8_t wall;                           // at the start
  std::uint8_t ticks;                         // how far the monotonic clock goes
  unsigned steps_back;                        // of the wall clock, 2 ticks each
  unsigned takes;                             // by the rival
  unsigned extends;                           // by us
  std::uint8_t window;                        // of fresh grants, the rival's too
};

// A backend's steps, as in try_issue().
enum class Op : std::uint8_t { load_last, load_grant, load_lanes, load_offset, decide, cas };

// The worker's; the last ones begin a task.
enum class Act : std::uint8_t {
  done,
  withdraw,
  raise_load,
  raise_cas,
  set_back,
  offset,
  lanes,
  publish,
  record,  // extend the ceiling durably
  begin_acquire,
  begin_rotate,
  begin_extend,
};

// What happened, for a trace.
struct Label {
  std::uint8_t actor = 0;  // 0..2 backends, then:
  static constexpr std::uint8_t kWorker = 10, kRival = 11, kClock = 12;
  std::uint8_t action = 0;  // an Op, an Act, or
  static constexpr std::uint8_t kLost = 100;
  std::uint8_t a = 0;
  std::uint8_t b = 0;
};
std::string describe(const Label &label);

// A grant as State keeps it: squeezed into 16 bits.
Grant grant_of(std::uint16_t squeezed);

struct Next {
  State state;
  Label label;
  Broken broken = Broken::nothing;
};

State initial_state(const Setup &setup);

// All states one step away. `broken` is the worst that the step broke.
void successors(const State &state, const Setup &setup, Mutant mutant, std::vector<Next> &out);

// Backends are alike: states that differ in their numbering only are one.
State canonical(State state, const Setup &setup);

}  // namespace idgen::model

#endif  // IDGEN_TEST_MODEL_WORDS_MODEL_H
