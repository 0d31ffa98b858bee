// Decoding and encoding in SQL: function -> the core's layout -> Datum.
//
// Each function has an optional last argument, the name of a layout; without it
// the database's own layout counts.

#include "idgen/layout.h"
#include "idgen/text.h"
#include "pg/layouts.h"
#include "pg/prelude.h"
#include "pg/timestamps.h"

IDGEN_SQL_FUNCTION(idgen_decode);
IDGEN_SQL_FUNCTION(idgen_decode_text);
IDGEN_SQL_FUNCTION(idgen_timestamp);
IDGEN_SQL_FUNCTION(idgen_node);
IDGEN_SQL_FUNCTION(idgen_region);
IDGEN_SQL_FUNCTION(idgen_shard);
IDGEN_SQL_FUNCTION(idgen_sequence);
IDGEN_SQL_FUNCTION(idgen_encode);
IDGEN_SQL_FUNCTION(idgen_encode_bigint);
IDGEN_SQL_FUNCTION(idgen_node_of);
IDGEN_SQL_FUNCTION(idgen_node_of_bigint);
IDGEN_SQL_FUNCTION(idgen_min);

namespace idgen::pg {
namespace {

// The layout that argument `position` names, or the database's own if the
// function has no such argument.
const NamedLayout *layout_argument(FunctionCallInfo fcinfo, int position) {
  if (PG_NARGS() <= position) return own_layout();
  const text *name = PG_GETARG_TEXT_PP(position);
  return layout_named({VARDATA_ANY(name), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(name))});
}

const char *time_text(std::int64_t unix_us) {
  return pstrdup(epoch_to_text(unix_us).text);
}

// Reports a value that the layout can't hold: an ID, a field's or a TimestampTz,
// as the fault has it.
[[noreturn]] void report_fault(Fault fault, const NamedLayout &named, std::int64_t value) {
  const Layout &layout = named.layout;
  const char *name = NameStr(named.name);
  const auto field = [&](const char *what, unsigned width, std::uint64_t max) {
    ereport(ERROR,
            (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
             errmsg("%s " INT64_FORMAT " is out of range", what, static_cast<int64>(value)),
             width == 0 ? errdetail("Layout \"%s\" has no %s; only 0 is allowed.", name, what)
                        : errdetail("Layout \"%s\" has %u bits of %s: 0 to %llu are allowed.", name,
                                    width, what, static_cast<unsigned long long>(max)),
             errhint("The view snowflake_layouts shows the layouts and their widths.")));
  };
  switch (fault) {
    case Fault::negative:
      ereport(ERROR,
              (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
               errmsg("ID " INT64_FORMAT " is negative", static_cast<int64>(value)),
               errdetail("IDs of layout \"%s\" are never negative.", name),
               errhint("The ID may belong to another layout, or a driver may have rounded it.")));
      break;
    case Fault::unused_bits:
      ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
                      errmsg("ID " INT64_FORMAT " is out of range", static_cast<int64>(value)),
                      errdetail("IDs of layout \"%s\" have %u bits: 0 to %llu are allowed.", name,
                                layout.total_width(), (1ULL << layout.total_width()) - 1),
                      errhint("The ID may belong to another layout.")));
      break;
    case Fault::before_epoch:
    case Fault::past_end:
      ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
                      errmsg("time %s is outside of what layout \"%s\" holds",
                             timestamptz_to_str(value), name),
                      errdetail("It holds times from %s to before %s.", time_text(layout.epoch_us),
                                time_text(layout.end_us())),
                      name == kOwnLayoutName
                          ? errhint("A layout begins at its epoch, which idgen.epoch sets before "
                                    "the first start. To use another layout, pass its name as "
                                    "the last argument.")
                          : errhint("A layout begins at its epoch. The view snowflake_layouts "
                                    "lists the layouts.")));
      break;
    case Fault::node_too_wide:
      field("node", layout.node_width(), layout.max_node());
      break;
    case Fault::region_too_wide:
      field("region", layout.region.width, layout.region.max());
      break;
    case Fault::shard_too_wide:
      field("shard", layout.shard.width, layout.shard.max());
      break;
    case Fault::sequence_too_wide:
      field("sequence", layout.sequence.width, layout.sequence.max());
      break;
    case Fault::not_ordered_by_time:
      ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                      errmsg("IDs of layout \"%s\" do not sort by time", name),
                      errdetail("Its time is not the most significant field."),
                      errhint("Compare snowflake_timestamp(id, '%s') with the time.", name)));
      break;
    case Fault::turned_negative:
      ereport(ERROR,
              (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
               errmsg("IDs of layout \"%s\" are negative at %s", name, timestamptz_to_str(value)),
               errdetail("It takes 64 bits; from %s on its IDs do not sort by time.",
                         time_text(tick_start_us(layout, (layout.time.max() >> 1) + 1))),
               errhint("Compare snowflake_timestamp(id, '%s') with the time.", name)));
      break;
    case Fault::none:
      break;
  }
  elog(ERROR, "unexpected fault %d", static_cast<int>(fault));
  pg_unreachable();
}

