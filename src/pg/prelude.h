// PostgreSQL's headers, the one way they are included: after the C++ standard
// library's and our own, inside extern "C", with the names visible that the
// server looks up in the library.

#ifndef IDGEN_PG_PRELUDE_H
#define IDGEN_PG_PRELUDE_H

// Ahead of postgres.h wherever this comes in, as that makes macros of vsnprintf and
// others that <string> has functions for.
#include <string>

#pragma GCC visibility push(default)
extern "C" {
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/bgworker_internals.h"
#include "postmaster/interrupt.h"
#include "postmaster/postmaster.h"
#include "replication/logicalworker.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/pmsignal.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "tcop/tcopprot.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"
}
#pragma GCC visibility pop

// Declares a function that SQL calls. The library hides its names by default,
// and PostgreSQL 15's own macro doesn't lift that.
#define IDGEN_SQL_FUNCTION(name)                                                                  \
  extern "C" {                                                                                    \
  __attribute__((visibility("default"))) Datum name(PG_FUNCTION_ARGS);                            \
  __attribute__((visibility("default"))) const Pg_finfo_record *CppConcat(pg_finfo_, name)(void); \
  PG_FUNCTION_INFO_V1(name);                                                                      \
  }                                                                                               \
  static_assert(true)

#endif  // IDGEN_PG_PRELUDE_H
