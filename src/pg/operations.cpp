// What operators do: each function asks the worker and waits for its answer.

#include "pg/errors.h"
#include "pg/issue.h"
#include "pg/settings.h"
#include "pg/shmem.h"

IDGEN_SQL_FUNCTION(idgen_accept_clock);
IDGEN_SQL_FUNCTION(idgen_confirm_copy);

namespace idgen::pg {
namespace {

void wake_worker() {
  LWLockAcquire(info_lock, LW_SHARED);
  const bool runs = shared->info.pid != 0;
  const int process = shared->info.process;
  LWLockRelease(info_lock);
  if (runs) SetLatch(&ProcGlobal->allProcs[process].procLatch);
}

// Sleeps on the condition variable until `done`, for idgen.max_wait at most.
template <typename Done>
bool wait_until(Done &&done) {
  const std::int64_t deadline = monotonic_ns() + ms_to_ns(max_wait);
  ConditionVariablePrepareToSleep(&shared->grant_changed);
  bool is_done = done();
  while (!is_done) {
    const std::int64_t left = deadline - monotonic_ns();
    if (left <= 0) break;
    ConditionVariableTimedSleep(&shared->grant_changed, static_cast<long>(left / 1'000'000) + 1,
                                operation_wait_event());
    is_done = done();
  }
  ConditionVariableCancelSleep();
  return is_done;
}

bool ask_worker(Command &command) {
  const std::uint64_t ticket = command.asked.fetch_add(1, std::memory_order_acq_rel) + 1;
  wake_worker();
  if (!wait_until([&] { return command.answered.load(std::memory_order_acquire) >= ticket; })) {
    ereport(ERROR, (errcode(IDGEN_ERRCODE_MAX_WAIT),
                    errmsg("idgen's worker did not answer within %d ms", max_wait),
                    errdetail("It will act on the request when it can."),
                    errhint("The view snowflake_instance shows its state.")));
  }
  return command.result.load(std::memory_order_relaxed);
}

}  // namespace
}  // namespace idgen::pg

using namespace idgen;
using namespace idgen::pg;

// True if the wall clock was suspect; it is followed now.
Datum idgen_accept_clock(PG_FUNCTION_ARGS) {
  (void)fcinfo;
  require_worker();
  if (!ask_worker(shared->accept_clock)) PG_RETURN_BOOL(false);
  // IDs follow when a ceiling beyond it is durable.
  (void)wait_until([] {
    LWLockAcquire(info_lock, LW_SHARED);
    const std::int64_t offset = shared->keeper.clock().offset();
    LWLockRelease(info_lock);
    return shared->clock_offset.load(std::memory_order_acquire) >= offset - Clock::kNoise;
  });
  PG_RETURN_BOOL(true);
}

// True if the pinned node was taken; false if nothing was to be confirmed.
Datum idgen_confirm_copy(PG_FUNCTION_ARGS) {
  (void)fcinfo;
  require_worker();
  if (!ask_worker(shared->confirm_copy)) PG_RETURN_BOOL(false);
  const bool held = wait_until([] {
    const Grant grant = unpack(issue_layout, shared->grant.load(std::memory_order_acquire));
    return grant.state == GrantState::active &&
           (shard < 0 ||
            (grant.node & instance_layout.shard.max()) == static_cast<std::uint64_t>(shard));
  });
  if (!held) report_no_node();
  PG_RETURN_BOOL(true);
}
