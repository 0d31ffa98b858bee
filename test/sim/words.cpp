// The words of an instance's shared memory: the worker's steps that change them,
// the backends that read them and issue, and what must hold of every ID.

#include <algorithm>

#include "world.h"

namespace idgen::sim {

void World::store_word(Instance &instance, const WordStep &step) {
  const Grant held = unpack(issue_, instance.grant);
  const bool active = held.state == GrantState::active;
  switch (step.kind) {
    case WordStep::Kind::withdraw:
      instance.grant = step.value;
      ++instance.ghost.changes;
      tell(instance, "grant withdrawn, state", static_cast<int>(unpack(issue_, step.value).state));
      if (unpack(issue_, step.value).state == GrantState::active) {
        fail(Broken::u7, "withdrawn to an active grant");
      }
      break;
    case WordStep::Kind::raise:
      if (active) fail(Broken::u7, "the word is raised under an active grant");
      instance.last = std::max(instance.last, step.value);
      tell(instance, "word raised to", instance.last);
      break;
    case WordStep::Kind::set_back:
      if (active) fail(Broken::u7, "the word is set back under an active grant");
      if (!instance.ghost.rotation_written) fail(Broken::u1, "set back");
      if (issued_.count(step.value) != 0) {
        fail(Broken::u1, "the word is set to an ID that was issued");
      }
      instance.last = step.value;
      instance.ghost.returned = 0;
      instance.observed = 0;
      ++instance.ghost.rotations;
      tell(instance, "word set back to", instance.last);
      break;
    case WordStep::Kind::offset: {
      const auto offset = static_cast<std::int64_t>(step.value);
      // Or callers would wait until it has caught up with what they have issued.
      const std::int64_t issuing = instance.machine.sample(now_).monotonic + offset;
      const bool waits = issue_.tick_of(issuing) + kMaxLead + 2 < issue_.tick_in(instance.last);
      if (active && waits && !instance.ghost.forgot_order) {
        fail(Broken::u7, "issuing time steps back under an active grant");
      }
      if (offset < instance.offset - 2 * Clock::kMaxSlewStep) {
        tell(instance, "offset lowered by ms", (instance.offset - offset) / kMs);
      }
      instance.offset = offset;
      break;
    }
    case WordStep::Kind::publish: {
      const Grant grant = unpack(issue_, step.value);
      const bool acquired = !active || grant.node != held.node;
      instance.grant = step.value;
      ++instance.ghost.changes;
      instance.ghost.has_published = true;
      tell(instance, "grant published, node", grant.node, "ceiling", grant.ceiling);
      if (acquired) instance.ghost.floors[grant.node] = instance.reply.floor;
      on_publish(instance, grant, acquired);
      break;
    }
  }
  note_observed(instance);
}

void World::step_backend(Instance &instance, Backend &backend) {
  backend.next = now_ + history_.soon();
  Ghost &ghost = instance.ghost;
  switch (backend.at) {
    case Backend::At::idle:
      backend.n = random_.one_in(4) ? 1 + random_.below(20) : 1;
      backend.must_exceed = ghost.returned;
      backend.rotations = ghost.rotations;
      backend.changes = ghost.changes;
      backend.at = Backend::At::word;
      break;
    case Backend::At::word:
      backend.last = instance.last;
      backend.at = Backend::At::grant;
      break;
    case Backend::At::grant:
      backend.grant = instance.grant;
      backend.at = Backend::At::offset;
      break;
    case Backend::At::offset:
      backend.clock_offset = instance.offset;
      backend.at = Backend::At::decided;
      break;
    case Backend::At::decided:
      decide_next(instance, backend);
      break;
    case Backend::At::won: {
      if (backend.changes != ghost.changes) see(Seen::paused_across_a_change);
      const bool wins = instance.last == backend.last;
      if (!wins) {
        see(Seen::lost_cas);
        backend.at = Backend::At::word;
        if (!is_mutant(Mutant::store_instead_of_cas)) break;
      }
      if (!wins && backend.decision.last < instance.last) {
        fail(Broken::u1, "the word went down");
      }
      instance.last = backend.decision.last;
      won(instance, backend);
      backend.at = Backend::At::idle;
      backend.next = now_ + random_.between(1, span_.issue_pause_ms) * kMs;
      if (history_.calm) backend.next += 10 * span_.issue_pause_ms * kMs;
      break;
    }
  }
}

void World::decide_next(Instance &instance, Backend &backend) {
  Grant grant = unpack(issue_, backend.grant);
  if (is_mutant(Mutant::ceiling_ignored)) grant.ceiling = issue_.max_ceiling();
  const std::uint64_t tick =
      issue_.tick_of(instance.machine.sample(now_).monotonic + backend.clock_offset);
  backend.decision = decide(issue_, backend.last, grant, tick, {.n = backend.n}, kMaxLead);
  if (backend.decision.verdict == Verdict::issued) {
    backend.at = Backend::At::won;
  } else {
    backend.at = Backend::At::idle;
    backend.next = now_ + random_.between(1, 100) * kMs;
  }
}

// A CAS was won: the IDs of the run are issued, and returned at once (the pause
// before a call's return is that before the next call's start).
void World::won(Instance &instance, Backend &backend) {
  Ghost &ghost = instance.ghost;
  const Grant grant = unpack(issue_, backend.grant);
  const Block block(issue_, grant);
  const Decision &run = backend.decision;
  see(Seen::ids);
  tell(instance, "issued", run.first, "to", run.last, "node", grant.node);
  const std::uint64_t first_tick = issue_.tick_in(run.first);
  const std::uint64_t last_tick = issue_.tick_in(run.last);
  if (last_tick >= grant.ceiling) fail(Broken::u2, "an ID at or above the ceiling of its grant");
  if (first_tick < ghost.floors[grant.node]) fail(Broken::u2, "an ID below the floor of its grant");
  if (backend.rotations == ghost.rotations && run.first <= backend.must_exceed) {
    fail(Broken::order, "an ID not greater than one returned before");
  }
  for (std::uint64_t i = 0; i < run.count; ++i) {
    const std::uint64_t id = block.id_at(run.first_index + i);
    if (!issued_.insert(id).second) fail(Broken::repeat, "ID " + std::to_string(id) + " again");
    const auto node = static_cast<std::uint32_t>(id >> issue_.sequence_width &
                                                 ((std::uint64_t{1} << issue_.node_width) - 1));
    highest_tick_[node] = std::max(highest_tick_[node], issue_.tick_in(id));
  }
  if (backend.rotations == ghost.rotations) ghost.returned = std::max(ghost.returned, run.last);
  ++ghost.issued;
  check_lead(instance, last_tick);
}

// Issuing time may be ahead of true time by what was accepted of the wall clock
// (at a first start, after `confirm`, by an operator), by max_skew in each
// `confirm` since and at each start, by the windows that starts skipped; and IDs
// by max_lead.
void World::check_lead(const Instance &instance, std::uint64_t tick) {
  const Ghost &ghost = instance.ghost;
  const std::int64_t lead = static_cast<std::int64_t>(tick) * issue_.tick_ns - now_;
  const std::int64_t periods = 1 + (now_ - ghost.born) / ghost.confirm;
  const std::int64_t bound = std::max<std::int64_t>(ghost.allowed_lead, 0) +
                             2 * periods * ghost.max_skew + ghost.start_gain +
                             (kMaxLead + 2) * issue_.tick_ns;
  if (lead > bound) {
    fail(Broken::lead, "an ID " + std::to_string(lead / kMs) + " ms ahead, " +
                           std::to_string(bound / kMs) + " ms are allowed");
  }
}

}  // namespace idgen::sim
