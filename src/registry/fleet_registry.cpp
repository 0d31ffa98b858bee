// The flow of requests; holding a node; the own record.

#include <algorithm>
#include <utility>

#include "registry/fleet_registry.h"
#include "registry/fleet_rows.h"

namespace idgen {
namespace {

// Rounds of "read, choose, write" in one request; then it is tried again later.
constexpr int kMaxAttempts = 8;

}  // namespace

FleetRegistry::FleetRegistry(RecordStore &record, FleetStore &store, const Layout &layout,
                             LocalHost host, std::string name)
    : record_store_(record),
      store_(store),
      layout_(layout),
      issue_(IssueLayout::of(layout)),
      host_(std::move(host)),
      name_(std::move(name)) {}

void FleetRegistry::begin(const RegistryRequest &request) {
  request_ = request;
  asked_ = true;
}

bool FleetRegistry::poll(RegistryReply &reply) {
  Next next = Next::step;
  if (asked_) {
    asked_ = false;
    attempts_ = 0;
    reply_ = RegistryReply{};
    reply_.ask = request_.ask;
    next = start();
  }
  while (next == Next::step) {
    if (step_ == Step::idle || !store_.poll(result_)) return false;
    next = go_on();
  }
  reply = reply_;
  return true;
}

FleetRegistry::Next FleetRegistry::answer(RegistryOutcome outcome, std::string message) {
  reply_.outcome = outcome;
  reply_.message = std::move(message);
  return Next::reply;
}

FleetRegistry::Next FleetRegistry::read(std::uint32_t first, std::uint32_t last) {
  step_ = Step::reading;
  whole_ = first == 0 && last == layout_.max_node();
  first_read_ = first;
  last_read_ = last;
  store_.read(first, last, request_.timeout);
  return Next::step;
}

FleetRegistry::Next FleetRegistry::write(FleetWrite write) {
  step_ = Step::writing;
  written_ = std::move(write);
  store_.write(written_, request_.timeout);
  return Next::step;
}

// What every write says of its writer.
FleetWrite FleetRegistry::write_of(const std::vector<FleetNode> &rows) const {
  FleetWrite write;
  write.nodes = rows;
  write.holder = request_.incarnation;
  write.system = host_.system;
  write.name = name_;
  write.alive_ms = request_.alive / 1'000'000;
  write.skew_us = request_.skew / 1000;
  write.lead_us = lead_at_raise_us();
  write.window_us = request_.alive / 1000;
  return write;
}

// --- requests ----------------------------------------------------------------

FleetRegistry::Next FleetRegistry::start() {
  switch (request_.ask) {
    case RegistryAsk::look:
      return look();
    case RegistryAsk::acquire:
      return acquire();
    case RegistryAsk::extend:
      // Nor is it if it was taken again since, and the grant is of before: others may
      // have issued in between.
      if (!begins_at(held_, request_.node) || held_.front().epoch != request_.node_epoch) {
        return answer(RegistryOutcome::lost,
                      "node " + std::to_string(request_.node) + " is not held");
      }
      return extend();
    case RegistryAsk::release:
      if (begins_at(left_, request_.node)) return release(left_, root_);
      if (begins_at(held_, request_.node)) return release(held_, root_);
      // Left before these, taken in vain, or by a worker that has ended. What the record
      // distrusts must not be written, and what it has seen not be forgotten.
      if (const Next next = load_record(); next != Next::proceed) return next;
      return read_again();
    default:
      if (const Next next = load_record(); next != Next::proceed) return next;
      return read_again();
  }
}

FleetRegistry::Next FleetRegistry::go_on() {
  const Step step = std::exchange(step_, Step::idle);
  switch (result_.outcome) {
    case StoreOutcome::unknown:
      if (step == Step::writing) note_stray();
      return answer(RegistryOutcome::unreachable, result_.message);
    case StoreOutcome::refused:
      return answer(RegistryOutcome::refused, result_.message);
    case StoreOutcome::conflict:
      if (step == Step::writing) return on_conflict();
      break;  // somebody else has made or raised the root
    case StoreOutcome::done:
      if (step == Step::reading) return on_read();
      if (step == Step::writing) return on_written();
      if (step == Step::raising && request_.ask == RegistryAsk::raise) {
        note_seen(written_.root, 0);
        return answer(RegistryOutcome::done, "");
      }
      break;
  }
  if (++attempts_ > kMaxAttempts) {
    return answer(RegistryOutcome::failed, "the registry changes too fast");
  }
  return read_again();
}

// What the request is about, as it is now.
FleetRegistry::Next FleetRegistry::read_again() {
  switch (request_.ask) {
    case RegistryAsk::acquire:
      return read_region();
    case RegistryAsk::extend:
    case RegistryAsk::resume:
    case RegistryAsk::release:
      return read(request_.node, request_.node + (1U << request_.log2_lanes) - 1);
    case RegistryAsk::retire:
      return read(request_.node, request_.node);
    default:
      return read_all();
  }
}

FleetRegistry::Next FleetRegistry::read_all() {
  return read(0, static_cast<std::uint32_t>(layout_.max_node()));
}

FleetRegistry::Next FleetRegistry::on_read() {
  std::sort(result_.view.nodes.begin(), result_.view.nodes.end(),
            [](const FleetNode &a, const FleetNode &b) { return a.node < b.node; });
  view_ = std::move(result_.view);
  if (went_back(view_.root, view_.revision) || lost_rows(first_read_, last_read_)) distrust();
  switch (request_.ask) {
    case RegistryAsk::acquire:
      if (const Next next = check_root(); next != Next::proceed) return next;
      return choose_node();
    case RegistryAsk::resume:
      return resume();
    case RegistryAsk::extend:
      return extend_after_read();
    case RegistryAsk::retire:
      if (const Next next = check_root(); next != Next::proceed) return next;
      return retire();
    case RegistryAsk::raise:
      if (const Next next = check_layout(); next != Next::proceed) return next;
      return raise(request_.ceiling);
    case RegistryAsk::release:
      if (!view_.root.exists) {
        forget(request_.node);
        return answer(RegistryOutcome::done, "");
      }
      if (view_.root.moved || went_back(view_.root, view_.revision)) {
        // Its rows are not what was acknowledged. But once it was raised they may still say
        // that this instance is alive.
        return answer(RegistryOutcome::failed,
                      "the registry has failed over or gone back in time, and was not raised yet");
      }
      return release(rows_of(request_.node, request_.log2_lanes), view_.root);
    default:
      if (view_.root.id == seen_fleet_ && !went_back(view_.root, view_.revision))
        note_seen(view_.root, view_.revision);
      return answer(RegistryOutcome::done, "");
  }
}

FleetRegistry::Next FleetRegistry::on_conflict() {
  if (++attempts_ > kMaxAttempts) {
    return answer(RegistryOutcome::failed,
                  "others were faster " + std::to_string(kMaxAttempts) + " times in taking a node");
  }
  return read_again();
}

FleetRegistry::Next FleetRegistry::on_written() {
  if (went_back(written_.root, result_.revision)) {
    // The rows were as they had been, but others' are gone: so may be one that has
    // taken this node meanwhile.
    distrust();
    held_.clear();
    return answer(RegistryOutcome::lost, "the registry has lost what it had acknowledged");
  }
  crowded_ = result_.crowded;
  note_seen(written_.root, result_.revision);
  std::vector<FleetNode> rows = std::move(result_.nodes);
  switch (request_.ask) {
    case RegistryAsk::acquire: {
      const bool keeps_old = !held_.empty() && !begins_at(held_, rows.front().node);
      std::vector<FleetNode> old = std::exchange(held_, std::move(rows));
      const FleetRoot old_root = std::exchange(root_, written_.root);
      reply_.node = held_.front().node;
      reply_.log2_lanes = request_.log2_lanes;
      reply_.floor = floor_;
      reply_.ceiling = written_.ceiling;
      reply_.node_epoch = held_.front().epoch;
      if (keep_record() == Next::proceed) {
        if (keeps_old) left_ = std::move(old);
        unrecorded_.reset();
        return answer(RegistryOutcome::done, std::move(reply_.message));
      }
      if (keeps_old) {  // goes on with the old one
        held_ = std::move(old);
        root_ = old_root;
        reply_.stray = true;
      } else {
        unrecorded_ = reply_;
      }
      return Next::reply;
    }
    case RegistryAsk::extend:
      held_ = std::move(rows);
      reply_.node = request_.node;
      reply_.log2_lanes = request_.log2_lanes;
      reply_.ceiling = written_.ceiling;
      if (keep_record() != Next::proceed) return Next::reply;
      return answer(RegistryOutcome::done, "");
    case RegistryAsk::release:
      forget(request_.node);
      return answer(RegistryOutcome::done, "");
    default:
      return answer(RegistryOutcome::done, "");
  }
}

// --- holding it ----------------------------------------------------------------

// A worker goes on after another of the same incarnation. What the rows say is
// only compared: the ceiling that is published stays the one that was. Taken again,
// or raised, since then: others may have issued in between, below what would be
// extended now.
FleetRegistry::Next FleetRegistry::resume() {
  held_ = rows_of(request_.node, request_.log2_lanes);
  const bool ours = std::all_of(held_.begin(), held_.end(), [this](const FleetNode &row) {
    return row.state == NodeState::held && row.holder == request_.incarnation &&
           row.epoch == request_.node_epoch && row.ceiling >= request_.ceiling;
  });
  root_ = view_.root;
  const bool same_fleet = root_.exists && !root_.moved &&
                          record_.incarnation == request_.incarnation &&
                          record_.fleet == root_.id && record_.generation == root_.generation;
  if (!ours || !same_fleet || went_back(view_.root, view_.revision)) {
    held_.clear();
    return answer(RegistryOutcome::lost,
                  "the registry no longer names this incarnation as "
                  "the holder of " +
                      node_text(request_.node, request_.log2_lanes));
  }
  note_seen(root_, view_.revision);
  reply_.node = request_.node;
  reply_.log2_lanes = request_.log2_lanes;
  reply_.ceiling = request_.ceiling;
  return answer(RegistryOutcome::done, "");
}

FleetRegistry::Next FleetRegistry::extend() {
  FleetWrite write = write_of(held_);
  const std::uint64_t old = effective_ceiling(held_, root_);
  write.root = root_;
  write.ceiling = std::max(request_.ceiling, old);  // U4
  write.ceiling_us = to_us(write.ceiling);
  write.log2_lanes = request_.log2_lanes;
  write.recorded_us = to_us(old);
  return this->write(std::move(write));
}

// Is every row still as this incarnation wrote it last, or may have written?
bool FleetRegistry::still_held(std::string &why) const {
  const FleetRoot &root = view_.root;
  const std::string what = node_text(held_.front().node, request_.log2_lanes);
  if (!root.exists || root.id != root_.id || went_back(view_.root, view_.revision)) {
    why = "the registry has lost what it had acknowledged";
    return false;
  }
  if (root.moved || root.generation != root_.generation) {
    why = root.moved ? "the registry's coordinator has failed over"
                     : "the registry's ceilings were raised";
    return false;
  }
  for (const FleetNode &held : held_) {
    const FleetNode *row = find_row(view_.nodes, held.node);
    if (row == nullptr || is_older(*row, held)) {
      why = "the registry has lost what it had acknowledged of " + what;
      return false;
    }
    if (row->holder != request_.incarnation || row->epoch != held.epoch) {
      why = what + " was taken by \"" + row->name + "\"";
      return false;
    }
    if (row->state != NodeState::held) {
      why = what + " was retired";
      return false;
    }
  }
  return true;
}

FleetRegistry::Next FleetRegistry::extend_after_read() {
  std::string why;
  if (!still_held(why)) {
    held_.clear();
    return answer(RegistryOutcome::lost, std::move(why));
  }
  held_ = rows_of(request_.node, request_.log2_lanes);
  root_ = view_.root;
  return extend();
}

void FleetRegistry::forget(std::uint32_t node) {
  for (std::vector<FleetNode> *rows : {&held_, &left_}) {
    if (begins_at(*rows, node)) rows->clear();
  }
}

// Another node than the one that is held may have been taken, and won't be gone on with:
// the next try takes it for one that is held, and so for no other.
void FleetRegistry::note_stray() {
  if (request_.ask != RegistryAsk::acquire || !(request_.another || request_.fresh)) return;
  reply_.stray = true;
  reply_.node = written_.nodes.front().node;
  reply_.log2_lanes = request_.log2_lanes;
}

// Both as last acknowledged, or as just read. Of a block that another has taken a part of,
// the rest is still to be let go.
FleetRegistry::Next FleetRegistry::release(std::vector<FleetNode> rows, const FleetRoot &root) {
  std::erase_if(rows, [this](const FleetNode &row) {
    return row.state != NodeState::held || row.holder != request_.incarnation;
  });
  if (rows.empty()) {
    forget(request_.node);
    return answer(RegistryOutcome::done, "");
  }
  FleetWrite write = write_of(rows);
  write.root = root;
  write.state = NodeState::free;
  write.ceiling = effective_ceiling(write.nodes, FleetRoot{});
  write.ceiling_us = to_us(write.ceiling);
  write.window_us = 0;
  return this->write(std::move(write));
}

// A node whose ceiling a bad clock has carried away, by an operator's word.
FleetRegistry::Next FleetRegistry::retire() {
  std::vector<FleetNode> rows = rows_of(request_.node, 0);
  const FleetNode &row = rows.front();
  if (row.state == NodeState::held && row.alive) {
    return answer(RegistryOutcome::refused,
                  node_text(row.node, 0) + " is held by \"" + row.name +
                      "\", which is alive; have it drained or stopped first");
  }
  FleetWrite write = write_of(rows);
  write.root = view_.root;
  write.holder = row.holder;
  write.system = row.system;
  write.name = row.name;
  write.state = request_.retired ? NodeState::retired : NodeState::free;
  write.ceiling = row.ceiling;
  write.ceiling_us = row.ceiling_us;
  write.window_us = 0;
  return this->write(std::move(write));
}

// --- the own record ------------------------------------------------------------

FleetRegistry::Next FleetRegistry::load_record() {
  if (record_is_ours_) return Next::proceed;
  std::string why;
  record_found_ = record_copied_ = false;
  switch (record_store_.load(record_, record_copied_, why)) {
    case RecordStore::Load::missing:
      record_ = OwnRecord{};
      return Next::proceed;
    case RecordStore::Load::unreadable:
      return answer(RegistryOutcome::failed, std::move(why));
    case RecordStore::Load::damaged:
      return answer(RegistryOutcome::refused, std::move(why));
    case RecordStore::Load::loaded:
      break;
  }
  record_found_ = true;
  if (record_.layout != to_text(layout_).view() ||
      record_.epoch != epoch_to_text(layout_.epoch_us).view()) {
    reply_.recorded_layout = record_.layout + " epoch " + record_.epoch;
    return answer(RegistryOutcome::layout_mismatch,
                  "the settings name another layout than the instance's own record");
  }
  if (seen_fleet_ == Incarnation{}) {
    seen_fleet_ = record_.fleet;
    seen_generation_ = record_.generation;
    seen_revision_ = record_.revision;
  }
  return Next::proceed;
}

FleetRegistry::Next FleetRegistry::look() {
  if (const Next next = load_record(); next != Next::proceed) return next;
  reply_.evidence.known = record_found_ && !record_copied_;
  reply_.evidence.same_boot = host_.is_boot_of(record_);
  reply_.evidence.boottime = record_.boottime;
  reply_.evidence.issuing = record_.issuing;
  reply_.evidence.window = record_.window;
  return answer(RegistryOutcome::done, "");
}

// Writes down what the coordinator has acknowledged (reply_); `proceed` if that
// is durable.
FleetRegistry::Next FleetRegistry::keep_record() {
  OwnRecord next = record_;
  if (record_copied_) disown(next);
  const bool extends = request_.ask == RegistryAsk::extend;
  next.window = extends && record_.ceiling > request_.ceiling
                    ? std::max(record_.window, request_.window)
                    : request_.window;
  // A lead that the fleet's ceilings have made is no rollback after a restart, either.
  if (!extends) next.window += issue_.ns_of(reply_.raised);
  next.layout = to_text(layout_).view();
  next.epoch = epoch_to_text(layout_.epoch_us).view();
  next.registry = store_.describe();
  next.fleet = seen_fleet_;
  next.generation = seen_generation_;
  next.revision = seen_revision_;
  next.system = host_.system;
  next.incarnation = request_.incarnation;
  next.node = reply_.node;
  next.log2_lanes = reply_.log2_lanes;
  next.node_epoch = held_.front().epoch;
  next.ceiling = extends ? std::max(record_.ceiling, reply_.ceiling) : reply_.ceiling;
  if (!extends) {
    std::erase_if(next.left, [&next](const PastNode &left) { return holds(next, left.node); });
    if (record_found_ && !record_copied_) leave(next, record_);
  }
  next.boot = host_.boot;
  next.boottime = request_.boottime;
  next.issuing = request_.issuing_ns;
  std::string why;
  if (!record_store_.store(next, why)) return answer(RegistryOutcome::failed, std::move(why));
  record_ = std::move(next);
  record_found_ = record_is_ours_ = true;
  record_copied_ = false;
  return Next::proceed;
}

}  // namespace idgen
