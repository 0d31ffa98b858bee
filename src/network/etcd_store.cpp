#include "network/etcd_store.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include "network/bounded_json.h"
#include "network/etcd_transactions.h"
#include "network/now.h"

namespace idgen {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
// How long a step waits for the answer to the keep-alive before it. One that
// takes longer is on its way to a member that hangs.
constexpr std::int64_t kPatience = 50'000'000;
// A keep-alive after each extension at most so often within the lease's time...
constexpr std::int64_t kRenewals = 8;
// ... and with less than this part of it left the lease is as good as gone.
constexpr std::int64_t kReserve = 4;

// What a read answers for one node, at most: two keys and values in base64, and what
// etcd says of them.
constexpr std::size_t kMaxNodeAnswer = 2048;

// What etcd allows a lease at most, in seconds.
constexpr std::int64_t kMaxTtl = 9'000'000'000;

constexpr const char *kTransaction = "/v3/kv/txn";

bool has_succeeded(const EtcdAnswer &answer) {
  const Json *succeeded = member(answer.body.get(), "succeeded");
  return succeeded != nullptr && *succeeded == true;
}

StoreOutcome outcome_of(EtcdAnswer::Kind kind) {
  return kind == EtcdAnswer::Kind::refused ? StoreOutcome::refused : StoreOutcome::unknown;
}

std::int64_t add(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? (b < 0 ? INT64_MIN : INT64_MAX) : sum;
}

std::int64_t whole_seconds(std::int64_t ms) {
  return std::max<std::int64_t>(ms / 1000 + (ms % 1000 > 0 ? 1 : 0), 1);
}

}  // namespace

EtcdStore::EtcdStore(EtcdUrl url)
    : client_(std::move(url)), keys_(client_.url().prefix), space_(client_.url()) {}

std::uint64_t EtcdStore::draw() {
  return std::uniform_int_distribution<std::uint64_t>()(random_);
}

// --- steps -------------------------------------------------------------------

EtcdStore::Step &EtcdStore::begin(Task task, std::int64_t timeout) {
  // One that was left in flight (its caller threw) would be taken for this one's.
  if (client_.busy() && sent_ != Sent::keep_alive) client_.give_up();
  step_ = Step{};
  step_.task = task;
  step_.deadline = add(monotonic_now(), timeout);
  return step_;
}

void EtcdStore::read(std::uint32_t first, std::uint32_t last, std::int64_t timeout) {
  Step &step = begin(Task::read, timeout);
  step.first = first;
  step.last = last;
  start();
}

void EtcdStore::write(const FleetWrite &write, std::int64_t timeout) {
  begin(Task::write, timeout).write = write;
  if (check(write)) start();
}

void EtcdStore::create(const FleetRoot &root, std::int64_t timeout) {
  begin(Task::create, timeout).root = root;
  start();
}

void EtcdStore::raise(const FleetRaise &raise, std::int64_t timeout) {
  begin(Task::raise, timeout).raise = raise;
  if (raise.base < raise.root.base || raise.generation <= raise.root.generation) {
    finish(StoreOutcome::refused, "a raise may not lower base or generation");
    return;
  }
  for (const FleetNode &row : raise.above) {
    FleetNode before;
    if (parse_node(row.value, before) && before.ceiling <= row.ceiling) continue;
    finish(StoreOutcome::refused,
           "a raise may not lower the ceiling of node " + std::to_string(row.node));
    return;
  }
  start();
}

// What can be said without etcd. The value that was read says what a ceiling is: as
// the transaction compares it, no other way leads to a lower one (U4).
bool EtcdStore::check(const FleetWrite &write) {
  if (write.nodes.empty() || write.nodes.size() > kMaxNodes) {
    finish(StoreOutcome::refused, "a write of " + std::to_string(write.nodes.size()) + " nodes");
    return false;
  }
  for (const FleetNode &node : write.nodes) {
    FleetNode before;
    if (node.revision != 0 && !parse_node(node.value, before)) {
      finish(StoreOutcome::refused,
             "the record that node " + std::to_string(node.node) + " had is no record");
      return false;
    }
    if (node.epoch != before.epoch) {
      finish(StoreOutcome::conflict,
             "the epoch of node " + std::to_string(node.node) + " is no longer what it was");
      return false;
    }
    if (write.ceiling < std::max(node.ceiling, before.ceiling)) {
      finish(StoreOutcome::refused,
             "the ceiling of node " + std::to_string(node.node) + " may not be lowered");
      return false;
    }
  }
  return true;
}

