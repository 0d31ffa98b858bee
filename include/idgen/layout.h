// The layout of an ID: which bits mean what, and how to put them together and
// take them apart.
//
// Start here when reading idgen: everything else moves IDs about, this file
// says what they are. Everything is a plain value; every function is pure,
// noexcept and free of allocation, so it may be called from any thread, from a
// PostgreSQL backend and from a client alike.
//
// The default layout (epoch 2010-01-01T00:00:00Z):
//
//    63 62                    22 21 19 18     12 11        0
//    +-+------------------------+-----+---------+-----------+
//    |0|  time since epoch, ms  |regn |  shard  | sequence  |
//    +-+------------------------+-----+---------+-----------+
//     1           41               3       7         12
//
// `node` is region and shard together: region * 2^(width of shard) + shard.

#ifndef IDGEN_LAYOUT_H
#define IDGEN_LAYOUT_H

#include <cstdint>
#include <string_view>

namespace idgen {

// One field of an ID. A field of width 0 is absent.
struct Field {
  std::uint8_t width = 0;  // bits, 0 to 63
  std::uint8_t shift = 0;  // distance of its lowest bit from bit 0

  constexpr bool present() const noexcept { return width != 0; }

  // The greatest value that fits.
  constexpr std::uint64_t max() const noexcept { return (std::uint64_t{1} << width) - 1; }
  constexpr bool fits(std::uint64_t value) const noexcept { return value <= max(); }
  constexpr std::uint64_t get(std::uint64_t id) const noexcept { return (id >> shift) & max(); }
  // `value` must fit; callers check first and refuse, nothing is masked here.
  constexpr std::uint64_t put(std::uint64_t value) const noexcept { return value << shift; }
  friend constexpr bool operator==(Field, Field) noexcept = default;
};

struct Layout {
  Field time;
  Field region;
  Field shard;
  Field sequence;
  std::int64_t tick_us = 1000;  // length of one unit of `time`, microseconds
  std::int64_t epoch_us = 0;    // what `time` = 0 means, microseconds of Unix time

  // Width of the whole node field: region and shard, bits.
  constexpr unsigned node_width() const noexcept { return unsigned{region.width} + shard.width; }
  constexpr unsigned total_width() const noexcept {
    return unsigned{time.width} + node_width() + sequence.width;
  }
  constexpr std::uint64_t max_node() const noexcept {
    return (std::uint64_t{1} << node_width()) - 1;
  }
  // The first instant behind the time field, microseconds of Unix time.
  constexpr std::int64_t end_us() const noexcept {
    return epoch_us + static_cast<std::int64_t>(time.max() + 1) * tick_us;
  }
  friend constexpr bool operator==(const Layout &, const Layout &) noexcept = default;
};

// ---------------------------------------------------------------------------
// Reading and writing a layout as text

// Why a definition was refused. describe() gives a sentence that says what is
// allowed, for an error's detail.
enum class LayoutFault : std::uint8_t {
  none,
  empty,
  malformed_item,   // not `name:number`
  unknown_field,    // a name other than sign, time, region, shard, sequence, tick
  repeated_field,   // a name twice
  bad_width,        // not a number of bits this field may have
  bad_tick,         // not one of the tick lengths that are allowed
  missing_time,     // no `time`
  too_wide,         // more than 64 bits in all
  beyond_calendar,  // the time field ends after the year 29999
  // is_issuable() only:
  wrong_order,     // not time, region, shard, sequence from the top
  needs_sign_bit,  // more than 63 bits in all
  no_node,         // no bit for a node
  short_sequence,  // fewer than kMinSequenceBits
};
const char *describe(LayoutFault fault) noexcept;

struct LayoutParse {
  Layout layout;
  LayoutFault fault = LayoutFault::none;
  std::string_view where;  // the offending piece of the input; may be empty

