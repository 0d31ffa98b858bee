#include "idgen/text.h"

#include <array>
#include <charconv>
#include <cstddef>

namespace idgen {
namespace {

constexpr std::uint8_t kNotADigit = 255;
using DigitTable = std::array<std::uint8_t, 256>;

constexpr std::string_view kBase32Digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::string_view kBase62Digits =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

constexpr DigitTable table_of(std::string_view digits) noexcept {
  DigitTable table{};
  for (auto &entry : table) entry = kNotADigit;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    table[static_cast<unsigned char>(digits[i])] = static_cast<std::uint8_t>(i);
  }
  return table;
}

constexpr DigitTable crockford_table() noexcept {
  DigitTable table = table_of(kBase32Digits);
  for (char c = 'A'; c <= 'Z'; ++c) {
    const auto upper = static_cast<unsigned char>(c);
    if (c == 'I' || c == 'L') table[upper] = 1;
    if (c == 'O') table[upper] = 0;
    table[static_cast<unsigned char>(c - 'A' + 'a')] = table[upper];
  }
  return table;
}

constexpr DigitTable kBase32Table = crockford_table();
constexpr DigitTable kBase62Table = table_of(kBase62Digits);
constexpr std::uint64_t kMaxId = ~std::uint64_t{0} >> 1;

TextParse parse_digits(std::string_view text, std::size_t length, std::uint64_t base,
                       const DigitTable &table) noexcept {
  if (text.size() != length) return {0, TextFault::malformed};
  // The whole text is judged before its value is: a strange character is
  // malformed even where the number would be too great as well.
  bool overflow = false;
  std::uint64_t value = 0;
  for (const char c : text) {
    const std::uint8_t digit = table[static_cast<unsigned char>(c)];
    if (digit == kNotADigit) return {0, TextFault::malformed};
    overflow = overflow || value > (kMaxId - digit) / base;
    value = value * base + digit;
  }
  if (overflow) return {0, TextFault::out_of_range};
  return {static_cast<std::int64_t>(value), TextFault::none};
}

template <std::size_t N>
void write_digits(std::int64_t id, char (&out)[N], std::string_view digits) noexcept {
  auto value = static_cast<std::uint64_t>(id);
  for (std::size_t i = N; i-- > 0;) {
    out[i] = digits[value % digits.size()];
    value /= digits.size();
  }
}

}  // namespace

TextParse parse_decimal(std::string_view text) noexcept {
  if (!text.empty() && text.front() == '+') {
    text.remove_prefix(1);
    if (!text.empty() && text.front() == '-') return {0, TextFault::malformed};
  }
  std::int64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error == std::errc::invalid_argument || end != text.data() + text.size()) {
    return {0, TextFault::malformed};
  }
  if (error != std::errc{}) return {0, TextFault::out_of_range};
  return {id, TextFault::none};
}

TextParse parse_base32(std::string_view text) noexcept {
  return parse_digits(text, kBase32Length, kBase32Digits.size(), kBase32Table);
}

TextParse parse_base62(std::string_view text) noexcept {
  return parse_digits(text, kBase62Length, kBase62Digits.size(), kBase62Table);
}

TextParse parse_any(std::string_view text) noexcept {
  const bool fixed = text.size() == kBase32Length || text.size() == kBase62Length;
  if (!fixed || text.front() != '0') {
    const TextParse decimal = parse_decimal(text);
    if (decimal.fault != TextFault::malformed) return decimal;
  }
  return text.size() == kBase62Length ? parse_base62(text) : parse_base32(text);
}

void write_base32(std::int64_t id, char (&out)[kBase32Length]) noexcept {
  write_digits(id, out, kBase32Digits);
}

void write_base62(std::int64_t id, char (&out)[kBase62Length]) noexcept {
  write_digits(id, out, kBase62Digits);
}

}  // namespace idgen