bool EtcdStore::is_too_far_ahead() const {
  const FleetWrite &write = step_.write;
  const std::int64_t clock = client_.clock_us();
  if (write.window_us == 0 || write.state != NodeState::held || clock == 0) return false;
  const std::int64_t tolerance =
      std::max(write.skew_us, lead_left(write.lead_us, write.root.raised_us, clock));
  const std::int64_t reference = std::max(add(clock, tolerance), write.recorded_us);
  return write.ceiling_us > add(reference, write.window_us);
}

// The keep-alive that followed the last step has been answered long since, as a
// rule; its answer is just not read yet.
void EtcdStore::start() {
  patience_ends_ = std::min(add(monotonic_now(), kPatience), step_.deadline);
  EtcdAnswer answer;
  if (!client_.busy()) {
    proceed();
  } else if (client_.poll(answer)) {
    on_answer(std::move(answer));
  }
}

bool EtcdStore::poll(StoreResult &result) {
  EtcdAnswer answer;
  for (;;) {
    if (client_.poll(answer)) {
      on_answer(std::move(answer));
    } else if (waits_for_keep_alive() && monotonic_now() >= patience_ends_) {
      client_.give_up();
      proceed();
    } else {
      break;
    }
  }
  if (!step_.finished) return false;
  const bool is_held = step_.write.state == NodeState::held;
  const bool done = step_.result.outcome == StoreOutcome::done;
  const bool extended = step_.task == Task::write && is_held && done;
  // A node that may have been taken in vain, or was not released, must not be kept alive by
  // the next extension of another: what is held gets a lease of its own then.
  const bool may_be_taken = step_.write.take && step_.result.outcome == StoreOutcome::unknown;
  if (step_.task == Task::write && !done && (may_be_taken || !is_held)) liveness_ = Liveness{};
  result = std::move(step_.result);
  step_ = Step{};
  if (extended) keep_alive();
  return true;
}

bool EtcdStore::waits_for_keep_alive() const noexcept {
  return step_.task != Task::none && !step_.finished && sent_ == Sent::keep_alive && client_.busy();
}

Wait EtcdStore::waits_for() const noexcept {
  if (step_.finished) return {};
  if (!client_.busy()) return {-1, false, INT64_MAX};
  Wait wait = client_.waits_for();
  if (waits_for_keep_alive()) wait.until = std::min(wait.until, patience_ends_);
  return wait;
}

void EtcdStore::finish(StoreOutcome outcome, std::string message) {
  step_.result.outcome = outcome;
  step_.result.message = std::move(message);
  step_.finished = true;
}

void EtcdStore::fail(const EtcdAnswer &answer) {
  if (is_about_space(answer.message)) space_.look_soon();
  finish(outcome_of(answer.kind), answer.message);
}

// --- what a step consists of ---------------------------------------------------

void EtcdStore::call(Sent sent, const char *path, std::string body, bool once) {
  sent_ = sent;
  client_.begin({path, std::move(body), once, step_.deadline, longest_answer()});
}

// A read's answer has a line for each node.
std::size_t EtcdStore::longest_answer() const {
  if (step_.task != Task::read) return HttpRequest::kDefaultMaxReply;
  const std::size_t nodes = std::size_t{1} + step_.last - step_.first;
  return std::min(HttpRequest::kDefaultMaxReply + nodes * kMaxNodeAnswer, kMaxJsonLength);
}

void EtcdStore::proceed() {
  const bool is_write = step_.task == Task::write;
  const bool makes_root = step_.task == Task::create || step_.task == Task::raise;
  const bool is_suspect = is_write && is_too_far_ahead();
  if (is_suspect && step_.probed) {
    finish(StoreOutcome::refused,
           "the ceiling asked for lies too far ahead of etcd's clock: by more than " +
               std::to_string((step_.write.skew_us + step_.write.window_us) / 1'000'000) + " s");
  } else if (is_suspect || (makes_root && cluster_ == 0)) {
    // What has gone by since the last Date isn't known for sure (a virtual machine
    // may have stood still): nothing is refused for that.
    EtcdTransaction probe;
    probe.range(keys_.root());
    call(Sent::probe, kTransaction, probe.text(), false);
  } else if (is_write && needs_lease()) {
    const std::int64_t ttl = whole_seconds(step_.write.alive_ms);
    call(Sent::grant, "/v3/lease/grant", to_text(Json{{"TTL", std::to_string(ttl)}}), false);
  } else {
    call(Sent::transaction, kTransaction, transaction(), step_.task != Task::read);
  }
}

