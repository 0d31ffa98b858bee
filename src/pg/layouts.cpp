#include "pg/layouts.h"

#include "pg/errors.h"
#include "pg/internal_table.h"
#include "pg/issue.h"
#include "pg/settings.h"
#include "pg/shmem.h"

IDGEN_SQL_FUNCTION(idgen_layout_guard);
IDGEN_SQL_FUNCTION(idgen_configured_layout);

namespace idgen::pg {

bool own_layout_is_issued = false;  // dropped with the cache

namespace {

constexpr char kLayoutTable[] = "layout";
constexpr char kLayoutIndex[] = "layout_pkey";

// A row of idgen_internal.layout, read or written column by column: the table may have
// columns that this library doesn't know.
class LayoutRow {
 public:
  LayoutRow(Relation table, HeapTuple row) : table_(table), row_(row) {}

  const char *name() const {
    bool is_null = false;
    const Datum value = column("name", is_null);
    return is_null ? nullptr : NameStr(*DatumGetName(value));
  }
  const char *definition() const { return text_of("definition"); }
  const char *epoch() const { return text_of("epoch"); }
  // '\0' if it is left out.
  char kind() const {
    bool is_null = false;
    const Datum value = column("kind", is_null);
    return is_null ? '\0' : DatumGetChar(value);
  }
  HeapTuple with_kind(char kind) const {
    int number = column_named(table_, "kind");
    Datum value = CharGetDatum(kind);
    bool is_null = false;
    return heap_modify_tuple_by_cols(row_, RelationGetDescr(table_), 1, &number, &value, &is_null);
  }

 private:
  Datum column(const char *name, bool &is_null) const {
    return heap_getattr(row_, column_named(table_, name), RelationGetDescr(table_), &is_null);
  }
  const char *text_of(const char *name) const {
    bool is_null = false;
    const Datum value = column(name, is_null);
    return is_null ? nullptr : TextDatumGetCString(value);
  }

  Relation table_;
  HeapTuple row_;
};

// Kinds of rows.
constexpr char kKindFresh = 'f';     // the database's own, as CREATE EXTENSION made it
constexpr char kKindRestored = 'r';  // the database's own, restored from a dump
constexpr char kKindPreset = 'p';    // shipped with the extension
constexpr char kKindAdded = 'u';     // added by a user

// The cache: the own layout in the first place, others as they are asked for.
// Few are used by one backend, so that a short array searched from the front
// will do.
constexpr int kCacheSize = 32;
struct CachedLayout {
  NamedLayout named;
  std::size_t name_length;
};
CachedLayout cache[kCacheSize];
int cached = 0;
Oid layout_relid = InvalidOid;  // of the table, for the callback

void forget_layouts(Datum, Oid relid) {
  if (relid != InvalidOid && relid != layout_relid) return;
  cached = 0;
  layout_relid = InvalidOid;
  own_layout_is_issued = false;
}

// In all sessions: bounds and times that were computed by the layout of before, in
// plans (of tables, and of none), in domains' checks, and with relations.
void forget_what_was_computed() {
  CacheInvalidateRelcacheAll();
  CacheInvalidateCatalog(NamespaceRelationId);   // to plancache.c: all plans
  CacheInvalidateCatalog(ConstraintRelationId);  // to typcache.c: all domains
}

Relation open_layout_table() {
  Relation relation = open_internal_table(kLayoutTable);
  if (relation == nullptr) {
    ereport(ERROR,
            (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("this database has no table of layouts"),
             errhint("Run CREATE EXTENSION idgen in this database.")));
  }
  return relation;
}

// Parses a row; reports an error if it isn't a layout.
NamedLayout layout_of_row(const char *name, const char *definition, const char *epoch) {
  const EpochParse parsed_epoch = parse_epoch(epoch);
  const LayoutParse parsed = parse_layout(definition, parsed_epoch.unix_us);
  if (!parsed_epoch.ok || !parsed.ok()) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("invalid definition of layout \"%s\": \"%s\", epoch \"%s\"", name,
                           definition, epoch),
                    errdetail("%s", parsed_epoch.ok
                                        ? describe(parsed.fault)
                                        : "The epoch is a time of UTC, or milliseconds of Unix "
                                          "time (0, or at least 12 digits); from 1970 to 9999."),
                    errhint("Write them as in \"%s\" and \"%s\".", kDefaultLayout.data(),
                            kDefaultEpoch.data())));
  }
  NamedLayout found;
  found.layout = parsed.layout;
  namestrcpy(&found.name, name);
  return found;
}

