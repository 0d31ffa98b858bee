// The extension's own SQLSTATEs. Bad input gets the standard ones.

#ifndef IDGEN_PG_ERRORS_H
#define IDGEN_PG_ERRORS_H

#include "pg/prelude.h"

#define IDGEN_ERRCODE_NO_NODE MAKE_SQLSTATE('I', 'D', 'G', '0', '1')
#define IDGEN_ERRCODE_CLOCK_BREAKER MAKE_SQLSTATE('I', 'D', 'G', '0', '2')
#define IDGEN_ERRCODE_MAX_WAIT MAKE_SQLSTATE('I', 'D', 'G', '0', '3')
#define IDGEN_ERRCODE_TIME_EXHAUSTED MAKE_SQLSTATE('I', 'D', 'G', '0', '4')
#define IDGEN_ERRCODE_DRAINED MAKE_SQLSTATE('I', 'D', 'G', '0', '5')
#define IDGEN_ERRCODE_LAYOUT_MISMATCH MAKE_SQLSTATE('I', 'D', 'G', '0', '6')

#endif  // IDGEN_PG_ERRORS_H
