// Comparisons of an ID with a time: id < ts, and so on, on either side.
//
// The operators mean what a comparison of snowflake_timestamp(id) with the time
// means, for every int64 and every timestamptz; include/idgen/layout.h says what
// holds of IDs that are none of the layout's. An index knows nothing of times.
// So the planner is given, in their place, a comparison of numbers:
//
//   id >= ts   becomes   id::bigint >= bound_not_before(ts)     (and < likewise)
//   id >  ts   becomes   id::bigint >= bound_after(ts)          (and <= as <)
//
// Only < and >= come out, and bounds are the first IDs of a tick: what ends where
// a partition begins excludes that partition. Where the ID is a bigint that was
// cast, the comparison is pg_catalog's; also if that shows later only, as a view's
// column is put in.

#include "pg/layouts.h"
#include "pg/prelude.h"
#include "pg/timestamps.h"

IDGEN_SQL_FUNCTION(idgen_bound_not_before);
IDGEN_SQL_FUNCTION(idgen_bound_after);
IDGEN_SQL_FUNCTION(idgen_id_lt_time);
IDGEN_SQL_FUNCTION(idgen_id_le_time);
IDGEN_SQL_FUNCTION(idgen_id_ge_time);
IDGEN_SQL_FUNCTION(idgen_id_gt_time);
IDGEN_SQL_FUNCTION(idgen_time_lt_id);
IDGEN_SQL_FUNCTION(idgen_time_le_id);
IDGEN_SQL_FUNCTION(idgen_time_ge_id);
IDGEN_SQL_FUNCTION(idgen_time_gt_id);
IDGEN_SQL_FUNCTION(idgen_lt_support);
IDGEN_SQL_FUNCTION(idgen_le_support);
IDGEN_SQL_FUNCTION(idgen_ge_support);
IDGEN_SQL_FUNCTION(idgen_gt_support);
IDGEN_SQL_FUNCTION(idgen_number_support);

namespace idgen::pg {
namespace {

using Bound = std::int64_t (*)(const Layout &, std::int64_t) noexcept;

// A bound in the database's own layout, of infinity and the ends of the calendar
// too.
std::int64_t bound_of(Bound bound, TimestampTz ts) {
  const Layout &layout = own_layout()->layout;
  if (TIMESTAMP_IS_NOBEGIN(ts)) return PG_INT64_MIN;
  std::int64_t unix_us = 0;
  if (TIMESTAMP_IS_NOEND(ts)) return PG_INT64_MAX;
  // The last thirty years of PostgreSQL's calendar lie behind Unix time in int64.
  if (__builtin_add_overflow(ts, kUnixToPostgresUs, &unix_us)) return PG_INT64_MAX;
  return bound(layout, unix_us);
}

// Is the ID at or above the bound? Which of the arguments is which, the caller
// knows.
template <int kIdArgument>
bool reaches(FunctionCallInfo fcinfo, Bound bound) {
  return PG_GETARG_INT64(kIdArgument) >= bound_of(bound, PG_GETARG_TIMESTAMPTZ(1 - kIdArgument));
}

// A function of idgen_internal's, found where the function lies that is to be
// rewritten: no search path has a say.
Oid bound_function(const char *name, Oid beside) {
  Oid types[] = {TIMESTAMPTZOID};
  const Oid found = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(name),
                                    PointerGetDatum(buildoidvector(types, 1)),
                                    ObjectIdGetDatum(get_func_namespace(beside)));
  if (!OidIsValid(found)) elog(ERROR, "function %s(timestamptz) is missing", name);
  return found;
}

// Explicitly cast: postgres_fdw writes no implicit one, and to another server sends
// what stands there.
Node *as_bigint(Node *node) {
  return applyRelabelType(node, INT8OID, -1, InvalidOid, COERCE_EXPLICIT_CAST, -1, false);
}

// The ID as a bigint, with the family of operators that its index knows: of a
// bigint that was cast to snowflakeid, PostgreSQL's own; else ours.
struct Number {
  Node *node;
  Oid family;
};

Number number_of(Node *id) {
  if (IsA(id, RelabelType)) {
    auto *inner = reinterpret_cast<Node *>(reinterpret_cast<RelabelType *>(id)->arg);
    const Oid type = exprType(inner);
    if (type == INT8OID) return {inner, INTEGER_BTREE_FAM_OID};
    if (getBaseType(type) == INT8OID) return {as_bigint(inner), INTEGER_BTREE_FAM_OID};
  }
  const Oid operator_class = GetDefaultOpClass(exprType(id), BTREE_AM_OID);
  if (!OidIsValid(operator_class)) elog(ERROR, "type %u has no btree class", exprType(id));
  return {as_bigint(id), get_opclass_family(operator_class)};
}

// left op right, of two bigints, by the family's operator.
Node *comparison(Oid family, StrategyNumber strategy, Node *left, Node *right) {
  const Oid found = get_opfamily_member(family, INT8OID, INT8OID, static_cast<int16>(strategy));
  if (!OidIsValid(found)) elog(ERROR, "comparison of bigint is missing");
  auto *clause = reinterpret_cast<OpExpr *>(
      make_opclause(found, BOOLOID, false, reinterpret_cast<Expr *>(left),
                    reinterpret_cast<Expr *>(right), InvalidOid, InvalidOid));
  set_opfuncid(clause);
  return reinterpret_cast<Node *>(clause);
}

// Rewrites a comparison, with the time on either side. `strategy`: what of the
// ID's number and the bound, less than or greater than or equal.
Datum rewrite(FunctionCallInfo fcinfo, StrategyNumber strategy, const char *bound) {
  auto *request = reinterpret_cast<Node *>(PG_GETARG_POINTER(0));
  if (!IsA(request, SupportRequestSimplify)) PG_RETURN_POINTER(nullptr);
  // pg_upgrade makes indexes and CHECKs before the table of layouts has its rows, so
  // that a bound could not be folded; and plans no query that would want one.
  if (IsBinaryUpgrade) PG_RETURN_POINTER(nullptr);
  const auto *simplify = reinterpret_cast<SupportRequestSimplify *>(request);
  const FuncExpr *call = simplify->fcall;
  auto *id = static_cast<Node *>(linitial(call->args));
  auto *ts = static_cast<Node *>(lsecond(call->args));
  if (exprType(id) == TIMESTAMPTZOID) std::swap(id, ts);

  const Number number = number_of(id);
  FuncExpr *limit = makeFuncExpr(bound_function(bound, call->funcid), INT8OID, lappend(NIL, ts),
                                 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
  // The planner doesn't simplify again what it gets from here: a bound that is
  // constant becomes a constant now, or it serves neither pruning nor estimates.
  PG_RETURN_POINTER(eval_const_expressions(
      simplify->root,
      comparison(number.family, strategy, number.node, reinterpret_cast<Node *>(limit))));
}

// Is it a bigint only by a cast from another type?
bool was_cast(Node *number) {
  if (!IsA(number, RelabelType)) return false;
  return getBaseType(exprType(
             reinterpret_cast<Node *>(reinterpret_cast<RelabelType *>(number)->arg))) != INT8OID;
}

// Of the install script's function of an operator, by its name.
StrategyNumber strategy_of(Oid function) {
  constexpr struct {
    const char *name;
    StrategyNumber strategy;
  } kFunctions[] = {{"lt", BTLessStrategyNumber},
                    {"le", BTLessEqualStrategyNumber},
                    {"ge", BTGreaterEqualStrategyNumber},
                    {"gt", BTGreaterStrategyNumber}};
  const char *name = get_func_name(function);
  for (const auto &known : kFunctions) {
    if (name != nullptr && strcmp(name, known.name) == 0) return known.strategy;
  }
  return InvalidStrategy;
}

}  // namespace
}  // namespace idgen::pg

