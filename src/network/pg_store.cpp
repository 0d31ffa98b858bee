#include "network/pg_store.h"

#include <sys/ioctl.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "network/bounded_json.h"
#include "network/now.h"
#include "network/pg_records.h"
#include "registry/own_record.h"

namespace idgen {
namespace {

// How long a look-up of a name is left alone, and a host of several is tried.
constexpr std::int64_t kLookupPause = 2'000'000;
constexpr std::int64_t kShortestTry = 100'000'000;

// Each step is one query of several statements, and so one transaction. Whatever the
// role's defaults are, commits are durable, and a warning that one may not be durable
// arrives (U3); a raise is not missed (U6); and a step that was given up here does not go
// on there for long. Nothing is set for the session, which a pooler may share with others.
constexpr char kTransaction[] =
    "SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE; "
    "SET LOCAL synchronous_commit = on; SET LOCAL client_min_messages = warning; "
    "SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '5s'; ";

// What the coordinator takes as an instance's name, in bytes.
constexpr std::size_t kMaxName = 200;
// The coordinator itself keeps an answer back that would be too long to be read.
constexpr char kIfShort[] =
    "SELECT CASE WHEN pg_catalog.octet_length(f.answer::pg_catalog.text) "
    "OPERATOR(pg_catalog.<=) 67108864 THEN f.answer END FROM ";
static_assert(kMaxJsonLength == 67108864, "as kIfShort says");
// What libpq takes in for one step, at most: the longest answer and some messages.
constexpr std::size_t kMaxReceived = kMaxJsonLength + (std::size_t{1} << 20);

// libpq's messages have several lines, and end with one.
std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    if (c != '\n') {
      line += c == '\t' ? ' ' : c;
    } else if (!line.ends_with("; ")) {
      line += "; ";
    }
  }
  while (line.ends_with(' ') || line.ends_with(';')) line.pop_back();
  return line;
}

template <typename Field>
std::string array_of(const std::vector<FleetNode> &nodes, Field FleetNode::*field) {
  std::string text = "{";
  for (const FleetNode &node : nodes) {
    if (text.size() > 1) text += ',';
    text += std::to_string(node.*field);
  }
  return text + "}";
}

char letter_of(NodeState state) {
  return state == NodeState::held ? 'h' : state == NodeState::retired ? 'r' : 'f';
}

// PostgreSQL has no unsigned numbers: the same bits.
std::string signed_text(std::uint64_t value) {
  return std::to_string(static_cast<std::int64_t>(value));
}

// Cut in no character.
std::string short_name(const std::string &name) {
  std::size_t size = std::min(name.size(), kMaxName);
  const auto continues = [&name](std::size_t at) {
    return at < name.size() && (static_cast<unsigned char>(name[at]) & 0xC0U) == 0x80U;
  };
  while (size > 0 && continues(size)) --size;
  return name.substr(0, size);
}

}  // namespace

// --- the steps -----------------------------------------------------------------

void PgStore::begin(Task task, const char *function, std::vector<std::string> values,
                    std::int64_t timeout) {
  task_ = task;
  function_ = function;
  values_ = std::move(values);
  timeout_ = timeout;
  until_ = monotonic_now() + timeout;
  tried_ = 0;
  sent_ = false;
  failure_.clear();
}

void PgStore::read(std::uint32_t first, std::uint32_t last, std::int64_t timeout) {
  begin(Task::read, "fleet_read", {std::to_string(first), std::to_string(last)}, timeout);
}

void PgStore::write(const FleetWrite &write, std::int64_t timeout) {
  write_ = write;
  begin(
      Task::write, "fleet_write",
      {std::to_string(write.root.generation), std::to_string(write.root.base),
       array_of(write.nodes, &FleetNode::node), array_of(write.nodes, &FleetNode::revision),
       array_of(write.nodes, &FleetNode::epoch), write.take ? "t" : "f",
       std::string(1, letter_of(write.state)), to_hex(write.holder), std::to_string(write.ceiling),
       std::to_string(write.ceiling_us), std::to_string(write.log2_lanes),
       signed_text(write.system), short_name(write.name), std::to_string(write.alive_ms),
       std::to_string(write.recorded_us), std::to_string(write.skew_us),
       std::to_string(write.lead_us), std::to_string(write.window_us)},
      timeout);
}

