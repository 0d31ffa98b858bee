// Collects IDs from a running server with several clients at once and judges
// them: no ID twice, and no ID that is not greater than one whose call had
// returned before this call began. Order is judged by CLOCK_MONOTONIC in this
// process, around each call, never by the server's clock.
//
//   collector run --clients 8 --ids 10000000 --save calls.bin
//   collector check a.bin b.bin        judges several runs as one
//
// `run` judges its own calls too, and prints how long they took, in microseconds: a
// call at a --rate counts from when it was due. SIGTERM ends it early, as --seconds
// does. Exit code: 0 all is well, 1 a repeat or an inversion, 2 the run itself failed.

#include <libpq-fe.h>
#include <sys/prctl.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace {

std::atomic<bool> told_to_stop{false};
static_assert(std::atomic<bool>::is_always_lock_free, "it is set by a signal");

struct Call {
  std::int64_t start = 0;  // CLOCK_MONOTONIC, ns
  std::int64_t end = 0;
  std::int64_t since = 0;  // start, or, at a rate, when it was due
  std::size_t first = 0;   // the IDs returned: ids[first, first + count)
  std::size_t count = 0;
};

// Deques: a vector that grows is copied, and the clients would wait for that.
struct Calls {
  std::deque<Call> calls;
  std::deque<std::int64_t> ids;
  std::deque<Call> failed;  // those that are tolerated
  std::string error;
};

struct RunOptions {
  std::string conninfo;
  int clients = 8;
  std::int64_t ids = 1000000;
  double seconds = 0;  // 0: until the IDs are there
  std::vector<int> batches = {1, 1, 1, 100, 1000};
  bool tolerate_disconnect = false;
  std::vector<std::string> tolerate;  // SQLSTATEs
  bool retry = false;
  double pause_ms = 0;   // between calls
  std::string scope;     // empty: none is named
  bool reserve = false;  // several IDs by snowflake_reserve()
  double rate = 0;       // calls a second, of all clients, evenly; 0: as fast as they come
  std::string statement;
  std::string bulk;
  std::string save;
  std::string latencies;
};

std::int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

std::int64_t from_network(const char *bytes) {
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return static_cast<std::int64_t>(value);
}

// One client: prepared statements, results in binary.
class Client {
 public:
  Client(const RunOptions &options, std::atomic<std::int64_t> &left, int number, Calls &out)
      : options_(options),
        left_(left),
        turn_(static_cast<std::size_t>(number)),
        period_(options.rate > 0 ? options.clients * 1e9 / options.rate : 0),
        offset_(period_ * number / options.clients),
        until_(options.seconds > 0 ? now_ns() + static_cast<std::int64_t>(options.seconds * 1e9)
                                   : INT64_MAX),
        out_(out) {}

  void run() {
    do {
      connect();
    } while (options_.retry && out_.error.empty() && wants_more() && rest(kReconnectMs));
  }

 private:
  static constexpr double kReconnectMs = 20;

