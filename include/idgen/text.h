// Text forms of an ID: decimal, Crockford base32, base62.
//
// All three are exact inverses of themselves; the two fixed-length forms sort
// (by byte) as the numbers do. Pure, noexcept, no allocation.

#ifndef IDGEN_TEXT_H
#define IDGEN_TEXT_H

#include <cstdint>
#include <string_view>

namespace idgen {

inline constexpr unsigned kBase32Length = 13;  // as TSID: 13 * 5 bits >= 63
inline constexpr unsigned kBase62Length = 11;  // 62^11 > 2^63

enum class TextFault : std::uint8_t {
  none,
  malformed,     // not the form: a strange character, a wrong length
  out_of_range,  // the form, but not a number from 0 to 2^63 - 1 (decimal: of int64)
};

struct TextParse {
  std::int64_t id = 0;
  TextFault fault = TextFault::none;
};

// Any int64, as C's strtoll base 10 without its leniency: no leading or
// trailing space, an optional '-' or '+', digits.
TextParse parse_decimal(std::string_view text) noexcept;

// Crockford's alphabet, exactly 13 characters, either case; I and L read as 1,
// O as 0 (https://www.crockford.com/base32.html).
TextParse parse_base32(std::string_view text) noexcept;

// Digits, capitals, small letters (ASCII order), exactly 11 characters.
TextParse parse_base62(std::string_view text) noexcept;

// Whichever of the three it is. A string of digits alone is decimal; but one of
// 13 or 11 that begins with 0, as no number is written, is base32 or base62.
// (IDs of the default layout begin with 0 in base32 until 2033, in base62 until
// 2031; after that a text of digits alone remains ambiguous, if unlikely.)
TextParse parse_any(std::string_view text) noexcept;

// `id` must not be negative. The result is not terminated.
void write_base32(std::int64_t id, char (&out)[kBase32Length]) noexcept;
void write_base62(std::int64_t id, char (&out)[kBase62Length]) noexcept;

}  // namespace idgen

#endif  // IDGEN_TEXT_H
