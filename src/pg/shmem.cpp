#include "pg/shmem.h"

#include <new>

namespace idgen::pg {

SharedState *shared = nullptr;
LWLock *info_lock = nullptr;

namespace {

shmem_request_hook_type previous_request_hook = nullptr;
shmem_startup_hook_type previous_startup_hook = nullptr;

constexpr char kShmemName[] = "idgen";

Size shmem_size(int slots) {
  return add_size(sizeof(SharedState), mul_size(static_cast<Size>(slots), sizeof(Counters)));
}

void request_shmem() {
  if (previous_request_hook != nullptr) previous_request_hook();
  RequestAddinShmemSpace(add_size(shmem_size(proc_count()), kCacheLine));
  RequestNamedLWLockTranche(kShmemName, 1);
}

void start_shmem() {
  if (previous_startup_hook != nullptr) previous_startup_hook();

  bool found = false;
  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  const int slots = proc_count();
  void *memory = ShmemInitStruct(kShmemName, shmem_size(slots), &found);
  shared = static_cast<SharedState *>(memory);
  info_lock = &GetNamedLWLockTranche(kShmemName)->lock;
  if (!found) {
    new (memory) SharedState();
    for (int i = 0; i < slots; ++i) new (shared->counters() + i) Counters();
    shared->slots = slots;
    shared->started_ns = monotonic_ns();
    ConditionVariableInit(&shared->grant_changed);
    if (!pg_strong_random(&shared->incarnation, sizeof(shared->incarnation))) {
      ereport(FATAL, (errmsg("could not draw a random incarnation")));
    }
  }
  LWLockRelease(AddinShmemInitLock);
}

}  // namespace

void install_shmem_hooks() {
  previous_request_hook = shmem_request_hook;
  shmem_request_hook = request_shmem;
  previous_startup_hook = shmem_startup_hook;
  shmem_startup_hook = start_shmem;
}

}  // namespace idgen::pg
