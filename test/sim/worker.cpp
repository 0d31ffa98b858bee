// The worker of an instance: turns of its keeper, its steps one by one, its
// requests.

#include <algorithm>

#include "world.h"

namespace idgen::sim {

void World::step_worker(Instance &instance) {
  on_worker_step(instance);
  if (!instance.running) return;
  if (!instance.keeper) {
    start_worker(instance);
    return;
  }
  if (!instance.steps.empty()) {
    const WordStep step = instance.steps.front();
    instance.steps.pop_front();
    store_word(instance, step);
  }
  if (!instance.steps.empty()) {
    instance.worker_next = now_ + history_.soon();
    return;
  }
  if (!instance.saved) {
    instance.saved = std::make_unique<Keeper>(*instance.keeper);
  } else {
    *instance.saved = *instance.keeper;
  }
  if (step_request(instance)) return;
  const ClockSample sample = instance.machine.sample(now_);
  // What may be believed before the first grant of a life: the wall clock, if
  // nothing is known, or of another boot only and the kernel doesn't doubt it.
  Ghost &ghost = instance.ghost;
  if (!ghost.has_published &&
      (!ghost.evidence.known ||
       (!ghost.evidence.same_boot && sample.kernel != KernelSync::unsynchronized))) {
    ghost.allowed_lead = std::max(ghost.allowed_lead, instance.machine.wall_offset);
  }
  const Turn turn = instance.keeper->turn(sample, instance.policy);
  carry_out(instance, turn);
  if (history_.calm) put_right(instance);
  instance.worker_next = now_ + std::max<std::int64_t>(turn.wake_at - sample.monotonic, kMs) +
                         random_.between(0, span_.worker_pause_ms) * kMs +
                         (history_.is_pause() ? history_.soon() : 0);
  if (instance.request != Instance::Request::none || instance.asks) {
    instance.worker_next = std::min(instance.worker_next, std::max(now_ + kMs, instance.reply_at));
  }
  if (!instance.steps.empty()) instance.worker_next = now_ + history_.soon();
}

// The request goes a step on; true if that was all of this step.
bool World::step_request(Instance &instance) {
  using Request = Instance::Request;
  if (instance.asks) {
    instance.asks = false;
    instance.request = Request::sent;
    instance.sent_at = now_;
    instance.reply_at = now_ + history_.soon();
  }
  if (instance.request == Request::sent && now_ >= instance.reply_at) {
    tamper(instance.ask, instance);
    instance.reply = RegistryReply{};
    instance.registry->begin(instance.ask);
    instance.request = Request::begun;
  }
  if (instance.request == Request::begun) {
    if (poll(instance)) {
      take_reply(instance);
      return true;
    }
    instance.reply_at = now_ + random_.between(20, 100) * kMs;
  }
  if (instance.request == Request::replied && now_ >= instance.reply_at) {
    deliver(instance);
    return true;
  }
  return false;
}

void World::take_reply(Instance &instance) {
  const RegistryReply &reply = instance.reply;
  tell(instance, "request", static_cast<int>(reply.ask), "outcome", static_cast<int>(reply.outcome),
       "node", reply.node, "floor", reply.floor, "ceiling", reply.ceiling, reply.message);
  if (reply.outcome == RegistryOutcome::done && reply.ask == RegistryAsk::acquire &&
      !instance.ask.fresh && reply.floor > issue_.tick_of(instance.machine.sample(now_).wall)) {
    see(Seen::ahead_at_start);
  }
  if (reply.ask == RegistryAsk::look) {
    instance.ghost.evidence = reply.evidence;
    instance.ghost.allowed_lead += instance.ghost.max_skew;  // a start may find it that far ahead
  }
  if (reply.ask == RegistryAsk::acquire) instance.ghost.unheard_gain = instance.ghost.window;
  on_reply(instance);
  instance.request = Instance::Request::replied;
  // A file is written here and now, as far as others can see: the time that it
  // takes is spent after that.
  instance.reply_at = instance.store ? now_ : now_ + history_.soon();
  if (instance.reply_at - now_ > kSecond) see(Seen::late_answer);
  instance.worker_next = instance.store ? now_ + history_.soon() : now_ + kMs;
}

void World::deliver(Instance &instance) {
  instance.request = Instance::Request::none;
  if (instance.asks_for_operator) {
    instance.asks_for_operator = false;
    instance.keeper->end_other();
    on_operators_reply(instance);
    return;
  }
  instance.ghost.slowest = std::max(instance.ghost.slowest, now_ - instance.sent_at);
  const ClockSample sample = instance.machine.sample(now_);
  const Turn turn = instance.keeper->answer(instance.reply, sample, instance.policy);
  on_answer(instance, turn);
  carry_out(instance, turn);
  instance.worker_next = now_ + history_.soon();
}

void World::ask_for_operator(Instance &instance, const RegistryRequest &request) {
  instance.asks = instance.asks_for_operator = true;
  instance.ask = request;
  instance.worker_next = std::min(instance.worker_next, now_ + history_.soon());
}

void World::carry_out(Instance &instance, const Turn &turn) {
  const bool raises = std::any_of(turn.words.begin(), turn.words.end(), [](const WordStep &step) {
    return step.kind == WordStep::Kind::raise;
  });
  // A node that is acquired again begins at the old ceiling, as a start does.
  if (raises) {
    if (instance.ghost.raised) instance.ghost.start_gain += instance.ghost.window;
    instance.ghost.raised = true;
    instance.ghost.unheard_gain = 0;
    if (instance.keeper->clock().state() == ClockState::synchronized) {
      instance.ghost.longest_window = instance.ghost.window;
    }
  }
  instance.steps.insert(instance.steps.end(), turn.words.begin(), turn.words.end());
  if (!is_mutant(Mutant::none)) mutate_steps(instance.steps);
  for (const ClockEvent &event : turn.events) note_event(instance, event);
  if (!turn.asks) return;
  instance.asks = true;
  instance.ask = turn.ask;
  if (turn.ask.fresh) instance.ghost.rotation_written = true;
  if (turn.ask.ask == RegistryAsk::acquire || turn.ask.ask == RegistryAsk::extend) {
    check_window(instance);
  }
}

void World::mutate_steps(std::deque<WordStep> &steps) const {
  const auto is = [](WordStep::Kind wanted) {
    return [wanted](const WordStep &step) { return step.kind == wanted; };
  };
  const bool changes = std::any_of(steps.begin(), steps.end(), is(WordStep::Kind::raise)) ||
                       std::any_of(steps.begin(), steps.end(), is(WordStep::Kind::set_back));
  if (changes && is_mutant(Mutant::no_withdraw)) {
    std::erase_if(steps, is(WordStep::Kind::withdraw));
  }
  if (is_mutant(Mutant::no_raise)) std::erase_if(steps, is(WordStep::Kind::raise));
  if (changes && is_mutant(Mutant::publish_first)) {
    std::stable_partition(steps.begin(), steps.end(), is(WordStep::Kind::publish));
  }
}

void World::note_event(Instance &instance, const ClockEvent &event) {
  tell(instance, "clock event", static_cast<int>(event.kind), "skew ms", event.skew / kMs);
  Ghost &ghost = instance.ghost;
  switch (event.kind) {
    case ClockEventKind::accepted:
    case ClockEventKind::confirmed:
      ghost.allowed_lead = std::max(ghost.allowed_lead, instance.machine.wall_offset);
      ghost.allowed_lead += ghost.max_skew;  // and may be stepped on from there
      if (event.kind == ClockEventKind::confirmed) see(Seen::confirmed);
      break;
    case ClockEventKind::rotated:
      see(Seen::rotation);
      break;
    case ClockEventKind::suspect:
      see(Seen::suspect);
      break;
    case ClockEventKind::stopped:
      see(Seen::stopped);
      break;
    case ClockEventKind::synchronized:
      ghost.longest_window = ghost.window;
      break;
    case ClockEventKind::holding:
    case ClockEventKind::rollback: {
      // One window, that is: a crash soon after another may add a second.
      const std::int64_t explained =
          instance.policy.max_skew +
          std::min(ghost.longest_window, std::max(ghost.window, ghost.window_before));
      if (!ghost.clock_was_right) break;
      if (event.skew > instance.policy.max_skew + instance.policy.window &&
          event.skew <= explained) {
        see(Seen::started_far_ahead);
        if (event.kind == ClockEventKind::rollback) {
          fail(Broken::rollback, "a lead of " + std::to_string(event.skew / kMs) +
                                     " ms counts as a rollback, " +
                                     std::to_string(explained / kMs) + " ms are explained");
        }
      }
      break;
    }
    default:
      break;
  }
}

// How long a window may be, by DESIGN's rule: min(window, uptime), at least
// 200 ms; a slow disk gets more of a long uptime.
void World::check_window(Instance &instance) {
  const RegistryRequest &ask = instance.ask;
  Ghost &ghost = instance.ghost;
  const std::int64_t uptime = instance.machine.sample(now_).monotonic - instance.started;
  std::int64_t limit = std::max(std::min(instance.policy.window, uptime), 200 * kMs);
  if (ghost.slowest > 0) {
    limit =
        std::max(limit, std::min(std::max(ghost.max_skew, instance.policy.max_skew), uptime / 10));
  }
  const std::uint64_t ticks =
      ask.ask == RegistryAsk::acquire ? ask.ticks : ask.ceiling - ask.issuing_tick;
  const std::int64_t span = static_cast<std::int64_t>(ticks) * issue_.tick_ns;
  ghost.window = std::max(ghost.window, span);
  ghost.longest_window = std::max(ghost.longest_window, span);
  if (span > limit + 2 * issue_.tick_ns) {
    fail(Broken::window, "a window of " + std::to_string(span / kMs) + " ms after " +
                             std::to_string(uptime / kMs) + " ms");
  }
}

}  // namespace idgen::sim
