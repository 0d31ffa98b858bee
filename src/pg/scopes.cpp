#include "pg/scopes.h"

#include "pg/errors.h"
#include "pg/internal_table.h"
#include "pg/statistics.h"

IDGEN_SQL_FUNCTION(idgen_scope_guard);

namespace idgen::pg {

struct KnownScope {
  NameData name;
  std::size_t length;  // of the name
  // What the table of scopes had changed to when the scope's row was last seen.
  std::uint64_t seen;
  Stream stream;  // place null: not known
};

namespace {

constexpr char kScopeTable[] = "scope";
constexpr char kScopeIndex[] = "scope_pkey";
constexpr char kNameColumn[] = "name";

KnownScope default_scope;  // of which the name alone is used

// The scopes that this process has used, which have all existed, by name. The one that
// was remembered first makes room when there are too many: looking at the catalogue
// again is cheap.
constexpr int kMostKnown = 256;
struct KnownName {
  NameData name;  // the key
  KnownScope *scope;
};
HTAB *known_names = nullptr;
MemoryContext known_memory = nullptr;
KnownScope *known_scopes[kMostKnown];
int known_count = 0;
int next_to_forget = 0;

Oid scope_relid = InvalidOid;  // of the table, for the callback
std::uint64_t table_changes = 1;

void note_table_change(Datum, Oid relid) {
  if (relid == InvalidOid || relid == scope_relid || scope_relid == InvalidOid) ++table_changes;
}

// ---------------------------------------------------------------------------
// The table

// Is there such a row? What is committed, and this transaction's own changes, count.
bool row_exists(const char *name) {
  Relation relation = open_internal_table(kScopeTable);
  if (relation == nullptr) return false;
  NameData key_name;
  namestrcpy(&key_name, name);
  ScanKeyData key;
  ScanKeyInit(&key, column_named(relation, kNameColumn), BTEqualStrategyNumber, F_NAMEEQ,
              NameGetDatum(&key_name));
  SysScanDesc scan = scan_internal_table(relation, kScopeIndex, key);
  const bool exists = HeapTupleIsValid(systable_getnext(scan));
  systable_endscan(scan);
  scope_relid = RelationGetRelid(relation);
  table_close(relation, AccessShareLock);
  return exists;
}

[[noreturn]] void report_unknown(std::string_view name) {
  const int shown = pg_mbcliplen(name.data(), static_cast<int>(name.size()), 2 * NAMEDATALEN);
  const char *text = pnstrdup(name.data(), static_cast<Size>(shown));
  ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("scope \"%s\" does not exist", text),
                  errhint("snowflake_create_scope() makes a scope of this database, the view "
                          "snowflake_scopes lists them.")));
  pg_unreachable();
}

// ---------------------------------------------------------------------------
// Places, under scopes_lock

bool is_free(const ScopePlace &place) {
  return place.word.owner.load(std::memory_order_relaxed) == 0;
}

ScopePlace *find_place(const NameData &name) {
  ScopePlace *places = shared->scope_places();
  const int used = shared->places_used.load(std::memory_order_relaxed);
  for (int i = 0; i < used; ++i) {
    if (!is_free(places[i]) && places[i].database == MyDatabaseId &&
        strcmp(NameStr(places[i].name), NameStr(name)) == 0) {
      return &places[i];
    }
  }
  return nullptr;
}

int column_of(const ScopePlace &place) {
  return 1 + static_cast<int>(&place - shared->scope_places());
}

Stream stream_at(ScopePlace &place) {
  return {&place.word.last, &place.word, place.word.owner.load(std::memory_order_relaxed),
          column_of(place)};
}

void end_place(ScopePlace &place) {
  end_scope_word(place.word, shared->high_water);
  place.database = InvalidOid;
}

// ---------------------------------------------------------------------------
// Making a place

class PlaceForScope final : public ScopeStart {
 public:
  explicit PlaceForScope(KnownScope &scope) : scope_(scope) {}

