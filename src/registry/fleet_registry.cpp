#include "registry/fleet_registry.h"

#include <algorithm>
#include <utility>

namespace idgen {
namespace {

// Rounds of "read, choose, write" in one request; then it is tried again later.
constexpr int kMaxAttempts = 8;
// From this one on the choice is scattered: too many want the same best fit.
constexpr int kScatterFrom = 3;
constexpr std::size_t kMaxHoldersNamed = 8;

std::int64_t to_us(const Layout &layout, std::uint64_t tick) {
  return tick_start_us(layout, std::min(tick, layout.time.max()));
}

const FleetNode *find(const std::vector<FleetNode> &rows, std::uint32_t node) {
  const auto row = std::lower_bound(rows.begin(), rows.end(), node,
                                    [](const FleetNode &r, std::uint32_t n) { return r.node < n; });
  return row == rows.end() || row->node != node ? nullptr : &*row;
}

bool begins_at(const std::vector<FleetNode> &rows, std::uint32_t node) {
  return !rows.empty() && rows.front().node == node;
}

std::string node_text(std::uint32_t first, std::uint8_t log2_lanes) {
  if (log2_lanes == 0) return "node " + std::to_string(first);
  return "nodes " + std::to_string(first) + " to " + std::to_string(first + (1U << log2_lanes) - 1);
}

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
      if (!begins_at(held_, request_.node)) {
        return answer(RegistryOutcome::lost,
                      "node " + std::to_string(request_.node) + " is not held");
      }
      return doubt_ ? read_again() : extend();
    case RegistryAsk::release:
      return release(begins_at(left_, request_.node) ? left_ : held_);
    default:
      if (const Next next = load_record(); next != Next::proceed) return next;
      return read_again();
  }
}

FleetRegistry::Next FleetRegistry::go_on() {
  const Step step = std::exchange(step_, Step::idle);
  switch (result_.outcome) {
    case StoreOutcome::unknown:
      if (step == Step::writing && request_.ask == RegistryAsk::extend) doubt_ = true;
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
      return read(0, static_cast<std::uint32_t>(layout_.max_node()));
  }
}

