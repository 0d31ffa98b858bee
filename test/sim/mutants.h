// What may be switched off, to see that it is missed. A mutant is made in the
// simulation's adapters (the driver of word steps, the record's store, the
// requests, the backends, the coordinator and the network), never in the code
// under test.

#ifndef IDGEN_TEST_SIM_MUTANTS_H
#define IDGEN_TEST_SIM_MUTANTS_H

#include <cstdint>

#include "seen.h"

namespace idgen::sim {

// What a history can violate.
enum class Broken : std::uint8_t {
  nothing,
  repeat,    // an ID issued twice
  u1,        // the word went down outside of a rotation, or an ID without a won CAS
  u2,        // an ID below the floor or at the ceiling of its grant
  u3,        // a published ceiling that was not acknowledged as durable
  u4,        // a node's ceiling went down
  u5,        // a floor that is not above all that may be issued with the node
  u6,        // somebody wrote who isn't the holder
  u7,        // words changed under an active grant, or a loss not heeded
  u8,        // a copy uses its original's node; a displaced instance displaces back
  order,     // an ID not greater than one returned before its call began
  window,    // a ceiling further ahead than the time since the start allows
  lead,      // issuing time further ahead than what is believed allows
  boot,      // a start judges the clock by the uptime of another boot
  rollback,  // a lead that windows and the skew allowed explain counts as a rollback
  liveness,  // nothing is issued although nothing is in the way
};

enum class Mutant : std::uint8_t {
  none,
  store_instead_of_cas,    // the word is stored, whoever was faster
  no_raise,                // no floor
  no_withdraw,             // words are changed under the grant
  publish_first,           // the grant is published before the rest
  ceiling_ignored,         // backends issue beyond it
  acknowledged_undone,     // a write that failed counts as done
  failed_fsync_trusted,    // a rename of which nothing is known counts as durable
  read_back_is_ceiling,    // a new worker publishes what it reads
  ceiling_lowered,         // a record is written with a lower ceiling than before
  left_forgotten,          // nodes that were left are not remembered
  record_not_read,         // a start doesn't see the recorded ceiling
  old_life_writes,         // a write of a life that has ended comes through
  rotation_keeps_node,     // the word is set back with the same node
  order_not_kept,          // every acquisition begins at the wall clock, with another node
  copy_unseen,             // a copied directory counts as the original
  copy_always_confirmed,   // nobody asks the operator
  full_window_at_start,    // windows are not short soon after a start
  jumps_followed,          // a wall clock far ahead is followed at once
  evidence_ignored,        // and at a start
  window_forgotten,        // a start doesn't know how long windows were
  observed_without_bound,  // any ID of others moves issuing time on
  never_acknowledged,      // no write is ever acknowledged
  no_boot_is_same_boot,    // a boot id that is missing on both sides is the same
  vanished_at_the_clock,   // a pinned node whose record is gone begins at the clock
  // of fleets
  release_lowers,           // a released node's ceiling is no more than the clock
  expiry_lowers,            // likewise of a node whose holder isn't alive
  take_not_compared,        // whoever takes a node has it
  extend_not_compared,      // epoch and revision don't count for an extension
  generation_not_compared,  // nor does the generation for any write
  request_is_done,          // a write without an answer counts as done
  read_back_is_done,        // likewise, if the row can be read as it was wanted
  old_ceiling_hidden,       // a read doesn't tell what was promised
  move_unseen,              // a fail-over doesn't show
  place_unseen,             // nor that an older state was put back in place: no OIDs
  guard_missing,            // nor does anything keep other fleets' rows out
  raise_without_base,       // a raise sets the generation only
  block_written_partly,     // only a block's first node
  record_not_kept,          // the own record is never written
  living_displaced,         // the own record names whoever holds the node
  loss_unheeded,            // a node that was lost is held on to
  liveness_never_ends,      // whoever took a node once counts as alive
  one_release_slot,         // of several nodes that are to be released only the last is
  lanes_ignored,            // a shard is pinned, and moved to, without a look at the lanes
};

struct MutantName {
  Mutant mutant;
  const char *name;
  Kind kind;
  Broken broken[4];  // what it must be caught by, one of
};

inline constexpr MutantName kMutants[] = {
    {Mutant::store_instead_of_cas,
     "store_instead_of_cas",
     Kind::local,
     {Broken::u1, Broken::repeat, Broken::order}},
    {Mutant::no_raise, "no_raise", Kind::local, {Broken::u2, Broken::repeat, Broken::order}},
    {Mutant::no_withdraw, "no_withdraw", Kind::local, {Broken::u7}},
    {Mutant::publish_first, "publish_first", Kind::local, {Broken::u7}},
    {Mutant::ceiling_ignored, "ceiling_ignored", Kind::local, {Broken::u2}},
    {Mutant::acknowledged_undone, "acknowledged_undone", Kind::local, {Broken::u3}},
    {Mutant::failed_fsync_trusted, "failed_fsync_trusted", Kind::local, {Broken::u3}},
    {Mutant::read_back_is_ceiling, "read_back_is_ceiling", Kind::local, {Broken::u3}},
    {Mutant::ceiling_lowered, "ceiling_lowered", Kind::local, {Broken::u4, Broken::u3}},
    {Mutant::left_forgotten, "left_forgotten", Kind::local, {Broken::u4}},
    {Mutant::record_not_read,
     "record_not_read",
     Kind::local,
     {Broken::u5, Broken::u4, Broken::order}},
    {Mutant::old_life_writes, "old_life_writes", Kind::local, {Broken::u6}},
    {Mutant::rotation_keeps_node,
     "rotation_keeps_node",
     Kind::local,
     {Broken::u5, Broken::u4, Broken::repeat}},
    {Mutant::order_not_kept, "order_not_kept", Kind::local, {Broken::order}},
    {Mutant::copy_unseen, "copy_unseen", Kind::local, {Broken::u8, Broken::repeat}},
    {Mutant::copy_always_confirmed,
     "copy_always_confirmed",
     Kind::local,
     {Broken::u8, Broken::repeat}},
    {Mutant::no_boot_is_same_boot, "no_boot_is_same_boot", Kind::local, {Broken::boot}},
    {Mutant::vanished_at_the_clock,
     "vanished_at_the_clock",
     Kind::local,
     {Broken::u5, Broken::repeat, Broken::order}},
    {Mutant::full_window_at_start, "full_window_at_start", Kind::local, {Broken::window}},
    {Mutant::jumps_followed, "jumps_followed", Kind::local, {Broken::lead}},
    {Mutant::evidence_ignored, "evidence_ignored", Kind::local, {Broken::lead}},
    {Mutant::window_forgotten, "window_forgotten", Kind::local, {Broken::rollback}},
    {Mutant::observed_without_bound, "observed_without_bound", Kind::local, {Broken::lead}},
    {Mutant::never_acknowledged, "never_acknowledged", Kind::local, {Broken::liveness}},

    {Mutant::no_raise, "no_raise", Kind::fleet, {Broken::u2, Broken::repeat, Broken::order}},
    {Mutant::no_withdraw, "no_withdraw", Kind::fleet, {Broken::u7}},
    {Mutant::release_lowers, "release_lowers", Kind::fleet, {Broken::u4}},
    {Mutant::expiry_lowers, "expiry_lowers", Kind::fleet, {Broken::u4}},
    {Mutant::take_not_compared, "take_not_compared", Kind::fleet, {Broken::u6}},
    {Mutant::extend_not_compared, "extend_not_compared", Kind::fleet, {Broken::u6}},
    {Mutant::generation_not_compared, "generation_not_compared", Kind::fleet, {Broken::u6}},
    {Mutant::request_is_done, "request_is_done", Kind::fleet, {Broken::u3}},
    {Mutant::read_back_is_done, "read_back_is_done", Kind::fleet, {Broken::u3}},
    {Mutant::old_ceiling_hidden, "old_ceiling_hidden", Kind::fleet, {Broken::u5, Broken::repeat}},
    {Mutant::move_unseen,
     "move_unseen",
     Kind::fleet,
     {Broken::u5, Broken::u6, Broken::repeat, Broken::liveness}},
    {Mutant::place_unseen,
     "place_unseen",
     Kind::fleet,
     {Broken::u4, Broken::u5, Broken::u6, Broken::repeat}},
    {Mutant::guard_missing, "guard_missing", Kind::fleet, {Broken::u4}},
    {Mutant::raise_without_base, "raise_without_base", Kind::fleet, {Broken::u4}},
    {Mutant::block_written_partly,
     "block_written_partly",
     Kind::fleet,
     {Broken::u5, Broken::u6, Broken::u4}},
    {Mutant::record_not_kept, "record_not_kept", Kind::fleet, {Broken::order}},
    {Mutant::record_not_read, "record_not_read", Kind::fleet, {Broken::order}},
    {Mutant::copy_unseen, "copy_unseen", Kind::fleet, {Broken::u8}},
    {Mutant::living_displaced, "living_displaced", Kind::fleet, {Broken::u8}},
    {Mutant::loss_unheeded, "loss_unheeded", Kind::fleet, {Broken::u7}},
    {Mutant::liveness_never_ends, "liveness_never_ends", Kind::fleet, {Broken::liveness}},
    {Mutant::one_release_slot, "one_release_slot", Kind::fleet, {Broken::liveness}},
    {Mutant::lanes_ignored, "lanes_ignored", Kind::fleet, {Broken::liveness}},
    {Mutant::observed_without_bound, "observed_without_bound", Kind::local, {Broken::lead}},
    {Mutant::never_acknowledged, "never_acknowledged", Kind::fleet, {Broken::liveness}},
};

inline const char *name_of(Broken broken) {
  constexpr const char *names[] = {"nothing", "repeat", "U1",       "U2",      "U3",    "U4",
                                   "U5",      "U6",     "U7",       "U8",      "order", "window",
                                   "lead",    "boot",   "rollback", "liveness"};
  return names[static_cast<int>(broken)];
}

}  // namespace idgen::sim

#endif  // IDGEN_TEST_SIM_MUTANTS_H