  ScopePlace *free_place() override {
    full_ = false;
    if (ScopePlace *place = find_place(scope_.name)) {  // another session was faster
      scope_.stream = stream_at(*place);
      return nullptr;
    }
    ScopePlace *places = shared->scope_places();
    ScopePlace *found = nullptr;
    ScopePlace *idle = nullptr;
    for (int i = 0; i < shared->places && found == nullptr; ++i) {
      if (is_free(places[i])) {
        found = &places[i];
      } else if (idle == nullptr || places[i].used_ns < idle->used_ns) {
        idle = &places[i];
      }
    }
    if (found == nullptr && idle != nullptr && monotonic_ns() - idle->used_ns > kIdlePlace) {
      end_place(*idle);
      found = idle;
    }
    full_ = found == nullptr;
    // Above all scopes there are: one may be this scope in the database that this is
    // a copy of.
    const int used = shared->places_used.load(std::memory_order_relaxed);
    for (int i = 0; i < used && !full_; ++i) {
      if (is_free(places[i])) continue;
      raise_word(shared->high_water, places[i].word.last.load(std::memory_order_acquire));
    }
    return found;
  }
  void started(ScopePlace &place) override {
    place.database = MyDatabaseId;
    place.name = scope_.name;
    place.used_ns = monotonic_ns();
    const int column = column_of(place);
    if (shared->places_used < column) shared->places_used = column;
    begin_counting(column);
    scope_.stream = stream_at(place);
  }
  bool full() const { return full_; }

 private:
  KnownScope &scope_;
  bool full_ = false;
};

// Lets go of places whose scope or database is gone: of other databases' scopes it
// can't be told whether they are.
void sweep_places() {
  const int count = shared->places_used.load(std::memory_order_relaxed);
  const auto size = static_cast<Size>(Max(count, 1));
  auto *owners = static_cast<std::uint64_t *>(palloc0(size * sizeof(std::uint64_t)));
  auto *databases = static_cast<Oid *>(palloc0(size * sizeof(Oid)));
  auto *names = static_cast<NameData *>(palloc0(size * sizeof(NameData)));
  ScopePlace *places = shared->scope_places();
  LWLockAcquire(scopes_lock, LW_SHARED);
  for (int i = 0; i < count; ++i) {
    owners[i] = places[i].word.owner.load(std::memory_order_relaxed);
    databases[i] = places[i].database;
    names[i] = places[i].name;
  }
  LWLockRelease(scopes_lock);
  for (int i = 0; i < count; ++i) {
    if (owners[i] == 0) continue;
    const bool used = databases[i] == MyDatabaseId
                          ? row_exists(NameStr(names[i]))
                          : SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(databases[i]));
    if (used) continue;
    LWLockAcquire(scopes_lock, LW_EXCLUSIVE);
    if (places[i].word.owner.load(std::memory_order_relaxed) == owners[i]) end_place(places[i]);
    LWLockRelease(scopes_lock);
  }
  pfree(owners);
  pfree(databases);
  pfree(names);
}

void find_or_make_place(KnownScope &scope) {
  if (!IsUnderPostmaster) require_worker();
  LWLockAcquire(scopes_lock, LW_SHARED);
  ScopePlace *place = find_place(scope.name);
  if (place != nullptr) scope.stream = stream_at(*place);
  LWLockRelease(scopes_lock);
  if (place != nullptr) return;

  PlaceForScope start(scope);
  start_scope_slowly(start);
  if (start.full()) {
    sweep_places();
    start_scope_slowly(start);
  }
  if (start.full()) {
    ereport(
        ERROR,
        (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
         errmsg("too many scopes are in use, so that scope \"%s\" cannot be", NameStr(scope.name)),
         errdetail("On this server %d can be in use within a minute, in all databases together.",
                   shared->places),
         errhint("Set idgen.max_scopes higher and restart the server, or use fewer scopes.")));
  }
}