void PgStore::create(const FleetRoot &root, std::int64_t timeout) {
  begin(Task::create, "fleet_create",
        {to_hex(root.id), root.layout, root.epoch, std::to_string(root.generation),
         std::to_string(root.base), std::to_string(root.raised_us)},
        timeout);
}

void PgStore::raise(const FleetRaise &raise, std::int64_t timeout) {
  begin(Task::raise, "fleet_raise",
        {std::to_string(raise.root.generation), std::to_string(raise.root.base),
         std::to_string(raise.generation), std::to_string(raise.base),
         std::to_string(raise.raised_us), array_of(raise.above, &FleetNode::node),
         array_of(raise.above, &FleetNode::revision), array_of(raise.above, &FleetNode::ceiling)},
        timeout);
}

bool PgStore::finish(StoreResult &result, StoreOutcome outcome, const std::string &message) {
  result.outcome = outcome;
  result.message = one_line(message);
  task_ = Task::none;
  results_.clear();
  return true;
}

bool PgStore::poll(StoreResult &result) {
  if (task_ == Task::none) return false;
  while (go_on()) {
  }
  if (link_ == Link::ready && sent_) {
    result = StoreResult{};
    judge(result);
    if (result.outcome == StoreOutcome::unknown) disconnect();
    return finish(result, result.outcome, std::string(result.message));
  }
  if (monotonic_now() < until_ && (link_ != Link::closed || hosts_left()) &&
      !(sent_ && link_ == Link::closed)) {
    return false;
  }
  // Whoever doesn't answer in time is left, and asked last the next time.
  std::string why = failure_;
  if (link_ != Link::closed) {
    why = target_.hosts[host_].host + ": no answer within " + std::to_string(timeout_ / 1'000'000) +
          " ms";
    give_up_host(why);
  }
  result = StoreResult{};
  return finish(result, StoreOutcome::unknown, why);
}

Wait PgStore::waits_for() const noexcept {
  Wait wait;
  if (task_ == Task::none) return wait;
  wait.until = until_;
  switch (link_) {
    case Link::closed:
      wait.until = 0;
      break;
    case Link::resolving:
      wait.until = std::min(until_, monotonic_now() + kLookupPause);
      break;
    case Link::connecting:
      wait.until = std::min(until_, host_until_);
      wait.for_writing = polling_ == PGRES_POLLING_WRITING;
      wait.descriptor = PQsocket(connection_.get());
      break;
    default:
      wait.descriptor = PQsocket(connection_.get());
  }
  return wait;
}

// --- the connection --------------------------------------------------------------

void PgStore::disconnect() noexcept {
  connection_.reset();
  resolver_.cancel();
  link_ = Link::closed;
}

void PgStore::give_up_host(std::string why) {
  failure_ = std::move(why);
  disconnect();
  host_ = (host_ + 1) % target_.hosts.size();
  if (host_ == 0) ++address_;
}

bool PgStore::go_on() {
  switch (link_) {
    case Link::closed:
      return !sent_ && hosts_left() && monotonic_now() < until_ && open();
    case Link::resolving:
      return resolve();
    case Link::connecting:
      return poll_connection();
    case Link::busy:
      return collect();
    case Link::ready:
      return !sent_ && send();
  }
  return false;
}

bool PgStore::open() {
  ++tried_;
  const PgHost &host = target_.hosts[host_];
  const std::int64_t now = monotonic_now();
  const auto others = static_cast<std::int64_t>(target_.hosts.size() - tried_ + 1);
  host_until_ = now + std::max((until_ - now) / others, kShortestTry);
  if (!host.address.empty() || !is_host_name(host.host)) return connect(host.address);
  link_ = Link::resolving;
  if (!resolver_.begin(host.host)) give_up_host("could not look up host name " + host.host);
  return true;
}

