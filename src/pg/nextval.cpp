// snowflake_nextval(), _batch(), _reserve() and _reserve_run(): fmgr -> the core's
// generator on the words in shared memory -> Datum. No lock, system call,
// allocation, WAL or catalogue access unless a caller has to wait, or meets a
// scope for the first time.

#include <algorithm>

#include "pg/issue.h"
#include "pg/scopes.h"

IDGEN_SQL_FUNCTION(idgen_nextval);
IDGEN_SQL_FUNCTION(idgen_nextval_in);
IDGEN_SQL_FUNCTION(idgen_batch);
IDGEN_SQL_FUNCTION(idgen_batch_bigint);
IDGEN_SQL_FUNCTION(idgen_reserve);
IDGEN_SQL_FUNCTION(idgen_reserve_run);
IDGEN_SQL_FUNCTION(idgen_reserve_run_bigint);
IDGEN_SQL_FUNCTION(idgen_batch_support);

namespace idgen::pg {
namespace {

std::string_view text_argument(FunctionCallInfo fcinfo, int n) {
  const text *value = PG_GETARG_TEXT_PP(n);
  return {VARDATA_ANY(value), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(value))};
}

// The scope that an argument names; `default` where there is no such argument.
KnownScope &scope_argument(FunctionCallInfo fcinfo, int n) {
  return scope_named(PG_NARGS() > n ? text_argument(fcinfo, n) : kDefaultScope);
}

std::uint64_t count_argument(std::int64_t n) {
  if (n < 1 || n > max_batch) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("invalid number of IDs: %lld", static_cast<long long>(n)),
                    errdetail("One call can ask for 1 to %d IDs.", max_batch),
                    errhint("idgen.max_batch sets the limit.")));
  }
  return static_cast<std::uint64_t>(n);
}

// What a call that asked for several IDs has still to return.
struct Request {
  KnownScope *scope;  // may have become another one's between two rows
  NameData scope_name;
  Block block;
  std::uint64_t next_index;  // of the run that was issued
  std::uint64_t run_left;
  std::uint64_t to_issue;  // beyond it
};

FuncCallContext *begin_request(FunctionCallInfo fcinfo, std::uint64_t n, KnownScope &scope) {
  FuncCallContext *context = SRF_FIRSTCALL_INIT();
  auto *request = static_cast<Request *>(
      MemoryContextAllocZero(context->multi_call_memory_ctx, sizeof(Request)));
  request->scope = &scope;
  const std::string_view name = name_of(scope);
  memcpy(request->scope_name.data, name.data(), name.size());
  request->to_issue = n;
  context->user_fctx = request;
  return context;
}

// Sees that there is something to return; false when all has been returned. Long
// requests are served in steps, as the clock allows; they can be cancelled while they
// wait, and by the executor between rows.
bool has_more(Request &request) {
  if (request.run_left != 0) return true;
  if (request.to_issue == 0) return false;
  const std::string_view name = NameStr(request.scope_name);
  if (unlikely(name_of(*request.scope) != name)) request.scope = &scope_named(name);
  Counters *counters = nullptr;
  const Issued issued = issue_in(*request.scope, {.n = request.to_issue}, counters);
  const std::uint64_t count = issued.decision.count;
  if (request.next_index == 0) add(counters->batches, 1);
  add(counters->batch_ids, count);
  request.block = issued.block;
  request.next_index = issued.decision.first_index;
  request.run_left = count;
  request.to_issue -= count;
  return true;
}

// The next ID of a batch of n.
Datum next_of_batch(FunctionCallInfo fcinfo, std::int64_t n) {
  if (SRF_IS_FIRSTCALL()) {
    KnownScope &scope = scope_argument(fcinfo, 1);
    begin_request(fcinfo, count_argument(n), scope);
  }
  FuncCallContext *context = SRF_PERCALL_SETUP();
  auto *request = static_cast<Request *>(context->user_fctx);
  if (!has_more(*request)) SRF_RETURN_DONE(context);
  --request->run_left;
  SRF_RETURN_NEXT(context,
                  Int64GetDatum(static_cast<int64>(request->block.id_at(request->next_index++))));
}

// The first of n consecutive integers, which are all the caller's.
Datum reserved_run(FunctionCallInfo fcinfo, std::int64_t wanted) {
  KnownScope &scope = scope_argument(fcinfo, 1);
  const std::uint64_t n = count_argument(wanted);
  const std::uint64_t capacity =
      (instance_layout.sequence.max() + 1) * static_cast<std::uint64_t>(lanes);
  if (n > capacity) {
    ereport(
        ERROR,
        (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
         errmsg("no run of consecutive IDs is that long: %llu", static_cast<unsigned long long>(n)),
         errdetail("The IDs of one tick are consecutive; there are %llu of them.",
                   static_cast<unsigned long long>(capacity)),
         errhint("snowflake_reserve() gives several runs; idgen.lanes makes them longer.")));
  }
  Counters *counters = nullptr;
  const Issued issued = issue_in(scope, {.n = n, .whole = true}, counters);
  if (issued.decision.count != n) elog(ERROR, "a run was cut short");
  add(counters->batches, 1);
  add(counters->batch_ids, n);
  PG_RETURN_INT64(static_cast<int64>(issued.decision.first));
}

}  // namespace
}  // namespace idgen::pg

