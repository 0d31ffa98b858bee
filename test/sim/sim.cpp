// Runs histories of test/sim/local_world.h and fleet_world.h, a seed each.
//
//   sim --seeds 2000             so many seeds, on --jobs threads
//   sim --fleet --seeds 2000     likewise, of fleets
//   sim --seed 17 --trace        one of them, with the end of its history
//   sim --mutant no_raise        with an invariant switched off
//   sim --self-test              both kinds: each mutant is caught by what it breaks;
//                                a failing seed replays exactly; nothing is untested
//
// Exit code: 0 all is well, 1 an invariant was violated.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <map>
#include <mutex>
#include <thread>

#include "fleet_world.h"
#include "local_world.h"

namespace {

using namespace idgen::sim;

constexpr std::uint64_t kSelfTestSeeds = 2000;
constexpr std::uint64_t kMutantSeeds = 5000;  // within which each must be caught

Result history_of(Kind kind, std::uint64_t seed, Mutant mutant, bool trace) {
  if (kind == Kind::fleet) return FleetWorld(seed, mutant, trace).run();
  return LocalWorld(seed, mutant, trace).run();
}

struct Total {
  std::uint64_t seeds = 0;
  std::uint64_t events = 0;
  std::array<std::uint64_t, kSeen> seen{};  // in how many seeds
  std::uint64_t failed_seed = 0;            // the first that failed
  Result failure;
};

// What the histories are of, and who runs them.
struct Setup {
  Kind kind = Kind::local;
  Mutant mutant = Mutant::none;
  unsigned jobs = 1;
};

// Runs seeds [first, first + count), or until one fails.
Total run_seeds(const Setup &setup, std::uint64_t first, std::uint64_t count) {
  Total total;
  std::mutex guard;
  std::atomic<std::uint64_t> next{first};
  std::atomic<std::uint64_t> end{first + count};
  const auto work = [&] {
    Total mine;
    for (std::uint64_t seed = next++; seed < end; seed = next++) {
      const Result result = history_of(setup.kind, seed, setup.mutant, false);
      ++mine.seeds;
      mine.events += result.events;
      for (std::size_t i = 0; i < kSeen; ++i) mine.seen[i] += result.seen[i] > 0;
      if (result.broken == Broken::nothing) continue;
      const std::lock_guard lock(guard);
      if (total.failure.broken == Broken::nothing || seed < total.failed_seed) {
        total.failed_seed = seed;
        total.failure = result;
      }
      end = std::min<std::uint64_t>(end, seed);
    }
    const std::lock_guard lock(guard);
    total.seeds += mine.seeds;
    total.events += mine.events;
    for (std::size_t i = 0; i < kSeen; ++i) total.seen[i] += mine.seen[i];
  };
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < setup.jobs; ++i) threads.emplace_back(work);
  work();
  for (std::thread &thread : threads) thread.join();
  return total;
}

void print_trace(const Result &result, std::size_t lines) {
  const auto &trace = result.trace;
  for (std::size_t i = trace.size() > lines ? trace.size() - lines : 0; i < trace.size(); ++i) {
    std::printf("  %s\n", trace[i].c_str());
  }
}

int report_failure(const Setup &setup, std::uint64_t seed, std::size_t lines) {
  const Result result = history_of(setup.kind, seed, setup.mutant, true);
  print_trace(result, lines);
  std::printf("seed %llu violates %s: %s\n", static_cast<unsigned long long>(seed),
              name_of(result.broken), result.what.c_str());
  return 1;
}

int run(const Setup &setup, std::uint64_t first, std::uint64_t count, const std::string &name,
        std::size_t lines) {
  const Total total = run_seeds(setup, first, count);
  std::printf("%llu seeds, %llu events\n", static_cast<unsigned long long>(total.seeds),
              static_cast<unsigned long long>(total.events));
  for (std::size_t i = 0; i < kSeen; ++i) {
    if (!kSeenNames[i].in(setup.kind)) continue;
    std::printf("  %9llu seeds saw: %s\n", static_cast<unsigned long long>(total.seen[i]),
                kSeenNames[i].name);
  }
  if (total.failure.broken == Broken::nothing) return 0;
  report_failure(setup, total.failed_seed, lines);
  std::printf("replay: sim%s --seed %llu --trace%s%s\n",
              setup.kind == Kind::fleet ? " --fleet" : "",
              static_cast<unsigned long long>(total.failed_seed), name.empty() ? "" : " --mutant ",
              name.c_str());
  return 1;
}