  bool wants_more() const {
    return !told_to_stop.load(std::memory_order_relaxed) &&
           left_.load(std::memory_order_relaxed) > 0 && now_ns() < until_;
  }
  static bool rest(double ms) {
    if (ms > 0) std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(ms));
    return true;
  }

  // One connection, until there are enough IDs or something goes wrong.
  void connect() {
    PGconn *connection = PQconnectdb(options_.conninfo.c_str());
    if (options_.tolerate_disconnect) {
      PQsetNoticeProcessor(
          connection, [](void *, const char *) {}, nullptr);
    }
    if (PQstatus(connection) != CONNECTION_OK) {
      note_error(connection, nullptr);
    } else if (prepare(connection)) {
      while (wants_more() && rest(options_.pause_ms)) {
        const std::int64_t since = wait_until_due();
        if (call(connection, since, options_.batches[turn_++ % options_.batches.size()])) continue;
        if (!options_.retry || PQstatus(connection) != CONNECTION_OK) break;
        if (!out_.error.empty()) break;
        if (period_ == 0) rest(kReconnectMs);  // at a rate the next call is due when it is due
      }
    }
    PQfinish(connection);
  }

  // Until the next call is due; when it was: at no rate, now.
  std::int64_t wait_until_due() {
    const std::int64_t now = now_ns();
    if (period_ == 0) return now;
    // From the first connection on: the others have to make up for lost time.
    if (due_ == 0) due_ = static_cast<double>(now) + offset_;
    const auto due = static_cast<std::int64_t>(due_);
    due_ += period_;
    const timespec until{due / 1'000'000'000, due % 1'000'000'000};
    if (due > now) clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
    return due;
  }

  // An error that is tolerated ends this client all the same, unless it is to retry.
  void note_error(PGconn *connection, const PGresult *result) {
    const char *field = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const std::string state = field == nullptr ? "" : field;
    // Without an SQLSTATE the connection itself is gone, or was refused.
    const bool gone = state.empty() || state == "57P01" || state == "57P02" || state == "57P03";
    if (gone && options_.tolerate_disconnect) return;
    const auto &tolerated = options_.tolerate;
    if (std::find(tolerated.begin(), tolerated.end(), state) != tolerated.end()) return;
    out_.error = PQerrorMessage(connection);
  }

  bool prepare(PGconn *connection) {
    const std::string scope = options_.scope.empty() ? "" : "'" + options_.scope + "'";
    const std::string more = scope.empty() ? "" : ", " + scope;
    const std::string one =
        options_.statement.empty() ? "SELECT snowflake_nextval(" + scope + ")" : options_.statement;
    const std::string many = options_.reserve
                                 ? "SELECT first, count FROM snowflake_reserve($1::int" + more + ")"
                                 : "SELECT snowflake_batch($1::int" + more + ")";
    for (const auto &[name, sql] : {std::pair{"one", one}, std::pair{"many", many}}) {
      PGresult *result = PQprepare(connection, name, sql.c_str(), 0, nullptr);
      const bool ok = PQresultStatus(result) == PGRES_COMMAND_OK;
      if (!ok) note_error(connection, result);
      PQclear(result);
      if (!ok) return false;
    }
    return true;
  }

  bool call(PGconn *connection, std::int64_t since, int n) {
    const std::string count = std::to_string(n);
    const char *values[] = {count.c_str()};
    Call call;
    call.start = now_ns();
    call.since = since;
    PGresult *result = n == 1 ? PQexecPrepared(connection, "one", 0, nullptr, nullptr, nullptr, 1)
                              : PQexecPrepared(connection, "many", 1, values, nullptr, nullptr, 1);
    call.end = now_ns();
    const bool ok = PQresultStatus(result) == PGRES_TUPLES_OK;
    if (ok) {
      call.first = out_.ids.size();
      for (int row = 0; row < PQntuples(result); ++row) {
        const std::int64_t first = from_network(PQgetvalue(result, row, 0));
        const bool is_run = options_.reserve && n > 1;
        const std::int64_t length = is_run ? from_network(PQgetvalue(result, row, 1)) : 1;
        for (std::int64_t i = 0; i < length; ++i) out_.ids.push_back(first + i);
      }
      call.count = out_.ids.size() - call.first;
      out_.calls.push_back(call);
      left_.fetch_sub(n, std::memory_order_relaxed);
      if (options_.statement.empty() && call.count != static_cast<std::size_t>(n)) {
        out_.error = "a batch of the wrong size";
      }
    } else {
      note_error(connection, result);
      if (out_.error.empty()) out_.failed.push_back(call);
    }
    PQclear(result);
    return ok && out_.error.empty();
  }

  const RunOptions &options_;
  std::atomic<std::int64_t> &left_;
  std::size_t turn_;
  double period_;   // ns between calls; 0: none
  double offset_;   // of the first call
  double due_ = 0;  // the next call; CLOCK_MONOTONIC, ns; 0: not yet known
  std::int64_t until_;
  Calls &out_;
};

// The IDs of a COPY TO STDOUT (FORMAT binary) of one column.
class CopiedIds {
 public:
  explicit CopiedIds(std::deque<std::int64_t> &out) : out_(out) {}

  void take(const char *bytes, std::size_t size) {
    // A signature, flags and an empty extension, once; then rows, until one of -1 fields.
    const std::size_t skipped = std::min(size, header_);
    header_ -= skipped;
    for (std::size_t at = skipped; at + kRow <= size; at += kRow) {
      out_.push_back(from_network(bytes + at + kRow - 8));
    }
  }

 private:
  static constexpr std::size_t kRow = 2 + 4 + 8;  // how many fields, length, value
  std::size_t header_ = 19;
  std::deque<std::int64_t> &out_;
};

// One long statement beside the clients, who stop when it is done.
void run_bulk(const RunOptions &options, Calls &out) {
  PGconn *connection = PQconnectdb(options.conninfo.c_str());
  Call call;
  call.start = now_ns();
  PGresult *result = PQexec(connection, options.bulk.c_str());
  if (PQresultStatus(result) == PGRES_COPY_OUT) {
    CopiedIds ids(out.ids);
    char *bytes = nullptr;
    for (int size; (size = PQgetCopyData(connection, &bytes, 0)) > 0; PQfreemem(bytes)) {
      ids.take(bytes, static_cast<std::size_t>(size));
    }
    PQclear(result);
    result = PQgetResult(connection);
    call.count = out.ids.size();
  }
  call.end = now_ns();
  const ExecStatusType status = PQresultStatus(result);
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
    out.error = PQerrorMessage(connection);
  } else if (call.count != 0) {
    out.calls.push_back(call);
  }
  std::printf("bulk seconds %.3f ids %zu\n", static_cast<double>(call.end - call.start) / 1e9,
              call.count);
  PQclear(result);
  PQfinish(connection);
  told_to_stop.store(true, std::memory_order_relaxed);
}