// A row of the table.
struct StoredLayout {
  NamedLayout named;
  char kind = '\0';
  ItemPointerData place = {};
};

// Reads the row `name` with a fresh snapshot: what is committed, and this
// transaction's own changes, count.
bool read_layout(const char *name, StoredLayout &found) {
  NameData key_name;
  namestrcpy(&key_name, name);
  Relation relation = open_layout_table();
  ScanKeyData key;
  ScanKeyInit(&key, column_named(relation, "name"), BTEqualStrategyNumber, F_NAMEEQ,
              NameGetDatum(&key_name));
  SysScanDesc scan = scan_internal_table(relation, kLayoutIndex, key);
  HeapTuple row = systable_getnext(scan);
  const bool exists = HeapTupleIsValid(row);
  if (exists) {
    const LayoutRow stored(relation, row);
    const char *definition = stored.definition();
    const char *epoch = stored.epoch();
    found.named =
        layout_of_row(name, definition != nullptr ? definition : "", epoch != nullptr ? epoch : "");
    found.kind = stored.kind();
    found.place = row->t_self;
  }
  systable_endscan(scan);
  layout_relid = RelationGetRelid(relation);
  table_close(relation, AccessShareLock);
  return exists;
}

const NamedLayout *find_layout(std::string_view name) {
  for (int i = 0; i < cached; ++i) {
    const CachedLayout &known = cache[i];
    if (name == std::string_view(NameStr(known.named.name), known.name_length)) {
      return &known.named;
    }
  }
  if (name.size() >= NAMEDATALEN) return nullptr;
  NameData wanted = {};
  memcpy(wanted.data, name.data(), name.size());
  // The scan may process an invalidation and empty the cache: read first.
  StoredLayout found;
  if (!read_layout(NameStr(wanted), found)) return nullptr;
  const int place = cached < kCacheSize ? cached++ : kCacheSize - 1;
  cache[place] = {found.named, name.size()};
  return &cache[place].named;
}

}  // namespace

const NamedLayout *own_layout() {
  if (cached > 0 && cache[0].name_length == kOwnLayoutName.size() &&
      memcmp(NameStr(cache[0].named.name), kOwnLayoutName.data(), kOwnLayoutName.size()) == 0) {
    return &cache[0].named;
  }
  const NamedLayout *own = find_layout(kOwnLayoutName);
  if (own == nullptr) {
    ereport(ERROR,
            (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("this database has no layout of its own"),
             errdetail("The row \"%s\" of %s.%s is missing.", kOwnLayoutName.data(),
                       kInternalSchema, kLayoutTable)));
  }
  return own;
}