using namespace idgen;
using namespace idgen::pg;

Datum idgen_nextval(PG_FUNCTION_ARGS) {
  (void)fcinfo;
  if (unlikely(shared == nullptr)) report_not_preloaded();
  Counters *counters = nullptr;
  Issued issued = issue(default_stream(), {}, counters);
  add(counters->calls, 1);
  PG_RETURN_INT64(static_cast<int64>(issued.decision.first));
}

// The scope is looked up once a call site, which remembers it.
Datum idgen_nextval_in(PG_FUNCTION_ARGS) {
  const std::string_view name = text_argument(fcinfo, 0);
  auto *scope = static_cast<KnownScope *>(fcinfo->flinfo->fn_extra);
  if (unlikely(scope == nullptr || name_of(*scope) != name)) {
    scope = &scope_named(name);
    fcinfo->flinfo->fn_extra = scope;
  }
  Counters *counters = nullptr;
  const Issued issued = issue_in(*scope, {}, counters);
  add(counters->calls, 1);
  PG_RETURN_INT64(static_cast<int64>(issued.decision.first));
}

// Version 0.1.0 of the extension declares integer, later ones bigint.
Datum idgen_batch(PG_FUNCTION_ARGS) {
  return next_of_batch(fcinfo, PG_GETARG_INT32(0));
}
Datum idgen_batch_bigint(PG_FUNCTION_ARGS) {
  return next_of_batch(fcinfo, PG_GETARG_INT64(0));
}

// Rows (first, last, count) of consecutive integers.
Datum idgen_reserve(PG_FUNCTION_ARGS) {
  if (SRF_IS_FIRSTCALL()) {
    KnownScope &scope = scope_argument(fcinfo, 1);
    FuncCallContext *context = begin_request(fcinfo, count_argument(PG_GETARG_INT64(0)), scope);
    MemoryContext before = MemoryContextSwitchTo(context->multi_call_memory_ctx);
    TupleDesc columns = nullptr;
    if (get_call_result_type(fcinfo, nullptr, &columns) != TYPEFUNC_COMPOSITE) {
      elog(ERROR, "return type must be a row type");
    }
    context->tuple_desc = BlessTupleDesc(columns);
    MemoryContextSwitchTo(before);
  }
  FuncCallContext *context = SRF_PERCALL_SETUP();
  auto *request = static_cast<Request *>(context->user_fctx);
  if (!has_more(*request)) SRF_RETURN_DONE(context);
  const idgen::Block &block = request->block;
  const std::uint64_t count =
      std::min(request->run_left, block.consecutive_from(request->next_index));
  Datum values[3] = {
      Int64GetDatum(static_cast<int64>(block.id_at(request->next_index))),
      Int64GetDatum(static_cast<int64>(block.id_at(request->next_index + count - 1))),
      Int64GetDatum(static_cast<int64>(count)),
  };
  bool nulls[3] = {};
  request->next_index += count;
  request->run_left -= count;
  SRF_RETURN_NEXT(context, HeapTupleGetDatum(heap_form_tuple(context->tuple_desc, values, nulls)));
}

Datum idgen_reserve_run(PG_FUNCTION_ARGS) {
  return reserved_run(fcinfo, PG_GETARG_INT32(0));
}
Datum idgen_reserve_run_bigint(PG_FUNCTION_ARGS) {
  return reserved_run(fcinfo, PG_GETARG_INT64(0));
}

// Tells the planner how many rows snowflake_batch(n) returns.
Datum idgen_batch_support(PG_FUNCTION_ARGS) {
  auto *request = reinterpret_cast<Node *>(PG_GETARG_POINTER(0));
  if (!IsA(request, SupportRequestRows)) PG_RETURN_POINTER(nullptr);
  auto *rows = reinterpret_cast<SupportRequestRows *>(request);
  if (!is_funcclause(rows->node)) PG_RETURN_POINTER(nullptr);
  const auto *args = reinterpret_cast<FuncExpr *>(rows->node)->args;
  if (args == NIL || rows->root == nullptr || rows->root->glob == nullptr) {
    PG_RETURN_POINTER(nullptr);
  }
  Node *n = estimate_expression_value(rows->root, static_cast<Node *>(linitial(args)));
  if (!IsA(n, Const)) PG_RETURN_POINTER(nullptr);
  const auto *value = reinterpret_cast<Const *>(n);
  if (value->consttype != INT4OID && value->consttype != INT8OID) PG_RETURN_POINTER(nullptr);
  const std::int64_t wanted = value->constisnull            ? 0
                              : value->consttype == INT8OID ? DatumGetInt64(value->constvalue)
                                                            : DatumGetInt32(value->constvalue);
  rows->rows = static_cast<double>(std::max(wanted, std::int64_t{0}));
  PG_RETURN_POINTER(rows);
}
