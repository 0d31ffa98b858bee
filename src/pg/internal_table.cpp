#include "pg/internal_table.h"

namespace idgen::pg {

Oid find_internal_table(const char *name) {
  const Oid schema = get_namespace_oid(kInternalSchema, true);
  return OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;
}

Relation open_internal_table(const char *name) {
  for (;;) {
    const Oid table = find_internal_table(name);
    if (!OidIsValid(table)) return nullptr;
    // Null if it was dropped while we waited for the lock. What has changed is known
    // by now: there may be a new one.
    Relation relation = try_table_open(table, AccessShareLock);
    if (relation != nullptr) return relation;
    CHECK_FOR_INTERRUPTS();
  }
}

AttrNumber column_named(Relation table, const char *name) {
  TupleDesc columns = RelationGetDescr(table);
  for (int i = 0; i < columns->natts; ++i) {
    const FormData_pg_attribute *column = TupleDescAttr(columns, i);
    if (!column->attisdropped && strcmp(NameStr(column->attname), name) == 0) {
      return column->attnum;
    }
  }
  ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
                  errmsg("column \"%s\" of table %s.%s does not exist", name, kInternalSchema,
                         RelationGetRelationName(table)),
                  errhint("Run ALTER EXTENSION idgen UPDATE in this database.")));
  pg_unreachable();
}

SysScanDesc scan_internal_table(Relation table, const char *index, ScanKeyData &key) {
  const Oid found = get_relname_relid(index, RelationGetNamespace(table));
  return systable_beginscan(table, found, OidIsValid(found), nullptr, 1, &key);
}

}  // namespace idgen::pg
