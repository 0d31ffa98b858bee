// How operators' functions ask the worker for something, and how it answers. The
// queue itself is in shmem.h.

#ifndef IDGEN_PG_MAILBOX_H
#define IDGEN_PG_MAILBOX_H

#include <cstdint>

#include "pg/settings.h"
#include "pg/shmem.h"

namespace idgen::pg {

// Sleeps on grant_changed for at most `ms` milliseconds and at most one second, so that a
// caller notices when the worker has gone. If there is no worker, it first reminds the
// postmaster. Up to PostgreSQL 15 the postmaster may sleep for a minute before it restarts a
// worker that ended just before its select().
void sleep_on_grant(long ms, uint32 event);

// Sleeps on grant_changed until `done()`, for idgen.max_wait at most.
template <typename Done>
bool wait_until(Done &&done) {
  const std::int64_t deadline = monotonic_ns() + ms_to_ns(max_wait);
  ConditionVariablePrepareToSleep(&shared->grant_changed);
  bool is_done = done();
  while (!is_done) {
    const std::int64_t left = deadline - monotonic_ns();
    if (left <= 0) break;
    sleep_on_grant(static_cast<long>(left / 1'000'000) + 1, operation_wait_event());
    is_done = done();
  }
  ConditionVariableCancelSleep();
  return is_done;
}

// Wakes the worker, if it runs.
void wake_worker();

// Asks and waits for the answer, for idgen.max_wait at most (else IDG03). The
// worker's refusal, with its reason, is reported as an error (55000).
bool ask_worker(Ask ask, std::int64_t argument = 0);
// Has the worker read the fleet, unless it did less than a second ago. False if it can't,
// or couldn't then.
bool read_fleet();

// The worker's side: the next call that has no answer yet, or false; the answer to
// it, which wakes the caller.
bool next_call(Mailbox::Call &call);
void answer_call(bool ok, const char *failure = nullptr);

}  // namespace idgen::pg

#endif  // IDGEN_PG_MAILBOX_H
