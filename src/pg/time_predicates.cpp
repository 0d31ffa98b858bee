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
// cast, the comparison is pg_catalog's, of the bigint itself.
//
// Two kinds of comparisons stay as they are: those of a subquery's column, as
// what it is shows only where the planner takes the condition below; and those of
// a cast by which the query groups, as there is no bigint above the grouping. What
// stays is given to an index as its condition.

#include "pg/compat.h"
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
// rewritten: no search path has a say. Invalid if there is none.
Oid bound_function(const char *name, Oid beside) {
  Oid types[] = {TIMESTAMPTZOID};
  return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(name),
                         PointerGetDatum(buildoidvector(types, 1)),
                         ObjectIdGetDatum(get_func_namespace(beside)));
}

// Explicitly cast: postgres_fdw writes no implicit one, and to another server sends
// what stands there.
Node *as_bigint(Node *node) {
  return applyRelabelType(node, INT8OID, -1, InvalidOid, COERCE_EXPLICIT_CAST, -1, false);
}

// The ID as a bigint, with the family of operators that its index knows: of a
// bigint that was cast to snowflakeid, PostgreSQL's own; else ours. Invalid if the type
// has no class.
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
  if (!OidIsValid(operator_class)) return {as_bigint(id), InvalidOid};
  return {as_bigint(id), get_opclass_family(operator_class)};
}

// An operator of this file's, as the planner knows it.
struct Meaning {
  StrategyNumber strategy;  // of the ID's number and the bound: < or >=
  const char *bound;        // the bound's function
};

// The comparison of numbers; `function` is the operator's. Null if something it is made
// of is missing: then the comparison stays as it is, which is right, and slower.
OpExpr *of_numbers(PlannerInfo *root, Oid function, const Meaning &meaning, Node *id, Node *ts) {
  const Number number = number_of(id);
  if (!OidIsValid(number.family)) return nullptr;
  const Oid found =
      get_opfamily_member(number.family, INT8OID, INT8OID, static_cast<int16>(meaning.strategy));
  const Oid bound_of_ts = bound_function(meaning.bound, function);
  if (!OidIsValid(found) || !OidIsValid(bound_of_ts)) return nullptr;
  FuncExpr *bound = makeFuncExpr(bound_of_ts, INT8OID, lappend(NIL, ts), InvalidOid, InvalidOid,
                                 COERCE_EXPLICIT_CALL);
  // The planner doesn't simplify again what it gets from here: a bound that is
  // constant becomes a constant now, or it serves neither pruning nor estimates.
  Node *limit = eval_const_expressions(root, reinterpret_cast<Node *>(bound));
  auto *clause = reinterpret_cast<OpExpr *>(
      make_opclause(found, BOOLOID, false, reinterpret_cast<Expr *>(number.node),
                    reinterpret_cast<Expr *>(limit), InvalidOid, InvalidOid));
  set_opfuncid(clause);
  return clause;
}

// May this Var be read as a column of the query's own relations? Not if the planner has
// given nothing but a shell of a query, as PL/pgSQL's casts have it.
//
// Nor if it has laid out its relations already. By then the query's conditions have been
// simplified, and it simplifies two kinds of expressions: conditions that it has handed
// down to a branch (a child in inheritance, partitions or UNION ALL), and the CHECKs of
// each table (get_relation_constraints() in plancat.c). A CHECK's columns have the
// number 1, whichever relation the query has at that number, which is never a branch.
bool is_column_of_query(const PlannerInfo *root, const Var *var) {
  if (var->varlevelsup != 0 || range_of(root, var) == nullptr) return false;
  if (root->simple_rel_array == nullptr) return true;
  return root->append_rel_array != nullptr && var->varno < root->simple_rel_array_size &&
         root->append_rel_array[var->varno] != nullptr;
}

// Is it the column of a subquery that makes it by an expression, or may do so? For
// all the planner knows by now: a UNION ALL it has taken apart. In doubt it is a plain
// column, which costs an index at worst.
bool is_made_below(const PlannerInfo *root, const Node *id) {
  if (id == nullptr || !IsA(id, Var)) return false;
  const auto *var = reinterpret_cast<const Var *>(id);
  if (!is_column_of_query(root, var)) return false;
  const RangeTblEntry *from = range_of(root, var);
  if (from->rtekind != RTE_SUBQUERY) return false;
  // Without its query it has been merged into this one, and no column is its.
  if (!from->inh) return from->subquery != nullptr;
  ListCell *cell = nullptr;
  foreach (cell, root->append_rel_list) {
    const auto *branch = static_cast<AppendRelInfo *>(lfirst(cell));
    if (branch->parent_relid != static_cast<Index>(var->varno)) continue;
    const auto *column = static_cast<Node *>(column_at(branch->translated_vars, var->varattno));
    if (column == nullptr || exprType(column) != var->vartype) continue;
    if (!IsA(column, Var) || is_made_below(root, column)) return true;
  }
  return false;
}