using namespace idgen;
using namespace idgen::pg;

Datum idgen_bound_not_before(PG_FUNCTION_ARGS) {
  PG_RETURN_INT64(bound_of(bound_not_before, PG_GETARG_TIMESTAMPTZ(0)));
}
Datum idgen_bound_after(PG_FUNCTION_ARGS) {
  PG_RETURN_INT64(bound_of(bound_after, PG_GETARG_TIMESTAMPTZ(0)));
}

Datum idgen_id_lt_time(PG_FUNCTION_ARGS) {
  PG_RETURN_BOOL(!reaches<0>(fcinfo, bound_not_before));
}
Datum idgen_id_le_time(PG_FUNCTION_ARGS) {
  PG_RETURN_BOOL(!reaches<0>(fcinfo, bound_after));
}
Datum idgen_id_ge_time(PG_FUNCTION_ARGS) {
  PG_RETURN_BOOL(reaches<0>(fcinfo, bound_not_before));
}
Datum idgen_id_gt_time(PG_FUNCTION_ARGS) {
  PG_RETURN_BOOL(reaches<0>(fcinfo, bound_after));
}

Datum idgen_time_lt_id(PG_FUNCTION_ARGS) {
  PG_RETURN_BOOL(reaches<1>(fcinfo, bound_after));
}
Datum idgen_time_le_id(PG_FUNCTION_ARGS) {
  PG_RETURN_BOOL(reaches<1>(fcinfo, bound_not_before));
}
Datum idgen_time_ge_id(PG_FUNCTION_ARGS) {
  PG_RETURN_BOOL(!reaches<1>(fcinfo, bound_after));
}
Datum idgen_time_gt_id(PG_FUNCTION_ARGS) {
  PG_RETURN_BOOL(!reaches<1>(fcinfo, bound_not_before));
}

// Of our own comparisons of bigint with bigint. They are there for the indexes of
// snowflakeid; where none of that type is left, they are pg_catalog's.
Datum idgen_number_support(PG_FUNCTION_ARGS) {
  auto *request = reinterpret_cast<Node *>(PG_GETARG_POINTER(0));
  if (!IsA(request, SupportRequestSimplify)) PG_RETURN_POINTER(nullptr);
  const FuncExpr *call = reinterpret_cast<SupportRequestSimplify *>(request)->fcall;
  auto *left = static_cast<Node *>(linitial(call->args));
  auto *right = static_cast<Node *>(lsecond(call->args));
  if (was_cast(left) || was_cast(right)) PG_RETURN_POINTER(nullptr);
  const StrategyNumber strategy = strategy_of(call->funcid);
  if (strategy == InvalidStrategy) PG_RETURN_POINTER(nullptr);
  PG_RETURN_POINTER(comparison(INTEGER_BTREE_FAM_OID, strategy, left, right));
}

// Of id < ts and ts > id; and so on.
Datum idgen_lt_support(PG_FUNCTION_ARGS) {
  return rewrite(fcinfo, BTLessStrategyNumber, "bound_not_before");
}
Datum idgen_le_support(PG_FUNCTION_ARGS) {
  return rewrite(fcinfo, BTLessStrategyNumber, "bound_after");
}
Datum idgen_ge_support(PG_FUNCTION_ARGS) {
  return rewrite(fcinfo, BTGreaterEqualStrategyNumber, "bound_not_before");
}
Datum idgen_gt_support(PG_FUNCTION_ARGS) {
  return rewrite(fcinfo, BTGreaterEqualStrategyNumber, "bound_after");
}
