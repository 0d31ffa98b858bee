// The messages of etcd's v3 JSON gateway: keys and values are base64, 64-bit
// numbers are strings, and what is zero, false or empty is left out.
//
// Nothing here throws for what a server may send, however wrong.

#ifndef IDGEN_NETWORK_ETCD_JSON_H
#define IDGEN_NETWORK_ETCD_JSON_H

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "registry/fleet_store.h"

namespace idgen {

using Json = nlohmann::json;

std::string to_base64(std::string_view bytes);
// Strict: just what to_base64() writes.
bool from_base64(std::string_view text, std::string &bytes);

// Bytes that aren't UTF-8 are replaced.
std::string to_text(const Json &json);

// The member `name`; null if there is none, or if it isn't an object.
const Json *member(const Json *object, const char *name);

// A number that the gateway writes as a string; 0 if it's left out. False if it is
// anything else.
template <typename T>
bool read_number(const Json *object, const char *name, T &number) {
  number = 0;
  const Json *found = member(object, name);
  if (found == nullptr) return true;
  if (found->is_number_unsigned()) {
    const auto value = found->get<std::uint64_t>();
    number = static_cast<T>(value);
    return value <= static_cast<std::uint64_t>(std::numeric_limits<T>::max());
  }
  const auto *text = found->get_ptr<const std::string *>();
  if (text == nullptr) return false;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  return error == std::errc{} && end == text->data() + text->size();
}

// The string `name` of an object, or an empty one.
std::string read_text(const Json *object, const char *name);

// A transaction, put together piece by piece. Comparisons and operations are each
// limited to kMaxOperations by default (--max-txn-ops).
class EtcdTransaction {
 public:
  static constexpr std::size_t kMaxOperations = 128;

  // If: all of them. `end` is the first key after the range; empty: one key.
  void expect_value(std::string_view key, std::string_view value);
  // All keys in the range have just this revision; 0: there is none.
  void expect_revision(std::string_view key, std::string_view end, std::uint64_t revision);
  void expect_revision_below(std::string_view key, std::string_view end, std::uint64_t revision);
  // Then.
  void put(std::string_view key, std::string_view value, std::uint64_t lease = 0);
  void remove(std::string_view key, std::string_view end);
  void range(std::string_view key, std::string_view end = {});

  std::string text() const;

 private:
  void expect(std::string_view key, std::string_view end, const char *result,
              std::uint64_t revision);

  Json compare_ = Json::array();
  Json success_ = Json::array();
};

struct EtcdKeyValue {
  std::string key;
  std::string value;
  std::uint64_t revision = 0;  // the last change's
  std::uint64_t lease = 0;
};

// The answer to the index-th operation, a range. False if it isn't one.
bool read_range(const Json *answer, std::size_t index, std::vector<EtcdKeyValue> &found);

// What a member's status says. False if it makes no sense.
bool read_status(const Json *status, StoreSpace &space);
// The quota in what /metrics says: false if it isn't there.
bool read_quota(std::string_view metrics, std::int64_t &quota);

// What an error means for the request.
enum class EtcdFault : std::uint8_t {
  transient,    // another member, or later; it may have been applied
  token,        // not applied: authenticate (anew)
  no_auth,      // not applied: authentication isn't enabled
  lease_gone,   // not applied: there is no such lease
  by_operator,  // not applied, and won't be until somebody acts
};

// Does this message of etcd's say that its database is full?
bool is_about_space(std::string_view message);

// For a gRPC status code and its message.
EtcdFault fault_of(std::int64_t code, std::string_view message);

}  // namespace idgen

#endif  // IDGEN_NETWORK_ETCD_JSON_H
