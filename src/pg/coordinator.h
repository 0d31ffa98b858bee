// The coordinator of a fleet, where it needs more than SQL.

#ifndef IDGEN_PG_COORDINATOR_H
#define IDGEN_PG_COORDINATOR_H

#include "pg/prelude.h"

namespace idgen::pg {

// Defines idgen.fleet_writing, wherever the library is loaded. The functions that write a
// fleet turn it on for the time of a call, by their SET clause; other than that only
// superusers can. So the trigger that guards the tables knows those functions.
void define_fleet_writing();

}  // namespace idgen::pg

#endif  // IDGEN_PG_COORDINATOR_H