// What is cast, beneath all casts that leave the bytes alone.
Node *beneath_casts(Node *node) {
  for (;;) {
    if (IsA(node, RelabelType)) {
      node = reinterpret_cast<Node *>(reinterpret_cast<RelabelType *>(node)->arg);
    } else if (IsA(node, CoerceToDomain)) {
      node = reinterpret_cast<Node *>(reinterpret_cast<CoerceToDomain *>(node)->arg);
    } else {
      return node;
    }
  }
}

// Is it a column of a relation of this query, so that there is but one form of it?
bool is_plain_column(const PlannerInfo *root, const Node *node) {
  if (!IsA(node, Var) || reinterpret_cast<const Var *>(node)->varlevelsup != 0) return false;
  const RangeTblEntry *from = range_of(root, reinterpret_cast<const Var *>(node));
  return from != nullptr && from->rtekind != RTE_JOIN;
}

// Is it a cast by which the query groups? In doubt it is. Once the planner has laid out
// its relations, it simplifies nothing above the grouping.
bool is_grouped_by(const PlannerInfo *root, Node *id) {
  Node *cast = beneath_casts(id);
  if (root == nullptr || root->parse == nullptr || root->simple_rel_array != nullptr) return false;
  if (cast == id) return false;
  ListCell *cell = nullptr;
  foreach (cell, root->parse->groupClause) {
    Node *group =
        what_is_grouped(root, get_sortgroupclause_expr(static_cast<SortGroupClause *>(lfirst(cell)),
                                                       root->parse->targetList));
    Node *grouped = beneath_casts(group);
    if (grouped == group) continue;
    if (!is_plain_column(root, cast) || !is_plain_column(root, grouped)) return true;
    if (equal(cast, grouped)) return true;
  }
  return false;
}

// An ID and a time, as the operators take them.
struct Operands {
  Node *id = nullptr;
  Node *ts = nullptr;
};

// Those of a call or an operator; nothing if they are others.
Operands operands_of(const List *args) {
  if (list_length(args) != 2) return {};
  auto *id = static_cast<Node *>(linitial(args));
  auto *ts = static_cast<Node *>(lsecond(args));
  if (exprType(id) == TIMESTAMPTZOID) std::swap(id, ts);
  if (exprType(id) == TIMESTAMPTZOID || exprType(ts) != TIMESTAMPTZOID) return {};
  return {id, ts};
}

// Puts the comparison of numbers in the place of a call.
Node *simplified(const SupportRequestSimplify *request, const Meaning &meaning) {
  // pg_upgrade makes indexes and CHECKs before the table of layouts has its rows, so
  // that a bound could not be folded; and plans no query that would want one.
  if (IsBinaryUpgrade) return nullptr;
  const FuncExpr *call = request->fcall;
  const auto [id, ts] = operands_of(call->args);
  if (id == nullptr) return nullptr;
  Node *made = what_is_grouped(request->root, id);
  if (is_made_below(request->root, made) || is_grouped_by(request->root, made)) return nullptr;
  return reinterpret_cast<Node *>(of_numbers(request->root, call->funcid, meaning, id, ts));
}

// The condition for an index of what has stayed as it was, if the index has the
// operator.
List *index_condition(SupportRequestIndexCondition *request, const Meaning &meaning) {
  if (!is_opclause(request->node)) return NIL;
  const List *args = reinterpret_cast<OpExpr *>(request->node)->args;
  const auto [id, ts] = operands_of(args);
  // The index has to be the ID's.
  if (id == nullptr || list_nth(args, request->indexarg) != id) return NIL;
  if (!is_pseudo_constant_for_index(request->root, ts, request->index)) return NIL;
  OpExpr *clause = of_numbers(request->root, request->funcid, meaning, id, ts);
  if (clause == nullptr || !op_in_opfamily(clause->opno, request->opfamily)) return NIL;
  request->lossy = false;
  return lappend(NIL, clause);
}

Datum support(FunctionCallInfo fcinfo, const Meaning &meaning) {
  auto *request = reinterpret_cast<Node *>(PG_GETARG_POINTER(0));
  if (IsA(request, SupportRequestSimplify)) {
    PG_RETURN_POINTER(simplified(reinterpret_cast<SupportRequestSimplify *>(request), meaning));
  }
  if (IsA(request, SupportRequestIndexCondition)) {
    PG_RETURN_POINTER(
        index_condition(reinterpret_cast<SupportRequestIndexCondition *>(request), meaning));
  }
  PG_RETURN_POINTER(nullptr);
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

// Of id < ts and ts > id; and so on.
Datum idgen_lt_support(PG_FUNCTION_ARGS) {
  return support(fcinfo, {BTLessStrategyNumber, "bound_not_before"});
}
Datum idgen_le_support(PG_FUNCTION_ARGS) {
  return support(fcinfo, {BTLessStrategyNumber, "bound_after"});
}
Datum idgen_ge_support(PG_FUNCTION_ARGS) {
  return support(fcinfo, {BTGreaterEqualStrategyNumber, "bound_not_before"});
}
Datum idgen_gt_support(PG_FUNCTION_ARGS) {
  return support(fcinfo, {BTGreaterEqualStrategyNumber, "bound_after"});
}