// The scope's row is there, and its place is known.
const Stream &current_stream(KnownScope &scope) {
  if (unlikely(scope.seen != table_changes)) {
    const std::uint64_t changes = table_changes;
    if (!row_exists(NameStr(scope.name))) report_unknown(name_of(scope));
    scope.seen = changes;
  }
  if (unlikely(scope.stream.place == nullptr)) find_or_make_place(scope);
  return scope.stream;
}

// ---------------------------------------------------------------------------
// When rows change

// Of scopes whose rows this transaction has changed; in its memory.
List *changed_scopes = NIL;
bool all_scopes_changed = false;

// When it ends, however: no place outlives its row for long, and a row that comes
// back, comes back to a new place.
void end_changed_places(XactEvent event, void *) {
  if (changed_scopes == NIL && !all_scopes_changed) return;
  if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE) {
    return;
  }
  if (shared != nullptr && IsUnderPostmaster) {
    ScopePlace *places = shared->scope_places();
    LWLockAcquire(scopes_lock, LW_EXCLUSIVE);
    const int used = shared->places_used.load(std::memory_order_relaxed);
    for (int i = 0; i < used; ++i) {
      if (is_free(places[i]) || places[i].database != MyDatabaseId) continue;
      bool changed = all_scopes_changed;
      ListCell *cell = nullptr;
      foreach (cell, changed_scopes) {
        changed = changed || strcmp(NameStr(places[i].name), strVal(lfirst(cell))) == 0;
      }
      if (changed) end_place(places[i]);
    }
    LWLockRelease(scopes_lock);
  }
  changed_scopes = NIL;  // freed with the transaction's memory
  all_scopes_changed = false;
}

void note_change(Relation relation, const char *name) {
  CacheInvalidateRelcache(relation);
  MemoryContext before = MemoryContextSwitchTo(TopTransactionContext);
  if (name != nullptr) {
    changed_scopes = lappend(changed_scopes, makeString(pstrdup(name)));
  } else {
    all_scopes_changed = true;
  }
  MemoryContextSwitchTo(before);
}

HTAB *names_of_known_scopes() {
  if (known_memory == nullptr) {
    known_memory =
        AllocSetContextCreate(TopMemoryContext, "idgen known scopes", ALLOCSET_SMALL_SIZES);
  }
  if (known_names == nullptr) {
    HASHCTL control = {};
    control.keysize = NAMEDATALEN;
    control.entrysize = sizeof(KnownName);
    control.hcxt = known_memory;
    known_names =
        hash_create("idgen scopes", 16, &control, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
  }
  return known_names;
}

// Room for one more scope: fresh memory, or that of the scope that is forgotten for it.
KnownScope &forget_one() {
  if (known_count < kMostKnown) {
    auto *fresh =
        static_cast<KnownScope *>(MemoryContextAllocZero(known_memory, sizeof(KnownScope)));
    known_scopes[known_count++] = fresh;
    return *fresh;
  }
  KnownScope &victim = *known_scopes[next_to_forget];
  next_to_forget = (next_to_forget + 1) % kMostKnown;
  // It has no name if remembering it failed for lack of memory.
  hash_search(known_names, NameStr(victim.name), HASH_REMOVE, nullptr);
  victim = KnownScope{};
  return victim;
}

}  // namespace

KnownScope &scope_named(std::string_view name) {
  if (shared == nullptr) report_not_preloaded();
  if (name == kDefaultScope) {
    namestrcpy(&default_scope.name, kDefaultScope.data());
    default_scope.length = kDefaultScope.size();
    return default_scope;
  }
  // A longer name is no scope's, and isn't cut.
  if (name.size() >= NAMEDATALEN) report_unknown(name);
  NameData key = {};
  memcpy(key.data, name.data(), name.size());
  HTAB *names = names_of_known_scopes();
  auto *known = static_cast<KnownName *>(hash_search(names, NameStr(key), HASH_FIND, nullptr));
  if (known != nullptr) return *known->scope;
  const std::uint64_t changes = table_changes;
  if (!row_exists(NameStr(key))) report_unknown(name);
  KnownScope &scope = forget_one();
  known = static_cast<KnownName *>(hash_search(names, NameStr(key), HASH_ENTER, nullptr));
  known->scope = &scope;
  scope.name = key;
  scope.length = name.size();
  scope.seen = changes;
  scope.stream = Stream{};
  return scope;
}

