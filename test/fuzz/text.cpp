// The text forms of an ID: each is accepted exactly if the ID it stands for is
// written so. The input is the text; its hash becomes an ID.

#include "idgen/text.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <string>

#include "fuzz.h"

namespace idgen {
namespace {

using fuzz::require;

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

// As Crockford has it: what is read as what.
std::string crockford(std::string_view text) {
  std::string canonical;
  for (const char c : text) {
    const char upper = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    canonical += upper == 'I' || upper == 'L' ? '1' : upper == 'O' ? '0' : upper;
  }
  return canonical;
}

bool is_id(const TextParse &parse) {
  return parse.fault == TextFault::none;
}
bool same(const TextParse &a, const TextParse &b) {
  return a.fault == b.fault && (!is_id(a) || a.id == b.id);
}

void check_decimal(std::string_view text, const TextParse &parse) {
  const std::string copy(text);
  const std::size_t sign = copy.starts_with('-') || copy.starts_with('+') ? 1 : 0;
  const bool has_form =
      copy.size() > sign && copy.find_first_not_of("0123456789", sign) == std::string::npos;
  require((parse.fault == TextFault::malformed) == !has_form, "a decimal has a sign and digits");
  if (!has_form) return;
  errno = 0;
  const long long value = std::strtoll(copy.c_str(), nullptr, 10);
  require(is_id(parse) == (errno == 0), "a decimal is any int64");
  require(!is_id(parse) || parse.id == value, "a decimal is what strtoll says");
}

void check_fixed(std::string_view text, const TextParse &parse, std::size_t length,
                 std::string (*write)(std::int64_t)) {
  require(parse.fault == TextFault::malformed || text.size() == length,
          "the length is always the same");
  if (!is_id(parse)) return;
  require(parse.id >= 0, "an ID of letters is not negative");
  require(write(parse.id) == (length == kBase32Length ? crockford(text) : text),
          "an ID of letters is written as it was read");
}

void check_any(std::string_view text, const TextParse &decimal, const TextParse &b32,
               const TextParse &b62) {
  const TextParse any = parse_any(text);
  require(same(any, decimal) || same(any, b32) || same(any, b62), "any form is one of the three");
  const int forms = int{is_id(decimal)} + int{is_id(b32)} + int{is_id(b62)};
  require(is_id(any) || forms == 0, "what one of the three accepts is accepted");
  const bool padded = text.starts_with('0') && (is_id(b32) || is_id(b62));
  if (is_id(decimal) && !padded) require(same(any, decimal), "digits alone are decimal");
  if (padded) require(same(any, is_id(b32) ? b32 : b62), "but not if they begin with 0");
}

void check_written(std::int64_t id) {
  const std::string texts[] = {std::to_string(id), base32(id), base62(id)};
  const TextParse parses[] = {parse_decimal(texts[0]), parse_base32(texts[1]),
                              parse_base62(texts[2])};
  for (const TextParse &parse : parses) {
    require(is_id(parse) && parse.id == id, "every form is read back");
  }
  for (const std::string &text : texts) {
    const bool digits = text.find_first_not_of("0123456789") == std::string::npos;
    if (digits && text != texts[0] && !text.starts_with('0')) continue;  // ambiguous
    const TextParse any = parse_any(text);
    require(is_id(any) && any.id == id, "every form is read back as any");
  }
}

}  // namespace
}  // namespace idgen

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using namespace idgen;
  const std::string_view text = fuzz::text_of(data, size);
  const TextParse decimal = parse_decimal(text);
  const TextParse b32 = parse_base32(text);
  const TextParse b62 = parse_base62(text);
  check_decimal(text, decimal);
  check_fixed(text, b32, kBase32Length, base32);
  check_fixed(text, b62, kBase62Length, base62);
  check_any(text, decimal, b32, b62);
  // Every magnitude alike.
  const std::uint64_t hash = fuzz::hash_of(text);
  check_written(static_cast<std::int64_t>(hash >> (1 + hash % 63)));
  return 0;
}