  constexpr bool ok() const noexcept { return fault == LayoutFault::none; }
};

// Parses a definition such as "time:41 region:3 shard:7 sequence:12 tick:1ms".
// Fields are listed from the most significant; bits above the first one are
// zero. `tick` is a number with a unit us, ms or s and defaults to 1ms. `sign:1`
// may stand first, to say that bit 63 is not used.
LayoutParse parse_layout(std::string_view definition, std::int64_t epoch_us) noexcept;

inline constexpr unsigned kMinSequenceBits = 5;

// Can an instance issue IDs in this layout, or is it for decoding only?
LayoutFault is_issuable(const Layout &layout) noexcept;

// The definition in its canonical form: two layouts are the same plan exactly
// if their texts are equal and their epochs are.
struct LayoutText {
  static constexpr unsigned kCapacity = 128;
  char text[kCapacity] = {};
  std::uint8_t length = 0;
  constexpr std::string_view view() const noexcept { return {text, length}; }
};
LayoutText to_text(const Layout &layout) noexcept;

inline constexpr std::string_view kDefaultLayout = "time:41 region:3 shard:7 sequence:12 tick:1ms";
// Early enough that the rows of most existing applications can be given IDs of their own time.
inline constexpr std::string_view kDefaultEpoch = "2010-01-01T00:00:00Z";

// 53 bits: every ID is exact as a JavaScript number. The setting idgen.layout
// accepts its name. It has an epoch of its own, so that the preset of that name
// decodes its IDs; the setting idgen.epoch overrides that.
inline constexpr std::string_view kJs53Name = "js53";
inline constexpr std::string_view kJs53Epoch = "2025-01-01T00:00:00Z";
inline constexpr std::string_view kJs53Layout = "time:41 shard:4 sequence:8 tick:1ms";

// ---------------------------------------------------------------------------
// Encode, decode

// What went wrong with an ID, a field or a time. All of them mean "refused":
// no function here ever masks a value.
enum class Fault : std::uint8_t {
  none,
  negative,      // a negative ID in a layout that has a sign bit
  unused_bits,   // bits set above the layout's highest field
  before_epoch,  // a time before the layout's epoch
  past_end,      // a time behind the last one the time field holds
  node_too_wide,
  region_too_wide,
  shard_too_wide,
  sequence_too_wide,
  not_ordered_by_time,  // bounds make sense only with time on top
  turned_negative,      // so late that IDs of 64 bits are negative and sort before the others
};

struct Parts {
  std::uint64_t tick = 0;
  std::uint32_t node = 0;  // region and shard together
  std::uint32_t region = 0;
  std::uint32_t shard = 0;
  std::uint32_t sequence = 0;
  Fault fault = Fault::none;
};

// Takes an ID apart. Faults: negative, unused_bits.
Parts decode(const Layout &layout, std::int64_t id) noexcept;

// The time an ID's tick begins, microseconds of Unix time. Never overflows for
// a layout that parse_layout() accepted.
constexpr std::int64_t tick_start_us(const Layout &layout, std::uint64_t tick) noexcept {
  return layout.epoch_us + static_cast<std::int64_t>(tick) * layout.tick_us;
}

struct TickResult {
  std::uint64_t tick = 0;
  Fault fault = Fault::none;
};
// The tick that contains an instant. Faults: before_epoch, past_end.
TickResult tick_containing(const Layout &layout, std::int64_t unix_us) noexcept;
// The first tick that begins at or after an instant. Faults: the same.
TickResult tick_not_before(const Layout &layout, std::int64_t unix_us) noexcept;

struct IdResult {
  std::int64_t id = 0;
  Fault fault = Fault::none;
};
// The ID for an instant (rounded down to its tick), a node and a sequence.
// Faults: before_epoch, past_end, node_too_wide, sequence_too_wide.
IdResult encode(const Layout &layout, std::int64_t unix_us, std::int64_t node,
                std::int64_t sequence) noexcept;

// The node number of a region and a shard. Faults: region_too_wide,
// shard_too_wide.
struct NodeResult {
  std::uint32_t node = 0;
  Fault fault = Fault::none;
};
NodeResult node_of(const Layout &layout, std::int64_t region, std::int64_t shard) noexcept;

// The smallest ID whose time is not before an instant: `id >= min_id(a) AND
// id < min_id(b)` are exactly the IDs of [a, b). Faults: before_epoch,
// past_end, not_ordered_by_time, turned_negative.
IdResult min_id(const Layout &layout, std::int64_t unix_us) noexcept;

// Bounds that compare any int64 with any time, for a layout that IDs are issued
// in (is_issuable()). The time of an ID is carried on beyond the layout's ends,
// evenly: negative IDs lie before the epoch. So for every id and every instant
//
//   id >= bound_not_before(t)   exactly if   time of id >= t
//   id >= bound_after(t)        exactly if   time of id > t
//
// with one exception: the greatest int64 counts as later than every instant, as
// a bound that no int64 reaches is cut to it. No instance issues that ID (the
// last tick is kept back). Bounds are the first ID of a tick, or the least or
// the greatest int64. Instants: from -2^62 on (PostgreSQL's begin far later).
std::int64_t bound_not_before(const Layout &layout, std::int64_t unix_us) noexcept;
std::int64_t bound_after(const Layout &layout, std::int64_t unix_us) noexcept;

// ---------------------------------------------------------------------------
// Epochs as text

struct EpochParse {
  std::int64_t unix_us = 0;
  bool ok = false;
};
// "YYYY-MM-DD[(T| )HH:MM:SS[.mmm]][Z]", always UTC, or whole milliseconds of
// Unix time (0, or at least 12 digits); from 1970 to 9999. No other time zone: a layout must not
// depend on a setting.
EpochParse parse_epoch(std::string_view text) noexcept;

// "YYYY-MM-DDTHH:MM:SS[.mmm]Z". parse_epoch() reads it back up to the year 9999;
// the ends of wide time fields lie behind that and are only shown.
LayoutText epoch_to_text(std::int64_t unix_us) noexcept;

}  // namespace idgen

#endif  // IDGEN_LAYOUT_H