// What is violated how often, without an end.
int survey(const Setup &setup, std::uint64_t first, std::uint64_t count) {
  struct Found {
    std::uint64_t seeds = 0;
    std::uint64_t first_seed = 0;
    std::string what;
  };
  std::map<Broken, Found> all;
  for (const std::uint64_t end = first + count; first < end;) {
    const Total total = run_seeds(setup, first, end - first);
    if (total.failure.broken == Broken::nothing) break;
    Found &found = all[total.failure.broken];
    if (found.seeds++ == 0) found.first_seed = total.failed_seed;
    if (found.seeds < 6) {
      found.what += "\n    seed " + std::to_string(total.failed_seed) + ": " + total.failure.what;
    }
    first = total.failed_seed + 1;
  }
  for (const auto &[broken, found] : all) {
    std::printf("%s: %llu seeds%s\n", name_of(broken), static_cast<unsigned long long>(found.seeds),
                found.what.c_str());
  }
  return all.empty() ? 0 : 1;
}

bool self_test(Kind kind, unsigned jobs) {
  bool good = true;
  const auto expect = [&good](bool ok, const std::string &what) {
    std::printf("%s %s\n", ok ? "ok" : "not ok", what.c_str());
    good = good && ok;
  };
  const Total honest = run_seeds({kind, Mutant::none, jobs}, 1, kSelfTestSeeds);
  expect(honest.failure.broken == Broken::nothing, "2,000 seeds violate nothing");
  for (std::size_t i = 0; i < kSeen; ++i) {
    if (!kSeenNames[i].in(kind)) continue;
    expect(honest.seen[i] > 0,
           std::string("seen: ") + kSeenNames[i].name + ", in " + std::to_string(honest.seen[i]));
  }
  for (const MutantName &mutant : kMutants) {
    if (mutant.kind != kind) continue;
    const Total total = run_seeds({kind, mutant.mutant, jobs}, 1, kMutantSeeds);
    const Broken broken = total.failure.broken;
    const bool caught = broken != Broken::nothing &&
                        std::find(std::begin(mutant.broken), std::end(mutant.broken), broken) !=
                            std::end(mutant.broken);
    expect(caught, std::string("mutant ") + mutant.name + " is caught by " + name_of(broken) +
                       ", seed " + std::to_string(total.failed_seed));
    if (broken == Broken::nothing) continue;
    const Result again = history_of(kind, total.failed_seed, mutant.mutant, false);
    expect(again.hash == total.failure.hash && again.broken == broken &&
               again.events == total.failure.events,
           std::string("and replays exactly"));
  }
  return good;
}

bool find_mutant(Kind kind, const std::string &name, Mutant &mutant) {
  for (const MutantName &each : kMutants) {
    if (each.kind != kind || name != each.name) continue;
    mutant = each.mutant;
    return true;
  }
  return name.empty();
}

}  // namespace

int main(int argc, char **argv) {
  CLI::App app("Simulates instances of idgen, with whatever can happen to them.");
  Setup setup;
  setup.jobs = std::max(1U, std::thread::hardware_concurrency());
  std::uint64_t seeds = 1000;
  std::uint64_t first = 1;
  std::uint64_t seed = 0;
  std::size_t lines = 60;
  std::string name;
  bool fleet = false;
  bool trace = false;
  bool surveys = false;
  bool list = false;
  bool test = false;
  app.add_option("--seeds", seeds, "how many seeds");
  app.add_option("--first", first, "the first of them");
  app.add_option("--seed", seed, "this one only");
  app.add_option("--jobs", setup.jobs, "threads")->check(CLI::Range(1, 256));
  app.add_option("--mutant", name, "switch an invariant off");
  app.add_option("--lines", lines, "how much of a history to print");
  app.add_flag("--fleet", fleet, "fleets, instead of single instances");
  app.add_flag("--trace", trace, "with --seed: print the end of the history");
  app.add_flag("--survey", surveys, "go on after a failure; what fails how often");
  app.add_flag("--list", list, "list the mutants");
  app.add_flag("--self-test", test, "see that every mutant is caught");
  CLI11_PARSE(app, argc, argv);
  setup.kind = fleet ? Kind::fleet : Kind::local;
  if (list) {
    for (const MutantName &each : kMutants) {
      if (each.kind == setup.kind) std::puts(each.name);
    }
    return 0;
  }
  if (test) {
    const bool local = self_test(Kind::local, setup.jobs);
    return self_test(Kind::fleet, setup.jobs) && local ? 0 : 1;
  }
  if (!find_mutant(setup.kind, name, setup.mutant)) {
    std::fprintf(stderr, "there is no mutant \"%s\": --list\n", name.c_str());
    return 2;
  }
  if (surveys) return survey(setup, first, seeds);
  if (seed == 0) return run(setup, first, seeds, name, lines);
  const Result result = history_of(setup.kind, seed, setup.mutant, trace);
  if (result.broken != Broken::nothing) return report_failure(setup, seed, lines);
  print_trace(result, lines);
  std::printf("seed %llu violates nothing, %llu events, hash %016llx\n",
              static_cast<unsigned long long>(seed), static_cast<unsigned long long>(result.events),
              static_cast<unsigned long long>(result.hash));
  return 0;
}
