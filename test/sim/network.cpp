#include "network.h"

#include <algorithm>
#include <utility>

namespace idgen::sim {

Link::Link(Network &network, int instance)
    : network_(network),
      instance_(instance),
      number_(++network.links_made_),
      lease_(++network.leases_made_) {
  network_.links_[number_] = this;
}

bool Link::poll(StoreResult &result) {
  if (!waits_for_.step) return false;
  if (result_) {
    result = std::move(*result_);
  } else if (network_.history_.now < waits_for_.deadline) {
    return false;
  } else {
    result = StoreResult{};
    result.message = "no answer";
    network_.ends_.on_time_out(waits_for_, result);
  }
  note_outcome(result);
  waits_for_ = Message{};
  result_.reset();
  return true;
}

// As the store of etcd does: a node that may have been taken in vain, or was not released,
// is not kept alive by those that are held.
void Link::note_outcome(const StoreResult &result) {
  const auto *write = std::get_if<FleetWrite>(waits_for_.step.get());
  if (write == nullptr || result.outcome == StoreOutcome::done) return;
  const bool may_be_taken = write->take && result.outcome == StoreOutcome::unknown;
  if (may_be_taken || write->state != NodeState::held) lease_ = ++network_.leases_made_;
}

void Network::send(Link &link, StoreStep step, std::int64_t timeout) {
  Message message;
  message.instance = link.instance_;
  message.link = link.number_;
  message.lease = link.lease_;
  message.number = ++link.steps_;
  message.deadline = history_.now + timeout;
  message.for_operator = link.for_operator;
  message.step = std::make_shared<const StoreStep>(std::move(step));
  link.waits_for_ = message;
  link.result_.reset();
  const bool twice = !history_.calm && history_.random.one_in(15);
  post(message);
  message.second = true;
  if (twice) post(std::move(message));
}

void Network::post(Message message) {
  if (is_lost()) {
    history_.see(Seen::message_lost);
    return;
  }
  message.due = history_.now + delay();
  messages_.push_back(std::move(message));
}

bool Network::is_lost() {
  return !history_.calm && history_.random.one_in(loss_);
}

std::int64_t Network::delay() {
  Random &random = history_.random;
  if (!history_.calm && random.one_in(25)) {
    return random.one_in(4) ? random.between(kSecond, 15 * kSecond)
                            : random.between(10 * kMs, 2 * kSecond);
  }
  return random.between(50'000, 3 * kMs);
}

bool Network::is_cut(int instance, std::int64_t &until) const {
  for (const int who : {0, instance}) {
    const auto cut = cuts_.find(who);
    if (cut == cuts_.end() || cut->second <= history_.now) continue;
    until = cut->second;
    return true;
  }
  return false;
}

void Network::heal() {
  cuts_.clear();
}

std::int64_t Network::due() const {
  std::int64_t due = INT64_MAX;
  for (const Message &message : messages_) due = std::min(due, message.due);
  return due;
}

void Network::step() {
  const auto next =
      std::min_element(messages_.begin(), messages_.end(),
                       [](const Message &a, const Message &b) { return a.due < b.due; });
  Message message = std::move(*next);
  messages_.erase(next);
  std::int64_t until = 0;
  if (is_cut(message.instance, until)) {
    // Lost, or sent again and again until it passes.
    if (history_.random.one_in(2)) return;
    message.due = until + delay();
    messages_.push_back(std::move(message));
    return;
  }
  if (ends_.is_barred(message)) return;
  const auto link = links_.find(message.link);
  const bool is_awaited = link != links_.end() && link->second->waits_for_.step &&
                          link->second->waits_for_.number == message.number &&
                          !link->second->result_;
  if (!message.result) {
    using Sender = NetworkEnds::Sender;
    message.result = ends_.carry_out(message, is_awaited             ? Sender::waits
                                              : link == links_.end() ? Sender::ended
                                                                     : Sender::gave_up);
    post(std::move(message));
  } else if (is_awaited) {
    ends_.on_result(message);
    link->second->result_ = std::move(message.result);
  }
}

}  // namespace idgen::sim
