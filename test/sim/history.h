// One history: its random numbers, its time, what it went through, and what it
// violated.

#ifndef IDGEN_TEST_SIM_HISTORY_H
#define IDGEN_TEST_SIM_HISTORY_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "mutants.h"
#include "random.h"
#include "seen.h"

namespace idgen::sim {

inline constexpr std::int64_t kMs = 1'000'000;
inline constexpr std::int64_t kSecond = 1000 * kMs;
inline constexpr std::int64_t kBeginning = 1'000'000 * kSecond;

struct Result {
  Broken broken = Broken::nothing;
  std::string what;
  std::uint64_t events = 0;
  std::uint64_t hash = 0;  // of the whole history
  std::array<std::uint64_t, kSeen> seen{};
  std::vector<std::string> trace;  // if asked for
};

struct History {
  History(std::uint64_t seed, Mutant which, bool traced)
      : random(seed), mutant(which), trace(traced) {}

  void see(Seen what) { ++result.seen[static_cast<std::size_t>(what)]; }
  // The first violation counts.
  void fail(Broken broken, const std::string &what) {
    if (has_failed()) return;
    result.broken = broken;
    result.what = what;
  }
  bool has_failed() const { return result.broken != Broken::nothing; }

  bool is_pause() { return random.one_in(40); }
  // How long until the next step of a process: as a rule at once.
  std::int64_t soon() {
    return is_pause() ? random.between(kMs, 3 * kSecond) : random.between(1000, 400'000);
  }

  // For the hash, and for people. `who`: the instance's number; 0: nobody's.
  template <typename... Parts>
  void tell(int who, const Parts &...parts) {
    mix(static_cast<std::uint64_t>(who));
    mix(static_cast<std::uint64_t>(now));
    (hash(parts), ...);
    if (!trace) return;
    std::ostringstream line;
    line << (now - kBeginning) / 1000 << " us  ";
    who > 0 ? line << "instance " << who << ": " : line << "world: ";
    ((line << parts << ' '), ...);
    result.trace.push_back(line.str());
  }

  Random random;
  const Mutant mutant;
  const bool trace;
  bool calm = false;  // faults have ended
  std::int64_t now = kBeginning;
  Result result;

 private:
  void mix(std::uint64_t value) { result.hash = (result.hash ^ value) * 0x100000001b3u; }
  template <typename Part>
  void hash(const Part &part) {
    if constexpr (std::is_convertible_v<const Part &, std::string_view>) {
      for (const char c : std::string_view(part)) mix(static_cast<unsigned char>(c));
    } else {
      mix(static_cast<std::uint64_t>(part));
    }
  }
};

}  // namespace idgen::sim

#endif  // IDGEN_TEST_SIM_HISTORY_H
