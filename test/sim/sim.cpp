// Runs histories of test/sim/world.h, a seed each.
//
//   sim --seeds 2000             so many seeds, on --jobs threads
//   sim --seed 17 --trace        one of them, with the end of its history
//   sim --mutant no_raise        with an invariant switched off
//   sim --self-test              each mutant is caught by what it breaks; a
//                                failing seed replays exactly; nothing is untested
//
// Exit code: 0 all is well, 1 an invariant was violated.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <thread>

#include "world.h"

namespace {

using namespace idgen::sim;

constexpr std::uint64_t kSelfTestSeeds = 2000;
constexpr std::uint64_t kMutantSeeds = 5000;  // within which each must be caught

struct Total {
  std::uint64_t seeds = 0;
  std::uint64_t events = 0;
  std::array<std::uint64_t, kSeen> seen{};  // in how many seeds
  std::uint64_t failed_seed = 0;            // the first that failed
  Result failure;
};

// Runs seeds [first, first + count), or until one fails.
Total run_seeds(std::uint64_t first, std::uint64_t count, Mutant mutant, unsigned jobs) {
  Total total;
  std::mutex guard;
  std::atomic<std::uint64_t> next{first};
  std::atomic<std::uint64_t> end{first + count};
  const auto work = [&] {
    Total mine;
    for (std::uint64_t seed = next++; seed < end; seed = next++) {
      const Result result = World(seed, mutant, false).run();
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
  for (unsigned i = 1; i < jobs; ++i) threads.emplace_back(work);
  work();
  for (std::thread &thread : threads) thread.join();
  return total;
}

int report_failure(std::uint64_t seed, Mutant mutant) {
  const Result result = World(seed, mutant, true).run();
  for (const std::string &line : result.trace) std::printf("  %s\n", line.c_str());
  std::printf("seed %llu violates %s: %s\n", static_cast<unsigned long long>(seed),
              name_of(result.broken), result.what.c_str());
  return 1;
}

int run(std::uint64_t first, std::uint64_t count, Mutant mutant, const std::string &name,
        unsigned jobs) {
  const Total total = run_seeds(first, count, mutant, jobs);
  std::printf("%llu seeds, %llu events\n", static_cast<unsigned long long>(total.seeds),
              static_cast<unsigned long long>(total.events));
  for (std::size_t i = 0; i < kSeen; ++i) {
    std::printf("  %9llu seeds saw: %s\n", static_cast<unsigned long long>(total.seen[i]),
                kSeenNames[i]);
  }
  if (total.failure.broken == Broken::nothing) return 0;
  report_failure(total.failed_seed, mutant);
  std::printf("replay: sim --seed %llu --trace%s%s\n",
              static_cast<unsigned long long>(total.failed_seed), name.empty() ? "" : " --mutant ",
              name.c_str());
  return 1;
}

bool self_test(unsigned jobs) {
  bool good = true;
  const auto expect = [&good](bool ok, const std::string &what) {
    std::printf("%s %s\n", ok ? "ok" : "not ok", what.c_str());
    good = good && ok;
  };
  const Total honest = run_seeds(1, kSelfTestSeeds, Mutant::none, jobs);
  expect(honest.failure.broken == Broken::nothing, "2,000 seeds violate nothing");
  for (std::size_t i = 0; i < kSeen; ++i) {
    expect(honest.seen[i] > 0,
           std::string("seen: ") + kSeenNames[i] + ", in " + std::to_string(honest.seen[i]));
  }
  for (const MutantName &mutant : kMutants) {
    const Total total = run_seeds(1, kMutantSeeds, mutant.mutant, jobs);
    const Broken broken = total.failure.broken;
    const bool caught = broken != Broken::nothing &&
                        std::find(std::begin(mutant.broken), std::end(mutant.broken), broken) !=
                            std::end(mutant.broken);
    expect(caught, std::string("mutant ") + mutant.name + " is caught by " + name_of(broken) +
                       ", seed " + std::to_string(total.failed_seed));
    if (broken == Broken::nothing) continue;
    const Result again = World(total.failed_seed, mutant.mutant, false).run();
    expect(again.hash == total.failure.hash && again.broken == broken &&
               again.events == total.failure.events,
           std::string("and replays exactly"));
  }
  return good;
}

Mutant mutant_named(const std::string &name) {
  for (const MutantName &mutant : kMutants) {
    if (name == mutant.name) return mutant.mutant;
  }
  return Mutant::none;
}

}  // namespace

int main(int argc, char **argv) {
  CLI::App app("Simulates instances of idgen, with whatever can happen to them.");
  std::uint64_t seeds = 1000;
  std::uint64_t first = 1;
  std::uint64_t seed = 0;
  unsigned jobs = std::max(1U, std::thread::hardware_concurrency());
  std::string name;
  bool trace = false;
  bool list = false;
  bool test = false;
  std::vector<std::string> names;
  for (const MutantName &mutant : kMutants) names.emplace_back(mutant.name);
  app.add_option("--seeds", seeds, "how many seeds");
  app.add_option("--first", first, "the first of them");
  app.add_option("--seed", seed, "this one only");
  app.add_option("--jobs", jobs, "threads")->check(CLI::Range(1, 256));
  app.add_option("--mutant", name, "switch an invariant off")->check(CLI::IsMember(names));
  app.add_flag("--trace", trace, "with --seed: print the end of the history");
  app.add_flag("--list", list, "list the mutants");
  app.add_flag("--self-test", test, "see that every mutant is caught");
  CLI11_PARSE(app, argc, argv);
  const Mutant mutant = mutant_named(name);
  if (list) {
    for (const std::string &each : names) std::puts(each.c_str());
    return 0;
  }
  if (test) return self_test(jobs) ? 0 : 1;
  if (seed == 0) return run(first, seeds, mutant, name, jobs);
  const Result result = World(seed, mutant, trace).run();
  if (result.broken != Broken::nothing) return report_failure(seed, mutant);
  for (const std::string &line : result.trace) std::printf("  %s\n", line.c_str());
  std::printf("seed %llu violates nothing, %llu events, hash %016llx\n",
              static_cast<unsigned long long>(seed), static_cast<unsigned long long>(result.events),
              static_cast<unsigned long long>(result.hash));
  return 0;
}
