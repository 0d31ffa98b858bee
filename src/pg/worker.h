// The background worker: the only one that talks to the registry and the only
// writer of the grant and the clock offset.

#ifndef IDGEN_PG_WORKER_H
#define IDGEN_PG_WORKER_H

namespace idgen::pg {

// Registers it, to be started with the postmaster. Not in binary upgrade. Warns if the
// server has no slot left for it.
void register_worker();

// This server runs without the worker, as max_worker_processes left no slot for it. Set
// while the server starts.
extern bool no_worker_slot;

}  // namespace idgen::pg

#endif  // IDGEN_PG_WORKER_H
