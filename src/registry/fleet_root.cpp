// The fleet as a whole: is it the one that it was? Making it, raising it.

#include <algorithm>
#include <utility>

#include "core/issuing_time.h"
#include "registry/fleet_registry.h"
#include "registry/fleet_rows.h"

namespace idgen {
namespace {

// A clock further ahead than this is no clock to raise ceilings by, as they never go
// down; ns.
constexpr std::int64_t kFarAhead = std::int64_t{86400} * 1'000'000'000;
// Of a clock that tells whole seconds (HTTP's Date); ns.
constexpr std::int64_t kClockGrain = 1'000'000'000;

}  // namespace

void FleetRegistry::note_seen(const FleetRoot &root, std::uint64_t revision) {
  if (seen_fleet_ != root.id || seen_generation_ != root.generation) seen_revision_ = 0;
  seen_fleet_ = root.id;
  seen_generation_ = root.generation;
  seen_revision_ = std::max(seen_revision_, revision);
}

// Has the coordinator lost what it had acknowledged?
bool FleetRegistry::went_back(const FleetRoot &root, std::uint64_t revision) const {
  if (root.id != seen_fleet_ || seen_fleet_ == Incarnation{}) return false;
  if (root.generation != seen_generation_) return root.generation < seen_generation_;
  return revision < seen_revision_;
}

// A row that this instance has written, or its record names, may be behind what was
// acknowledged although the coordinator's revisions have only grown: somebody has put
// older rows back.
bool FleetRegistry::lost_rows(std::uint32_t first, std::uint32_t last) const {
  const FleetRoot &root = view_.root;
  if (!root.exists || root.id != seen_fleet_ || root.generation != seen_generation_) return false;
  if (root_.id == root.id && root_.generation == root.generation) {
    for (const FleetNode &known : held_) {
      if (known.node < first || known.node > last) continue;
      const FleetNode *row = find_row(view_.nodes, known.node);
      if (row == nullptr || is_older(*row, known)) return true;
    }
  }
  if (record_.node_epoch == 0 || record_.fleet != root.id ||
      record_.generation != root.generation) {
    return false;
  }
  for (std::uint32_t i = 0; i < 1U << record_.log2_lanes; ++i) {
    const std::uint32_t node = record_.node + i;
    if (node < first || node > last) continue;
    const FleetNode *row = find_row(view_.nodes, node);
    // Of a block, the record keeps the first node's epoch.
    if (row == nullptr || (i == 0 && row->epoch < record_.node_epoch)) return true;
  }
  return false;
}

// Whatever it has lost, its revisions grow back in time: they are not believed
// again before a raise, not after a restart either.
void FleetRegistry::distrust() {
  if (view_.root.generation != seen_generation_) return;
  seen_revision_ = UINT64_MAX;
  if (!record_found_ || record_copied_ || record_.fleet != seen_fleet_) return;
  if (record_.generation != seen_generation_ || record_.revision == UINT64_MAX) return;
  OwnRecord next = record_;
  next.revision = UINT64_MAX;
  std::string why;  // tried again whenever it shows
  if (record_store_.store(next, why)) record_ = std::move(next);
}

std::int64_t FleetRegistry::lead_at_raise_us() const {
  const FleetRoot &root = view_.root;
  if (root.base == 0 || root.raised_us == 0) return 0;
  return std::clamp<std::int64_t>(to_us(root.base) - root.raised_us, 0, INT64_MAX / 4000);
}

std::int64_t FleetRegistry::lead() const {
  return lead_left(lead_at_raise_us(), view_.root.raised_us, coordinator_us()) * 1000;
}

std::int64_t FleetRegistry::coordinator_us() const {
  return view_.clock_us > 0 ? view_.clock_us : layout_.epoch_us + request_.issuing_ns / 1000;
}

// Ticks of another layout mean other times.
FleetRegistry::Next FleetRegistry::check_layout() {
  const FleetRoot &root = view_.root;
  if (!root.exists) return Next::proceed;
  if (root.layout != to_text(layout_).view() ||
      root.epoch != epoch_to_text(layout_.epoch_us).view()) {
    reply_.fleet_disagrees = true;
    reply_.recorded_layout = root.layout + " epoch " + root.epoch;
    return answer(RegistryOutcome::layout_mismatch,
                  "the settings name another layout than the fleet's registry");
  }
  return Next::proceed;
}

FleetRegistry::Next FleetRegistry::check_root() {
  const FleetRoot &root = view_.root;
  if (!root.exists) return create_root();
  if (const Next next = check_layout(); next != Next::proceed) return next;
  if (root.moved && !root.guarded) {
    return answer(RegistryOutcome::refused,
                  "the coordinator's tables may have been written while their triggers were "
                  "disabled; raise its ceilings by snowflake_raise_registry()");
  }
  if (root.moved && !root.same_place) {
    return answer(RegistryOutcome::refused,
                  "the registry was made in another database or table than it is in now; after a "
                  "restore, raise its ceilings by snowflake_raise_registry()");
  }
  if (root.moved && !root.same_system) {
    return answer(RegistryOutcome::refused,
                  "the registry was made on another cluster than it is on now; after a "
                  "restore, raise its ceilings by snowflake_raise_registry()");
  }
  // Not only what this instance asked for: each row is to be lifted.
  if (root.moved) return whole_ ? raise(0) : read_all();
  if (went_back(root, view_.revision)) {
    return answer(RegistryOutcome::refused,
                  "the registry has gone back in time: it has lost what it had acknowledged; after "
                  "a restore, raise its ceilings by snowflake_raise_registry()");
  }
  const bool another = seen_fleet_ != Incarnation{} && root.id != seen_fleet_;
  if (another && record_.registry == store_.describe() && root.generation <= seen_generation_) {
    return answer(RegistryOutcome::refused,
                  "the registry is another than the one that was there before, whose ceilings it "
                  "does not know; if this is intended, raise them by snowflake_raise_registry()");
  }
  note_seen(root, view_.revision);
  return Next::proceed;
}

// The first instance of a fleet makes its root. One that comes from another fleet
// lets the new one begin above all that may be in use there. A coordinator that took
// over from another may never have heard of a fleet that was lost with the last
// commits: begun above what that had been given.
FleetRegistry::Next FleetRegistry::create_root() {
  const bool leased = seen_fleet_ != Incarnation{};
  if (leased && record_.registry == store_.describe()) {
    return answer(RegistryOutcome::refused,
                  "the registry is empty, although this instance has leased nodes from it; restore "
                  "it, or begin anew above all ceilings by snowflake_raise_registry()");
  }
  FleetRoot root;
  root.id = {{host_.draw(UINT64_MAX), host_.draw(UINT64_MAX)}};
  root.layout = to_text(layout_).view();
  root.epoch = epoch_to_text(layout_.epoch_us).view();
  root.generation = 1;
  const std::int64_t allowed = request_.skew + 2 * request_.alive;
  if (leased) root.base = coordinator_tick(allowed);
  if (view_.took_over_us > 0) {
    const std::int64_t left = ns_between(view_.clock_us, view_.took_over_us) + allowed;
    root.base = std::max(root.base, coordinator_tick(std::max<std::int64_t>(left, 0)));
  }
  if (root.base > 0) root.raised_us = coordinator_us();
  step_ = Step::creating;
  store_.create(root, request_.timeout);
  return Next::step;
}

// Above everything that can have been acknowledged: no ceiling further ahead than
// the clock + tolerance + liveness is accepted, but one more liveness on top of one
// that is recorded there already. The clock may be behind the one it replaces, so
// each ceiling that is left is raised by skew and liveness, too. The base takes in
// all that were come by rightly, so that their nodes can be had again at once; what a
// bad clock has carried away is lifted row by row.
FleetRegistry::Next FleetRegistry::raise(std::uint64_t at_least) {
  if (since_epoch(coordinator_us(), layout_.epoch_us) - request_.issuing_ns > kFarAhead) {
    return answer(RegistryOutcome::refused,
                  "the coordinator's clock is more than a day ahead of this instance's; ceilings "
                  "are not raised by it");
  }
  FleetRaise raise;
  raise.root = view_.root;
  if (!raise.root.exists) {
    raise.root.id = {{host_.draw(UINT64_MAX), host_.draw(UINT64_MAX)}};
    raise.root.layout = to_text(layout_).view();
    raise.root.epoch = epoch_to_text(layout_.epoch_us).view();
  }
  const std::uint64_t more = issue_.ticks_covering(request_.skew + 2 * request_.alive);
  const std::uint64_t rightly =
      std::max(raise.root.base, coordinator_tick(tolerance() + request_.alive)) + more;
  // Above an earlier raise: what was taken after that may have been lost.
  raise.base =
      std::max({raise.root.base + more,
                coordinator_tick(tolerance() + 2 * request_.alive + kClockGrain), at_least});
  for (const FleetNode &row : view_.nodes) {
    if (row.ceiling <= rightly) raise.base = std::max(raise.base, row.ceiling + more);
  }
  if (request_.ask == RegistryAsk::raise) raise.base = std::max(raise.base, record_.ceiling);
  raise.base = std::min(raise.base, issue_.max_ceiling());
  if (request_.ask == RegistryAsk::raise && !request_.force &&
      raise.base > coordinator_tick(kFarAhead)) {
    const bool own = record_.ceiling == raise.base;
    return answer(RegistryOutcome::refused,
                  "all ceilings would be raised to " +
                      std::string(epoch_to_text(to_us(raise.base)).text) +
                      ", more than a day ahead of the coordinator's clock" +
                      (own ? ", as this instance has held a node up to then" : "") +
                      "; if this is intended, pass force => true");
  }
  raise.raised_us = coordinator_us();
  const auto clock_ms =
      static_cast<std::uint64_t>(std::max<std::int64_t>(view_.clock_us, 0) / 1000);
  raise.generation = std::max({raise.root.generation + 1, seen_generation_ + 1, clock_ms});
  for (const FleetNode &row : view_.nodes) {
    if (row.ceiling <= rightly) continue;
    raise.above.push_back(row);
    raise.above.back().ceiling = std::min(row.ceiling + more, issue_.max_ceiling());
  }
  step_ = Step::raising;
  written_.root = raise.root;
  written_.root.generation = raise.generation;
  if (!raise.root.exists) {
    raise.root.generation = raise.generation;
    raise.root.base = raise.base;
    raise.root.raised_us = raise.raised_us;
    store_.create(raise.root, request_.timeout);
  } else {
    store_.raise(raise, request_.timeout);
  }
  return Next::step;
}

}  // namespace idgen
