// Rows of the views' functions.

#ifndef IDGEN_PG_ROW_H
#define IDGEN_PG_ROW_H

#include <cstdint>

#include "pg/prelude.h"
#include "pg/settings.h"
#include "pg/timestamps.h"

namespace idgen::pg {

// Fills a row from the left.
template <int N>
struct Row {
  Datum values[N] = {};
  bool nulls[N] = {};
  int next = 0;

  void put(Datum value) { values[next++] = value; }
  void null() { nulls[next++] = true; }
  void text(const char *value) { put(CStringGetTextDatum(value)); }
  void integer(std::uint64_t value) { put(Int32GetDatum(static_cast<int32>(value))); }
  void number(std::uint64_t value) { put(Int64GetDatum(static_cast<int64>(value))); }
  void time(std::int64_t unix_us) { put(TimestampTzGetDatum(to_timestamptz(unix_us))); }
  void tick(std::uint64_t tick) { time(tick_start_us(instance_layout, tick)); }
  void uuid(const Incarnation &value) {  // as the record writes it: high byte first
    auto *uuid = static_cast<pg_uuid_t *>(palloc(sizeof(pg_uuid_t)));
    for (int i = 0; i < UUID_LEN; ++i) {
      uuid->data[i] = static_cast<unsigned char>(value.words[i / 8] >> (8 * (7 - i % 8)));
    }
    put(UUIDPGetDatum(uuid));
  }
  void time_or_null(std::int64_t unix_us) {  // 0: null
    if (unix_us != 0)
      time(unix_us);
    else
      null();
  }
  void span(std::int64_t us) {
    auto *interval = static_cast<Interval *>(palloc0(sizeof(Interval)));
    interval->time = us;
    put(IntervalPGetDatum(interval));
  }
};

// A function of an older version of the extension has fewer columns: later ones came
// at the end.
template <int N>
Datum to_datum(FunctionCallInfo fcinfo, Row<N> &row) {
  TupleDesc columns = nullptr;
  if (get_call_result_type(fcinfo, nullptr, &columns) != TYPEFUNC_COMPOSITE || columns->natts > N ||
      row.next != N) {
    elog(ERROR, "return type must be a row type of at most %d columns", N);
  }
  return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(columns), row.values, row.nulls));
}

template <int N>
void put_row(FunctionCallInfo fcinfo, Row<N> &row) {
  auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  if (result->setDesc->natts != N || row.next != N) {
    elog(ERROR, "return type must be a row type of %d columns", N);
  }
  tuplestore_putvalues(result->setResult, result->setDesc, row.values, row.nulls);
}

}  // namespace idgen::pg

#endif  // IDGEN_PG_ROW_H
