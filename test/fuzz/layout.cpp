// A layout's definition: what is accepted is written and read back, and takes every
// ID apart and puts it together again.
//
// The input is "definition|epoch|anything"; the last becomes IDs and instants.

#include "idgen/layout.h"

#include <bit>

#include "fuzz.h"

namespace idgen {
namespace {

using fuzz::require;

constexpr std::int64_t kYear30000Us = 884'541'340'800'000'000;

bool lies_in(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void check_layout(const Layout &layout) {
  const LayoutText text = to_text(layout);
  require(text.length < LayoutText::kCapacity, "a definition fits its buffer");
  const LayoutParse again = parse_layout(text.view(), layout.epoch_us);
  require(again.ok(), "what is accepted is accepted in its canonical form");
  require(again.layout == layout, "the canonical form is of the same layout");
  require(to_text(again.layout).view() == text.view(), "the canonical form is its own");

  std::uint64_t bits = 0;
  int width = 0;
  for (const Field field : {layout.time, layout.region, layout.shard, layout.sequence}) {
    bits |= field.put(field.max());
    width += std::popcount(field.put(field.max()));
  }
  require(layout.total_width() <= 64, "an ID has 64 bits");
  require(width == static_cast<int>(layout.total_width()), "no field loses a bit");
  const std::uint64_t below = layout.total_width() == 64
                                  ? ~std::uint64_t{0}
                                  : (std::uint64_t{1} << layout.total_width()) - 1;
  require(bits == below, "the fields lie side by side from bit 0, and share none");
  require(layout.tick_us > 0 && layout.end_us() > layout.epoch_us && layout.epoch_us >= 0 &&
              layout.end_us() <= kYear30000Us,
          "the time ends within the calendar");
  if (is_issuable(layout) == LayoutFault::none) {
    require(layout.total_width() <= 63 && layout.node_width() > 0 &&
                layout.time.shift + layout.time.width == static_cast<int>(layout.total_width()),
            "what can be issued is ordered by time, is not negative and has a node");
  }
}

// IDs of [a, b) are exactly those from min_id(a) to below min_id(b).
void check_bound(const Layout &layout, std::int64_t id, std::int64_t instant) {
  const IdResult bound = min_id(layout, instant);
  if (id < 0 || bound.fault != Fault::none) return;
  const bool is_later = tick_start_us(layout, decode(layout, id).tick) >= instant;
  require((id >= bound.id) == is_later, "a bound divides the IDs as their times are divided");
}

void check_id(const Layout &layout, std::int64_t id, std::int64_t instant) {
  const Parts parts = decode(layout, id);
  const unsigned width = layout.total_width();
  const bool fits = width == 64 || static_cast<std::uint64_t>(id) >> width == 0;
  require((parts.fault == Fault::none) == fits, "an ID is refused exactly if it has unused bits");
  if (!fits) return;
  const std::int64_t start = tick_start_us(layout, parts.tick);
  require(start >= layout.epoch_us && start + layout.tick_us <= layout.end_us(),
          "an ID's time lies in the layout's");
  const NodeResult node = node_of(layout, parts.region, parts.shard);
  require(node.fault == Fault::none && node.node == parts.node, "region and shard are the node");
  for (const std::int64_t time : {start, start + layout.tick_us - 1}) {
    const IdResult back = encode(layout, time, parts.node, parts.sequence);
    require(back.fault == Fault::none && back.id == id, "what was taken apart fits together");
  }
  for (const std::int64_t bound : {instant, start, start + 1}) check_bound(layout, id, bound);
}

}  // namespace
}  // namespace idgen

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using namespace idgen;
  std::string_view rest = fuzz::text_of(data, size);
  const std::string_view definition = fuzz::take_until(rest, '|');
  const std::string_view epoch_text = fuzz::take_until(rest, '|');
  const std::uint64_t bits = fuzz::hash_of(rest);

  const EpochParse epoch = parse_epoch(epoch_text);
  const LayoutParse parsed =
      parse_layout(definition, epoch.ok ? epoch.unix_us : static_cast<std::int64_t>(bits));
  fuzz::require(describe(parsed.fault)[0] != '\0', "every fault has its sentence");
  fuzz::require(lies_in(parsed.where, definition), "what is wrong is a piece of the input");
  if (!parsed.ok()) return 0;

  const Layout &layout = parsed.layout;
  check_layout(layout);
  const auto span = static_cast<std::uint64_t>(layout.end_us() - layout.epoch_us);
  const std::int64_t instant = layout.epoch_us + static_cast<std::int64_t>(bits % span);
  const std::uint64_t fitting = bits >> (64 - layout.total_width());
  for (const std::uint64_t id : {bits, fitting, std::uint64_t{0}, ~std::uint64_t{0}}) {
    check_id(layout, static_cast<std::int64_t>(id), instant);
  }
  return 0;
}
