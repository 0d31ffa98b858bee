// What the worker says: in the log, and in shared memory for the views. All take the
// lock of the views' data themselves; only the worker calls them.

#ifndef IDGEN_PG_WORKER_REPORT_H
#define IDGEN_PG_WORKER_REPORT_H

#include <vector>

#include "core/keeper.h"
#include "registry/fleet_store.h"

namespace idgen::pg {

// Into the ring of the view and the log. `left_out`: so many small ones since the last.
void report_event(const ClockEvent &event, std::uint64_t left_out);
// The last error, logged when it is another one than before; it stays until cleared.
void report_error(const char *message);
void clear_error();
// A warning of the registry's setting, if there is one.
void report_caution(const StoreCaution &caution);
// That no IDs are issued, with the last error; or, if `issues`, that they are again.
void report_stopped(bool stopped, bool issues);
// The layout that the registry has on record, which is not this instance's.
void report_layout(const char *recorded, bool fleet_disagrees);
void report_registry(const char *name);
// How full the coordinator is: for the view, and a warning from half of a quota on. None:
// the registry has no quota.
void report_space(const std::vector<StoreSpace> &space);
// What a listing has read: fresh for a while. Or that it could not be read.
void report_fleet(const FleetView &fleet);
void report_no_fleet();
// What was read is not what there is any more.
void outdate_fleet();

// The clock breaker's reason; null if there is none. In the current memory context.
const char *describe(ClockTrouble trouble, const Clock &clock);

}  // namespace idgen::pg

#endif  // IDGEN_PG_WORKER_REPORT_H