bool PgStore::resolve() {
  std::vector<std::string> addresses;
  std::string why;
  switch (resolver_.poll(addresses, why)) {
    case PgResolver::State::waiting:
      if (monotonic_now() < host_until_) return false;
      give_up_host("looking up host name " + target_.hosts[host_].host + " takes too long");
      return true;
    case PgResolver::State::found:
      return connect(addresses[address_ % addresses.size()]);
    default:
      give_up_host(std::move(why));
      return true;
  }
}

bool PgStore::connect(const std::string &address) {
  const PgHost &host = target_.hosts[host_];
  std::vector<const char *> keywords;
  std::vector<const char *> values;
  const auto add = [&](const char *keyword, const std::string &value) {
    if (value.empty()) return;
    keywords.push_back(keyword);
    values.push_back(value.c_str());
  };
  for (const auto &[keyword, value] : target_.common) add(keyword.c_str(), value);
  add("host", host.host);
  add("hostaddr", address);
  add("port", host.port);
  keywords.push_back("fallback_application_name");
  values.push_back("idgen");
  keywords.push_back("client_encoding");  // the last counts
  values.push_back("UTF8");
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  connection_.reset(PQconnectStartParams(keywords.data(), values.data(), 0));
  if (!connection_) throw std::bad_alloc();
  PQsetNoticeReceiver(connection_.get(), on_notice, this);
  if (PQstatus(connection_.get()) == CONNECTION_BAD) {
    give_up_host(PQerrorMessage(connection_.get()));
    return true;
  }
  link_ = Link::connecting;
  polling_ = PGRES_POLLING_WRITING;
  return false;  // first when the socket is ready
}

bool PgStore::poll_connection() {
  polling_ = PQconnectPoll(connection_.get());
  if (polling_ == PGRES_POLLING_OK) {
    link_ = Link::ready;
    if (PQsetnonblocking(connection_.get(), 1) != 0) {
      give_up_host(PQerrorMessage(connection_.get()));
    }
    return true;
  }
  if (polling_ == PGRES_POLLING_FAILED) {
    give_up_host(PQerrorMessage(connection_.get()));
    return true;
  }
  if (monotonic_now() < host_until_) return false;
  give_up_host(target_.hosts[host_].host + ": no connection in time");
  return true;
}

// The call of the step's function, its arguments as literals. Empty if one of them is
// no text in the connection's encoding.
std::string PgStore::call() const {
  std::string text = kTransaction;
  text += task_ == Task::read ? kIfShort : "SELECT ";
  text += std::string("idgen_internal.") + function_ + "(";
  bool first = true;
  for (const std::string &value : values_) {
    const std::unique_ptr<char, void (*)(void *)> literal(
        PQescapeLiteral(connection_.get(), value.data(), value.size()), PQfreemem);
    if (!literal) return {};
    text += first ? "" : ", ";
    text += literal.get();
    first = false;
  }
  return text + (task_ == Task::read ? ") AS f(answer)" : ")");
}

bool PgStore::send() {
  // An old connection may have ended meanwhile.
  if (PQconsumeInput(connection_.get()) == 0 || PQstatus(connection_.get()) != CONNECTION_OK) {
    failure_ = PQerrorMessage(connection_.get());
    disconnect();
    return true;
  }
  warning_.clear();
  results_.clear();
  received_ = 0;
  const std::string text = call();
  if (text.empty() || PQsendQuery(connection_.get(), text.c_str()) == 0) {
    failure_ = PQerrorMessage(connection_.get());
    disconnect();
    return true;
  }
  sent_ = true;
  link_ = Link::busy;
  return true;
}

