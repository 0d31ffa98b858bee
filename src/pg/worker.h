// The background worker: the only one that talks to the registry and the only
// writer of the grant and the clock offset.

#ifndef IDGEN_PG_WORKER_H
#define IDGEN_PG_WORKER_H

namespace idgen::pg {

// Registers it, to be started with the postmaster. Not in binary upgrade.
void register_worker();

}  // namespace idgen::pg

#endif  // IDGEN_PG_WORKER_H
