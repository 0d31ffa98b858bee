#include "pg/shmem.h"

#include <algorithm>
#include <new>

#include "pg/settings.h"

namespace idgen::pg {

SharedState *shared = nullptr;
LWLock *info_lock = nullptr;
LWLock *scopes_lock = nullptr;
Counters *own_counters = nullptr;

namespace {

shmem_request_hook_type previous_request_hook = nullptr;
shmem_startup_hook_type previous_startup_hook = nullptr;

constexpr char kShmemName[] = "idgen";

std::uint64_t fleet_capacity() {
  return std::min<std::uint64_t>(FleetInfo::kCapacity, instance_layout.max_node() + 1);
}

Size shmem_size(int slots) {
  const auto columns = static_cast<Size>(max_scopes) + 1;
  Size size = sizeof(SharedState);
  size = add_size(size, mul_size(mul_size(static_cast<Size>(slots), columns), sizeof(Counters)));
  size = add_size(size, mul_size(static_cast<Size>(max_scopes), sizeof(ScopePlace)));
  size = add_size(size, mul_size(columns + 1, sizeof(Sums)));
  return add_size(size, mul_size(fleet_capacity(), sizeof(FleetRow)));
}

void request_shmem() {
  if (previous_request_hook != nullptr) previous_request_hook();
  RequestAddinShmemSpace(add_size(shmem_size(proc_count()), kCacheLine));
  RequestNamedLWLockTranche(kShmemName, 2);
}

void start_shmem() {
  if (previous_startup_hook != nullptr) previous_startup_hook();

  bool found = false;
  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  const int slots = proc_count();
  void *memory = ShmemInitStruct(kShmemName, shmem_size(slots), &found);
  shared = static_cast<SharedState *>(memory);
  LWLockPadded *locks = GetNamedLWLockTranche(kShmemName);
  info_lock = &locks[0].lock;
  scopes_lock = &locks[1].lock;
  if (!found) {
    new (memory) SharedState();
    shared->slots = slots;
    shared->places = max_scopes;
    const int columns = shared->columns();
    for (int i = 0; i < slots * columns; ++i) new (shared->counters(0) + i) Counters();
    for (int i = 0; i < max_scopes; ++i) new (shared->scope_places() + i) ScopePlace();
    for (int i = 0; i <= columns; ++i) new (shared->began() + i) Sums();
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

bool uses_own_record_alone() {
  LWLockAcquire(info_lock, LW_SHARED);
  const bool is_known = shared->info.registry[0] != '\0';
  const bool is_local = strcmp(shared->info.registry, "local") == 0;
  LWLockRelease(info_lock);
  return is_known ? is_local : registry_is_local();
}

void install_shmem_hooks() {
  previous_request_hook = shmem_request_hook;
  shmem_request_hook = request_shmem;
  previous_startup_hook = shmem_startup_hook;
  shmem_startup_hook = start_shmem;
}

}  // namespace idgen::pg
