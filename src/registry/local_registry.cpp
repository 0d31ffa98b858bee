#include "registry/local_registry.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <random>
#include <utility>

namespace idgen {
namespace {

// Aligned nodes that are held as one.
struct Held {
  std::uint32_t first = 0;
  unsigned log2_lanes = 0;

  std::uint32_t size() const { return 1U << log2_lanes; }
  bool has(std::uint32_t node) const { return node >> log2_lanes == first >> log2_lanes; }
};

Held held_by(const OwnRecord &record) {
  return {record.node, record.log2_lanes};
}

std::string name_of(const Held &held) {
  const std::string first = std::to_string(held.first);
  if (held.size() == 1) return "node " + first;
  return "nodes " + first + " to " + std::to_string(held.first + held.size() - 1);
}

std::string boot_id() {
  char text[64] = {};
  std::FILE *file = std::fopen("/proc/sys/kernel/random/boot_id", "re");
  if (file == nullptr) return LocalHost::kUnknownBoot;
  const std::size_t length = std::fread(text, 1, sizeof(text), file);
  std::fclose(file);
  const std::string_view whole(text, length);
  return std::string(whole.substr(0, whole.find('\n')));
}

bool names(const std::vector<PastNode> &nodes, const Held &held) {
  return std::any_of(nodes.begin(), nodes.end(),
                     [&held](const PastNode &past) { return held.has(past.node); });
}

}  // namespace

LocalHost LocalHost::here(std::uint64_t system) {
  return {system, boot_id(), [random = std::make_shared<std::random_device>()](std::uint64_t n) {
            return std::uniform_int_distribution<std::uint64_t>(0, n - 1)(*random);
          }};
}

LocalRegistry::LocalRegistry(RecordStore &store, const Layout &layout, LocalHost host)
    : store_(store), layout_(layout), issue_(IssueLayout::of(layout)), host_(std::move(host)) {}

bool LocalRegistry::poll(RegistryReply &reply) {
  if (!request_) return false;
  const RegistryRequest request = *std::exchange(request_, std::nullopt);
  reply = RegistryReply{};
  reply.ask = request.ask;
  switch (request.ask) {
    case RegistryAsk::look:
      look(reply);
      break;
    case RegistryAsk::acquire:
      acquire(request, reply);
      break;
    case RegistryAsk::resume:
      resume(request, reply);
      break;
    case RegistryAsk::extend:
      extend(request, reply);
      break;
    case RegistryAsk::release:  // nobody else is to have it
      reply.outcome = RegistryOutcome::done;
      break;
    case RegistryAsk::list:
    case RegistryAsk::raise:
    case RegistryAsk::retire:
      reply.outcome = RegistryOutcome::refused;
      reply.message = "this instance is in no fleet: idgen.registry is \"local\"";
      break;
  }
  return true;
}

// Reads the record into record_; false when the reply is final already.
bool LocalRegistry::load(RegistryReply &reply, bool &found, bool &copied) {
  std::string why;
  found = copied = false;
  switch (store_.load(record_, copied, why)) {
    case RecordStore::Load::missing:
      record_ = OwnRecord{};
      return true;
    case RecordStore::Load::unreadable:
      reply.outcome = RegistryOutcome::failed;
      reply.message = why;
      return false;
    case RecordStore::Load::damaged:
      reply.outcome = RegistryOutcome::refused;
      reply.message = why;
      return false;
    case RecordStore::Load::loaded:
      break;
  }
  found = true;
  if (record_.layout != to_text(layout_).view() ||
      record_.epoch != epoch_to_text(layout_.epoch_us).view()) {
    reply.outcome = RegistryOutcome::layout_mismatch;
    reply.recorded_layout = record_.layout + " epoch " + record_.epoch;
    reply.message = "the settings name another layout than the instance's own record";
    return false;
  }
  return true;
}

// The same for an acquisition. Where the file shows what this one has tried to
// write before, the next try begins where that did: else each would begin at the
// ceiling of the one before, and issuing time would run away from the clock.
bool LocalRegistry::load_for(const RegistryRequest &request, RegistryReply &reply, bool &found,
                             bool &copied) {
  if (!load(reply, found, copied)) return false;
  if (failed_from_ && found && record_.incarnation == request.incarnation) {
    record_ = failed_from_->record;
    found = failed_from_->found;
    copied = failed_from_->copied;
  }
  return true;
}

// What a copied record says of the time is another machine's, but a copy begins
// above its ceiling, too.
void LocalRegistry::look(RegistryReply &reply) {
  bool found = false;
  bool copied = false;
  if (!load(reply, found, copied)) return;
  reply.outcome = RegistryOutcome::done;
  reply.evidence.known = found && !copied;
  reply.evidence.same_boot = host_.is_boot_of(record_);
  reply.evidence.boottime = record_.boottime;
  reply.evidence.issuing = record_.issuing;
  reply.evidence.window = record_.window;
}

bool LocalRegistry::pinned(const RegistryRequest &request, OwnRecord &next, std::string &message) {
  next.node = static_cast<std::uint32_t>(
      (static_cast<std::uint64_t>(request.region) << layout_.shard.width) +
      static_cast<std::uint64_t>(request.shard));
  if (request.fresh || request.another) {
    message = "idgen.shard pins node " + std::to_string(next.node) +
              ", so that no other can be taken" +
              (request.fresh ? " to follow the wall clock back" : "");
    return false;
  }
  if (const std::int64_t lanes = std::int64_t{1} << request.log2_lanes;
      request.shard % lanes != 0) {
    message = "idgen.shard must be a multiple of idgen.lanes, which is " + std::to_string(lanes);
    return false;
  }
  if (!names(next.former, {next.node, request.log2_lanes})) return true;
  if (request.confirmed) {
    message = "the original of this copied data directory was confirmed to be gone; took its node";
    return true;
  }
  message = "this data directory is a copy of one that holds node " + std::to_string(next.node) +
            ", which idgen.shard pins here too; if that one is gone for good, say so by "
            "snowflake_confirm_copy()";
  return false;
}

// Any block of the region at random but those with a node that copies have held, or
// that was left with a ceiling above the floor; and never node 0, so that it is free
// for IDs made by hand (snowflake_encode).
bool LocalRegistry::drawn(const RegistryRequest &request, OwnRecord &next, std::uint64_t &choices,
                          std::string &message) {
  const std::uint64_t first = static_cast<std::uint64_t>(request.region) << layout_.shard.width;
  const std::uint64_t blocks = (layout_.shard.max() + 1) >> request.log2_lanes;
  const std::uint64_t floor = lowest_floor(request);
  std::vector<std::uint64_t> ruled_out;  // their first nodes
  const auto rule_out = [&](std::uint32_t node) {
    if (node >> layout_.shard.width == static_cast<std::uint64_t>(request.region)) {
      ruled_out.push_back(std::uint64_t{node} >> request.log2_lanes << request.log2_lanes);
    }
  };
  if (request.fresh || request.another) {
    for (std::uint32_t i = 0; i < held_by(record_).size(); ++i) rule_out(record_.node + i);
  }
  for (const PastNode &former : next.former) rule_out(former.node);
  for (const PastNode &left : next.left) {
    if (left.ceiling >= floor) rule_out(left.node);
  }
  if (first == 0) ruled_out.push_back(0);
  std::sort(ruled_out.begin(), ruled_out.end());
  ruled_out.erase(std::unique(ruled_out.begin(), ruled_out.end()), ruled_out.end());
  if (ruled_out.size() >= blocks) {
    message = "no " + std::string(request.log2_lanes == 0 ? "node" : "block of nodes") +
              " is left to draw in region " + std::to_string(request.region) + ": ";
    if (next.former.empty() && next.left.empty() && record_.log2_lanes == 0) {
      message +=
          "the only candidate is node 0, which is never assigned automatically; set idgen.region, "
          "or pin node 0 by idgen.shard = 0";
    } else {
      message +=
          "all of them have been held by the originals of this copied data directory, or by this "
          "one at later times; if those are gone for good, call snowflake_confirm_copy(); "
          "otherwise set "
          "idgen.region to one with room (a new cluster can have a layout with more), or lease a "
          "node from a fleet by idgen.registry";
    }
    return false;
  }
  choices = blocks - ruled_out.size();
  std::uint64_t node = first + (host_.draw(choices) << request.log2_lanes);
  for (const std::uint64_t taken : ruled_out) {
    if (node >= taken) node += std::uint64_t{1} << request.log2_lanes;
  }
  next.node = static_cast<std::uint32_t>(node);
  return true;
}

// Chooses the node. A copy never takes one that the copied record names: the
// original may be issuing with it (U8).
bool LocalRegistry::choose(const RegistryRequest &request, bool found, bool copied, OwnRecord &next,
                           std::string &message) {
  if (copied) disown(next);
  next.log2_lanes = request.log2_lanes;
  if (request.shard >= 0) return pinned(request, next, message);
  if (found && !copied && !request.fresh && !request.another &&
      record_.log2_lanes == request.log2_lanes &&
      record_.node >> layout_.shard.width == static_cast<std::uint64_t>(request.region)) {
    return true;
  }
  std::uint64_t choices = 0;
  if (!drawn(request, next, choices, message)) {
    if (!request.confirmed || next.former.empty()) return false;
    // Their originals are gone, and have issued nothing above the floor of a
    // confirmation: from now on these nodes are ones that were left.
    for (const PastNode &former : next.former) {
      next.left.push_back({former.node, std::max(former.ceiling + 1, lowest_floor(request)) - 1});
    }
    next.former.clear();
    message.clear();
    if (!drawn(request, next, choices, message)) return false;
    message = "the originals of this copied data directory were confirmed to be gone; took " +
              name_of(held_by(next)) + " at random";
    return true;
  }
  message = "took " + name_of(held_by(next)) + " at random";
  if (copied) {
    message = "this data directory is a copy of one that holds " + name_of(held_by(record_)) +
              "; " + message + ", which another copy may have drawn too with a chance of 1 in " +
              std::to_string(choices);
  } else if (request.fresh) {
    message += ", to follow the wall clock back";
  }
  return true;
}

// Above everything that was ever promised (U5); for policy `rotate` only above
// what was promised with the node that is taken.
std::uint64_t LocalRegistry::lowest_floor(const RegistryRequest &request) const {
  return request.fresh ? std::max(request.issuing_tick, record_.base)
                       : std::max({request.issuing_tick, record_.base, record_.ceiling});
}

// Whether a ceiling is known of every node that `next` takes: this directory's own
// record names them, or a copied one does whose original is confirmed to be gone. If
// not, a record that was lost or overwritten may have named them.
bool LocalRegistry::is_vouched_for(bool is_own, const OwnRecord &next) const {
  for (std::uint32_t i = 0; i < 1U << next.log2_lanes; ++i) {
    const Held node = {next.node + i, 0};
    const bool is_ours = is_own && (holds(record_, node.first) || names(record_.left, node));
    if (!is_ours && !names(next.former, node)) return false;
  }
  return true;
}

void LocalRegistry::acquire(const RegistryRequest &request, RegistryReply &reply) {
  bool found = false;
  bool copied = false;
  if (held_) {
    found = true;  // what this incarnation wrote is newer than any file
  } else if (!load_for(request, reply, found, copied)) {
    return;
  }
  if (record_.fleet != Incarnation{} && !request.local) {
    reply.outcome = RegistryOutcome::refused;
    reply.message = "this instance has leased its node from \"" + record_.registry +
                    "\", where others may have it now; if it is to go on by its own record alone, "
                    "say so by snowflake_confirm_local()";
    return;
  }
  if (record_.fleet != Incarnation{}) raise_base(record_);
  OwnRecord next = record_;
  if (!choose(request, found, copied, next, reply.message)) {
    reply.outcome = RegistryOutcome::refused;
    return;
  }
  const bool is_unvouched = request.shard >= 0 && !is_vouched_for(found && !copied, next);
  std::uint64_t floor = lowest_floor(request);
  // Strictly above all that is known of the node: a word that is set back must
  // not be set to an ID that could have been issued (hole).
  for (std::vector<PastNode> *past : {&next.left, &next.former}) {
    std::erase_if(*past, [&](const PastNode &known) {
      if (!held_by(next).has(known.node)) return false;
      floor = std::max(floor, known.ceiling + 1);
      return true;
    });
  }
  if (is_unvouched && request.unvouched_tick > floor) {
    reply.raised = request.unvouched_tick - floor;
    floor = request.unvouched_tick;
    reply.message = "no record of this data directory names " + name_of(held_by(next)) +
                    ", so IDs begin at the wall clock + idgen.max_clock_skew + a window";
  }
  if (found && !copied) leave(next, record_);
  if (request.fresh && floor > request.latest) {
    reply.outcome = RegistryOutcome::refused;
    reply.message =
        "too many nodes were left at later times to follow the wall clock back with another";
    return;
  }
  const std::uint64_t end = issue_.max_ceiling();
  if (floor >= end) {
    reply.outcome = RegistryOutcome::exhausted;
    reply.message = "the time field of the layout is exhausted";
    return;
  }
  next.layout = to_text(layout_).view();
  next.epoch = epoch_to_text(layout_.epoch_us).view();
  next.registry = "local";
  next.fleet = Incarnation{};
  next.node_epoch = 0;
  next.generation = next.revision = 0;
  next.incarnation = request.incarnation;
  next.ceiling = std::min(floor + request.ticks, end);
  reply.floor = floor;
  const bool first = !held_;
  RegistryRequest kept = request;
  // A lead that was made here is no rollback after a restart, either.
  kept.window += issue_.ns_of(reply.raised);
  if (store(kept, std::move(next), reply)) {
    failed_from_.reset();
  } else if (first) {
    failed_from_ = Beginning{record_, found, copied};
  }
}

void LocalRegistry::resume(const RegistryRequest &request, RegistryReply &reply) {
  bool found = false;
  bool copied = false;
  if (!load(reply, found, copied)) return;
  if (!found || copied || record_.fleet != Incarnation{} ||
      record_.incarnation != request.incarnation || record_.node != request.node ||
      record_.log2_lanes != request.log2_lanes || record_.ceiling < request.ceiling) {
    reply.outcome = RegistryOutcome::refused;
    reply.message = "the record does not name this incarnation, its node and its ceiling";
    return;
  }
  held_ = true;
  reply.outcome = RegistryOutcome::done;
  reply.node = record_.node;
  reply.log2_lanes = request.log2_lanes;
  reply.ceiling = request.ceiling;
}

void LocalRegistry::extend(const RegistryRequest &request, RegistryReply &reply) {
  // Another node, if it was taken by a request whose answer was lost.
  if (!held_ || record_.incarnation != request.incarnation || record_.node != request.node ||
      record_.log2_lanes != request.log2_lanes) {
    reply.outcome = RegistryOutcome::refused;
    reply.message = "node " + std::to_string(request.node) + " is not held";
    return;
  }
  OwnRecord next = record_;
  next.ceiling = std::max(record_.ceiling, request.ceiling);  // U4
  RegistryRequest kept = request;
  if (record_.ceiling > request.ceiling) kept.window = std::max(record_.window, request.window);
  store(kept, std::move(next), reply);
}

bool LocalRegistry::store(const RegistryRequest &request, OwnRecord next, RegistryReply &reply) {
  next.system = host_.system;
  next.boot = host_.boot;
  next.boottime = request.boottime;
  next.issuing = request.issuing_ns;
  next.window = request.window;
  std::string why;
  if (!store_.store(next, why)) {
    reply.outcome = RegistryOutcome::failed;
    reply.message = why;
    return false;
  }
  record_ = std::move(next);
  held_ = true;
  reply.outcome = RegistryOutcome::done;
  reply.node = record_.node;
  reply.log2_lanes = static_cast<std::uint8_t>(record_.log2_lanes);
  reply.ceiling = record_.ceiling;
  return true;
}

}  // namespace idgen
