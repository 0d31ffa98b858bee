// What a PostgreSQL coordinator answers: the JSON of idgen_internal.fleet_read() and
// fleet_write().
//
// Strict: a value that a field can't hold is refused, not cut to fit. Other members
// than those asked for may be there: a newer coordinator's.

#ifndef IDGEN_NETWORK_PG_RECORDS_H
#define IDGEN_NETWORK_PG_RECORDS_H

#include <cstdint>
#include <string>
#include <string_view>

#include "registry/fleet_store.h"

namespace idgen {

// fleet_read()'s. False, and `why`, if it isn't such an answer.
bool parse_fleet(std::string_view json, FleetView &view, std::string &why);

// fleet_write()'s: the revision, and whether the table of nodes has grown. False, and the
// result's message, if it isn't such an answer.
bool parse_written(std::string_view json, StoreResult &result);

}  // namespace idgen

#endif  // IDGEN_NETWORK_PG_RECORDS_H
