#include <algorithm>
#include <cstring>
#include <utility>

#include "words_model.h"

namespace idgen::model {
namespace {

// ---------------------------------------------------------------------------
// Words

std::uint16_t squeeze(std::uint64_t word) {
  return static_cast<std::uint16_t>(word >> kGrantLanesShift << 5 | (word & 31));
}
std::uint16_t active(unsigned node, unsigned log2_lanes, std::uint64_t ceiling) {
  return squeeze(
      pack(kTiny, {GrantState::active, static_cast<std::uint8_t>(log2_lanes), node, ceiling}));
}
std::uint16_t withdrawn() {
  return squeeze(pack(kTiny, {GrantState::acquiring, 0, 0, 0}));
}

// What a word is raised or moved back to: the last ID of the fresh block itself
// below the floor. No two acquisitions of a block share it, nor has any other
// block's era had it, so that the word never takes a value a second time.
std::uint8_t word_below(unsigned node, unsigned log2_lanes, std::uint64_t floor) {
  const Grant grant{GrantState::active, static_cast<std::uint8_t>(log2_lanes), node, 0};
  const Block block(kTiny, grant);
  return static_cast<std::uint8_t>(block.last_below(floor));
}

std::uint64_t bits_of_window(unsigned node, std::uint64_t from, std::uint64_t to) {
  std::uint64_t bits = 0;
  for (std::uint64_t tick = from; tick < to; ++tick) {
    for (std::uint64_t sequence = 0; sequence < 2; ++sequence) {
      bits |= std::uint64_t{1} << (tick << kTiny.time_shift() | node << 1 | sequence);
    }
  }
  return bits;
}

// ---------------------------------------------------------------------------
// Backends: the order of the loads in try_issue()

constexpr Op kRight[] = {Op::load_last, Op::load_grant, Op::load_offset, Op::decide, Op::cas};
constexpr Op kGrantFirst[] = {Op::load_grant, Op::load_last, Op::load_offset, Op::decide, Op::cas};
constexpr Op kLanesBeside[] = {Op::load_last,   Op::load_lanes, Op::load_grant,
                               Op::load_offset, Op::decide,     Op::cas};

const Op *program(Mutant mutant) {
  if (mutant == Mutant::grant_before_last) return kGrantFirst;
  if (mutant == Mutant::lanes_beside_grant) return kLanesBeside;
  return kRight;
}

bool skipped(Op op, const Backend &backend, Mutant mutant) {
  if (backend.retry == 0) return false;
  return (mutant == Mutant::grant_kept_after_lost_cas && op == Op::load_grant) ||
         (mutant == Mutant::offset_kept_after_lost_cas && op == Op::load_offset);
}

Grant grant_seen(const Backend &backend, Mutant mutant) {
  Grant grant = grant_of(backend.grant);
  if (mutant == Mutant::ceiling_ignored) grant.ceiling = kTiny.max_ceiling();
  if (mutant == Mutant::lanes_beside_grant) grant.log2_lanes = backend.lanes;
  return grant;
}

Broken issue(State &state, Backend &backend, const Grant &grant, const Decision &decision,
             const Setup &setup) {
  const Block block(kTiny, grant);
  Broken broken = Broken::nothing;
  const auto breaks = [&broken](Broken what) {
    if (broken == Broken::nothing) broken = what;
  };
  for (std::uint64_t i = 0; i < decision.count; ++i) {
    const std::uint64_t id = block.id_at(decision.first_index + i);
    const std::uint64_t bit = std::uint64_t{1} << (id & 63);
    const std::uint64_t tick = kTiny.tick_in(id);
    if ((state.issued & bit) != 0) breaks(Broken::repeat);
    state.issued |= bit;
    const auto node = static_cast<unsigned>(id >> kTiny.sequence_width & (kNodes - 1));
    if (tick < backend.floor || tick >= state.nodes[node].ceiling()) breaks(Broken::u2);
    if (tick > kTiny.tick_of(state.monotonic + state.offset) + setup.max_lead) {
      breaks(Broken::lead);
    }
  }
  if (decision.last <= state.last) breaks(Broken::u1);
  if (decision.first <= backend.seen) breaks(Broken::order);
  state.last = static_cast<std::uint8_t>(decision.last);
  state.returned = std::max(state.returned, state.last);
  return broken;
}

// The compare-and-swap: ends the call, or sends it back to its first load.
Broken finish(State &state, Backend &backend, const Setup &setup, Mutant mutant, Label &label) {
  const Grant grant = grant_seen(backend, mutant);
  const Decision decision =
      decide(kTiny, backend.last, grant, backend.now, {.n = backend.n}, setup.max_lead);
  const bool swapped = mutant == Mutant::store_instead_of_cas || state.last == backend.last;
  label.a = static_cast<std::uint8_t>(decision.first);
  label.b = static_cast<std::uint8_t>(decision.last);
  if (swapped) {
    const Broken broken = issue(state, backend, grant, decision, setup);
    backend = Backend{};
    return broken;
  }
  label.action = Label::kLost;
  const Backend lost = backend;
  backend = Backend{};
  backend.n = lost.n;
  backend.seen = lost.seen;
  backend.pc = 1;
  if (mutant == Mutant::grant_kept_after_lost_cas) {
    backend.grant = lost.grant;
    backend.floor = lost.floor;
    backend.retry = 1;
  }
  if (mutant == Mutant::offset_kept_after_lost_cas) {
    backend.offset = lost.offset;
    backend.retry = 1;
  }
  return Broken::nothing;
}

Broken perform(State &state, Backend &backend, Op op, const Setup &setup, Mutant mutant,
               Label &label) {
  label.action = static_cast<std::uint8_t>(op);
  switch (op) {
    case Op::load_last:
      label.a = backend.last = state.last;
      break;
    case Op::load_grant:
      backend.grant = state.grant;
      backend.floor = state.floor;
      label.a = static_cast<std::uint8_t>(state.grant & 31);
      label.b = static_cast<std::uint8_t>(state.grant >> 5);
      break;
    case Op::load_lanes:
      label.a = backend.lanes = state.lanes;
      break;
    case Op::load_offset:
      backend.offset = state.offset;
      break;
    case Op::decide: {
      label.a = backend.now =
          static_cast<std::uint8_t>(kTiny.tick_of(state.monotonic + backend.offset));
      if (mutant != Mutant::offset_kept_after_lost_cas) backend.offset = 0;
      const Decision decision = decide(kTiny, backend.last, grant_seen(backend, mutant),
                                       backend.now, {.n = backend.n}, setup.max_lead);
      if (decision.verdict != Verdict::issued) {
        backend = Backend{};
        ++state.calls_left;
        return Broken::nothing;
      }
      break;
    }
    case Op::cas:
      return finish(state, backend, setup, mutant, label);
  }
  ++backend.pc;
  return Broken::nothing;
}

void backend_steps(const State &state, unsigned index, const Setup &setup, Mutant mutant,
                   std::vector<Next> &out) {
  const Backend &backend = state.backends[index];
  const auto step = [&](std::uint8_t n) {
    Next next{state, {static_cast<std::uint8_t>(index), 0, 0, 0}, Broken::nothing};
    Backend &mine = next.state.backends[index];
    if (mine.pc == 0) {
      mine.n = n;
      --next.state.calls_left;
      mine.seen = state.returned;
      mine.pc = 1;
    }
    const Op *ops = program(mutant);
    while (skipped(ops[mine.pc - 1], mine, mutant)) ++mine.pc;
    next.broken = perform(next.state, mine, ops[mine.pc - 1], setup, mutant, next.label);
    out.push_back(next);
  };
  if (backend.pc != 0) {
    step(backend.n);
  } else if (state.calls_left != 0) {
    for (const std::uint8_t n : setup.sizes) step(n);
  }
}

// ---------------------------------------------------------------------------
// The worker

enum class Task : std::uint8_t { idle, acquire, rotate, extend };

std::vector<Act> plan(Task task, Mutant mutant) {
  using enum Act;
  if (task == Task::extend) {
    if (mutant == Mutant::publish_before_durable) return {done, publish, record};
    return {done, record, publish};
  }
  std::vector<Act> acts = {done};
  const bool rotate = task == Task::rotate;
  const bool late =
      rotate ? mutant == Mutant::publish_before_set_back : mutant == Mutant::publish_before_raise;
  if (!(rotate && mutant == Mutant::rotate_without_withdrawing)) acts.push_back(withdraw);
  if (late) acts.insert(acts.end(), {offset, publish});
  if (rotate) {
    acts.push_back(set_back);
  } else if (mutant != Mutant::no_raise) {
    acts.insert(acts.end(), {raise_load, raise_cas});
  }
  if (!late) {
    acts.push_back(offset);
    if (mutant == Mutant::lanes_beside_grant) acts.push_back(lanes);
    acts.push_back(publish);
  }
  return acts;
}

const Act *plan_of(Task task, Mutant mutant) {
  static std::array<std::array<std::vector<Act>, 4>, 32> plans;
  auto &slot = plans[static_cast<unsigned>(mutant)][static_cast<unsigned>(task)];
  if (slot.empty()) {
    slot = plan(task, mutant);
    slot.push_back(Act::done);
  }
  return slot.data();
}

std::uint64_t wall_tick(const State &state) {
  return kTiny.tick_of(state.monotonic + state.wall_offset);
}

// One atomic step of the registry (U5); the new ceiling is durable with it.
bool acquire(State &state, const Choice &choice, bool rotate, const Setup &setup, Mutant mutant) {
  Worker &worker = state.worker;
  const unsigned lanes = 1u << choice.log2_lanes;
  std::uint64_t floor = std::max<std::uint64_t>(1, wall_tick(state));
  for (unsigned i = 0; i < lanes; ++i) {
    if (mutant == Mutant::floor_without_old_ceiling) break;
    const std::uint64_t old = state.nodes[choice.node + i].ceiling();
    // The word is moved back to an ID of this block in tick floor - 1: nobody
    // may ever have been able to issue that, so it lies above the old ceiling.
    const bool gap = rotate && mutant != Mutant::set_back_at_old_ceiling;
    floor = std::max(floor, old + (gap ? 1 : 0));
  }
  if (!rotate) floor = std::max<std::uint64_t>(floor, worker.own_highest);
  if (floor >= kTiny.max_ceiling()) return false;
  const std::uint64_t ceiling = std::min(floor + setup.window, kTiny.max_ceiling());
  for (unsigned i = 0; i < lanes; ++i) {
    Node &node = state.nodes[choice.node + i];
    node.set(Holder::us, std::max<std::uint64_t>(ceiling, node.ceiling()));
  }
  worker.task = static_cast<std::uint8_t>(rotate ? Task::rotate : Task::acquire);
  worker.pc = 1;
  --worker.eras_left;
  worker.node = choice.node;
  worker.log2_lanes = choice.log2_lanes;
  worker.floor = static_cast<std::uint8_t>(floor);
  worker.ceiling = static_cast<std::uint8_t>(ceiling);
  worker.own_highest = std::max(worker.own_highest, worker.ceiling);
  return true;
}

std::uint8_t floor_word(const State &state, bool rotate, Mutant mutant) {
  const Worker &worker = state.worker;
  if (mutant == Mutant::floor_word_shared_by_nodes ||
      (mutant == Mutant::raise_to_last_below && !rotate)) {
    return static_cast<std::uint8_t>((std::uint64_t{worker.floor} << kTiny.time_shift()) - 1);
  }
  if (mutant == Mutant::set_back_to_id_of_old_node && rotate) {
    const Grant old = grant_of(state.old_grant);
    // Of any node at or above the fresh one this is below the floor.
    return word_below(std::max<unsigned>(old.node, worker.node), 0, worker.floor);
  }
  return word_below(worker.node, worker.log2_lanes, worker.floor);
}

Broken act(State &state, Act what, Mutant mutant, Label &label) {
  Worker &worker = state.worker;
  label.action = static_cast<std::uint8_t>(what);
  ++worker.pc;
  switch (what) {
    case Act::withdraw:
      if (mutant == Mutant::old_grant_published_again ||
          mutant == Mutant::set_back_to_id_of_old_node) {
        state.old_grant = state.grant;
      }
      state.grant = withdrawn();
      state.floor = 0;
      break;
    case Act::raise_load:
      label.a = worker.loaded = state.last;
      break;
    case Act::raise_cas: {
      const std::uint8_t wanted = floor_word(state, false, mutant);
      label.a = wanted;
      if (worker.loaded < wanted) {
        if (state.last != worker.loaded) {
          worker.loaded = state.last;  // as compare_exchange does
          --worker.pc;
          return Broken::nothing;
        }
        state.last = wanted;
      }
      worker.loaded = 0;
      break;
    }
    case Act::set_back:
      label.a = state.last = floor_word(state, true, mutant);
      // Order restarts with the word.
      state.returned = 0;
      for (Backend &backend : state.backends) backend.seen = 0;
      break;
    case Act::offset:
      // Issuing time goes back in a rotation alone.
      state.offset = static_cast<Task>(worker.task) == Task::rotate
                         ? state.wall_offset
                         : std::max(state.offset, state.wall_offset);
      break;
    case Act::lanes:
      label.a = state.lanes = worker.log2_lanes;
      break;
    case Act::publish:
      state.grant = mutant == Mutant::old_grant_published_again && state.old_grant != 0 &&
                            static_cast<Task>(worker.task) == Task::rotate
                        ? state.old_grant
                        : active(worker.node, worker.log2_lanes, worker.ceiling);
      state.floor = worker.floor;
      label.a = static_cast<std::uint8_t>(state.grant & 31);
      label.b = static_cast<std::uint8_t>(state.grant >> 5);
      break;
    case Act::record:
      // U6: only while the registry still names us for the whole block. What it
      // refuses is not published.
      for (unsigned i = 0; i < 1u << worker.log2_lanes; ++i) {
        if (state.nodes[worker.node + i].holder() != Holder::us) {
          worker.pc = 0;
          worker.task = 0;
          worker.ceiling = static_cast<std::uint8_t>(grant_of(state.grant).ceiling);
          return Broken::nothing;
        }
      }
      for (unsigned i = 0; i < 1u << worker.log2_lanes; ++i) {
        Node &node = state.nodes[worker.node + i];
        node.set(Holder::us, std::max<std::uint64_t>(node.ceiling(), worker.ceiling));
      }
      worker.own_highest = std::max(worker.own_highest, worker.ceiling);
      label.a = worker.ceiling;
      break;
    default:
      break;
  }
  if (plan_of(static_cast<Task>(worker.task), mutant)[worker.pc] == Act::done) {
    worker.pc = 0;
    worker.task = 0;
  }
  return Broken::nothing;
}

void worker_steps(const State &state, const Setup &setup, Mutant mutant, std::vector<Next> &out) {
  const Worker &worker = state.worker;
  const Next same{state, {Label::kWorker, 0, 0, 0}, Broken::nothing};
  if (worker.pc != 0) {
    Next next = same;
    const Act *acts = plan_of(static_cast<Task>(worker.task), mutant);
    next.broken = act(next.state, acts[worker.pc], mutant, next.label);
    out.push_back(next);
    return;
  }
  if (worker.eras_left != 0) {
    for (const bool rotate : {false, true}) {
      // Only a wall clock behind issuing time is a reason to move the word back.
      if (rotate && (!setup.rotation || state.wall_offset >= state.offset)) continue;
      const std::size_t era = setup.eras - worker.eras_left;
      if (setup.in_order && rotate != (era != 0)) continue;
      for (const Choice &choice : setup.choices) {
        if (setup.in_order && &choice != &setup.choices[era]) continue;
        Next next = same;
        if (!acquire(next.state, choice, rotate, setup, mutant)) continue;
        next.label = {
            Label::kWorker,
            static_cast<std::uint8_t>(rotate ? Act::begin_rotate : Act::begin_acquire),
            static_cast<std::uint8_t>(choice.node | choice.log2_lanes << 4),
            static_cast<std::uint8_t>(next.state.worker.floor << 4 | next.state.worker.ceiling)};
        out.push_back(next);
      }
    }
  }
  if (state.extends_left != 0 && grant_of(state.grant).state == GrantState::active &&
      worker.ceiling < kTiny.max_ceiling()) {
    Next next = same;
    --next.state.extends_left;
    ++next.state.worker.ceiling;
    next.state.worker.task = static_cast<std::uint8_t>(Task::extend);
    next.state.worker.pc = 1;
    next.label.action = static_cast<std::uint8_t>(Act::begin_extend);
    next.label.a = next.state.worker.ceiling;
    if (mutant == Mutant::ceiling_above_durable) {
      // Publishes more than the registry was asked for.
      next.state.worker.ceiling = static_cast<std::uint8_t>(kTiny.max_ceiling());
      next.state.grant = active(worker.node, worker.log2_lanes, kTiny.max_ceiling());
      next.state.worker.pc = 0;
      next.state.worker.task = 0;
    }
    out.push_back(next);
  }
}

void rest_of_the_world(const State &state, const Setup &setup, std::vector<Next> &out) {
  for (unsigned node = 0; node < kNodes; ++node) {
    const Node &mine = state.nodes[node];
    if (state.takes_left == 0 || !setup.contested[node] || mine.holder() == Holder::rival) continue;
    const std::uint64_t floor = mine.ceiling();
    const std::uint64_t ceiling = std::min(floor + setup.window, kTiny.max_ceiling());
    if (ceiling <= floor) continue;
    Next next{state, {Label::kRival, 0, static_cast<std::uint8_t>(node), 0}, Broken::nothing};
    next.label.b = static_cast<std::uint8_t>(floor << 4 | ceiling);
    const std::uint64_t window = bits_of_window(node, floor, ceiling);
    if ((state.issued & window) != 0) next.broken = Broken::repeat;
    next.state.issued |= window;
    next.state.nodes[node].set(Holder::rival, ceiling);
    --next.state.takes_left;
    out.push_back(next);
  }
  if (state.monotonic < setup.ticks) {
    Next next{state, {Label::kClock, 0, 0, 0}, Broken::nothing};
    next.label.a = ++next.state.monotonic;
    out.push_back(next);
  }
  if (state.steps_back_left != 0) {
    Next next{state, {Label::kClock, 1, 0, 0}, Broken::nothing};
    next.state.wall_offset = static_cast<std::int8_t>(state.wall_offset - 2);
    --next.state.steps_back_left;
    next.label.a = static_cast<std::uint8_t>(wall_tick(next.state));
    out.push_back(next);
  }
}

}  // namespace

Grant grant_of(std::uint16_t squeezed) {
  return unpack(kTiny, std::uint64_t{squeezed} >> 5 << kGrantLanesShift | (squeezed & 31u));
}

State initial_state(const Setup &setup) {
  State state;
  state.grant = withdrawn();
  state.offset = state.wall_offset = setup.wall;
  state.calls_left = static_cast<std::uint8_t>(setup.calls);
  for (unsigned node = 0; node < kNodes; ++node) {
    state.nodes[node].set(Holder::nobody, setup.ceilings[node]);
    state.issued |= bits_of_window(node, 0, setup.ceilings[node]);
  }
  state.worker.eras_left = static_cast<std::uint8_t>(setup.eras);
  state.takes_left = static_cast<std::uint8_t>(setup.takes);
  state.extends_left = static_cast<std::uint8_t>(setup.extends);
  state.steps_back_left = static_cast<std::uint8_t>(setup.steps_back);
  return state;
}

void successors(const State &state, const Setup &setup, Mutant mutant, std::vector<Next> &out) {
  out.clear();
  for (unsigned i = 0; i < setup.backends; ++i) backend_steps(state, i, setup, mutant, out);
  worker_steps(state, setup, mutant, out);
  rest_of_the_world(state, setup, out);
}

State canonical(State state, const Setup &setup) {
  for (unsigned i = 1; i < setup.backends; ++i) {
    for (unsigned j = i; j > 0; --j) {
      Backend &x = state.backends[j - 1];
      Backend &y = state.backends[j];
      if (std::memcmp(&x, &y, sizeof(Backend)) > 0) std::swap(x, y);
    }
  }
  return state;
}

}  // namespace idgen::model