Parts checked_decode(const NamedLayout &named, int64 id) {
  const Parts parts = decode(named.layout, id);
  if (unlikely(parts.fault != Fault::none)) report_fault(parts.fault, named, id);
  return parts;
}

// Unix time of a timestamptz argument. Infinity and what lies too far back for
// Unix microseconds are outside of any layout.
std::int64_t unix_us_of(TimestampTz ts, const NamedLayout &named) {
  std::int64_t unix_us = 0;
  if (TIMESTAMP_IS_NOBEGIN(ts)) report_fault(Fault::before_epoch, named, ts);
  if (TIMESTAMP_IS_NOEND(ts) || __builtin_add_overflow(ts, kUnixToPostgresUs, &unix_us)) {
    report_fault(Fault::past_end, named, ts);
  }
  return unix_us;
}

// One row of snowflake_decode().
Datum decoded_row(FunctionCallInfo fcinfo, int64 id, const NamedLayout &named) {
  auto *columns = static_cast<TupleDesc>(fcinfo->flinfo->fn_extra);
  if (columns == nullptr) {
    // Looked up once per call site.
    TupleDesc found = nullptr;
    if (get_call_result_type(fcinfo, nullptr, &found) != TYPEFUNC_COMPOSITE) {
      elog(ERROR, "return type must be a row type");
    }
    MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
    columns = BlessTupleDesc(CreateTupleDescCopy(found));
    MemoryContextSwitchTo(old);
    fcinfo->flinfo->fn_extra = columns;
  }
  const Parts parts = checked_decode(named, id);
  const Layout &layout = named.layout;
  Datum values[] = {
      TimestampTzGetDatum(to_timestamptz(tick_start_us(layout, parts.tick))),
      Int32GetDatum(static_cast<int32>(parts.node)),
      Int32GetDatum(static_cast<int32>(parts.region)),
      Int32GetDatum(static_cast<int32>(parts.shard)),
      Int32GetDatum(static_cast<int32>(parts.sequence)),
      CStringGetTextDatum(NameStr(named.name)),
  };
  bool nulls[] = {
      false,
      layout.node_width() == 0,
      !layout.region.present(),
      !layout.shard.present(),
      !layout.sequence.present(),
      false,
  };
  PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(columns, values, nulls)));
}

// Accessors of one integer field; NULL where the layout lacks it.
Datum field_of(FunctionCallInfo fcinfo, std::uint32_t Parts::*member,
               bool (*present)(const Layout &)) {
  const NamedLayout &named = *layout_argument(fcinfo, 1);
  const Parts parts = checked_decode(named, PG_GETARG_INT64(0));
  if (!present(named.layout)) PG_RETURN_NULL();
  PG_RETURN_INT32(static_cast<int32>(parts.*member));
}

Datum encoded(FunctionCallInfo fcinfo, std::int64_t node, std::int64_t sequence) {
  const TimestampTz ts = PG_GETARG_TIMESTAMPTZ(0);
  const NamedLayout &named = *layout_argument(fcinfo, 3);
  const IdResult result = encode(named.layout, unix_us_of(ts, named), node, sequence);
  if (result.fault != Fault::none) {
    report_fault(result.fault, named,
                 result.fault == Fault::sequence_too_wide ? sequence
                 : result.fault == Fault::node_too_wide   ? node
                                                          : ts);
  }
  PG_RETURN_INT64(result.id);
}

