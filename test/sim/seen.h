// What a history went through: a simulation that tests nothing shows.

#ifndef IDGEN_TEST_SIM_SEEN_H
#define IDGEN_TEST_SIM_SEEN_H

#include <cstddef>
#include <cstdint>

namespace idgen::sim {

// Single instances, or a fleet.
enum class Kind : std::uint8_t { local, fleet };

enum class Seen : std::uint8_t {
  ids,
  rotation,
  confirmed,
  accepted,
  suspect,
  stopped,
  suspended,
  server_crash,
  machine_crash,
  lost_write,
  late_answer,
  lost_answer,
  worker_ended,
  worker_ended_between_steps,
  lost_cas,
  paused_across_a_change,
  clone,
  restore,
  older_backup,
  settings_changed,
  coarse_ticks,
  stop_recovered,
  started_far_ahead,
  refused_copy,
  record_vanished,
  pinned_record_vanished,
  boot_without_id,
  confirmed_copy,
  disk_fault,
  frozen,
  ahead_at_start,
  pinned,
  observed,
  // of fleets
  block_clone,
  lanes,
  took_over,
  displaced,
  waited_for_liveness,
  lost_node,
  refused_full,
  refused_pinned,
  refused_ahead,
  resumed_node,
  released,
  rotated_by_operator,
  drained,
  shut_down,
  retired,
  listed,
  raised_by_operator,
  message_lost,
  applied_after_time_out,
  applied_after_death,
  applied_late_in_vain,
  applied_twice,
  conflict,
  cut_off,
  fenced_when_cut_off,
  coordinator_restart,
  fail_over,
  lost_commits,
  late_acknowledgement,
  other_cluster,
  coordinator_restored,
  put_back,
  foreign_rows,
  refused_gone_back,
  blind_to_liveness,
  release_failed,
  taken_in_vain,
  count
};
inline constexpr auto kSeen = static_cast<std::size_t>(Seen::count);

// In which kind of histories it has to be seen.
struct SeenName {
  const char *name;
  bool local;
  bool fleet;
  bool in(Kind kind) const { return kind == Kind::local ? local : fleet; }
};

inline constexpr SeenName kSeenNames[] = {
    {"IDs", true, true},
    {"rotation", true, true},
    {"suspect confirmed", true, true},
    {"suspect accepted", true, true},
    {"suspect", true, true},
    {"stopped", true, true},
    {"suspended", true, true},
    {"server crash", true, true},
    {"machine crash", true, true},
    {"write lost by a crash", true, true},
    {"late answer", true, false},
    {"lost answer", true, false},
    {"worker ended", true, true},
    {"worker ended between steps", true, true},
    {"lost CAS", true, true},
    {"paused across a change of grants", true, true},
    {"clone", true, true},
    {"restore", true, true},
    {"restore of an older backup", true, true},
    {"settings changed", true, true},
    {"coarse ticks", true, true},
    {"stopped, and recovered by slewing", true, false},
    {"start far ahead by a longer window", true, false},
    {"copy refused", true, false},
    {"record vanished", true, false},
    {"record of a pinned node vanished", true, false},
    {"start without a boot id", true, false},
    {"copy confirmed", true, false},
    {"disk fault", true, true},
    {"frozen", true, true},
    {"start ahead of the clock", true, true},
    {"pinned", true, true},
    {"ID of another instance observed", true, true},
    {"clone that doesn't show", false, true},
    {"block of lanes", true, true},
    {"node taken over", false, true},
    {"living holder displaced", false, true},
    {"waited for liveness to end", false, true},
    {"node lost", false, true},
    {"refused: region full", false, true},
    {"refused: pinned node held or retired", false, true},
    {"refused: ceilings too far ahead", false, true},
    {"worker went on with its node", false, true},
    {"node released", false, true},
    {"node rotated by an operator", false, true},
    {"drained", false, true},
    {"shut down, and its node let go", false, true},
    {"node retired", false, true},
    {"fleet listed by an operator", false, true},
    {"ceilings raised by an operator", false, true},
    {"message lost", false, true},
    {"write applied after its time-out", false, true},
    {"write applied after its sender's end", false, true},
    {"write that came too late", false, true},
    {"write sent twice and applied", false, true},
    {"conflict", false, true},
    {"cut off", false, true},
    {"fenced when cut off", false, true},
    {"coordinator restarted", false, true},
    {"fail-over", false, true},
    {"acknowledged commits lost", false, true},
    {"acknowledged after it was lost", false, true},
    {"restored on another cluster", false, true},
    {"coordinator gone back in time", false, true},
    {"older state put back in place", false, true},
    {"rows of another fleet kept out", false, true},
    {"refused: gone back in time", false, true},
    {"liveness unknown", false, true},
    {"release failed", false, true},
    {"node taken in vain", false, true},
};
static_assert(std::size(kSeenNames) == kSeen);

}  // namespace idgen::sim

#endif  // IDGEN_TEST_SIM_SEEN_H
