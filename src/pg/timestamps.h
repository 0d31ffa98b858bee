// Unix time and PostgreSQL's, both in microseconds.

#ifndef IDGEN_PG_TIMESTAMPS_H
#define IDGEN_PG_TIMESTAMPS_H

#include <cstdint>

#include "pg/prelude.h"

namespace idgen::pg {

// PostgreSQL counts from 2000-01-01, Unix from 1970-01-01.
inline constexpr std::int64_t kUnixToPostgresUs =
    std::int64_t{POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE} * USECS_PER_DAY;

// Of an instant that a layout can hold: far from overflow.
constexpr TimestampTz to_timestamptz(std::int64_t unix_us) {
  return unix_us - kUnixToPostgresUs;
}

}  // namespace idgen::pg

#endif  // IDGEN_PG_TIMESTAMPS_H