void append(Calls &all, const Calls &some) {
  const std::size_t offset = all.ids.size();
  all.ids.insert(all.ids.end(), some.ids.begin(), some.ids.end());
  all.failed.insert(all.failed.end(), some.failed.begin(), some.failed.end());
  for (Call call : some.calls) {
    call.first += offset;
    all.calls.push_back(call);
  }
}

struct Judgement {
  std::size_t repeats = 0;
  std::size_t inversions = 0;
  std::int64_t greatest = 0;
};

Judgement judge(const Calls &all) {
  Judgement result;
  std::vector<std::int64_t> sorted(all.ids.begin(), all.ids.end());
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 1; i < sorted.size(); ++i) result.repeats += sorted[i] == sorted[i - 1];
  if (!sorted.empty()) result.greatest = sorted.back();

  // Walk the calls by their start; before each, take in all that had ended.
  std::vector<const Call *> by_start;
  for (const Call &call : all.calls) by_start.push_back(&call);
  std::vector<const Call *> by_end = by_start;
  std::sort(by_start.begin(), by_start.end(),
            [](const Call *a, const Call *b) { return a->start < b->start; });
  std::sort(by_end.begin(), by_end.end(),
            [](const Call *a, const Call *b) { return a->end < b->end; });
  std::int64_t returned = INT64_MIN;
  std::size_t ended = 0;
  for (const Call *call : by_start) {
    for (; ended < by_end.size() && by_end[ended]->end < call->start; ++ended) {
      const Call &before = *by_end[ended];
      for (std::size_t i = 0; i < before.count; ++i) {
        returned = std::max(returned, all.ids[before.first + i]);
      }
    }
    // The IDs of one call ascend, and all of them are above `returned`.
    std::int64_t last = returned;
    for (std::size_t i = 0; i < call->count; ++i) {
      const std::int64_t id = all.ids[call->first + i];
      result.inversions += id <= last;
      last = id;
    }
  }
  return result;
}

bool save(const Calls &all, const std::string &path) {
  std::ofstream file(path, std::ios::binary);
  const auto put = [&file](std::int64_t value) {
    file.write(reinterpret_cast<const char *>(&value), sizeof(value));
  };
  for (const Call &call : all.calls) {
    put(call.start);
    put(call.end);
    put(static_cast<std::int64_t>(call.count));
    for (std::size_t i = 0; i < call.count; ++i) put(all.ids[call.first + i]);
  }
  return file.good();
}

bool load(Calls &all, const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  const auto get = [&file](std::int64_t &value) {
    return static_cast<bool>(file.read(reinterpret_cast<char *>(&value), sizeof(value)));
  };
  if (!file.is_open()) return false;
  Call call;
  std::int64_t count = 0;
  while (get(call.start)) {
    if (!get(call.end) || !get(count)) return false;
    call.first = all.ids.size();
    call.count = static_cast<std::size_t>(count);
    for (std::int64_t i = 0; i < count; ++i) {
      std::int64_t id = 0;
      if (!get(id)) return false;
      all.ids.push_back(id);
    }
    all.calls.push_back(call);
  }
  return true;
}

// When each call began to wait and how long it took, both ns in 8 bytes; what failed
// has taken less than nothing.
bool save_latencies(const Calls &all, const std::string &path) {
  std::ofstream file(path, std::ios::binary);
  const auto put = [&file](const Call &call, int sign) {
    const std::int64_t pair[] = {call.since, sign * (call.end - call.since)};
    file.write(reinterpret_cast<const char *>(pair), sizeof(pair));
  };
  for (const Call &call : all.calls) {
    if (call.since != 0) put(call, 1);
  }
  for (const Call &call : all.failed) put(call, -1);
  return file.good();
}

void print_latencies(const Calls &all) {
  std::vector<double> us;
  for (const Call &call : all.calls) {
    if (call.since != 0) us.push_back(static_cast<double>(call.end - call.since) / 1e3);
  }
  if (us.empty()) return;
  std::sort(us.begin(), us.end());
  const auto percentile = [&us](double p) {
    const auto rank = static_cast<std::size_t>(std::ceil(p * static_cast<double>(us.size())));
    return us[std::max<std::size_t>(rank, 1) - 1];
  };
  std::printf("latency us p50 %.1f p99 %.1f p99.9 %.1f max %.1f failed %zu\n", percentile(0.5),
              percentile(0.99), percentile(0.999), us.back(), all.failed.size());
}

