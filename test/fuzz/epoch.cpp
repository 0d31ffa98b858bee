// An epoch: what is accepted is the instant that the text says, and is written and
// read back. The input is the text; its hash becomes an instant to be shown.

#include <cctype>
#include <string>

#include "fuzz.h"
#include "idgen/layout.h"

namespace {

using idgen::fuzz::require;

constexpr std::int64_t kYear10000Us = 253'402'300'800'000'000;
constexpr std::int64_t kYear30000Us = 884'541'340'800'000'000;

// "YYYY-MM-DD[(T| )HH:MM:SS[.mmm]][Z]" as epoch_to_text() would write it.
std::string canonical(std::string_view date) {
  std::string text(date);
  if (text.ends_with('Z')) text.pop_back();
  if (text.size() == 10) text += "T00:00:00";
  text[10] = 'T';
  if (text.ends_with(".000")) text.resize(text.size() - 4);
  return text + "Z";
}

void check_back(std::int64_t unix_us) {
  const idgen::LayoutText text = idgen::epoch_to_text(unix_us);
  const idgen::EpochParse back = idgen::parse_epoch(text.view());
  require(back.ok == (unix_us < kYear10000Us), "an instant before the year 10000 is read back");
  require(!back.ok || back.unix_us == unix_us - unix_us % 1000, "it is the same, in milliseconds");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const std::string_view text = idgen::fuzz::text_of(data, size);
  check_back(static_cast<std::int64_t>(idgen::fuzz::hash_of(text) %
                                       static_cast<std::uint64_t>(kYear30000Us)));

  const idgen::EpochParse epoch = idgen::parse_epoch(text);
  if (!epoch.ok) return 0;
  require(epoch.unix_us >= 0 && epoch.unix_us < kYear10000Us, "an epoch lies from 1970 to 9999");
  require(epoch.unix_us % 1000 == 0, "an epoch is of whole milliseconds");
  check_back(epoch.unix_us);
  if (text.size() > 4 && text[4] == '-') {
    require(idgen::epoch_to_text(epoch.unix_us).view() == canonical(text),
            "a date is that date, not one that it runs over into");
  } else {
    require(text.find_first_not_of("0123456789") == std::string_view::npos,
            "anything else is a number");
    require(std::stoll(std::string(text)) == epoch.unix_us / 1000, "of milliseconds");
  }
  return 0;
}
