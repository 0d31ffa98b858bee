#include "pg/worker_report.h"

#include <algorithm>
#include <cstring>

#include "pg/clocks.h"
#include "pg/errors.h"
#include "pg/foreign_text.h"
#include "pg/settings.h"
#include "pg/shmem.h"

#include "pg/prelude.h"

namespace idgen::pg {
namespace {

// For so long a listing of the fleet is not read again.
constexpr std::int64_t kFleetFreshNs = 1'000'000'000;

// A line of the log, without a full stop.
const char *log_of(const ClockEvent &event) {
  switch (event.kind) {
    case ClockEventKind::started:
      return "the clock is read";
    case ClockEventKind::synchronized:
      return "issuing time and the wall clock have met";
    case ClockEventKind::holding:
      return "the wall clock is behind; issuing time goes on slower until they meet";
    case ClockEventKind::rollback:
      return "the wall clock is further behind than idgen.max_clock_skew and a window explain";
    case ClockEventKind::suspect:
      return "the wall clock is further ahead than idgen.max_clock_skew and is not believed yet";
    case ClockEventKind::followed:
      return "the wall clock stepped ahead and was followed";
    case ClockEventKind::suspended:
      return "the machine was suspended; its clock was followed";
    case ClockEventKind::confirmed:
      return "the wall clock has stayed where it is for idgen.clock_confirm and was followed";
    case ClockEventKind::accepted:
      return "an operator accepted the wall clock; it was followed";
    case ClockEventKind::rotated:
      return "took another node to follow the wall clock back; the order of IDs begins anew";
    case ClockEventKind::rotation_refused:
      return "there is no other node to follow the wall clock back with; issuing time holds on";
    case ClockEventKind::stopped:
      return "issuing stops because of the clock";
    case ClockEventKind::resumed:
      return "the clock can be used again; issuing goes on";
    case ClockEventKind::unsynchronized:
      return "the kernel says that its clock is not synchronized";
    case ClockEventKind::resynchronized:
      return "the kernel says that its clock is synchronized again";
  }
  return "unknown";
}

// Is it worth a warning?
bool is_alarming(ClockEventKind kind) {
  return kind == ClockEventKind::rollback || kind == ClockEventKind::suspect ||
         kind == ClockEventKind::rotated || kind == ClockEventKind::rotation_refused ||
         kind == ClockEventKind::stopped || kind == ClockEventKind::unsynchronized;
}

}  // namespace

const char *describe(ClockTrouble trouble, const Clock &clock) {
  switch (trouble) {
    case ClockTrouble::none:
      return nullptr;
    case ClockTrouble::before_epoch:
      return psprintf("the system's clock is before the epoch of the layout, %s",
                      epoch_to_text(instance_layout.epoch_us).text);
    case ClockTrouble::unsynchronized:
      return "the kernel does not say that its clock is synchronized, and "
             "idgen.require_clock_sync is on";
    case ClockTrouble::rollback:
      return psprintf(
          "the system's clock is %s behind issuing time, and "
          "idgen.on_clock_rollback is \"stop\"",
          span_text(clock.skew()).text);
  }
  return nullptr;
}

void report_event(const ClockEvent &event, std::uint64_t left_out) {
  LWLockAcquire(info_lock, LW_EXCLUSIVE);
  EventRing &ring = shared->events;
  ring.events[ring.count % EventRing::kSize] = {unix_now_us(), event};
  ++ring.count;
  LWLockRelease(info_lock);
  if (event.kind == ClockEventKind::started) return;
  ereport(is_alarming(event.kind) ? WARNING : LOG,
          (errmsg("idgen: %s", log_of(event)),
           errdetail("Issuing time is %s %s the wall clock; the clock's state is %s.%s",
                     span_text(event.skew).text, event.skew < 0 ? "behind" : "ahead of",
                     name_of(event.state),
                     left_out == 0 ? ""
                                   : psprintf(" Changes that were left out before: %llu.",
                                              static_cast<unsigned long long>(left_out)))));
}

void report_error(const char *text) {
  char message[sizeof(shared->info.error)];
  store_text(message, text);
  const bool news = strncmp(shared->info.error, message, sizeof(shared->info.error)) != 0;
  LWLockAcquire(info_lock, LW_EXCLUSIVE);
  shared->info.error_at_us = unix_now_us();
  strlcpy(shared->info.error, message, sizeof(shared->info.error));
  strlcpy(shared->info.last_failure, message, sizeof(shared->info.last_failure));
  LWLockRelease(info_lock);
  if (news) ereport(LOG, (errmsg("idgen: %s", message)));
}

void clear_error() {
  if (shared->info.error[0] == '\0') return;
  LWLockAcquire(info_lock, LW_EXCLUSIVE);
  shared->info.error[0] = '\0';
  LWLockRelease(info_lock);
}

void report_caution(const StoreCaution &caution) {
  if (caution.message.empty()) return;
  ereport(WARNING,
          (errmsg("idgen: %s", caution.message.c_str()), errhint("%s", caution.hint.c_str())));
}

void report_stopped(bool stopped, bool issues) {
  if (stopped) {
    ereport(WARNING, (errmsg("idgen: this instance issues no IDs"),
                      shared->info.error[0] == '\0' ? 0 : errdetail("%s.", shared->info.error)));
  } else if (issues) {
    ereport(LOG, (errmsg("idgen: this instance issues IDs again")));
  }
}

void report_layout(const char *recorded, bool fleet_disagrees) {
  LWLockAcquire(info_lock, LW_EXCLUSIVE);
  store_text(shared->info.recorded_layout, recorded);
  shared->info.fleet_disagrees = fleet_disagrees;
  LWLockRelease(info_lock);
}

void report_registry(const char *name) {
  LWLockAcquire(info_lock, LW_EXCLUSIVE);
  store_text(shared->info.registry, name);
  LWLockRelease(info_lock);
}

void report_no_fleet() {
  LWLockAcquire(info_lock, LW_EXCLUSIVE);
  shared->fleet.failed = true;
  shared->fleet.fresh_until = monotonic_ns() + kFleetFreshNs;
  LWLockRelease(info_lock);
}

void outdate_fleet() {
  LWLockAcquire(info_lock, LW_EXCLUSIVE);
  shared->fleet.fresh_until = 0;
  LWLockRelease(info_lock);
}

namespace {

constexpr std::int64_t kMegabyte = 1'000'000;
// Of the same member. Rounds that look again an hour later must find it due.
constexpr std::int64_t kSpaceWarningIntervalUs = std::int64_t{3500} * 1'000'000;

long long megabytes(std::int64_t bytes) {
  return static_cast<long long>((bytes + kMegabyte / 2) / kMegabyte);
}

void warn_of_space(const StoreSpace &space) {
  ereport(
      WARNING,
      (space.full ? errmsg("idgen: etcd at %s has exceeded its quota and refuses writes",
                           space.member.c_str())
                  : errmsg("idgen: etcd at %s has used %d %% of its quota", space.member.c_str(),
                           static_cast<int>(100.0 * static_cast<double>(space.size) /
                                            static_cast<double>(space.quota))),
       errdetail("Its database takes %lld MB, of which %lld MB are in use; the quota is %lld MB%s.",
                 megabytes(space.size), megabytes(space.in_use), megabytes(space.quota),
                 space.quota_known ? "" : " unless etcd was told otherwise"),
       errhint("%s", kSpaceHint)));
}

}  // namespace

void report_space(const std::vector<StoreSpace> &space) {
  SpaceInfo next;
  std::vector<StoreSpace> alarming;
  for (const StoreSpace &found : space) {
    if (next.count == SpaceInfo::kCapacity) break;
    SpaceInfo::Member &member = next.members[next.count++];
    store_text(member.name, found.member.c_str());
    member.size = found.size;
    member.in_use = found.in_use;
    member.quota = found.quota;
    member.quota_known = found.quota_known;
    member.full = found.full;
    member.read_at_us = found.read_at_us;
    bool was_full = false;
    for (int i = 0; i < shared->space.count; ++i) {
      const SpaceInfo::Member &before = shared->space.members[i];
      if (strcmp(before.name, member.name) != 0) continue;
      was_full = before.full;
      member.warned_at_us = before.warned_at_us;
    }
    const bool half_full = found.full || (found.quota > 0 && found.size >= found.quota / 2);
    const bool is_due = found.read_at_us - member.warned_at_us >= kSpaceWarningIntervalUs;
    if (!half_full || (!is_due && (was_full || !found.full))) continue;
    member.warned_at_us = found.read_at_us;
    alarming.push_back(found);
  }
  LWLockAcquire(info_lock, LW_EXCLUSIVE);
  shared->space = next;
  LWLockRelease(info_lock);
  for (const StoreSpace &found : alarming) warn_of_space(found);
}

void report_fleet(const FleetView &fleet) {
  LWLockAcquire(info_lock, LW_EXCLUSIVE);
  FleetInfo &info = shared->fleet;
  info.failed = false;
  info.fresh_until = monotonic_ns() + kFleetFreshNs;
  info.read_at_us = unix_now_us();
  info.generation = fleet.root.generation;
  info.rows = 0;
  for (const FleetNode &node : fleet.nodes) {
    if (info.rows == info.capacity) break;
    FleetRow &row = shared->fleet_rows()[info.rows++];
    row.node = node.node;
    row.state = node.state;
    row.alive = node.alive;
    row.log2_lanes = node.log2_lanes;
    row.epoch = node.epoch;
    row.ceiling = std::max(node.ceiling, fleet.root.base);
    row.holder = node.holder;
    row.since_us = node.since_us;
    row.extended_us = node.extended_us;
    store_text(row.name, node.name.c_str());
  }
  LWLockRelease(info_lock);
}

}  // namespace idgen::pg