void EtcdStore::on_answer(EtcdAnswer answer) {
  const Sent sent = std::exchange(sent_, Sent::nothing);
  if (answer.kind == EtcdAnswer::Kind::ok && (answer.cluster == 0 || answer.revision == 0)) {
    answer.kind = EtcdAnswer::Kind::unknown;
    answer.message = "etcd's answer has no header";
  }
  const bool is_ok = answer.kind == EtcdAnswer::Kind::ok;
  if (is_ok) cluster_ = answer.cluster;
  if (sent == Sent::keep_alive) {
    if (is_ok) on_keep_alive(answer);
    if (step_.task != Task::none && !step_.finished) proceed();
  } else if (sent == Sent::transaction) {
    on_transaction(answer);
  } else if (!is_ok) {
    fail(answer);
  } else if (sent == Sent::probe) {
    step_.probed = true;
    proceed();
  } else {
    on_grant(answer);
  }
}

void EtcdStore::on_transaction(const EtcdAnswer &answer) {
  const bool is_ok = answer.kind == EtcdAnswer::Kind::ok;
  if (is_ok && step_.task == Task::read) {
    take_view(answer);
    return;
  }
  if (is_ok && has_succeeded(answer)) {
    on_done(answer);
    return;
  }
  // Whether the liveness keys were put, or are still ours, isn't known any more.
  for (const FleetNode &node : step_.write.nodes) liveness_.nodes.erase(node.node);
  if (is_ok) {
    finish(StoreOutcome::conflict, step_.task == Task::create
                                       ? "the fleet has been made meanwhile"
                                       : "what was read has been changed meanwhile");
  } else if (answer.kind == EtcdAnswer::Kind::lease_gone &&
             !std::exchange(step_.lease_was_gone, true)) {
    liveness_ = Liveness{};
    proceed();
  } else {
    fail(answer);
  }
}

void EtcdStore::on_done(const EtcdAnswer &answer) {
  step_.raised += step_.raising;
  if (step_.task == Task::raise && !step_.raises_root) {
    proceed();
    return;
  }
  FleetRoot root;
  if (step_.task == Task::write &&
      (!parse_root(step_.write.root.value, answer.cluster, root) || root.moved)) {
    // All that was compared is there as it had been, but in a cluster that was
    // restored from a snapshot: what came after that is lost.
    finish(StoreOutcome::unknown, "etcd is another cluster than it was");
    return;
  }
  for (FleetNode &node : step_.after) {
    node.revision = answer.revision;
    node.alive = node.state == NodeState::held;
    if (node.alive) {
      liveness_.nodes[node.node] = node.holder;
    } else {
      liveness_.nodes.erase(node.node);
    }
  }
  step_.result.revision = answer.revision;
  step_.result.nodes = std::move(step_.after);
  finish(StoreOutcome::done, "");
}

// --- transactions --------------------------------------------------------------

std::string EtcdStore::transaction() {
  EtcdTransaction transaction;
  switch (step_.task) {
    case Task::none:
      break;
    case Task::read:
      read_fleet(transaction, keys_, step_.first, step_.last);
      break;
    case Task::create:
      transaction.expect_revision(keys_.root(), {}, 0);
      transaction.put(keys_.root(), root_value(step_.root, cluster_, draw()));
      break;
    case Task::write:
      make_write(transaction);
      break;
    case Task::raise:
      make_raise(transaction);
      break;
  }
  return transaction.text();
}

void EtcdStore::make_write(EtcdTransaction &transaction) {
  const FleetWrite &write = step_.write;
  const std::int64_t now_us = clock_now(CLOCK_REALTIME) / 1000;
  const bool is_held = write.state == NodeState::held;
  expect_root(transaction, keys_, write.root);
  expect_nodes(transaction, keys_, write.nodes);
  step_.after = write.nodes;
  for (FleetNode &node : step_.after) {
    if (write.take) {
      ++node.epoch;
      node.since_us = now_us;
    }
    node.state = write.state;
    node.holder = write.holder;
    node.ceiling = write.ceiling;
    node.ceiling_us = write.ceiling_us;
    node.log2_lanes = write.log2_lanes;
    node.system = write.system;
    node.name = write.name;
    node.extended_us = now_us;
    node.value = node_value(node, draw());
    transaction.put(keys_.node(node.node), node.value);

    const auto attached = liveness_.nodes.find(node.node);
    if (!is_held) {
      transaction.remove(keys_.alive(node.node), {});
    } else if (write.take || attached == liveness_.nodes.end() ||
               attached->second != write.holder) {
      transaction.put(keys_.alive(node.node), to_text(write.holder), liveness_.lease);
    }
  }
}

