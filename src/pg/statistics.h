// What is counted of issuing, summed over all processes.

#ifndef IDGEN_PG_STATISTICS_H
#define IDGEN_PG_STATISTICS_H

#include <cstdint>
#include <vector>

#include "pg/shmem.h"

namespace idgen::pg {

// A column counts for another scope from here on. Under scopes_lock, exclusively.
void begin_counting(int column);

// The worker has the answer to a request of the keeper's, which took so long.
void count_request(const RegistryAnswer &answer, std::int64_t took_ns);

// Watches how much is used of what the instance can issue, and warns of scopes that
// use more than kMuch of it, each at most once in kWarnAgain. The worker's.
class UseWatch {
 public:
  static constexpr double kMuch = 0.8;
  static constexpr std::int64_t kSpan = 1'000'000'000;
  static constexpr std::int64_t kWarnAgain = 60'000'000'000;

  // `now`: CLOCK_MONOTONIC, ns. Looks once in kSpan.
  void look(std::int64_t now);

 private:
  std::int64_t looked_ = 0;
  std::vector<std::uint64_t> ids_;    // by column, then
  std::vector<std::int64_t> warned_;  // by column; 0: never
};

}  // namespace idgen::pg

#endif  // IDGEN_PG_STATISTICS_H
