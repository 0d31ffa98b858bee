#include "idgen/text.h"

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace idgen {
namespace {

constexpr std::int64_t kMaxInt64 = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMinInt64 = std::numeric_limits<std::int64_t>::min();

std::string base32(std::int64_t id) {
  char out[kBase32Length];
  write_base32(id, out);
  return {out, sizeof(out)};
}
std::string base62(std::int64_t id) {
  char out[kBase62Length];
  write_base62(id, out);
  return {out, sizeof(out)};
}

// Every magnitude alike, not only large ones.
std::int64_t any_id() {
  const auto bits = *rc::gen::inRange(0, 64);
  const auto value = *rc::gen::arbitrary<std::uint64_t>();
  return bits == 0 ? 0
                   : static_cast<std::int64_t>(value >> (64 - bits) & ~(std::uint64_t{1} << 63));
}

void expect_id(const TextParse &parse, std::int64_t id) {
  EXPECT_EQ(parse.fault, TextFault::none);
  EXPECT_EQ(parse.id, id);
}

RC_GTEST_PROP(Text, every_form_gives_back_the_id, ()) {
  const std::int64_t id = any_id();
  for (const TextParse &parse :
       {parse_base32(base32(id)), parse_base62(base62(id)), parse_decimal(std::to_string(id))}) {
    RC_ASSERT(parse.fault == TextFault::none);
    RC_ASSERT(parse.id == id);
  }
}

RC_GTEST_PROP(Text, fixed_length_forms_sort_as_the_numbers_do, ()) {
  const std::int64_t a = any_id();
  const std::int64_t b = *rc::gen::arbitrary<bool>() ? any_id() : a + (a < kMaxInt64 ? 1 : 0);
  RC_ASSERT((a < b) == (base32(a) < base32(b)));
  RC_ASSERT((a < b) == (base62(a) < base62(b)));
  RC_ASSERT((a == b) == (base32(a) == base32(b)));
  RC_ASSERT((a == b) == (base62(a) == base62(b)));
}

RC_GTEST_PROP(Text, whatever_is_accepted_is_an_id_of_that_text, ()) {
  const auto text = *rc::gen::container<std::string>(
      *rc::gen::element(kBase32Length, kBase62Length, 5u),
      rc::gen::element('0', '1', '7', '9', 'A', 'Z', 'z', 'f', 'I', 'o', 'U', '-', ' '));
  const TextParse b32 = parse_base32(text);
  if (b32.fault == TextFault::none) {
    std::string canonical = text;
    for (char &c : canonical) {
      if (c >= 'a') c = static_cast<char>(c - 'a' + 'A');
      if (c == 'I' || c == 'L') c = '1';
      if (c == 'O') c = '0';
    }
    RC_ASSERT(base32(b32.id) == canonical);
  }
  const TextParse b62 = parse_base62(text);
  if (b62.fault == TextFault::none) RC_ASSERT(base62(b62.id) == text);
}

TEST(Text, known_values) {
  EXPECT_EQ(base32(0), "0000000000000");
  EXPECT_EQ(base32(31), "000000000000Z");
  EXPECT_EQ(base32(32), "0000000000010");
  EXPECT_EQ(base32(kMaxInt64), "7ZZZZZZZZZZZZ");
  EXPECT_EQ(base62(0), "00000000000");
  EXPECT_EQ(base62(61), "0000000000z");
  EXPECT_EQ(base62(10), "0000000000A");
  EXPECT_EQ(base62(36), "0000000000a");
  EXPECT_EQ(base62(kMaxInt64), "AzL8n0Y58m7");
}

TEST(Text, just_above_the_greatest_id_is_out_of_range) {
  expect_id(parse_base32("7ZZZZZZZZZZZZ"), kMaxInt64);
  expect_id(parse_base62("AzL8n0Y58m7"), kMaxInt64);
  for (const char *beyond : {"8000000000000", "FZZZZZZZZZZZZ", "G000000000000", "ZZZZZZZZZZZZZ"}) {
    EXPECT_EQ(parse_base32(beyond).fault, TextFault::out_of_range) << beyond;
  }
  for (const char *beyond : {"AzL8n0Y58m8", "AzL8n0Y58mz", "AzL8n0Y5900", "B0000000000",
                             "LygHa16AHYF", "LygHa16AHYG", "zzzzzzzzzzz"}) {
    EXPECT_EQ(parse_base62(beyond).fault, TextFault::out_of_range) << beyond;
  }
}

TEST(Text, a_strange_character_is_malformed_even_beyond_the_range) {
  EXPECT_EQ(parse_base32("ZZZZZZZZZZZZ*").fault, TextFault::malformed);
  EXPECT_EQ(parse_base62("zzzzzzzzzz*").fault, TextFault::malformed);
}

TEST(Text, base32_reads_either_case_and_the_look_alikes) {
  const std::int64_t id = parse_base32("01HV3KZ0AB1C0").id;
  for (const char *same : {"01hv3kz0ab1c0", "0IHV3KZ0ABLC0", "OiHV3KZoAblCO", "01Hv3kZ0aB1c0"}) {
    expect_id(parse_base32(same), id);
  }
  for (const char *strange : {"01HV3KZ0AU1C0", "01HV3KZ0Au1C0", "01HV3KZ0-B1C0", "01HV3KZ0AB1C ",
                              "01HV3KZ0AB1C\xe9", "+1HV3KZ0AB1C0"}) {
    EXPECT_EQ(parse_base32(strange).fault, TextFault::malformed) << strange;
  }
  EXPECT_EQ(parse_base32(std::string_view("01HV3KZ0AB1C\0", 13)).fault, TextFault::malformed);
}

TEST(Text, base62_tells_the_cases_apart) {
  EXPECT_NE(parse_base62("0000000000A").id, parse_base62("0000000000a").id);
  for (const char *strange : {"0000000000-", "0000000000 ", "0000000000_", "0000000000\xff"}) {
    EXPECT_EQ(parse_base62(strange).fault, TextFault::malformed) << strange;
  }
}

TEST(Text, other_lengths_are_malformed) {
  for (const char *text : {"", "0", "000000000000", "00000000000000", "7ZZZZZZZZZZZZ0"}) {
    EXPECT_EQ(parse_base32(text).fault, TextFault::malformed) << text;
  }
  for (const char *text : {"", "0", "0000000000", "000000000000", "AzL8n0Y58m70"}) {
    EXPECT_EQ(parse_base62(text).fault, TextFault::malformed) << text;
  }
}

TEST(Decimal, edges) {
  expect_id(parse_decimal("0"), 0);
  expect_id(parse_decimal("-0"), 0);
  expect_id(parse_decimal("+7"), 7);
  expect_id(parse_decimal("-7"), -7);
  expect_id(parse_decimal("000000000000000000000000000007"), 7);
  expect_id(parse_decimal("9223372036854775807"), kMaxInt64);
  expect_id(parse_decimal("-9223372036854775808"), kMinInt64);
  for (const char *beyond : {"9223372036854775808", "-9223372036854775809", "+9223372036854775808",
                             "99999999999999999999999999"}) {
    EXPECT_EQ(parse_decimal(beyond).fault, TextFault::out_of_range) << beyond;
  }
  for (const char *strange :
       {"", "+", "-", "+-7", "-+7", "++7", "--7", " 7", "7 ", "7x", "x7", "0x7", "7.0", "1e3",
        "7,000", "99999999999999999999999999x", "\xd9\xa3"}) {
    EXPECT_EQ(parse_decimal(strange).fault, TextFault::malformed) << strange;
  }
  EXPECT_EQ(parse_decimal(std::string_view("7\0", 2)).fault, TextFault::malformed);
}

TEST(ParseAny, takes_digits_alone_as_decimal_unless_a_fixed_form_begins_with_zero) {
  expect_id(parse_any("1000000000010"), 1000000000010);
  expect_id(parse_any("10000000010"), 10000000010);
  expect_id(parse_any("0563167400400"), 187006250972614656);  // base32
  expect_id(parse_any("0000000000010"), 32);
  expect_id(parse_any("00000000010"), 62);
  expect_id(parse_any("000000000010"), 10);
  expect_id(parse_any("0"), 0);
  expect_id(parse_any("-5"), -5);
  EXPECT_EQ(parse_any("9223372036854775808").fault, TextFault::out_of_range);
}

TEST(ParseAny, takes_the_others_by_their_length) {
  expect_id(parse_any("7ZZZZZZZZZZZZ"), kMaxInt64);
  expect_id(parse_any("7zzzzzzzzzzzz"), kMaxInt64);
  expect_id(parse_any("AzL8n0Y58m7"), kMaxInt64);
  EXPECT_EQ(parse_any("8000000000A00").fault, TextFault::out_of_range);
  EXPECT_EQ(parse_any("zzzzzzzzzzz").fault, TextFault::out_of_range);
  for (const char *neither : {"", "A", "AzL8n0Y58m", "AzL8n0Y58m7A", "AzL8n0Y58m7AAA", "not an id",
                              "0000000000*", "000000000000*"}) {
    EXPECT_EQ(parse_any(neither).fault, TextFault::malformed) << neither;
  }
}

RC_GTEST_PROP(ParseAny, agrees_with_the_form_that_was_written, ()) {
  const std::int64_t id = any_id();
  for (const std::string &text : {base32(id), base62(id)}) {
    const bool decimal =
        text.front() != '0' && text.find_first_not_of("0123456789") == std::string::npos;
    if (!decimal) RC_ASSERT(parse_any(text).id == id);
  }
  RC_ASSERT(parse_any(std::to_string(id)).id == id);
}

}  // namespace
}  // namespace idgen
