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

namespace idgen::pg {

// What etcd says when its database exceeds its quota, and what to do then.
inline constexpr char kSpaceExceeded[] = "database space exceeded";
inline constexpr char kSpaceHint[] =
    "Make room in etcd: compact it (etcdctl compact), defragment each member (etcdctl defrag) and "
    "disarm the alarm (etcdctl alarm disarm). Start etcd with --auto-compaction-retention.";

}  // namespace idgen::pg

#endif  // IDGEN_PG_ERRORS_H
