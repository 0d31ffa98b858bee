#include "words_model.h"

namespace idgen::model {
namespace {

std::string text_of_id(std::uint64_t id) {
  const IssueLayout &layout = kTiny;
  return std::to_string(layout.tick_in(id)) + "." +
         std::to_string(id >> layout.sequence_width & (kNodes - 1)) + "." + std::to_string(id & 1);
}

std::string text_of_grant(const Label &label) {
  const Grant grant = grant_of(static_cast<std::uint16_t>(label.b << 5 | label.a));
  if (grant.state != GrantState::active) return "withdrawn";
  return "node " + std::to_string(grant.node) + " lanes " + std::to_string(1 << grant.log2_lanes) +
         " ceiling " + std::to_string(grant.ceiling);
}

std::string text_of_taken(const Label &label) {
  return "node " + std::to_string(label.a & 15) + " lanes " + std::to_string(1 << (label.a >> 4)) +
         ", floor " + std::to_string(label.b >> 4) + ", ceiling " + std::to_string(label.b & 15);
}

std::string describe_worker(const Label &label) {
  switch (static_cast<Act>(label.action)) {
    case Act::withdraw:
      return "withdraws the grant";
    case Act::raise_load:
      return "raise: loads last = " + text_of_id(label.a);
    case Act::raise_cas:
      return "raise: CAS-max to " + text_of_id(label.a);
    case Act::set_back:
      return "moves the word back to " + text_of_id(label.a);
    case Act::offset:
      return "sets the offset";
    case Act::lanes:
      return "stores log2 lanes = " + std::to_string(label.a);
    case Act::publish:
      return "publishes " + text_of_grant(label);
    case Act::record:
      return "ceiling " + std::to_string(label.a) + " is durable";
    case Act::begin_acquire:
      return "acquires " + text_of_taken(label);
    case Act::begin_rotate:
      return "acquires, to move the word back, " + text_of_taken(label);
    case Act::begin_extend:
      return "extends to " + std::to_string(label.a);
    case Act::done:
      break;
  }
  return "?";
}

std::string describe_backend(const Label &label) {
  if (label.action == Label::kLost) return "CAS lost";
  switch (static_cast<Op>(label.action)) {
    case Op::load_last:
      return "loads last = " + text_of_id(label.a);
    case Op::load_grant:
      return "loads grant: " + text_of_grant(label);
    case Op::load_lanes:
      return "loads log2 lanes = " + std::to_string(label.a);
    case Op::load_offset:
      return "loads offset";
    case Op::decide:
      return "now = " + std::to_string(label.a);
    case Op::cas:
      return "CAS, issues " + text_of_id(label.a) + " to " + text_of_id(label.b);
  }
  return "?";
}

}  // namespace

std::string describe(const Label &label) {
  switch (label.actor) {
    case Label::kRival:
      return "rival: takes and issues " + text_of_taken(label);
    case Label::kClock:
      return label.action == 0 ? "time: monotonic clock at " + std::to_string(label.a)
                               : "time: wall clock steps back to " + std::to_string(label.a);
    case Label::kWorker:
      return "worker: " + describe_worker(label);
    default:
      return "backend " + std::to_string(label.actor) + ": " + describe_backend(label);
  }
}

}  // namespace idgen::model
