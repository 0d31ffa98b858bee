// Claims nodes of a real registry with the code of the server's worker, faster and
// more often than servers could be started.
//
//   claimant race --registry etcd://... --rounds 200
//       two claimants want a region's only node at the same moment: exactly one
//       gets it, in each round
//   claimant churn --registry etcd://... --starts 2000 --claimants 3
//       claimants start, take one of a region's 8 nodes, extend it and release it,
//       with a window of 100 ms: none is handed out below its old ceiling, and
//       nobody waits for longer than --deadline seconds
//
// Exit code: 0 all is well, 1 it isn't, 2 the run itself failed.

#include <poll.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "network/etcd_store.h"
#include "network/now.h"
#include "network/pg_store.h"
#include "registry/fleet_registry.h"

namespace {

using namespace idgen;

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kWindow = 100 * kMs;

struct Options {
  std::string registry;
  int rounds = 200;
  int starts = 2000;
  int claimants = 3;
  double deadline = 10;
};

std::unique_ptr<FleetStore> open_store(const std::string &registry) {
  std::string why;
  std::unique_ptr<FleetStore> store = registry.starts_with("etcd://")
                                          ? open_etcd_store(registry, why)
                                          : open_pg_store(registry, why);
  if (!store) throw std::runtime_error(why);
  return store;
}

// A start of an instance: an incarnation, a fresh data directory.
class Claimant {
 public:
  Claimant(FleetStore &store, const Layout &layout, const std::string &directory)
      : layout_(layout),
        file_(directory),
        registry_(file_, store, layout, LocalHost::here(1), "claimant") {
    std::random_device random;
    for (std::uint64_t &word : incarnation_.words) {
      word = std::uint64_t{random()} << 32 | random();
    }
  }

  RegistryReply ask(RegistryAsk what, std::uint64_t ceiling = 0, const RegistryReply &held = {}) {
    RegistryRequest request;
    request.ask = what;
    request.incarnation = incarnation_;
    request.issuing_ns = clock_now(CLOCK_REALTIME) - layout_.epoch_us * 1000;
    request.issuing_tick = static_cast<std::uint64_t>(request.issuing_ns / kMs);
    request.ticks = kWindow / kMs;
    request.ceiling = ceiling;
    request.node = held.node;
    request.node_epoch = held.node_epoch;
    request.skew = skew;
    request.alive = 10'000 * kMs;
    request.timeout = 2'000 * kMs;
    RegistryReply reply;
    registry_.begin(request);
    while (!registry_.poll(reply)) wait();
    return reply;
  }

  std::int64_t skew = 60'000 * kMs;

 private:
  void wait() {
    const Wait wait = registry_.waits_for();
    const std::int64_t ms = (wait.until - monotonic_now()) / kMs + 1;
    pollfd descriptor{wait.descriptor, static_cast<short>(wait.for_writing ? POLLOUT : POLLIN), 0};
    (void)::poll(&descriptor, wait.descriptor >= 0 ? 1 : 0,
                 static_cast<int>(std::clamp<std::int64_t>(ms, 0, 100)));
  }

  Layout layout_;
  RecordFile file_;
  FleetRegistry registry_;
  Incarnation incarnation_;
};

// A folder that goes with its owner.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "idgen-claims-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  Folder(const Folder &) = delete;
  Folder &operator=(const Folder &) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string fresh() { return (path_ / std::to_string(next_++)).string(); }

 private:
  std::filesystem::path path_;
  std::atomic<int> next_ = 0;
};

Layout layout_of(const char *definition) {
  return parse_layout(definition, parse_epoch(kDefaultEpoch).unix_us).layout;
}

