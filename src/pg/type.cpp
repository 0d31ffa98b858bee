// The type snowflakeid: input, casts that need a function, text forms. Output,
// binary I/O, comparison and hashing are int8's own.

#include <algorithm>
#include <iterator>
#include <string_view>

#include "idgen/text.h"
#include "pg/compat.h"
#include "pg/prelude.h"

IDGEN_SQL_FUNCTION(idgen_in);
IDGEN_SQL_FUNCTION(idgen_to_base32);
IDGEN_SQL_FUNCTION(idgen_from_base32);
IDGEN_SQL_FUNCTION(idgen_to_base62);
IDGEN_SQL_FUNCTION(idgen_from_base62);

namespace {

// A date, a time, "now", "infinity": then the user had something else in mind.
bool looks_like_a_time(std::string_view word) {
  constexpr std::string_view kWords[] = {"now",       "today",    "tomorrow",
                                         "yesterday", "infinity", "-infinity"};
  return std::find(std::begin(kWords), std::end(kWords), word) != std::end(kWords) ||
         (word.size() > 1 && word.find_first_of("-:/", 1) != std::string_view::npos);
}

std::string_view trimmed(std::string_view word) {
  const auto blank = [](char c) { return isspace(static_cast<unsigned char>(c)) != 0; };
  while (!word.empty() && blank(word.front())) word.remove_prefix(1);
  while (!word.empty() && blank(word.back())) word.remove_suffix(1);
  return word;
}

std::string_view view_of(const text *value) {
  return {VARDATA_ANY(value), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(value))};
}

Datum from_text_form(FunctionCallInfo fcinfo, idgen::TextParse (*parse)(std::string_view) noexcept,
                     const char *form, unsigned length) {
  const text *value = PG_GETARG_TEXT_PP(0);
  const idgen::TextParse parsed = parse(view_of(value));
  switch (parsed.fault) {
    case idgen::TextFault::none:
      break;
    case idgen::TextFault::malformed:
      ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
                      errmsg("malformed %s ID: \"%s\"", form, text_to_cstring(value)),
                      errdetail("It has exactly %u characters of the %s alphabet.", length, form),
                      errhint("snowflake_decode('...') takes decimal, base32 and base62.")));
      break;
    case idgen::TextFault::out_of_range:
      ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
                      errmsg("%s ID \"%s\" is out of range", form, text_to_cstring(value)),
                      errdetail("The greatest ID is 9223372036854775807."),
                      errhint("Check the length and the alphabet.")));
      break;
  }
  PG_RETURN_INT64(parsed.id);
}

template <unsigned N>
Datum to_text_form(FunctionCallInfo fcinfo, void (*write)(std::int64_t, char (&)[N]) noexcept) {
  const int64 id = PG_GETARG_INT64(0);
  if (id < 0) {
    ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
                    errmsg("ID " INT64_FORMAT " is negative", id),
                    errdetail("Text forms are defined for IDs from 0 on, so that they sort as "
                              "the numbers do."),
                    errhint("The decimal form, id::text, takes any.")));
  }
  char digits[N];
  write(id, digits);
  PG_RETURN_TEXT_P(cstring_to_text_with_len(digits, N));
}

}  // namespace

Datum idgen_in(PG_FUNCTION_ARGS) {
  const char *given = PG_GETARG_CSTRING(0);
  const std::string_view word = trimmed(given);
  const idgen::TextParse parsed = idgen::parse_decimal(word);
  switch (parsed.fault) {
    case idgen::TextFault::none:
      break;
    case idgen::TextFault::malformed:
      IDGEN_INPUT_ERROR(
          fcinfo, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
                   errmsg("malformed snowflakeid: \"%s\"", given),
                   errdetail("A snowflakeid is a decimal number."),
                   looks_like_a_time(word)
                       ? errhint("To compare an ID with a time, write timestamptz '...', or "
                                 "$1::timestamptz for a parameter.")
                       : errhint("Other text forms are read by snowflake_from_base32('...') and "
                                 "snowflake_from_base62('...').")));
      break;
    case idgen::TextFault::out_of_range:
      IDGEN_INPUT_ERROR(fcinfo, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
                                 errmsg("value \"%s\" is out of range for type snowflakeid", given),
                                 errdetail("It holds numbers from -9223372036854775808 to "
                                           "9223372036854775807."),
                                 errhint("Check for an extra digit or a 128-bit ID.")));
      break;
  }
  PG_RETURN_INT64(parsed.id);
}

Datum idgen_to_base32(PG_FUNCTION_ARGS) {
  return to_text_form(fcinfo, idgen::write_base32);
}
Datum idgen_to_base62(PG_FUNCTION_ARGS) {
  return to_text_form(fcinfo, idgen::write_base62);
}

Datum idgen_from_base32(PG_FUNCTION_ARGS) {
  return from_text_form(fcinfo, idgen::parse_base32, "base32", idgen::kBase32Length);
}
Datum idgen_from_base62(PG_FUNCTION_ARGS) {
  return from_text_form(fcinfo, idgen::parse_base62, "base62", idgen::kBase62Length);
}