// Takes in what has come. The server is done only when it is idle again.
bool PgStore::collect() {
  int waiting = 0;
  if (ioctl(PQsocket(connection_.get()), FIONREAD, &waiting) == 0 && waiting > 0) {
    received_ += static_cast<std::size_t>(waiting);
  }
  if (received_ > kMaxReceived) {
    give_up_host(target_.hosts[host_].host + ": the answer is longer than " +
                 std::to_string(kMaxReceived) + " bytes");
    return true;
  }
  if (PQflush(connection_.get()) < 0 || PQconsumeInput(connection_.get()) == 0) {
    give_up_host(PQerrorMessage(connection_.get()));
    return true;
  }
  while (PQisBusy(connection_.get()) == 0) {
    Result result(PQgetResult(connection_.get()));
    if (!result) {
      if (PQstatus(connection_.get()) != CONNECTION_OK ||
          PQtransactionStatus(connection_.get()) != PQTRANS_IDLE) {
        give_up_host(PQerrorMessage(connection_.get()));
        return true;
      }
      link_ = Link::ready;
      return !sent_;
    }
    results_.push_back(std::move(result));
  }
  return false;
}

void PgStore::on_notice(void *self, const PGresult *notice) {
  const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
  if (severity == nullptr || std::strcmp(severity, "WARNING") != 0) return;
  const char *message = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
  static_cast<PgStore *>(self)->warning_ = message == nullptr ? "a warning" : message;
}

// --- what it says ------------------------------------------------------------------

void PgStore::judge(StoreResult &result) {
  for (const Result &each : results_) {
    const ExecStatusType status = PQresultStatus(each.get());
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) continue;
    judge_error(each.get(), result);
    return;
  }
  if (results_.empty() || PQresultStatus(results_.back().get()) != PGRES_TUPLES_OK ||
      PQntuples(results_.back().get()) != 1) {
    result.message = "the coordinator gave an answer of another form";
    return;
  }
  if (PQgetisnull(results_.back().get(), 0, 0) != 0) {
    result.message =
        "the coordinator's answer is longer than " + std::to_string(kMaxJsonLength) + " bytes";
    return;
  }
  if (!warning_.empty() && task_ != Task::read) {
    result.message = "the commit is not known to be durable: " + warning_;
    return;
  }
  take_rows(PQgetvalue(results_.back().get(), 0, 0), result);
}

void PgStore::judge_error(const PGresult *error, StoreResult &result) {
  const char *field = PQresultErrorField(error, PG_DIAG_SQLSTATE);
  const std::string state = field == nullptr ? "" : field;
  const char *primary = PQresultErrorField(error, PG_DIAG_MESSAGE_PRIMARY);
  result.message = primary == nullptr ? PQresultErrorMessage(error) : primary;
  if (state == "40001" || state == "40P01") {
    result.outcome = StoreOutcome::conflict;
  } else if (state == "55000" || state == "22023") {
    result.outcome = StoreOutcome::refused;
  } else if (state == "42501") {
    result.outcome = StoreOutcome::refused;
    result.message +=
        "; call snowflake_allow_leasing() for this role in the coordinator's database";
  } else if (state == "42883" || state == "3F000" || state == "42P01") {
    result.outcome = StoreOutcome::refused;
    result.message += "; run CREATE EXTENSION idgen in the coordinator's database";
  }
  if (state == "0A000") result.message = "the coordinator is a standby";  // READ WRITE was refused
  if (state == "25006" || state == "0A000") host_ = (host_ + 1) % target_.hosts.size();
}

void PgStore::take_rows(const char *json, StoreResult &result) {
  switch (task_) {
    case Task::read:
      if (!parse_fleet(json, result.view, result.message)) return;
      result.outcome = StoreOutcome::done;
      break;
    case Task::write:
      if (!parse_written(json, result)) return;
      result.nodes = write_.nodes;
      for (FleetNode &node : result.nodes) {
        node.revision += 1;
        node.epoch += write_.take ? 1 : 0;
        node.state = write_.state;
        node.holder = write_.holder;
        node.ceiling = write_.ceiling;
        node.log2_lanes = write_.log2_lanes;
      }
      result.outcome = StoreOutcome::done;
      break;
    default:
      result.outcome = json[0] == 't' ? StoreOutcome::done : StoreOutcome::conflict;
  }
}

std::unique_ptr<FleetStore> open_pg_store(std::string_view registry, std::string &error) {
  PgTarget target;
  if (!parse_pg_target(registry, target, error)) return nullptr;
  return std::make_unique<PgStore>(std::move(target));
}

}  // namespace idgen
