#include "pg/mailbox.h"

#include <algorithm>

#include "pg/errors.h"
#include "pg/foreign_text.h"

namespace idgen::pg {
namespace {

constexpr long kLongestSleepMs = 1000;

// A ticket; 0 if the queue is full.
std::uint64_t put(Ask ask, std::int64_t argument) {
  Mailbox &mailbox = shared->mailbox;
  std::uint64_t ticket = 0;
  LWLockAcquire(info_lock, LW_EXCLUSIVE);
  const bool is_list = ask == Ask::list;
  if (is_list && mailbox.lists > mailbox.answered.load(std::memory_order_relaxed)) {
    ticket = mailbox.lists;  // somebody else has asked, and waits
  } else if (mailbox.asked - mailbox.answered.load(std::memory_order_relaxed) < Mailbox::kSize) {
    ticket = ++mailbox.asked;
    Mailbox::Call &call = mailbox.calls[ticket % Mailbox::kSize];
    call.ticket = ticket;
    call.ask = ask;
    call.argument = argument;
    if (is_list) mailbox.lists = ticket;
  }
  LWLockRelease(info_lock);
  if (ticket != 0) wake_worker();
  return ticket;
}

bool wait_for(std::uint64_t ticket) {
  return wait_until(
      [&] { return shared->mailbox.answered.load(std::memory_order_acquire) >= ticket; });
}

// False if others have needed its place since.
bool read_answer(std::uint64_t ticket, Mailbox::Call &call) {
  LWLockAcquire(info_lock, LW_SHARED);
  call = shared->mailbox.calls[ticket % Mailbox::kSize];
  LWLockRelease(info_lock);
  return call.ticket == ticket;
}

}  // namespace

void sleep_on_grant(long ms, uint32 event) {
  LWLockAcquire(info_lock, LW_SHARED);
  const bool runs = shared->info.pid != 0;
  LWLockRelease(info_lock);
  // Harmless while the pause before a restart lasts: the postmaster keeps it.
  if (!runs) SendPostmasterSignal(PMSIGNAL_BACKGROUND_WORKER_CHANGE);
  ConditionVariableTimedSleep(&shared->grant_changed, std::min(ms, kLongestSleepMs), event);
}

void wake_worker() {
  LWLockAcquire(info_lock, LW_SHARED);
  const bool runs = shared->info.pid != 0;
  const int process = shared->info.process;
  LWLockRelease(info_lock);
  if (runs) SetLatch(&ProcGlobal->allProcs[process].procLatch);
}

bool ask_worker(Ask ask, std::int64_t argument) {
  const std::uint64_t ticket = put(ask, argument);
  if (ticket == 0 || !wait_for(ticket)) {
    ereport(ERROR,
            (errcode(IDGEN_ERRCODE_MAX_WAIT),
             errmsg("idgen's worker did not answer within %d ms", max_wait),
             ticket == 0 ? errdetail("Too many requests wait for it.")
                         : errdetail("It will act on the request when it can."),
             errhint("The view snowflake_instance shows its state; idgen.max_wait sets how long to "
                     "wait.")));
  }
  Mailbox::Call call;
  if (!read_answer(ticket, call)) {
    ereport(ERROR,
            (errcode(IDGEN_ERRCODE_MAX_WAIT), errmsg("the answer of the idgen worker was missed"),
             errdetail("The worker has acted on the request, and on many after it."),
             errhint("The view snowflake_instance shows its state.")));
  }
  if (call.failed) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("idgen's worker could not do that"),
                    errdetail("The registry: %s.", to_database_text(call.message))));
  }
  return call.ok;
}

bool read_fleet() {
  LWLockAcquire(info_lock, LW_SHARED);
  const bool is_fresh = monotonic_ns() < shared->fleet.fresh_until;
  const bool failed = shared->fleet.failed;
  LWLockRelease(info_lock);
  if (is_fresh) return !failed;
  const std::uint64_t ticket = put(Ask::list, 0);
  if (ticket == 0 || !wait_for(ticket)) return false;
  LWLockAcquire(info_lock, LW_SHARED);
  const bool is_read = !shared->fleet.failed;
  LWLockRelease(info_lock);
  return is_read;
}

bool next_call(Mailbox::Call &call) {
  LWLockAcquire(info_lock, LW_SHARED);
  const std::uint64_t next = shared->mailbox.answered.load(std::memory_order_relaxed) + 1;
  const bool waits = next <= shared->mailbox.asked;
  if (waits) call = shared->mailbox.calls[next % Mailbox::kSize];
  LWLockRelease(info_lock);
  return waits;
}

void answer_call(bool ok, const char *failure) {
  LWLockAcquire(info_lock, LW_EXCLUSIVE);
  const std::uint64_t ticket = shared->mailbox.answered.load(std::memory_order_relaxed) + 1;
  Mailbox::Call &call = shared->mailbox.calls[ticket % Mailbox::kSize];
  call.ok = ok;
  call.failed = failure != nullptr;
  store_text(call.message, failure == nullptr ? "" : failure);
  shared->mailbox.answered.store(ticket, std::memory_order_release);
  LWLockRelease(info_lock);
  ConditionVariableBroadcast(&shared->grant_changed);
}

}  // namespace idgen::pg