int report(const Calls &all, double seconds) {
  const Judgement judgement = judge(all);
  std::printf("ids %zu calls %zu repeats %zu inversions %zu greatest %lld seconds %.2f\n",
              all.ids.size(), all.calls.size(), judgement.repeats, judgement.inversions,
              static_cast<long long>(judgement.greatest), seconds);
  return judgement.repeats == 0 && judgement.inversions == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int run(const RunOptions &options) {
  std::atomic<std::int64_t> left{options.ids};
  std::vector<Calls> per_client(static_cast<std::size_t>(options.clients));
  std::vector<std::thread> threads;
  const std::int64_t start = now_ns();
  Calls bulk;
  if (!options.bulk.empty()) threads.emplace_back([&options, &bulk] { run_bulk(options, bulk); });
  for (int i = 0; i < options.clients; ++i) {
    threads.emplace_back([&options, &left, &per_client, i] {
      Client(options, left, i, per_client[static_cast<std::size_t>(i)]).run();
    });
  }
  for (std::thread &thread : threads) thread.join();
  const double seconds = static_cast<double>(now_ns() - start) / 1e9;

  Calls all;
  bool failed = false;
  per_client.push_back(std::move(bulk));
  for (const Calls &some : per_client) {
    append(all, some);
    if (some.error.empty()) continue;
    failed = true;
    std::fprintf(stderr, "%s\n", some.error.c_str());
  }
  if (!options.save.empty() && !save(all, options.save)) {
    std::fprintf(stderr, "could not write %s\n", options.save.c_str());
    return 2;
  }
  if (!options.latencies.empty() && !save_latencies(all, options.latencies)) {
    std::fprintf(stderr, "could not write %s\n", options.latencies.c_str());
    return 2;
  }
  print_latencies(all);
  const int verdict = report(all, seconds);
  return failed ? 2 : verdict;
}

int check(const std::vector<std::string> &paths) {
  Calls all;
  for (const std::string &path : paths) {
    if (!load(all, path)) {
      std::fprintf(stderr, "could not read %s\n", path.c_str());
      return 2;
    }
  }
  return report(all, 0);
}

}  // namespace

int main(int argc, char **argv) {
  CLI::App app("Collects IDs from a server and judges uniqueness and order.");
  app.require_subcommand(1);
  RunOptions options;
  CLI::App *run_command = app.add_subcommand("run", "collect from a server");
  run_command->add_option("--conninfo", options.conninfo, "libpq connection string");
  run_command->add_option("--clients", options.clients, "connections")->check(CLI::Range(1, 64));
  run_command->add_option("--ids", options.ids, "how many IDs in all");
  run_command->add_option("--seconds", options.seconds, "end after so long, if that is sooner");
  run_command->add_option("--batches", options.batches, "sizes of calls, taken in turn");
  run_command->add_flag("--tolerate-disconnect", options.tolerate_disconnect,
                        "a server that goes away ends the run, it doesn't fail it");
  run_command->add_option("--tolerate", options.tolerate, "nor do errors with these SQLSTATEs");
  run_command->add_flag("--retry", options.retry, "go on after an error that is tolerated");
  run_command->add_option("--pause", options.pause_ms, "milliseconds between a client's calls");
  run_command->add_option("--scope", options.scope, "of these IDs");
  run_command->add_flag("--reserve", options.reserve, "several IDs as runs, by snowflake_reserve");
  run_command->add_option("--rate", options.rate, "calls a second, of all clients together");
  run_command->add_option("--statement", options.statement,
                          "what to call for single IDs: int8 in its first column");
  run_command->add_option("--bulk", options.bulk,
                          "a statement beside the clients, who stop when it is done; the IDs of a "
                          "COPY ... (FORMAT binary) are judged, too");
  run_command->add_option("--latencies", options.latencies,
                          "write when calls began and what they took to this file");
  run_command->add_option("--save", options.save, "write all calls to this file");
  std::vector<std::string> paths;
  CLI::App *check_command = app.add_subcommand("check", "judge saved runs as one");
  check_command->add_option("files", paths, "files that run --save wrote")->required();
  CLI11_PARSE(app, argc, argv);
  prctl(PR_SET_TIMERSLACK, 1);  // for calls at a rate
  std::signal(SIGTERM, [](int) { told_to_stop.store(true, std::memory_order_relaxed); });
  return run_command->parsed() ? run(options) : check(paths);
}
