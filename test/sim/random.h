// One stream of random numbers for a seed: the same on every machine and with
// every compiler, which the standard's distributions are not.

#ifndef IDGEN_TEST_SIM_RANDOM_H
#define IDGEN_TEST_SIM_RANDOM_H

#include <cstdint>

namespace idgen::sim {

// splitmix64, Steele, Lea, Flood 2014.
class Random {
 public:
  // Mixed, or neighbouring seeds would have the same numbers, one apart.
  explicit Random(std::uint64_t seed) : state_(seed) { state_ = next(); }

  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // In [0, n).
  std::uint64_t below(std::uint64_t n) { return next() % n; }
  // In [low, high].
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low + 1)));
  }
  // Once in n.
  bool one_in(std::uint64_t n) { return below(n) == 0; }

 private:
  std::uint64_t state_;
};

}  // namespace idgen::sim

#endif  // IDGEN_TEST_SIM_RANDOM_H
