// Random layouts, for the properties.

#ifndef IDGEN_TEST_UNIT_LAYOUTS_H
#define IDGEN_TEST_UNIT_LAYOUTS_H

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <rapidcheck.h>

#include "idgen/layout.h"

namespace idgen::test {

constexpr std::int64_t kEpoch2025Us = 1735689600'000'000;

inline Layout parsed(std::string_view definition, std::int64_t epoch_us = kEpoch2025Us) {
  const LayoutParse parse = parse_layout(definition, epoch_us);
  RC_ASSERT(parse.ok());
  return parse.layout;
}

// A definition that parse_layout() accepts: widths that fit, fields in any order.
inline std::string valid_definition(bool with_sign_bit) {
  const unsigned room = with_sign_bit ? 63 : 64;
  const unsigned region = *rc::gen::inRange(0u, 12u);
  const unsigned shard = *rc::gen::inRange(0u, 20u);
  const unsigned sequence = *rc::gen::inRange(0u, 32u);
  const unsigned left = room - std::min(room - 1, region + shard + sequence);
  // Times that end within the calendar even with long ticks.
  const unsigned time = *rc::gen::inRange(1u, std::min(left, 42u) + 1);
  std::vector<std::pair<std::string, unsigned>> fields = {
      {"time", time}, {"region", region}, {"shard", shard}, {"sequence", sequence}};
  for (std::size_t i = fields.size(); i > 1; --i) {
    std::swap(fields[i - 1], fields[*rc::gen::inRange<std::size_t>(0, i)]);
  }
  std::string text = with_sign_bit && *rc::gen::arbitrary<bool>() ? "sign:1" : "";
  for (const auto &[name, width] : fields) {
    if (width == 0 && *rc::gen::arbitrary<bool>()) continue;
    text += (text.empty() ? "" : " ") + name + ":" + std::to_string(width);
  }
  return text + " tick:" + *rc::gen::element<std::string>("1us", "10us", "1ms", "10ms", "100ms");
}

// Any ID of a layout that leaves the sign bit alone.
inline std::int64_t any_id(const Layout &layout) {
  return static_cast<std::int64_t>(
      *rc::gen::inRange<std::uint64_t>(0, std::uint64_t{1} << layout.total_width()));
}

// An instant within a layout's time, microseconds.
inline std::int64_t any_instant(const Layout &layout) {
  const auto span = static_cast<std::uint64_t>(layout.end_us() - layout.epoch_us);
  return layout.epoch_us + static_cast<std::int64_t>(*rc::gen::inRange<std::uint64_t>(0, span));
}

}  // namespace idgen::test

#endif  // IDGEN_TEST_UNIT_LAYOUTS_H
