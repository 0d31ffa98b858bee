#include "pg/shmem.h"

#include <algorithm>
#include <new>

#include "pg/settings.h"

namespace idgen::pg {

SharedState *shared = nullptr;
LWLock *info_lock = nullptr;

namespace {

shmem_request_hook_type previous_request_hook = nullptr;
shmem_startup_hook_type previous_startup_hook = nullptr;

constexpr char kShmemName[] = "idgen";

std::uint64_t fleet_capacity() {
  return std::min<std::uint64_t>(FleetInfo::kCapacity, instance_layout.max_node() + 1);
}

Size shmem_size(int slots) {
  const Size counters = mul_size(static_cast<Size>(slots), sizeof(Counters));
  return add_size(add_size(sizeof(SharedState), counters),
                  mul_size(fleet_capacity(), sizeof(FleetRow)));
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
    shared->fleet.capacity = static_cast<std::int64_t>(fleet_capacity());
    for (std::uint64_t i = 0; i < fleet_capacity(); ++i) new (shared->fleet_rows() + i) FleetRow();
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
