// Tables of the schema idgen_internal, as C functions read them.
//
// Another session may drop the extension, or drop and create it, at any moment before
// a table is locked; and the tables may have more columns than this library knows, as
// an upgrade's script may run while the library of before is loaded. So tables are
// opened by name until that holds, and columns are found by name.

#ifndef IDGEN_PG_INTERNAL_TABLE_H
#define IDGEN_PG_INTERNAL_TABLE_H

#include "pg/prelude.h"

namespace idgen::pg {

inline constexpr char kInternalSchema[] = "idgen_internal";

// The table's OID at this moment, without a lock: to compare, not to open. Invalid if
// there is none.
Oid find_internal_table(const char *name);

// Opens and locks (AccessShareLock) a table; null if this database has none.
Relation open_internal_table(const char *name);

// The number of a column; reports an error if there is none.
AttrNumber column_named(Relation table, const char *name);

// Begins a scan for one key with a fresh snapshot, by that index if it is there.
SysScanDesc scan_internal_table(Relation table, const char *index, ScanKeyData &key);

}  // namespace idgen::pg

#endif  // IDGEN_PG_INTERNAL_TABLE_H
