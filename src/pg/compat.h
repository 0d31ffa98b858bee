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

// Has this process registered a worker of that name? One that finds no slot is left out,
// and nothing but the log tells. Only in the postmaster, while it loads libraries.
inline bool has_worker_slot(const char *name) {
  // By hand: the macros that walk lists are C's alone.
#if PG_VERSION_NUM >= 180000
  const dlist_node *end = &BackgroundWorkerList.head;
  const dlist_node *at = end->next == nullptr ? end : end->next;
#else
  const slist_node *end = nullptr;
  const slist_node *at = BackgroundWorkerList.head.next;
#endif
  for (; at != end; at = at->next) {
    const char *worker =
        reinterpret_cast<const char *>(at) - offsetof(RegisteredBgWorker, rw_lnode);
    if (strcmp(reinterpret_cast<const RegisteredBgWorker *>(worker)->rw_worker.bgw_name, name) ==
        0) {
      return true;
    }
  }
  return false;
}

// How many proc_number() there can be. Valid from the shmem_request_hook on.
inline int proc_count() {
  return MaxBackends + NUM_AUXILIARY_PROCS;
}

// Reports an error of an input function, and returns: from 16 on a caller may ask for a
// soft one (COPY with ON_ERROR, pg_input_is_valid, JSON_TABLE), before that it is raised.
// Used in functions of SQL that have no destructor to run.
#if PG_VERSION_NUM >= 160000
#define IDGEN_INPUT_ERROR(fcinfo, ...) ereturn((fcinfo)->context, Datum{0}, __VA_ARGS__)
#else
#define IDGEN_INPUT_ERROR(fcinfo, ...) ereport(ERROR, __VA_ARGS__)
#endif

// Memory of settings, which PostgreSQL frees.
inline char *setting_strdup(const char *text) {
#if PG_VERSION_NUM >= 160000
  return guc_strdup(ERROR, text);
#else
  char *copy = strdup(text);
  if (copy == nullptr) ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
  return copy;
#endif
}

// The relation that a Var's number says, or null: the planner also simplifies Vars that
// are none of its query's, and simplifies without a query.
inline const RangeTblEntry *range_of(const PlannerInfo *root, const Var *var) {
  if (root == nullptr || root->parse == nullptr) return nullptr;
  if (var->varno < 1 || var->varno > list_length(root->parse->rtable)) return nullptr;
  return rt_fetch(var->varno, root->parse->rtable);
}

// What a list holds for a column of that number; null if it holds none.
inline void *column_at(const List *columns, AttrNumber number) {
  return number >= 1 && number <= list_length(columns) ? list_nth(columns, number - 1) : nullptr;
}

// What a column of the query's grouping stands for; anything else as it is. From 18 on
// what a query groups by is a relation of its own until conditions are simplified, and
// its expressions stand above the grouping as that relation's columns.
inline Node *what_is_grouped(const PlannerInfo *root, Node *node) {
#if PG_VERSION_NUM >= 180000
  if (!IsA(node, Var)) return node;
  const auto *var = reinterpret_cast<Var *>(node);
  if (var->varlevelsup != 0) return node;
  const RangeTblEntry *from = range_of(root, var);
  if (from == nullptr || from->rtekind != RTE_GROUP) return node;
  auto *grouped = static_cast<Node *>(column_at(from->groupexprs, var->varattno));
  return grouped != nullptr && exprType(grouped) == var->vartype ? grouped : node;
#else
  (void)root;
  return node;
#endif
}

// Named wait events of extensions came with 17; before that all of them show as
// "Extension".
inline uint32 named_wait_event(const char *name, uint32 &event) {
#if PG_VERSION_NUM >= 170000
  if (event == 0) event = WaitEventExtensionNew(name);
#else
  (void)name;
  event = PG_WAIT_EXTENSION;
#endif
  return event;
}

// A caller waits to be issued an ID: for the clock to catch up with IDs that
// have run ahead of it; for a higher ceiling; for a node.
inline uint32 clock_wait_event() {
  static uint32 event = 0;
  return named_wait_event("IdgenClock", event);
}
inline uint32 ceiling_wait_event() {
  static uint32 event = 0;
  return named_wait_event("IdgenCeiling", event);
}
inline uint32 node_wait_event() {
  static uint32 event = 0;
  return named_wait_event("IdgenNode", event);
}
// An operator's function waits for the worker.
inline uint32 operation_wait_event() {
  static uint32 event = 0;
  return named_wait_event("IdgenOperation", event);
}
// The worker sleeps.
inline uint32 worker_wait_event() {
  static uint32 event = 0;
  return named_wait_event("IdgenWorkerMain", event);
}

}  // namespace idgen::pg

#endif  // IDGEN_PG_COMPAT_H
