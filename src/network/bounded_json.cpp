#include "network/bounded_json.h"

#include <cstdint>
#include <string>

namespace idgen {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kBytesPerValue = 8;
constexpr std::size_t kFreeValues = 256;  // of a short text

// Sees each event of a text, and keeps none. Returning false ends the parsing.
class BoundsCheck final : public nlohmann::json_sax<Json> {
 public:
  explicit BoundsCheck(std::size_t length) : values_left_(kFreeValues + length / kBytesPerValue) {}

  JsonFault fault() const noexcept { return fault_; }

  bool null() override { return value(); }
  bool boolean(bool /*unused*/) override { return value(); }
  bool number_integer(std::int64_t /*unused*/) override { return value(); }
  bool number_unsigned(std::uint64_t /*unused*/) override { return value(); }
  bool number_float(double /*unused*/, const std::string & /*unused*/) override { return value(); }
  bool string(std::string & /*unused*/) override { return value(); }
  bool binary(Json::binary_t & /*unused*/) override { return value(); }
  bool key(std::string & /*unused*/) override { return true; }
  bool start_object(std::size_t /*unused*/) override { return open(); }
  bool start_array(std::size_t /*unused*/) override { return open(); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t /*unused*/, const std::string & /*unused*/,
                   const nlohmann::detail::exception & /*unused*/) override {
    return fail(JsonFault::malformed);
  }

 private:
  bool fail(JsonFault fault) {
    fault_ = fault;
    return false;
  }
  bool value() { return values_left_-- > 0 || fail(JsonFault::too_many); }
  bool open() { return ++depth_ <= kMaxJsonDepth ? value() : fail(JsonFault::too_deep); }
  bool close() {
    --depth_;
    return true;
  }

  std::size_t values_left_;
  std::size_t depth_ = 0;
  JsonFault fault_ = JsonFault::none;
};

}  // namespace

const char *describe(JsonFault fault) {
  switch (fault) {
    case JsonFault::none:
      return "is fine";
    case JsonFault::too_long:
      return "is too long";
    case JsonFault::too_deep:
      return "is nested too deeply";
    case JsonFault::too_many:
      return "has too many values";
    case JsonFault::malformed:
      return "is not JSON";
  }
  return "is not JSON";
}

Json parse_bounded(std::string_view text, JsonFault &fault) {
  if (text.size() > kMaxJsonLength) {
    fault = JsonFault::too_long;
    return Json(Json::value_t::discarded);
  }
  BoundsCheck check(text.size());
  const bool fits = Json::sax_parse(text.begin(), text.end(), &check);
  fault = check.fault();
  if (!fits) return Json(Json::value_t::discarded);
  return Json::parse(text.begin(), text.end(), nullptr, false);
}

Json parse_bounded(std::string_view text) {
  JsonFault fault = JsonFault::none;
  return parse_bounded(text, fault);
}

}  // namespace idgen