FleetRegistry::Next FleetRegistry::on_read() {
  std::sort(result_.view.nodes.begin(), result_.view.nodes.end(),
            [](const FleetNode &a, const FleetNode &b) { return a.node < b.node; });
  view_ = std::move(result_.view);
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
      return raise(request_.ceiling);
    case RegistryAsk::release:
      return release(rows_of(request_.node, request_.log2_lanes));
    default:
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
  note_seen(written_.root, result_.revision);
  std::vector<FleetNode> rows = std::move(result_.nodes);
  switch (request_.ask) {
    case RegistryAsk::acquire: {
      const bool keeps_old = !held_.empty() && !begins_at(held_, rows.front().node);
      std::vector<FleetNode> old = std::exchange(held_, std::move(rows));
      const FleetRoot old_root = std::exchange(root_, written_.root);
      doubt_ = false;
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
      if (keeps_old) {  // goes on with the old one; the new one's liveness will end
        held_ = std::move(old);
        root_ = old_root;
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

// --- the fleet as a whole ------------------------------------------------------

void FleetRegistry::note_seen(const FleetRoot &root, std::uint64_t revision) {
  if (seen_fleet_ != root.id || seen_generation_ != root.generation) seen_revision_ = 0;
  seen_fleet_ = root.id;
  seen_generation_ = root.generation;
  seen_revision_ = std::max(seen_revision_, revision);
}

// Has the coordinator lost what it had acknowledged?
bool FleetRegistry::went_back() const {
  if (view_.root.id != seen_fleet_ || seen_fleet_ == Incarnation{}) return false;
  if (view_.root.generation != seen_generation_) return view_.root.generation < seen_generation_;
  return view_.revision < seen_revision_;
}

FleetRegistry::Next FleetRegistry::check_root() {
  const FleetRoot &root = view_.root;
  if (!root.exists) return create_root();
  if (root.layout != to_text(layout_).view() ||
      root.epoch != epoch_to_text(layout_.epoch_us).view()) {
    reply_.recorded_layout = root.layout + " epoch " + root.epoch;
    return answer(RegistryOutcome::layout_mismatch,
                  "the settings name another layout than the fleet's registry");
  }
  if (root.moved && !root.same_system) {
    return answer(RegistryOutcome::refused,
                  "the registry was made on another PostgreSQL cluster than it is on now; after a "
                  "restore, raise its ceilings by snowflake_raise_registry()");
  }
  if (root.moved) return raise(0);
  if (went_back()) {
    return answer(RegistryOutcome::refused,
                  "the registry has gone back in time (generation " +
                      std::to_string(root.generation) + ", revision " +
                      std::to_string(view_.revision) + "; seen were " +
                      std::to_string(seen_generation_) + ", " + std::to_string(seen_revision_) +
                      "); after a restore, raise its ceilings by snowflake_raise_registry()");
  }
  const bool another = seen_fleet_ != Incarnation{} && root.id != seen_fleet_;
  if (another && record_.registry == store_.describe() && root.generation <= seen_generation_) {
    return answer(RegistryOutcome::refused,
                  "the registry is another than the one that was there before, whose ceilings it "
                  "doesn't know; if that is meant, raise them by snowflake_raise_registry()");
  }
  note_seen(root, view_.revision);
  return Next::proceed;
}

// The first instance of a fleet makes its root. One that comes from another fleet
// lets the new one begin above all that may be in use there.
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
  if (leased) root.base = coordinator_tick(request_.skew + request_.alive);
  step_ = Step::creating;
  store_.create(root, request_.timeout);
  return Next::step;
}

// Above everything that can have been acknowledged: no ceiling further ahead than
// the clock + skew + window is accepted; those that were there already, further
// ahead, are raised by as much themselves.
FleetRegistry::Next FleetRegistry::raise(std::uint64_t at_least) {
  FleetRaise raise;
  raise.root = view_.root;
  if (!raise.root.exists) {
    raise.root.id = {{host_.draw(UINT64_MAX), host_.draw(UINT64_MAX)}};
    raise.root.layout = to_text(layout_).view();
    raise.root.epoch = epoch_to_text(layout_.epoch_us).view();
  }
  const std::int64_t allowed = request_.skew + request_.alive;
  raise.base = std::max({raise.root.base, coordinator_tick(allowed), at_least});
  if (request_.ask == RegistryAsk::raise) raise.base = std::max(raise.base, record_.ceiling);
  raise.base = std::min(raise.base, issue_.max_ceiling());
  const auto clock_ms =
      static_cast<std::uint64_t>(std::max<std::int64_t>(view_.clock_us, 0) / 1000);
  raise.generation = std::max({raise.root.generation + 1, seen_generation_ + 1, clock_ms});
  for (const FleetNode &row : view_.nodes) {
    if (row.ceiling <= raise.base) continue;
    raise.above.push_back(row);
    raise.above.back().ceiling =
        std::min(row.ceiling + issue_.ticks_covering(allowed), issue_.max_ceiling());
  }
  step_ = Step::raising;
  written_.root = raise.root;
  written_.root.generation = raise.generation;
  if (!raise.root.exists) {
    raise.root.generation = raise.generation;
    raise.root.base = raise.base;
    store_.create(raise.root, request_.timeout);
  } else {
    store_.raise(raise, request_.timeout);
  }
  return Next::step;
}

// --- taking a node -------------------------------------------------------------

FleetRegistry::Next FleetRegistry::acquire() {
  if (unrecorded_ && !request_.another && !request_.fresh) {
    reply_ = *unrecorded_;
    if (keep_record() != Next::proceed) return Next::reply;
    unrecorded_.reset();
    return answer(RegistryOutcome::done, std::move(reply_.message));
  }
  if (const Next next = load_record(); next != Next::proceed) return next;
  const std::int64_t lanes = std::int64_t{1} << request_.log2_lanes;
  if (lanes > static_cast<std::int64_t>(layout_.shard.max()) + 1) {
    return answer(RegistryOutcome::refused, "idgen.lanes is more than a region's nodes");
  }
  if (request_.shard >= 0 && request_.shard % lanes != 0) {
    return answer(
        RegistryOutcome::refused,
        "idgen.shard must be a multiple of idgen.lanes, which is " + std::to_string(lanes));
  }
  if (request_.shard >= 0 && (request_.another || request_.fresh)) {
    return answer(RegistryOutcome::refused, "idgen.shard pins node " +
                                                std::to_string(request_.shard) +
                                                " of the region, so that no other can be taken");
  }
  return read_region();
}

// Or of it as much as counts: the pinned block; of a huge region the beginning.
FleetRegistry::Next FleetRegistry::read_region() {
  const auto region = static_cast<std::uint64_t>(request_.region) << layout_.shard.width;
  std::uint64_t first = region;
  std::uint64_t size = std::min(layout_.shard.max() + 1, kMaxChoices);
  if (request_.shard >= 0) {
    first += static_cast<std::uint64_t>(request_.shard);
    size = std::uint64_t{1} << request_.log2_lanes;
  }
  return read(static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(first + size - 1));
}

// Held by this incarnation (perhaps by a write whose answer was lost); or what the
// own record names, if whoever wrote that was the last to hold it.
bool FleetRegistry::is_mine(const FleetNode &row) const {
  if (row.state == NodeState::held && row.holder == request_.incarnation) return true;
  return record_found_ && !record_copied_ && record_.fleet == view_.root.id && row.revision > 0 &&
         row.holder == record_.incarnation && row.node >= record_.node &&
         row.node - record_.node < 1U << record_.log2_lanes;
}

NodeOffer FleetRegistry::offer(const FleetNode &row) const {
  NodeOffer offer;
  offer.ceiling = std::max(row.ceiling, view_.root.base);
  if (row.state == NodeState::retired) {
    offer.is = NodeOffer::Is::barred;
  } else if (is_mine(row)) {
    offer.is = NodeOffer::Is::mine;
  } else if (row.state == NodeState::held && row.alive) {
    offer.is = NodeOffer::Is::taken;
  }
  return offer;
}

// Node 0 is not handed out unless it is pinned: it is free for IDs that are made
// by hand (snowflake_encode).
std::vector<NodeOffer> FleetRegistry::offers(std::uint32_t first, std::uint32_t size) const {
  NodeOffer untouched;
  untouched.ceiling = view_.root.base;
  std::vector<NodeOffer> offers(size, untouched);
  for (const FleetNode &row : view_.nodes) {
    if (row.node >= first && row.node - first < size) offers[row.node - first] = offer(row);
  }
  if (first == 0 && request_.shard < 0) offers[0].is = NodeOffer::Is::barred;
  return offers;
}

FleetRegistry::Next FleetRegistry::choose_node() {
  const auto region = static_cast<std::uint32_t>(request_.region) << layout_.shard.width;
  auto size = static_cast<std::uint32_t>(std::min(layout_.shard.max() + 1, kMaxChoices));
  std::uint32_t first = region;
  ChooseRules rules;
  rules.log2_lanes = request_.log2_lanes;
  if (request_.shard >= 0) {
    first += static_cast<std::uint32_t>(request_.shard);
    size = 1U << request_.log2_lanes;
    rules.pinned = 0;
  }
  rules.not_mine = request_.another || request_.fresh;
  rules.scatter = attempts_ >= kScatterFrom;
  rules.now = coordinator_tick(0);
  rules.latest = std::max(coordinator_tick(request_.skew + request_.alive), view_.root.base);
  if (request_.fresh && request_.latest > 0) {
    rules.latest = std::min(rules.latest, request_.latest - 1);
  }
  const Choice choice = choose(offers(first, size), rules, host_.draw(UINT64_MAX));
  if (choice.why == Choice::Why::found) return take(choice, first);
  return answer(RegistryOutcome::refused, why_none(choice, first, size));
}

std::string FleetRegistry::why_none(const Choice &choice, std::uint32_t first,
                                    std::uint32_t size) const {
  const std::string what =
      request_.log2_lanes == 0
          ? "node"
          : "aligned block of " + std::to_string(1U << request_.log2_lanes) + " nodes";
  if (choice.why == Choice::Why::ahead) {
    return "the " + what + "s of region " + std::to_string(request_.region) +
           " that nobody holds have been used up to " +
           epoch_to_text(to_us(layout_, choice.ceiling)).text + ", which is too far ahead";
  }
  std::string why = "no " + what + " of region " + std::to_string(request_.region) + " is free";
  if (request_.shard >= 0) {
    why = node_text(first, request_.log2_lanes) + ", which idgen.shard pins, ";
    why += choice.why == Choice::Why::pinned_barred ? "was retired" : "is held";
  }
  std::size_t named = 0;
  std::size_t more = 0;
  for (const FleetNode &row : view_.nodes) {
    const bool counts = row.node >= first && row.node - first < size &&
                        row.state == NodeState::held && row.alive &&
                        row.node % (1U << row.log2_lanes) == 0;
    if (!counts) continue;
    if (++named > kMaxHoldersNamed) {
      ++more;
      continue;
    }
    why += (named == 1 ? "; held: " : ", ") + node_text(row.node, row.log2_lanes) + " by \"" +
           row.name + "\"";
  }
  if (more > 0) why += " and " + std::to_string(more) + " more";
  return why;
}

std::vector<FleetNode> FleetRegistry::rows_of(std::uint32_t first, std::uint8_t log2_lanes) const {
  std::vector<FleetNode> rows;
  for (std::uint32_t node = first; node < first + (1U << log2_lanes); ++node) {
    const FleetNode *row = find(view_.nodes, node);
    rows.push_back(row != nullptr ? *row : FleetNode{});
    rows.back().node = node;
  }
  return rows;
}

std::uint64_t FleetRegistry::effective_ceiling(const std::vector<FleetNode> &rows,
                                               const FleetRoot &root) const {
  std::uint64_t ceiling = root.base;
  for (const FleetNode &row : rows) ceiling = std::max(ceiling, row.ceiling);
  return ceiling;
}

// The coordinator's clock and so much more, in ticks; for one that doesn't tell,
// the instance's own.
std::uint64_t FleetRegistry::coordinator_tick(std::int64_t ahead_ns) const {
  const std::int64_t ns =
      view_.clock_us > 0 ? (view_.clock_us - layout_.epoch_us) * 1000 : request_.issuing_ns;
  return std::min(issue_.tick_of(ns + ahead_ns), issue_.max_ceiling());
}

FleetRegistry::Next FleetRegistry::take(const Choice &choice, std::uint32_t range_first) {
  FleetWrite write = write_of(rows_of(range_first + choice.first, request_.log2_lanes));
  const std::uint64_t old = effective_ceiling(write.nodes, view_.root);
  floor_ = std::max(request_.issuing_tick, record_.base);
  if (request_.fresh) {
    // Strictly above: a word that is set back must not be set to an ID that could
    // have been issued (hole).
    floor_ = std::max(floor_, old + 1);
  } else {
    floor_ = std::max({floor_, old, record_.ceiling});
  }
  const std::uint64_t end = issue_.max_ceiling();
  if (floor_ >= end) {
    return answer(RegistryOutcome::exhausted, "the time field of the layout is exhausted");
  }
  const std::uint64_t own = std::max({request_.issuing_tick, record_.base, record_.ceiling});
  reply_.raised = !request_.fresh && floor_ > own ? floor_ - own : 0;
  const FleetNode &first = write.nodes.front();
  if (first.node != record_.node || !record_found_) {
    reply_.message = "took " + node_text(first.node, request_.log2_lanes);
    if (first.state == NodeState::held) reply_.message += " after \"" + first.name + "\"";
  }
  write.root = view_.root;
  write.take = true;
  write.ceiling = std::min(floor_ + request_.ticks, end);
  write.ceiling_us = to_us(layout_, write.ceiling);
  write.log2_lanes = request_.log2_lanes;
  write.recorded_us = to_us(layout_, old);
  return this->write(std::move(write));
}

// --- holding it ----------------------------------------------------------------

// A worker goes on after another of the same incarnation. What the rows say is
// only compared: the ceiling that is published stays the one that was.
FleetRegistry::Next FleetRegistry::resume() {
  held_ = rows_of(request_.node, request_.log2_lanes);
  const bool ours = std::all_of(held_.begin(), held_.end(), [this](const FleetNode &row) {
    return row.state == NodeState::held && row.holder == request_.incarnation &&
           row.ceiling >= request_.ceiling;
  });
  root_ = view_.root;
  if (!ours || !root_.exists || root_.moved || went_back()) {
    held_.clear();
    return answer(RegistryOutcome::lost,
                  "the registry doesn't name this incarnation any more as "
                  "the holder of " +
                      node_text(request_.node, request_.log2_lanes));
  }
  note_seen(root_, view_.revision);
  doubt_ = false;
  reply_.node = request_.node;
  reply_.log2_lanes = request_.log2_lanes;
  reply_.ceiling = request_.ceiling;
  reply_.node_epoch = held_.front().epoch;
  return answer(RegistryOutcome::done, "");
}

FleetRegistry::Next FleetRegistry::extend() {
  FleetWrite write = write_of(held_);
  const std::uint64_t old = effective_ceiling(held_, root_);
  write.root = root_;
  write.ceiling = std::max(request_.ceiling, old);  // U4
  write.ceiling_us = to_us(layout_, write.ceiling);
  write.log2_lanes = request_.log2_lanes;
  write.recorded_us = to_us(layout_, old);
  return this->write(std::move(write));
}

// Is every row still as this incarnation wrote it last, or may have written?
bool FleetRegistry::still_held(std::string &why) const {
  const FleetRoot &root = view_.root;
  const std::string what = node_text(held_.front().node, request_.log2_lanes);
  if (!root.exists || root.id != root_.id || went_back()) {
    why = "the registry has lost what it had acknowledged";
    return false;
  }
  if (root.moved || root.generation != root_.generation) {
    why = root.moved ? "the registry's coordinator has failed over"
                     : "the registry's ceilings were raised";
    return false;
  }
  for (const FleetNode &held : held_) {
    const FleetNode *row = find(view_.nodes, held.node);
    if (row == nullptr || row->revision < held.revision || row->ceiling < held.ceiling ||
        row->epoch < held.epoch) {
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
    doubt_ = false;
    return answer(RegistryOutcome::lost, std::move(why));
  }
  held_ = rows_of(request_.node, request_.log2_lanes);
  root_ = view_.root;
  doubt_ = false;
  return extend();
}

void FleetRegistry::forget(std::uint32_t node) {
  for (std::vector<FleetNode> *rows : {&held_, &left_}) {
    if (begins_at(*rows, node)) rows->clear();
  }
}

// `rows`: as last acknowledged, or as just read.
FleetRegistry::Next FleetRegistry::release(const std::vector<FleetNode> &rows) {
  const bool ours = begins_at(rows, request_.node) &&
                    std::all_of(rows.begin(), rows.end(), [this](const FleetNode &row) {
                      return row.state == NodeState::held && row.holder == request_.incarnation;
                    });
  if (!ours) {
    forget(request_.node);
    return answer(RegistryOutcome::done, "");
  }
  FleetWrite write = write_of(rows);
  write.root = attempts_ == 0 ? root_ : view_.root;
  write.state = NodeState::free;
  write.ceiling = effective_ceiling(rows, FleetRoot{});
  write.ceiling_us = to_us(layout_, write.ceiling);
  write.window_us = 0;
  return this->write(std::move(write));
}

// A node whose ceiling a bad clock has carried away, by an operator's word.
FleetRegistry::Next FleetRegistry::retire() {
  std::vector<FleetNode> rows = rows_of(request_.node, 0);
  const FleetNode &row = rows.front();
  if (row.state == NodeState::held && row.alive) {
    return answer(RegistryOutcome::refused,
                  node_text(row.node, 0) + " is held by \"" + row.name + "\", which is alive");
  }
  FleetWrite write = write_of(rows);
  write.root = view_.root;
  write.holder = row.holder;
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
  reply_.evidence.same_boot = record_.boot == host_.boot;
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
  next.ceiling = extends ? std::max(record_.ceiling, reply_.ceiling) : reply_.ceiling;
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
