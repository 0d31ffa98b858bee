// What the worker says of the clock, in the log and as its last error.

#ifndef IDGEN_PG_WORKER_TEXT_H
#define IDGEN_PG_WORKER_TEXT_H

#include "core/keeper.h"

namespace idgen::pg {

// A line of the log, without a full stop.
const char *log_of(const ClockEvent &event);
// Is it worth a warning?
bool is_alarming(ClockEventKind kind);
// The clock breaker's reason; null if there is none. In the current memory context.
const char *describe(ClockTrouble trouble, const Clock &clock);

}  // namespace idgen::pg

#endif  // IDGEN_PG_WORKER_TEXT_H