// The rows first, and the root with the last of them.
void EtcdStore::make_raise(EtcdTransaction &transaction) {
  const FleetRaise &raise = step_.raise;
  const std::size_t left = raise.above.size() - step_.raised;
  step_.raising = std::min(left, kMaxRaised);
  step_.raises_root = step_.raising == left;
  expect_root(transaction, keys_, raise.root);
  const auto first = raise.above.begin() + static_cast<std::ptrdiff_t>(step_.raised);
  const std::vector<FleetNode> rows(first, first + static_cast<std::ptrdiff_t>(step_.raising));
  expect_nodes(transaction, keys_, rows);
  for (const FleetNode &row : rows) {
    transaction.put(keys_.node(row.node), node_value(row, draw()));
  }
  if (!step_.raises_root) return;
  FleetRoot root = raise.root;
  root.base = raise.base;
  root.generation = raise.generation;
  root.raised_us = raise.raised_us;
  transaction.put(keys_.root(), root_value(root, cluster_, draw()));
}

// --- what is read --------------------------------------------------------------

void EtcdStore::take_view(const EtcdAnswer &answer) {
  std::map<std::uint32_t, EtcdAlive> alive;
  std::string why;
  const StoreOutcome outcome = take_fleet(answer, keys_, step_.result.view, alive, why);
  if (outcome == StoreOutcome::done) {
    // Keys of ours that somebody has taken away are put again by the next write.
    std::erase_if(liveness_.nodes, [&](const auto &ours) {
      if (ours.first < step_.first || ours.first > step_.last) return false;
      const auto found = alive.find(ours.first);
      return found == alive.end() || found->second.lease != liveness_.lease;
    });
  }
  finish(outcome, std::move(why));
}

// --- liveness --------------------------------------------------------------------

bool EtcdStore::needs_lease() const {
  if (step_.write.state != NodeState::held) return false;
  const std::int64_t wanted_s = whole_seconds(step_.write.alive_ms);
  const std::int64_t ends_at = liveness_.renewed_at + liveness_.ttl_ns;
  return liveness_.lease == 0 || wanted_s > liveness_.asked_s || wanted_s < liveness_.asked_s / 2 ||
         monotonic_now() > ends_at - liveness_.ttl_ns / kReserve;
}

void EtcdStore::on_grant(const EtcdAnswer &answer) {
  std::uint64_t lease = 0;
  std::int64_t ttl_s = 0;
  if (!read_number(answer.body.get(), "ID", lease) ||
      !read_number(answer.body.get(), "TTL", ttl_s) || lease == 0 || ttl_s <= 0 ||
      ttl_s > kMaxTtl) {
    finish(StoreOutcome::unknown, "etcd's answer to the grant of a lease makes no sense");
    return;
  }
  liveness_ = Liveness{};
  liveness_.lease = lease;
  liveness_.asked_s = whole_seconds(step_.write.alive_ms);
  liveness_.ttl_ns = ttl_s * kSecond;
  liveness_.renewed_at = answer.asked_at;
  proceed();
}

void EtcdStore::keep_alive() {
  const std::int64_t now = monotonic_now();
  if (now - liveness_.renewed_at < liveness_.ttl_ns / kRenewals) return;
  sent_ = Sent::keep_alive;
  // Its answer may be read late: not before the next step, if nobody polls.
  client_.begin({"/v3/lease/keepalive", to_text(Json{{"ID", std::to_string(liveness_.lease)}}),
                 false, now + liveness_.ttl_ns});
}

void EtcdStore::on_keep_alive(const EtcdAnswer &answer) {
  const Json *result = member(answer.body.get(), "result");
  std::uint64_t lease = 0;
  std::int64_t ttl_s = 0;
  if (result == nullptr || !read_number(result, "ID", lease) || lease != liveness_.lease ||
      !read_number(result, "TTL", ttl_s)) {
    return;
  }
  if (ttl_s <= 0 || ttl_s > kMaxTtl) {
    liveness_ = Liveness{};
    return;
  }
  liveness_.ttl_ns = ttl_s * kSecond;
  liveness_.renewed_at = answer.asked_at;
}

std::unique_ptr<FleetStore> open_etcd_store(std::string_view registry, std::string &error) {
  EtcdUrl url;
  std::string password;
  if (!parse_etcd_url(registry, url, error) || !read_password(url, password, error)) {
    return nullptr;
  }
  return std::make_unique<EtcdStore>(std::move(url));
}

}  // namespace idgen