std::string_view name_of(const KnownScope &scope) noexcept {
  return {NameStr(scope.name), scope.length};
}

Issued issue_in(KnownScope &scope, const Want &want, Counters *&counters) {
  if (&scope == &default_scope) return issue(default_stream(), want, counters);
  for (;;) {
    const Issued issued = issue(current_stream(scope), want, counters);
    if (likely(issued.decision.verdict == Verdict::issued)) return issued;
    // The place was let go of: perhaps because the scope was dropped.
    scope.stream = Stream{};
    scope.seen = 0;
  }
}

void raise_words(std::uint64_t value) {
  raise_word(shared->last, value);
  ScopePlace *places = shared->scope_places();
  LWLockAcquire(scopes_lock, LW_EXCLUSIVE);
  raise_word(shared->high_water, value);
  const int used = shared->places_used.load(std::memory_order_relaxed);
  for (int i = 0; i < used; ++i) raise_word(places[i].word.last, value);
  LWLockRelease(scopes_lock);
}

void set_back_words(std::uint64_t value) {
  shared->last.store(value, std::memory_order_release);
  ScopePlace *places = shared->scope_places();
  LWLockAcquire(scopes_lock, LW_EXCLUSIVE);
  shared->high_water.store(value, std::memory_order_release);
  const int used = shared->places_used.load(std::memory_order_relaxed);
  for (int i = 0; i < used; ++i) {
    if (!is_free(places[i])) places[i].word.last.store(value, std::memory_order_release);
  }
  LWLockRelease(scopes_lock);
}

void watch_scopes() {
  CacheRegisterRelcacheCallback(note_table_change, 0);
  RegisterXactCallback(end_changed_places, nullptr);
}

}  // namespace idgen::pg

using namespace idgen;
using namespace idgen::pg;

// Keeps watch over idgen_internal.scope: what comes in are names of scopes; whoever
// uses one looks again after a change.
Datum idgen_scope_guard(PG_FUNCTION_ARGS) {
  if (!CALLED_AS_TRIGGER(fcinfo)) elog(ERROR, "idgen_scope_guard was not called as a trigger");
  const auto *trigger = reinterpret_cast<TriggerData *>(fcinfo->context);
  Relation relation = trigger->tg_relation;
  if (RelationGetRelid(relation) != find_internal_table(kScopeTable)) {
    ereport(ERROR,
            (errcode(ERRCODE_WRONG_OBJECT_TYPE),
             errmsg("idgen_scope_guard guards no table but %s.%s", kInternalSchema, kScopeTable)));
  }
  if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event)) {
    note_change(relation, nullptr);
    PG_RETURN_POINTER(nullptr);
  }
  if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event)) {
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("scopes are not renamed"),
             errdetail("Column defaults and programs name them."),
             errhint("Drop the scope and create another.")));
  }
  HeapTuple row = trigger->tg_trigtuple;
  bool is_null = false;
  const Datum value =
      heap_getattr(row, column_named(relation, kNameColumn), RelationGetDescr(relation), &is_null);
  if (is_null) PG_RETURN_POINTER(row);  // the table's constraints refuse it
  const char *name = NameStr(*DatumGetName(value));
  const bool inserts = TRIGGER_FIRED_BY_INSERT(trigger->tg_event);
  if (inserts && kDefaultScope == name) {
    ereport(ERROR, (errcode(ERRCODE_RESERVED_NAME), errmsg("scope name \"%s\" is reserved", name),
                    errdetail("It is the scope of snowflake_nextval() without an argument.")));
  }
  // That a dump or a publisher has it, too, is fine.
  if (inserts && row_exists(name)) PG_RETURN_POINTER(nullptr);
  note_change(relation, name);
  PG_RETURN_POINTER(row);
}
