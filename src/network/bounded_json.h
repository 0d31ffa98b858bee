// JSON from a coordinator, read with bounds: what a server sends must not cost the
// worker more memory than its length explains, nor a stack frame for each level.

#ifndef IDGEN_NETWORK_BOUNDED_JSON_H
#define IDGEN_NETWORK_BOUNDED_JSON_H

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>

namespace idgen {

// No answer that we understand is nested deeper.
inline constexpr std::size_t kMaxJsonDepth = 16;
// The longest text that is read at all. A region of 65,536 nodes is some 50 MB.
inline constexpr std::size_t kMaxJsonLength = std::size_t{64} << 20;

// Why a text is not read.
enum class JsonFault : unsigned char { none, too_long, too_deep, too_many, malformed };
// For a message: "is nested too deeply".
const char *describe(JsonFault fault);

// Parses `text` if it keeps the bounds: depth, length, and one value for each 8 bytes.
// Else, or if it is not JSON, the value is discarded (is_discarded()), and `fault` says
// why. Does not throw for anything that `text` may be, but std::bad_alloc.
nlohmann::json parse_bounded(std::string_view text, JsonFault &fault);
nlohmann::json parse_bounded(std::string_view text);

}  // namespace idgen

#endif  // IDGEN_NETWORK_BOUNDED_JSON_H
