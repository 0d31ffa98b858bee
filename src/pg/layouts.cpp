#include "pg/layouts.h"

#include "pg/errors.h"
#include "pg/issue.h"
#include "pg/settings.h"
#include "pg/shmem.h"

IDGEN_SQL_FUNCTION(idgen_layout_guard);
IDGEN_SQL_FUNCTION(idgen_configured_layout);

namespace idgen::pg {

bool own_layout_is_issued = false;  // dropped with the cache

namespace {

constexpr char kInternalSchema[] = "idgen_internal";
constexpr char kLayoutTable[] = "layout";
constexpr char kLayoutIndex[] = "layout_pkey";

// Columns of idgen_internal.layout.
enum LayoutColumn : AttrNumber {
  kName = 1,
  kDefinition,
  kEpoch,
  kNote,
  kKind,
  kColumns = kKind,
};

// Kinds of rows: the database's own as CREATE EXTENSION made it; the same,
// restored from a dump; shipped with the extension.
constexpr char kKindFresh = 'f';
constexpr char kKindRestored = 'r';

// The cache: the own layout in the first place, others as they are asked for.
// Few are ever used by one backend, so that a short array searched from the
// front will do.
constexpr int kCacheSize = 16;
NamedLayout cache[kCacheSize];
int cached = 0;
Oid layout_relid = InvalidOid;  // of the table, for the callback

void forget_layouts(Datum, Oid relid) {
  if (relid != InvalidOid && relid != layout_relid) return;
  cached = 0;
  layout_relid = InvalidOid;
  own_layout_is_issued = false;
}

Oid find_layout_table() {
  const Oid schema = get_namespace_oid(kInternalSchema, true);
  const Oid table = OidIsValid(schema) ? get_relname_relid(kLayoutTable, schema) : InvalidOid;
  if (!OidIsValid(table)) {
    ereport(ERROR,
            (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("this database has no table of layouts"),
             errhint("Run CREATE EXTENSION idgen in this database.")));
  }
  return table;
}

// Parses a row; reports an error if it isn't a layout.
NamedLayout layout_of_row(const char *name, const char *definition, const char *epoch) {
  const EpochParse parsed_epoch = parse_epoch(epoch);
  const LayoutParse parsed = parse_layout(definition, parsed_epoch.unix_us);
  if (!parsed_epoch.ok || !parsed.ok()) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("invalid definition of layout \"%s\": \"%s\", epoch \"%s\"", name,
                           definition, epoch),
                    errdetail("%s", parsed_epoch.ok ? describe(parsed.fault)
                                                    : "The epoch is malformed.")));
  }
  NamedLayout found;
  found.layout = parsed.layout;
  namestrcpy(&found.name, name);
  return found;
}

// Reads the row `name` with a fresh snapshot: what is committed, and this
// transaction's own changes, count.
bool read_layout(const char *name, NamedLayout &found) {
  const Oid table = find_layout_table();
  NameData key_name;
  namestrcpy(&key_name, name);
  ScanKeyData key;
  ScanKeyInit(&key, kName, BTEqualStrategyNumber, F_NAMEEQ, NameGetDatum(&key_name));

  Relation relation = table_open(table, AccessShareLock);
  const Oid schema = RelationGetNamespace(relation);
  SysScanDesc scan =
      systable_beginscan(relation, get_relname_relid(kLayoutIndex, schema), true, nullptr, 1, &key);
  HeapTuple row = systable_getnext(scan);
  const bool exists = HeapTupleIsValid(row);
  if (exists) {
    bool isnull = false;
    TupleDesc columns = RelationGetDescr(relation);
    const Datum definition = heap_getattr(row, kDefinition, columns, &isnull);
    const Datum epoch = heap_getattr(row, kEpoch, columns, &isnull);
    found = layout_of_row(name, TextDatumGetCString(definition), TextDatumGetCString(epoch));
  }
  systable_endscan(scan);
  table_close(relation, AccessShareLock);
  layout_relid = table;
  return exists;
}

const NamedLayout *find_layout(const char *name) {
  for (int i = 0; i < cached; ++i) {
    if (strcmp(NameStr(cache[i].name), name) == 0) return &cache[i];
  }
  // The scan may process an invalidation and empty the cache: read first.
  NamedLayout found;
  if (strlen(name) >= NAMEDATALEN || !read_layout(name, found)) return nullptr;
  const int place = cached < kCacheSize ? cached++ : kCacheSize - 1;
  cache[place] = found;
  return &cache[place];
}

}  // namespace

const NamedLayout *own_layout() {
  if (cached > 0 && strcmp(NameStr(cache[0].name), kOwnLayoutName) == 0) return &cache[0];
  const NamedLayout *own = find_layout(kOwnLayoutName);
  if (own == nullptr) {
    ereport(ERROR,
            (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("this database has no layout of its own"),
             errdetail("The row \"%s\" of %s.%s is missing.", kOwnLayoutName, kInternalSchema,
                       kLayoutTable)));
  }
  return own;
}

const NamedLayout *layout_named(const char *name) {
  const NamedLayout *layout = find_layout(name);
  if (layout == nullptr) {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("layout \"%s\" does not exist", name),
                    errhint("The view snowflake_layouts lists the layouts.")));
  }
  return layout;
}