Datum node_number(FunctionCallInfo fcinfo, std::int64_t region, std::int64_t shard) {
  const NamedLayout &named = *layout_argument(fcinfo, 2);
  const NodeResult result = node_of(named.layout, region, shard);
  if (result.fault != Fault::none) {
    report_fault(result.fault, named, result.fault == Fault::region_too_wide ? region : shard);
  }
  PG_RETURN_INT32(static_cast<int32>(result.node));
}

}  // namespace
}  // namespace idgen::pg

using namespace idgen;
using namespace idgen::pg;

Datum idgen_decode(PG_FUNCTION_ARGS) {
  return decoded_row(fcinfo, PG_GETARG_INT64(0), *layout_argument(fcinfo, 1));
}

Datum idgen_decode_text(PG_FUNCTION_ARGS) {
  const text *value = PG_GETARG_TEXT_PP(0);
  const TextParse parsed =
      parse_any({VARDATA_ANY(value), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(value))});
  switch (parsed.fault) {
    case TextFault::none:
      break;
    case TextFault::malformed:
      ereport(ERROR,
              (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
               errmsg("malformed ID: \"%s\"", text_to_cstring(value)),
               errdetail("An ID is a decimal number, 13 characters of Crockford's base32 or "
                         "11 of base62, without blanks."),
               errhint("The ID at which a time begins is snowflake_min(timestamptz '...').")));
      break;
    case TextFault::out_of_range:
      ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
                      errmsg("ID \"%s\" is out of range", text_to_cstring(value)),
                      errdetail("The greatest ID is 9223372036854775807.")));
      break;
  }
  return decoded_row(fcinfo, parsed.id, *layout_argument(fcinfo, 1));
}

Datum idgen_timestamp(PG_FUNCTION_ARGS) {
  const NamedLayout &named = *layout_argument(fcinfo, 1);
  const Parts parts = checked_decode(named, PG_GETARG_INT64(0));
  PG_RETURN_TIMESTAMPTZ(to_timestamptz(tick_start_us(named.layout, parts.tick)));
}

Datum idgen_node(PG_FUNCTION_ARGS) {
  return field_of(fcinfo, &Parts::node, [](const Layout &l) { return l.node_width() != 0; });
}
Datum idgen_region(PG_FUNCTION_ARGS) {
  return field_of(fcinfo, &Parts::region, [](const Layout &l) { return l.region.present(); });
}
Datum idgen_shard(PG_FUNCTION_ARGS) {
  return field_of(fcinfo, &Parts::shard, [](const Layout &l) { return l.shard.present(); });
}
Datum idgen_sequence(PG_FUNCTION_ARGS) {
  return field_of(fcinfo, &Parts::sequence, [](const Layout &l) { return l.sequence.present(); });
}

// Version 0.1.0 of the extension declares integer, later ones bigint.
Datum idgen_encode(PG_FUNCTION_ARGS) {
  return encoded(fcinfo, PG_GETARG_INT32(1), PG_GETARG_INT32(2));
}
Datum idgen_encode_bigint(PG_FUNCTION_ARGS) {
  return encoded(fcinfo, PG_GETARG_INT64(1), PG_GETARG_INT64(2));
}
Datum idgen_node_of(PG_FUNCTION_ARGS) {
  return node_number(fcinfo, PG_GETARG_INT32(0), PG_GETARG_INT32(1));
}
Datum idgen_node_of_bigint(PG_FUNCTION_ARGS) {
  return node_number(fcinfo, PG_GETARG_INT64(0), PG_GETARG_INT64(1));
}

Datum idgen_min(PG_FUNCTION_ARGS) {
  const TimestampTz ts = PG_GETARG_TIMESTAMPTZ(0);
  const NamedLayout &named = *layout_argument(fcinfo, 1);
  const IdResult result = min_id(named.layout, unix_us_of(ts, named));
  if (result.fault != Fault::none) report_fault(result.fault, named, ts);
  PG_RETURN_INT64(result.id);
}
