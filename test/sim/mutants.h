// What may be switched off, to see that it is missed. A mutant is made in the
// simulation's adapters (the driver of word steps, the store, the requests, the
// backends), never in the code under test.

#ifndef IDGEN_TEST_SIM_MUTANTS_H
#define IDGEN_TEST_SIM_MUTANTS_H

#include <cstdint>

namespace idgen::sim {

// What a history can violate.
enum class Broken : std::uint8_t {
  nothing,
  repeat,    // an ID issued twice
  u1,        // the word went down outside of a rotation, or an ID without a won CAS
  u2,        // an ID below the floor or at the ceiling of its grant
  u3,        // a published ceiling that the disk doesn't hold durably
  u4,        // a node's durable ceiling went down
  u5,        // a floor that is not above all that was issued with the node
  u6,        // somebody wrote who isn't the holder
  u7,        // words changed under an active grant
  u8,        // a copy issues with a node that its record named
  order,     // an ID not greater than one returned before its call began
  window,    // a ceiling further ahead than the time since the start allows
  lead,      // issuing time further ahead than what is believed allows
  rollback,  // a lead that windows and the skew allowed explain counts as a rollback
  liveness,  // nothing is issued although nothing is in the way
};

enum class Mutant : std::uint8_t {
  none,
  store_instead_of_cas,   // the word is stored, whoever was faster
  no_raise,               // no floor
  no_withdraw,            // words are changed under the grant
  publish_first,          // the grant is published before the rest
  ceiling_ignored,        // backends issue beyond it
  acknowledged_undone,    // a write that failed counts as done
  failed_fsync_trusted,   // a rename of which nothing is known counts as durable
  read_back_is_ceiling,   // a new worker publishes what it reads
  ceiling_lowered,        // a record is written with a lower ceiling than before
  left_forgotten,         // nodes that were left are not remembered
  record_not_read,        // a start doesn't see the recorded ceiling
  old_life_writes,        // a write of a life that has ended comes through
  rotation_keeps_node,    // the word is set back with the same node
  order_not_kept,         // every acquisition begins at the wall clock, with another node
  copy_unseen,            // a copied directory counts as the original
  copy_always_confirmed,  // nobody asks the operator
  full_window_at_start,   // windows are not short soon after a start
  jumps_followed,         // a wall clock far ahead is followed at once
  evidence_ignored,       // and at a start
  window_forgotten,       // a start doesn't know how long windows were
  never_acknowledged,     // no write is ever acknowledged
};

struct MutantName {
  Mutant mutant;
  const char *name;
  Broken broken[3];  // what it must be caught by, one of
};

inline constexpr MutantName kMutants[] = {
    {Mutant::store_instead_of_cas,
     "store_instead_of_cas",
     {Broken::u1, Broken::repeat, Broken::order}},
    {Mutant::no_raise, "no_raise", {Broken::u2, Broken::repeat, Broken::order}},
    {Mutant::no_withdraw, "no_withdraw", {Broken::u7}},
    {Mutant::publish_first, "publish_first", {Broken::u7}},
    {Mutant::ceiling_ignored, "ceiling_ignored", {Broken::u2}},
    {Mutant::acknowledged_undone, "acknowledged_undone", {Broken::u3}},
    {Mutant::failed_fsync_trusted, "failed_fsync_trusted", {Broken::u3}},
    {Mutant::read_back_is_ceiling, "read_back_is_ceiling", {Broken::u3}},
    {Mutant::ceiling_lowered, "ceiling_lowered", {Broken::u4, Broken::u3}},
    {Mutant::left_forgotten, "left_forgotten", {Broken::u4}},
    {Mutant::record_not_read, "record_not_read", {Broken::u5, Broken::u4, Broken::order}},
    {Mutant::old_life_writes, "old_life_writes", {Broken::u6}},
    {Mutant::rotation_keeps_node, "rotation_keeps_node", {Broken::u5, Broken::u4, Broken::repeat}},
    {Mutant::order_not_kept, "order_not_kept", {Broken::order}},
    {Mutant::copy_unseen, "copy_unseen", {Broken::u8, Broken::repeat}},
    {Mutant::copy_always_confirmed, "copy_always_confirmed", {Broken::u8, Broken::repeat}},
    {Mutant::full_window_at_start, "full_window_at_start", {Broken::window}},
    {Mutant::jumps_followed, "jumps_followed", {Broken::lead}},
    {Mutant::evidence_ignored, "evidence_ignored", {Broken::lead}},
    {Mutant::window_forgotten, "window_forgotten", {Broken::rollback}},
    {Mutant::never_acknowledged, "never_acknowledged", {Broken::liveness}},
};

inline const char *name_of(Broken broken) {
  constexpr const char *names[] = {"nothing", "repeat", "U1",   "U2",       "U3",
                                   "U4",      "U5",     "U6",   "U7",       "U8",
                                   "order",   "window", "lead", "rollback", "liveness"};
  return names[static_cast<int>(broken)];
}

}  // namespace idgen::sim

#endif  // IDGEN_TEST_SIM_MUTANTS_H
