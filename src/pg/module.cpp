// The library's entry.

#include "pg/coordinator.h"
#include "pg/layouts.h"
#include "pg/prelude.h"
#include "pg/scopes.h"
#include "pg/secrecy.h"
#include "pg/settings.h"
#include "pg/shmem.h"
#include "pg/worker.h"

#pragma GCC visibility push(default)
extern "C" {
PG_MODULE_MAGIC;
void _PG_init(void);
}
#pragma GCC visibility pop

void _PG_init(void) {
  idgen::pg::watch_layouts();
  idgen::pg::watch_scopes();
  idgen::pg::define_fleet_writing();
  // Loaded by a function call: decoding works, and coordinating a fleet.
  if (!process_shared_preload_libraries_in_progress) return;
  idgen::pg::install_log_hook();
  idgen::pg::define_settings();
  idgen::pg::install_shmem_hooks();
  idgen::pg::register_worker();
}
