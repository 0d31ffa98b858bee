#include "idgen/layout.h"

#include <charconv>
#include <chrono>
#include <cstring>

namespace idgen {
namespace {

// 30000-01-01. Keeps every sum and product in this file inside int64, and years
// inside std::chrono's.
constexpr std::int64_t kEndOfCalendarUs = 884'541'340'800'000'000;

constexpr unsigned kMaxTimeWidth = 62;
constexpr unsigned kMaxSmallWidth = 31;                    // node and sequence fit an SQL integer
constexpr std::int64_t kMinEpochMs = 100'000'000'000;      // 12 digits: 1973
constexpr std::int64_t kMaxEpochMs = 253'402'300'799'999;  // the end of 9999
constexpr std::int64_t kMaxTickUs = std::int64_t{3600} * 1000 * 1000;

constexpr bool is_space(char c) noexcept {
  return c == ' ' || c == '\t' || c == '\n';
}

// Cuts the next blank-separated word off the front of `rest`.
std::string_view next_word(std::string_view &rest) noexcept {
  while (!rest.empty() && is_space(rest.front())) rest.remove_prefix(1);
  std::size_t length = 0;
  while (length < rest.size() && !is_space(rest[length])) ++length;
  const std::string_view word = rest.substr(0, length);
  rest.remove_prefix(length);
  return word;
}

// The whole of `text` as a number without a sign.
template <typename T>
bool parse_number(std::string_view text, T &value) noexcept {
  if (text.empty() || text.front() < '0' || text.front() > '9') return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

struct TickUnit {
  std::string_view name;
  std::int64_t us;
};
constexpr TickUnit kTickUnits[] = {{"us", 1}, {"ms", 1000}, {"s", 1000000}};

bool parse_tick(std::string_view text, std::int64_t &tick_us) noexcept {
  std::size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') ++digits;
  std::uint32_t count = 0;
  if (!parse_number(text.substr(0, digits), count)) return false;
  for (const TickUnit &unit : kTickUnits) {
    if (text.substr(digits) == unit.name) {
      tick_us = count * unit.us;
      return tick_us >= 1 && tick_us <= kMaxTickUs;
    }
  }
  return false;
}

// Appends to a fixed buffer; what doesn't fit is a programming error that the
// capacity's own test would show, and is cut.
class Writer {
 public:
  explicit Writer(LayoutText &out) noexcept : out_(out) {}
  void put(std::string_view s) noexcept {
    for (const char c : s) {
      if (out_.length < LayoutText::kCapacity) out_.text[out_.length++] = c;
    }
  }
  void number(std::int64_t value, unsigned min_digits = 1) noexcept {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
    const auto length = static_cast<unsigned>(end - digits);
    for (unsigned i = length; i < min_digits; ++i) put("0");
    put({digits, length});
  }

 private:
  LayoutText &out_;
};

}  // namespace

const char *describe(LayoutFault fault) noexcept {
  switch (fault) {
    case LayoutFault::none:
      return "The layout is valid.";
    case LayoutFault::empty:
      return "The definition is empty.";
    case LayoutFault::malformed_item:
      return "Each item is a name, a colon and a number, as in \"time:41\".";
    case LayoutFault::unknown_field:
      return "The names allowed are time, region, shard, sequence and tick.";
    case LayoutFault::repeated_field:
      return "Each field may be named once.";
    case LayoutFault::bad_width:
      return "Widths are in bits: time 1 to 62, sequence 0 to 31, region and shard 0 to 31 "
             "together.";
    case LayoutFault::bad_tick:
      return "A tick is a whole number of us, ms or s, from 1us to 3600s.";
    case LayoutFault::missing_time:
      return "The field \"time\" is missing.";
    case LayoutFault::too_wide:
      return "The fields take more than 64 bits in all.";
    case LayoutFault::beyond_calendar:
      return "The time field would end after the year 29999.";
    case LayoutFault::wrong_order:
      return "An instance issues IDs only in the order time, region, shard, sequence.";
    case LayoutFault::needs_sign_bit:
      return "An instance issues IDs of at most 63 bits, so that they are never negative.";
    case LayoutFault::no_node:
      return "An instance needs at least one bit of region or shard to hold a node.";
    case LayoutFault::short_sequence:
      return "An instance needs at least 5 bits of sequence.";
  }
  return "";
}

LayoutParse parse_layout(std::string_view definition, std::int64_t epoch_us) noexcept {
  LayoutParse result;
  Layout &layout = result.layout;
  layout.epoch_us = epoch_us;
  const auto refuse = [&result](LayoutFault fault, std::string_view where) {
    result.fault = fault;
    result.where = where;
    return result;
  };

  struct Slot {
    std::string_view name;
    Field *field;
    unsigned min_width;
    unsigned max_width;
    bool seen;
  };
  Slot slots[] = {
      {"time", &layout.time, 1, kMaxTimeWidth, false},
      {"region", &layout.region, 0, kMaxSmallWidth, false},
      {"shard", &layout.shard, 0, kMaxSmallWidth, false},
      {"sequence", &layout.sequence, 0, kMaxSmallWidth, false},
  };
  Field *order[std::size(slots)] = {};
  std::size_t count = 0;
  bool tick_seen = false;
  bool first = true;
  unsigned sign_width = 0;

  std::string_view rest = definition;
  for (std::string_view item = next_word(rest); !item.empty(); item = next_word(rest)) {
    const std::size_t colon = item.find(':');
    if (colon == std::string_view::npos) return refuse(LayoutFault::malformed_item, item);
    const std::string_view name = item.substr(0, colon);
    const std::string_view value = item.substr(colon + 1);

    if (name == "tick") {
      if (tick_seen) return refuse(LayoutFault::repeated_field, item);
      tick_seen = true;
      if (!parse_tick(value, layout.tick_us)) return refuse(LayoutFault::bad_tick, item);
    } else if (name == "sign" && (first || sign_width != 0)) {
      if (sign_width != 0) return refuse(LayoutFault::repeated_field, item);
      if (value != "1") return refuse(LayoutFault::bad_width, item);
      sign_width = 1;
    } else {
      Slot *slot = nullptr;
      for (Slot &candidate : slots) {
        if (candidate.name == name) slot = &candidate;
      }
      if (slot == nullptr) return refuse(LayoutFault::unknown_field, item);
      if (slot->seen) return refuse(LayoutFault::repeated_field, item);
      slot->seen = true;
      unsigned width = 0;
      if (!parse_number(value, width)) return refuse(LayoutFault::malformed_item, item);
      if (width < slot->min_width || width > slot->max_width) {
        return refuse(LayoutFault::bad_width, item);
      }
      slot->field->width = static_cast<std::uint8_t>(width);
      order[count++] = slot->field;
    }
    first = false;
  }

  if (first) return refuse(LayoutFault::empty, definition);
  if (!layout.time.present()) return refuse(LayoutFault::missing_time, {});
  if (layout.node_width() > kMaxSmallWidth) return refuse(LayoutFault::bad_width, {});
  if (layout.total_width() + sign_width > 64) return refuse(LayoutFault::too_wide, {});

  unsigned shift = 0;
  while (count > 0) {
    Field *field = order[--count];
    if (!field->present()) continue;
    field->shift = static_cast<std::uint8_t>(shift);
    shift += field->width;
  }

  const std::int64_t room = kEndOfCalendarUs - (epoch_us > 0 ? epoch_us : 0);
  if (epoch_us < 0 || room < 0 ||
      static_cast<std::int64_t>(layout.time.max() + 1) > room / layout.tick_us) {
    return refuse(LayoutFault::beyond_calendar, {});
  }
  return result;
}

LayoutFault is_issuable(const Layout &layout) noexcept {
  if (layout.total_width() > 63) return LayoutFault::needs_sign_bit;
  if (layout.node_width() == 0) return LayoutFault::no_node;
  if (layout.sequence.width < kMinSequenceBits) return LayoutFault::short_sequence;
  unsigned expected = 0;
  for (const Field field : {layout.sequence, layout.shard, layout.region, layout.time}) {
    if (!field.present()) continue;
    if (field.shift != expected) return LayoutFault::wrong_order;
    expected += field.width;
  }
  return LayoutFault::none;
}

LayoutText to_text(const Layout &layout) noexcept {
  LayoutText out;
  Writer writer(out);
  const struct {
    std::string_view name;
    Field field;
  } fields[] = {{"time:", layout.time},
                {"region:", layout.region},
                {"shard:", layout.shard},
                {"sequence:", layout.sequence}};
  for (int shift = 63; shift >= 0; --shift) {
    for (const auto &[name, field] : fields) {
      if (!field.present() || field.shift != shift) continue;
      writer.put(name);
      writer.number(field.width);
      writer.put(" ");
    }
  }
  writer.put("tick:");
  const TickUnit *unit = &kTickUnits[0];
  for (const TickUnit &candidate : kTickUnits) {
    if (layout.tick_us % candidate.us == 0) unit = &candidate;
  }
  writer.number(layout.tick_us / unit->us);
  writer.put(unit->name);
  return out;
}

Parts decode(const Layout &layout, std::int64_t id) noexcept {
  Parts parts;
  const unsigned width = layout.total_width();
  const auto bits = static_cast<std::uint64_t>(id);
  if (width < 64) {
    if (id < 0) {
      parts.fault = Fault::negative;
      return parts;
    }
    if (bits >> width != 0) {
      parts.fault = Fault::unused_bits;
      return parts;
    }
  }
  parts.tick = layout.time.get(bits);
  parts.region = static_cast<std::uint32_t>(layout.region.get(bits));
  parts.shard = static_cast<std::uint32_t>(layout.shard.get(bits));
  parts.sequence = static_cast<std::uint32_t>(layout.sequence.get(bits));
  parts.node = parts.region << layout.shard.width | parts.shard;
  return parts;
}

TickResult tick_containing(const Layout &layout, std::int64_t unix_us) noexcept {
  if (unix_us < layout.epoch_us) return {0, Fault::before_epoch};
  if (unix_us >= layout.end_us()) return {0, Fault::past_end};
  return {static_cast<std::uint64_t>((unix_us - layout.epoch_us) / layout.tick_us), Fault::none};
}

TickResult tick_not_before(const Layout &layout, std::int64_t unix_us) noexcept {
  TickResult result = tick_containing(layout, unix_us);
  if (result.fault != Fault::none) return result;
  if (tick_start_us(layout, result.tick) < unix_us) {
    if (result.tick == layout.time.max()) return {0, Fault::past_end};
    ++result.tick;
  }
  return result;
}

NodeResult node_of(const Layout &layout, std::int64_t region, std::int64_t shard) noexcept {
  if (region < 0 || !layout.region.fits(static_cast<std::uint64_t>(region))) {
    return {0, Fault::region_too_wide};
  }
  if (shard < 0 || !layout.shard.fits(static_cast<std::uint64_t>(shard))) {
    return {0, Fault::shard_too_wide};
  }
  const auto node =
      static_cast<std::uint64_t>(region) << layout.shard.width | static_cast<std::uint64_t>(shard);
  return {static_cast<std::uint32_t>(node), Fault::none};
}

IdResult encode(const Layout &layout, std::int64_t unix_us, std::int64_t node,
                std::int64_t sequence) noexcept {
  const TickResult tick = tick_containing(layout, unix_us);
  if (tick.fault != Fault::none) return {0, tick.fault};
  if (node < 0 || static_cast<std::uint64_t>(node) > layout.max_node()) {
    return {0, Fault::node_too_wide};
  }
  if (sequence < 0 || !layout.sequence.fits(static_cast<std::uint64_t>(sequence))) {
    return {0, Fault::sequence_too_wide};
  }
  const auto wide_node = static_cast<std::uint64_t>(node);
  const std::uint64_t id = layout.time.put(tick.tick) |
                           layout.region.put(wide_node >> layout.shard.width) |
                           layout.shard.put(wide_node & layout.shard.max()) |
                           layout.sequence.put(static_cast<std::uint64_t>(sequence));
  return {static_cast<std::int64_t>(id), Fault::none};
}

IdResult min_id(const Layout &layout, std::int64_t unix_us) noexcept {
  if (layout.time.shift + layout.time.width != layout.total_width()) {
    return {0, Fault::not_ordered_by_time};
  }
  const TickResult tick = tick_not_before(layout, unix_us);
  if (tick.fault != Fault::none) return {0, tick.fault};
  const std::uint64_t id = layout.time.put(tick.tick);
  // In a layout of 64 bits the upper half of the times has negative IDs, which
  // don't sort by time as int8 does.
  if (id >> 63 != 0) return {0, Fault::turned_negative};
  return {static_cast<std::int64_t>(id), Fault::none};
}

std::int64_t bound_not_before(const Layout &layout, std::int64_t unix_us) noexcept {
  // Not before t is after the microsecond before it.
  if (unix_us == INT64_MIN) return INT64_MIN;
  return bound_after(layout, unix_us - 1);
}

std::int64_t bound_after(const Layout &layout, std::int64_t unix_us) noexcept {
  std::int64_t since_epoch = 0;
  if (__builtin_sub_overflow(unix_us, layout.epoch_us, &since_epoch)) return INT64_MIN;
  // The tick that contains the instant, also before the epoch; then the next.
  std::int64_t tick = since_epoch / layout.tick_us;
  if (since_epoch % layout.tick_us < 0) --tick;
  if (tick >= INT64_MAX >> layout.time.shift) return INT64_MAX;
  ++tick;
  if (tick < INT64_MIN >> layout.time.shift) return INT64_MIN;
  return tick * (std::int64_t{1} << layout.time.shift);
}

EpochParse parse_epoch(std::string_view text) noexcept {
  std::int64_t ms = 0;
  if (parse_number(text, ms)) {
    // "20250101" is meant as a date.
    const bool plausible = ms == 0 || ms >= kMinEpochMs;
    return plausible && ms <= kMaxEpochMs ? EpochParse{ms * 1000, true} : EpochParse{};
  }

  // Cuts `digits` digits and then, unless it is 0, the separator.
  const auto cut = [&text](std::size_t digits, char separator, unsigned &value) {
    if (text.size() < digits || !parse_number(text.substr(0, digits), value)) return false;
    text.remove_prefix(digits);
    if (separator == 0) return true;
    if (text.empty() || text.front() != separator) return false;
    text.remove_prefix(1);
    return true;
  };
  unsigned year = 0;
  unsigned month = 0;
  unsigned day = 0;
  unsigned hour = 0;
  unsigned minute = 0;
  unsigned second = 0;
  unsigned milli = 0;
  if (!cut(4, '-', year) || !cut(2, '-', month) || !cut(2, 0, day)) return {};
  if (!text.empty() && (text.front() == 'T' || text.front() == ' ')) {
    text.remove_prefix(1);
    if (!cut(2, ':', hour) || !cut(2, ':', minute) || !cut(2, 0, second)) return {};
    if (!text.empty() && text.front() == '.') {
      text.remove_prefix(1);
      if (!cut(3, 0, milli)) return {};
    }
  }
  if (text == "Z") text.remove_prefix(1);
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(year)),
                                         std::chrono::month(month), std::chrono::day(day)};
  if (!text.empty() || !date.ok() || hour > 23 || minute > 59 || second > 59) return {};
  const auto instant = std::chrono::sys_days(date) + std::chrono::hours(hour) +
                       std::chrono::minutes(minute) + std::chrono::seconds(second) +
                       std::chrono::milliseconds(milli);
  const std::int64_t unix_us =
      std::chrono::duration_cast<std::chrono::microseconds>(instant.time_since_epoch()).count();
  return unix_us < 0 ? EpochParse{} : EpochParse{unix_us, true};
}

LayoutText epoch_to_text(std::int64_t unix_us) noexcept {
  using std::chrono::floor;
  const std::chrono::sys_time<std::chrono::microseconds> instant{
      std::chrono::microseconds(unix_us)};
  const auto midnight = floor<std::chrono::days>(instant);
  const std::chrono::year_month_day date{midnight};
  const std::chrono::hh_mm_ss clock{floor<std::chrono::milliseconds>(instant - midnight)};
  LayoutText out;
  Writer writer(out);
  writer.number(static_cast<int>(date.year()), 4);
  writer.put("-");
  writer.number(static_cast<unsigned>(date.month()), 2);
  writer.put("-");
  writer.number(static_cast<unsigned>(date.day()), 2);
  writer.put("T");
  writer.number(clock.hours().count(), 2);
  writer.put(":");
  writer.number(clock.minutes().count(), 2);
  writer.put(":");
  writer.number(clock.seconds().count(), 2);
  if (clock.subseconds().count() != 0) {
    writer.put(".");
    writer.number(clock.subseconds().count(), 3);
  }
  writer.put("Z");
  return out;
}

}  // namespace idgen