int race(const Options &options) {
  const Layout layout = layout_of("time:41 shard:1 sequence:12");  // node 0 is never drawn
  Folder folder;
  int nobody = 0;
  int both = 0;
  std::array<RegistryReply, 2> replies;
  std::barrier<> together(2);
  const auto check = [&] {
    const int winners = (replies[0].outcome == RegistryOutcome::done ? 1 : 0) +
                        (replies[1].outcome == RegistryOutcome::done ? 1 : 0);
    nobody += winners == 0 ? 1 : 0;
    both += winners == 2 ? 1 : 0;
    if (winners == 0) {
      std::fprintf(stderr, "nobody: %s / %s\n", replies[0].message.c_str(),
                   replies[1].message.c_str());
    }
  };
  const auto claim = [&](std::size_t me) {
    const std::unique_ptr<FleetStore> store = open_store(options.registry);
    for (int round = 0; round < options.rounds; ++round) {
      Claimant claimant(*store, layout, folder.fresh());
      claimant.skew += options.rounds * kWindow;  // as far as the winners carry the ceiling
      (void)claimant.ask(RegistryAsk::list);      // connected
      together.arrive_and_wait();
      replies[me] = claimant.ask(RegistryAsk::acquire);
      together.arrive_and_wait();
      if (me == 0) check();
      if (replies[me].outcome == RegistryOutcome::done) {
        (void)claimant.ask(RegistryAsk::release, 0, replies[me]);
      }
      together.arrive_and_wait();
    }
  };
  std::thread other([&] { claim(1); });
  claim(0);
  other.join();
  std::printf("rounds %d nobody %d both %d\n", options.rounds, nobody, both);
  return nobody == 0 && both == 0 ? 0 : 1;
}

int churn(const Options &options) {
  const Layout layout = layout_of("time:41 shard:3 sequence:12");
  Folder folder;
  std::mutex guard;
  std::map<std::uint32_t, std::uint64_t> ceilings;  // acknowledged, of each node
  int below = 0;
  int late = 0;
  std::int64_t longest = 0;
  std::atomic<int> left = options.starts;

  const auto start = [&](FleetStore &store) {
    Claimant claimant(store, layout, folder.fresh());
    const std::int64_t began = monotonic_now();
    RegistryReply reply = claimant.ask(RegistryAsk::acquire);
    while (reply.outcome != RegistryOutcome::done) {
      if (static_cast<double>(monotonic_now() - began) > options.deadline * 1e9) {
        std::fprintf(stderr, "not in time: %s\n", reply.message.c_str());
        const std::lock_guard lock(guard);
        ++late;
        return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      reply = claimant.ask(RegistryAsk::acquire);
    }
    const std::int64_t took = monotonic_now() - began;
    {
      const std::lock_guard lock(guard);
      longest = std::max(longest, took);
      std::uint64_t &ceiling = ceilings[reply.node];
      below += reply.floor < ceiling ? 1 : 0;
      ceiling = reply.ceiling;
    }
    const RegistryReply extended =
        claimant.ask(RegistryAsk::extend, reply.ceiling + kWindow / kMs, reply);
    if (extended.outcome == RegistryOutcome::done) {
      const std::lock_guard lock(guard);
      ceilings[reply.node] = std::max(ceilings[reply.node], extended.ceiling);
    }
    (void)claimant.ask(RegistryAsk::release, 0, reply);
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < options.claimants; ++i) {
    threads.emplace_back([&] {
      const std::unique_ptr<FleetStore> store = open_store(options.registry);
      while (left-- > 0) start(*store);
    });
  }
  for (std::thread &thread : threads) thread.join();
  std::printf("starts %d below %d late %d nodes %zu longest %.3f\n", options.starts, below, late,
              ceilings.size(), static_cast<double>(longest) / 1e9);
  return below == 0 && late == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char **argv) {
  CLI::App app("Claims nodes of a registry and judges what it is given.");
  app.require_subcommand(1);
  Options options;
  CLI::App *race_command = app.add_subcommand("race", "two claim the last free node at once");
  CLI::App *churn_command = app.add_subcommand("churn", "many starts and releases on few nodes");
  for (CLI::App *command : {race_command, churn_command}) {
    command->add_option("--registry", options.registry, "as idgen.registry")->required();
  }
  race_command->add_option("--rounds", options.rounds, "how often");
  churn_command->add_option("--starts", options.starts, "how many");
  churn_command->add_option("--claimants", options.claimants, "at the same time")
      ->check(CLI::Range(1, 7));
  churn_command->add_option("--deadline", options.deadline, "seconds that a start may wait");
  CLI11_PARSE(app, argc, argv);
  try {
    return race_command->parsed() ? race(options) : churn(options);
  } catch (const std::exception &e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 2;
  }
}