void check_own_layout_is_issued() {
  const NamedLayout *own = own_layout();
  if (own->layout != instance_layout) {
    ereport(ERROR,
            (errcode(IDGEN_ERRCODE_LAYOUT_MISMATCH),
             errmsg("this database's layout is not the one the server issues"),
             errdetail("The database records \"%s\", epoch %s; the server issues \"%s\", epoch %s.",
                       pstrdup(to_text(own->layout).text),
                       pstrdup(epoch_to_text(own->layout.epoch_us).text),
                       pstrdup(to_text(instance_layout).text),
                       pstrdup(epoch_to_text(instance_layout.epoch_us).text)),
             errhint("Set idgen.layout and idgen.epoch to what the database records and restart "
                     "the server, or use a database of its own.")));
  }
  own_layout_is_issued = true;
}

void watch_layouts() {
  CacheRegisterRelcacheCallback(forget_layouts, 0);
}

}  // namespace idgen::pg

using namespace idgen;
using namespace idgen::pg;

// The definition and epoch that a fresh database records: what this instance
// issues, or would issue by its settings.
Datum idgen_configured_layout(PG_FUNCTION_ARGS) {
  TupleDesc columns = nullptr;
  if (get_call_result_type(fcinfo, nullptr, &columns) != TYPEFUNC_COMPOSITE) {
    elog(ERROR, "return type must be a row type");
  }
  require_layout_matches_record();
  const Layout layout = configured_layout();
  Datum values[2] = {CStringGetTextDatum(to_text(layout).text),
                     CStringGetTextDatum(epoch_to_text(layout.epoch_us).text)};
  bool nulls[2] = {false, false};
  PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(columns), values, nulls)));
}

// Keeps idgen_internal.layout append-only. One thing may be replaced, once: the
// row that CREATE EXTENSION has just made for this database, by the row of a
// dump that is being restored.
Datum idgen_layout_guard(PG_FUNCTION_ARGS) {
  if (!CALLED_AS_TRIGGER(fcinfo)) elog(ERROR, "idgen_layout_guard was not called as a trigger");
  const auto *trigger = reinterpret_cast<TriggerData *>(fcinfo->context);
  Relation relation = trigger->tg_relation;
  if (RelationGetRelid(relation) != find_layout_table()) {
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                    errmsg("idgen_layout_guard guards no table but %s.%s", kInternalSchema,
                           kLayoutTable)));
  }

  if (!TRIGGER_FIRED_BY_INSERT(trigger->tg_event)) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("layouts are never changed or removed"),
                    errdetail("IDs that were issued or stored can only be decoded by the layout "
                              "they were made in."),
                    errhint("Add another layout under another name.")));
  }

  TupleDesc columns = RelationGetDescr(relation);
  HeapTuple row = trigger->tg_trigtuple;
  Datum values[kColumns];
  bool nulls[kColumns];
  heap_deform_tuple(row, columns, values, nulls);
  if (nulls[kName - 1] || nulls[kDefinition - 1] || nulls[kEpoch - 1] || nulls[kKind - 1]) {
    PG_RETURN_POINTER(row);  // the table's constraints refuse it
  }
  const char *name = NameStr(*DatumGetName(values[kName - 1]));
  const NamedLayout given = layout_of_row(name, TextDatumGetCString(values[kDefinition - 1]),
                                          TextDatumGetCString(values[kEpoch - 1]));
  CacheInvalidateRelcache(relation);
  if (strcmp(name, kOwnLayoutName) != 0) PG_RETURN_POINTER(row);

  // The own row: look for the one that is there.
  ScanKeyData key;
  NameData key_name;
  namestrcpy(&key_name, kOwnLayoutName);
  ScanKeyInit(&key, kName, BTEqualStrategyNumber, F_NAMEEQ, NameGetDatum(&key_name));
  SysScanDesc scan =
      systable_beginscan(relation, get_relname_relid(kLayoutIndex, RelationGetNamespace(relation)),
                         true, nullptr, 1, &key);
  HeapTuple old = systable_getnext(scan);
  bool same = false;
  char old_kind = 0;
  ItemPointerData place;
  if (HeapTupleIsValid(old)) {
    Datum old_values[kColumns];
    bool old_nulls[kColumns];
    heap_deform_tuple(old, columns, old_values, old_nulls);
    const NamedLayout recorded =
        layout_of_row(name, TextDatumGetCString(old_values[kDefinition - 1]),
                      TextDatumGetCString(old_values[kEpoch - 1]));
    same = recorded.layout == given.layout;
    old_kind = DatumGetChar(old_values[kKind - 1]);
    place = old->t_self;
  }
  systable_endscan(scan);

  if (old_kind == 0) PG_RETURN_POINTER(row);
  if (same) PG_RETURN_POINTER(nullptr);  // nothing to do
  if (old_kind != kKindFresh) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("this database's layout was restored before and can't change again")));
  }
  ereport(NOTICE, (errmsg("this database's layout is now \"%s\", epoch %s",
                          pstrdup(to_text(given.layout).text),
                          pstrdup(epoch_to_text(given.layout.epoch_us).text)),
                   errdetail("It replaces the one that CREATE EXTENSION had just recorded.")));
  simple_heap_delete(relation, &place);
  CommandCounterIncrement();
  values[kKind - 1] = CharGetDatum(kKindRestored);
  PG_RETURN_POINTER(heap_form_tuple(columns, values, nulls));
}