const NamedLayout *layout_named(std::string_view name) {
  const NamedLayout *layout = find_layout(name);
  if (layout == nullptr) {
    ereport(ERROR,
            (errcode(ERRCODE_UNDEFINED_OBJECT),
             errmsg("layout \"%.*s\" does not exist", static_cast<int>(name.size()), name.data()),
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

// Keeps idgen_internal.layout append-only, and decides what becomes of rows that
// are there already. The kind of a row is given by the extension's script, by a
// dump and by replication; users leave it out.
//
// - A user's row is added.
// - A dump's row is the truth about the data that come with it. It is passed
//   over if it says what is there already; it replaces the row that CREATE
//   EXTENSION has made of the settings, and a preset; it can't replace a row
//   that came with other data.
// - A replicated row never replaces anything: FOR ALL TABLES publishes this
//   table, too, and each database has its own layout.
Datum idgen_layout_guard(PG_FUNCTION_ARGS) {
  if (!CALLED_AS_TRIGGER(fcinfo)) elog(ERROR, "idgen_layout_guard was not called as a trigger");
  const auto *trigger = reinterpret_cast<TriggerData *>(fcinfo->context);
  Relation relation = trigger->tg_relation;
  if (RelationGetRelid(relation) != find_internal_table(kLayoutTable)) {
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

  HeapTuple row = trigger->tg_trigtuple;
  const LayoutRow inserted(relation, row);
  const char *name = inserted.name();
  const char *definition = inserted.definition();
  const char *epoch = inserted.epoch();
  if (name == nullptr || definition == nullptr || epoch == nullptr) {
    PG_RETURN_POINTER(row);  // the table's constraints refuse it
  }
  const NamedLayout given = layout_of_row(name, definition, epoch);
  const LayoutFault unissuable = is_issuable(given.layout);
  if (kOwnLayoutName == name && unissuable != LayoutFault::none) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("layout \"%s\" is not one that an instance issues IDs in", name),
                    errdetail("%s", describe(unissuable)),
                    errhint("Add a layout of others under another name.")));
  }
  CacheInvalidateRelcache(relation);
  const char given_kind = inserted.kind();
  if (creating_extension && given_kind != '\0') PG_RETURN_POINTER(row);

  if (given_kind == kKindPreset && !IsLogicalWorker()) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("kind \"%c\" is for layouts that idgen ships", kKindPreset),
                    errdetail("pg_dump leaves such layouts out."), errhint("Leave the kind out.")));
  }
  if (given_kind != '\0' && strchr("frpu", given_kind) == nullptr) PG_RETURN_POINTER(row);
  HeapTuple added = inserted.with_kind(kOwnLayoutName == name ? kKindRestored : kKindAdded);
  StoredLayout old;
  // A user's row that is there already is left to the primary key.
  if (given_kind == '\0' || !read_layout(name, old)) PG_RETURN_POINTER(added);

  if (old.named.layout == given.layout) PG_RETURN_POINTER(nullptr);
  const char *given_text = pstrdup(to_text(given.layout).text);
  const char *given_epoch = pstrdup(epoch_to_text(given.layout.epoch_us).text);
  const char *old_text = pstrdup(to_text(old.named.layout).text);
  const char *old_epoch = pstrdup(epoch_to_text(old.named.layout.epoch_us).text);
  if (IsLogicalWorker()) {
    ereport(LOG, (errmsg("idgen: the publisher's layout \"%s\" is another one than this database's",
                         name),
                  errdetail("The publisher's is \"%s\", epoch %s; this database keeps \"%s\", "
                            "epoch %s.",
                            given_text, given_epoch, old_text, old_epoch)));
    PG_RETURN_POINTER(nullptr);
  }
  if (old.kind != kKindFresh && old.kind != kKindPreset) {
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("layout \"%s\" is another one in this database", name),
             errdetail("Here it is \"%s\", epoch %s; the row to be inserted says \"%s\", epoch %s.",
                       old_text, old_epoch, given_text, given_epoch),
             errhint("Restore the dump into a database of its own.")));
  }
  ereport(WARNING,
          (errmsg("layout \"%s\" is now \"%s\", epoch %s", name, given_text, given_epoch),
           errdetail("It replaces \"%s\", epoch %s, by which rows that were restored before this "
                     "one have been checked, partitioned, indexed and computed.",
                     old_text, old_epoch),
           old.kind == kKindFresh
               ? errhint("Restore again where idgen.layout and idgen.epoch say the same as the "
                         "dump, unless no such table uses idgen's functions.")
               : 0));
  simple_heap_delete(relation, &old.place);
  forget_what_was_computed();
  CommandCounterIncrement();
  PG_RETURN_POINTER(added);
}
