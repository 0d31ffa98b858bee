// Where tests may stop a caller or the worker, or make the worker fail. In test
// builds only (IDGEN_INJECTION): elsewhere there is nothing here.
//
//   idgen.injection_point = n   calls of this session stop at PausePoint n, for
//                               as long as the file idgen.pause is in the data
//                               directory; whoever stands there has left a file
//                               idgen.paused.PID
//   idgen.pause_worker          the worker stops after each step that changes
//                               what backends read, until the file is gone
//   idgen.fail_worker           the worker removes it and ends with an error
//
// And a time that tests don't have is shorter.

#ifndef IDGEN_PG_INJECTION_H
#define IDGEN_PG_INJECTION_H

#include <cstdint>

#include "core/keeper.h"
#include "pg/settings.h"

namespace idgen::pg {

// A place that has not been used for so long is given to another scope that wants one.
#ifdef IDGEN_INJECTION
inline constexpr std::int64_t kIdlePlace = 3'000'000'000;
#else
inline constexpr std::int64_t kIdlePlace = 60'000'000'000;
#endif

}  // namespace idgen::pg

#ifdef IDGEN_INJECTION

#include <unistd.h>

#include <cstdio>

#include "pg/prelude.h"

namespace idgen::pg {

inline void stand_while_exists(const char *path, const char *mark) {
  if (access(path, F_OK) != 0) return;
  std::fclose(std::fopen(mark, "w"));
  while (access(path, F_OK) == 0) pg_usleep(1000);
  unlink(mark);
}

struct PauseCaller {
  void operator()(PausePoint point) const noexcept {
    if (injection_point != static_cast<int>(point)) return;
    char mark[64];
    snprintf(mark, sizeof(mark), "idgen.paused.%d", MyProcPid);
    stand_while_exists("idgen.pause", mark);
  }
};

inline void pause_worker(WordStep::Kind kind) {
  char mark[64];
  snprintf(mark, sizeof(mark), "idgen.worker_paused.%d", static_cast<int>(kind));
  stand_while_exists("idgen.pause_worker", mark);
}

inline void fail_worker_if_told() {
  if (unlink("idgen.fail_worker") == 0) ereport(FATAL, (errmsg("idgen: told to fail")));
}

}  // namespace idgen::pg

#else

namespace idgen::pg {

using PauseCaller = NoPause;
constexpr void pause_worker(WordStep::Kind /*kind*/) {}
constexpr void fail_worker_if_told() {}

}  // namespace idgen::pg

#endif

#endif  // IDGEN_PG_INJECTION_H
