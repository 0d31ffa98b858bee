// Differences between PostgreSQL's versions, all in this file.

#ifndef IDGEN_PG_COMPAT_H
#define IDGEN_PG_COMPAT_H

#include "pg/prelude.h"

#if PG_VERSION_NUM < 150000
#error "idgen needs PostgreSQL 15 or later"
#endif

namespace idgen::pg {

// The number of this process among all that can exist at once.
inline int proc_number() {
#if PG_VERSION_NUM >= 170000
  return MyProcNumber;
#else
  return MyProc->pgprocno;
#endif
}

// How many proc_number() there can be. Valid from the shmem_request_hook on.
inline int proc_count() {
  return MaxBackends + NUM_AUXILIARY_PROCS;
}

// The wait event of a caller that waits to be issued an ID. Named wait events
// of extensions came with 17; before that it shows as "Extension".
inline uint32 issue_wait_event() {
#if PG_VERSION_NUM >= 170000
  static uint32 event = 0;
  if (event == 0) event = WaitEventExtensionNew("IdgenIssue");
  return event;
#else
  return PG_WAIT_EXTENSION;
#endif
}

inline uint32 worker_wait_event() {
#if PG_VERSION_NUM >= 170000
  static uint32 event = 0;
  if (event == 0) event = WaitEventExtensionNew("IdgenWorkerMain");
  return event;
#else
  return PG_WAIT_EXTENSION;
#endif
}

}  // namespace idgen::pg

#endif  // IDGEN_PG_COMPAT_H
