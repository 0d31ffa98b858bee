#include "registry/local_registry.h"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <utility>

namespace idgen {
namespace {

// How many nodes of earlier copies a record carries along.
constexpr std::size_t kMaxFormer = 64;

std::string boot_id() {
  char text[64] = {};
  std::FILE *file = std::fopen("/proc/sys/kernel/random/boot_id", "re");
  if (file == nullptr) return "unknown";
  const std::size_t length = std::fread(text, 1, sizeof(text), file);
  std::fclose(file);
  const std::string_view whole(text, length);
  return std::string(whole.substr(0, whole.find('\n')));
}

std::int64_t boottime_ns() {
  struct timespec now {};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

bool contains(const std::vector<std::uint32_t> &nodes, std::uint32_t node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

}  // namespace

LocalRegistry::LocalRegistry(std::string directory, const Layout &layout, std::uint64_t system)
    : file_(std::move(directory)), layout_(layout), system_(system) {}

bool LocalRegistry::poll(RegistryReply &reply) {
  if (!request_) return false;
  const RegistryRequest request = *std::exchange(request_, std::nullopt);
  reply = RegistryReply{};
  reply.ask = request.ask;
  switch (request.ask) {
    case RegistryAsk::acquire:
      acquire(request, reply);
      break;
    case RegistryAsk::resume:
      resume(request, reply);
      break;
    case RegistryAsk::extend:
      extend(request, reply);
      break;
  }
  return true;
}

// Reads the record into record_; false when the reply is final already.
bool LocalRegistry::load(RegistryReply &reply, bool &found, bool &copied) {
  std::string why;
  found = copied = false;
  switch (file_.load(record_, copied, why)) {
    case RecordFile::Load::missing:
      record_ = OwnRecord{};
      return true;
    case RecordFile::Load::unreadable:
      reply.outcome = RegistryOutcome::failed;
      reply.message = why;
      return false;
    case RecordFile::Load::damaged:
      reply.outcome = RegistryOutcome::refused;
      reply.message = why;
      return false;
    case RecordFile::Load::loaded:
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

// Chooses the node. A copy never takes one that the copied record names: the
// original may be issuing with it (U8).
bool LocalRegistry::choose(const RegistryRequest &request, bool found, bool copied, OwnRecord &next,
                           std::string &message) {
  if (copied) {
    if (!contains(next.former, record_.node)) next.former.push_back(record_.node);
    if (next.former.size() > kMaxFormer) next.former.erase(next.former.begin());
  }
  const std::uint64_t first = static_cast<std::uint64_t>(request.region) << layout_.shard.width;
  const std::uint64_t shards = layout_.shard.max() + 1;

  if (request.shard >= 0) {
    next.node = static_cast<std::uint32_t>(first + static_cast<std::uint64_t>(request.shard));
    if (contains(next.former, next.node)) {
      message = "this data directory is a copy of one that holds node " +
                std::to_string(next.node) + ", which idgen.shard pins here too";
      return false;
    }
    return true;
  }
  if (found && !copied &&
      record_.node >> layout_.shard.width == static_cast<std::uint64_t>(request.region)) {
    next.node = record_.node;
    return true;
  }

  // Any of the region at random but those that copies have held; and never node
  // 0, so that it is free for IDs made by hand (snowflake_encode).
  std::vector<std::uint64_t> ruled_out;
  for (const std::uint32_t node : next.former) {
    if (node >> layout_.shard.width == static_cast<std::uint64_t>(request.region)) {
      ruled_out.push_back(node);
    }
  }
  if (first == 0) ruled_out.push_back(0);
  std::sort(ruled_out.begin(), ruled_out.end());
  ruled_out.erase(std::unique(ruled_out.begin(), ruled_out.end()), ruled_out.end());
  if (ruled_out.size() >= shards) {
    message = "no node is left to draw in region " + std::to_string(request.region) + ": ";
    message += next.former.empty()
                   ? "it has node 0 only, which is never drawn; set idgen.region, or pin node 0 by "
                     "idgen.shard = 0"
                   : "copies of this data directory have held them all";
    return false;
  }
  const std::uint64_t choices = shards - ruled_out.size();
  std::uint64_t node =
      first + std::uniform_int_distribution<std::uint64_t>(0, choices - 1)(random_);
  for (const std::uint64_t taken : ruled_out) node += node >= taken ? 1 : 0;
  next.node = static_cast<std::uint32_t>(node);
  if (copied) {
    message = "this data directory is a copy of one that holds node " +
              std::to_string(record_.node) + "; took node " + std::to_string(node) +
              " at random, which another copy may have drawn too with a chance of 1 in " +
              std::to_string(choices);
  } else {
    message = "took node " + std::to_string(node) + " at random";
  }
  return true;
}

void LocalRegistry::acquire(const RegistryRequest &request, RegistryReply &reply) {
  bool found = false;
  bool copied = false;
  if (held_) {
    found = true;  // what this incarnation wrote is newer than any file
  } else if (!load(reply, found, copied)) {
    return;
  }
  OwnRecord next = record_;
  if (!choose(request, found, copied, next, reply.message)) {
    reply.outcome = RegistryOutcome::refused;
    return;
  }
  // U5: the floor is above everything the record ever promised.
  const std::uint64_t floor = std::max(record_.ceiling, request.issuing_tick);
  const std::uint64_t end = layout_.time.max();
  if (floor >= end) {
    reply.outcome = RegistryOutcome::exhausted;
    reply.message = "the time field of the layout is exhausted";
    return;
  }
  next.layout = to_text(layout_).view();
  next.epoch = epoch_to_text(layout_.epoch_us).view();
  next.registry = "local";
  next.incarnation = request.incarnation;
  next.ceiling = std::min(floor + request.ticks, end);
  reply.floor = floor;
  store(request, std::move(next), reply);
}

void LocalRegistry::resume(const RegistryRequest &request, RegistryReply &reply) {
  bool found = false;
  bool copied = false;
  if (!load(reply, found, copied)) return;
  if (!found || copied || record_.incarnation != request.incarnation ||
      record_.node != request.node || record_.ceiling < request.ceiling) {
    reply.outcome = RegistryOutcome::refused;
    reply.message = "the record doesn't name this incarnation, its node and its ceiling";
    return;
  }
  held_ = true;
  reply.outcome = RegistryOutcome::done;
  reply.node = record_.node;
  reply.ceiling = request.ceiling;
}

void LocalRegistry::extend(const RegistryRequest &request, RegistryReply &reply) {
  if (!held_ || record_.incarnation != request.incarnation) {
    reply.outcome = RegistryOutcome::refused;
    reply.message = "no node is held";
    return;
  }
  OwnRecord next = record_;
  next.ceiling = std::max(record_.ceiling, request.ceiling);  // U4
  store(request, std::move(next), reply);
}

bool LocalRegistry::store(const RegistryRequest &request, OwnRecord next, RegistryReply &reply) {
  next.system = system_;
  next.boot = boot_id();
  next.boottime = boottime_ns();
  next.issuing = static_cast<std::int64_t>(request.issuing_tick) * layout_.tick_us * 1000;
  std::string why;
  if (!file_.store(next, why)) {
    reply.outcome = RegistryOutcome::failed;
    reply.message = why;
    return false;
  }
  record_ = std::move(next);
  held_ = true;
  reply.outcome = RegistryOutcome::done;
  reply.node = record_.node;
  reply.ceiling = record_.ceiling;
  return true;
}

}  // namespace idgen
