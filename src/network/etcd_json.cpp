#include "network/etcd_json.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <utility>

namespace idgen {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// gRPC status codes.
constexpr std::int64_t kInvalidArgument = 3;
constexpr std::int64_t kNotFound = 5;
constexpr std::int64_t kPermissionDenied = 7;
constexpr std::int64_t kFailedPrecondition = 9;
constexpr std::int64_t kUnimplemented = 12;
constexpr std::int64_t kUnauthenticated = 16;

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

Json key_range(std::string_view key, std::string_view end) {
  Json range = {{"key", to_base64(key)}};
  if (!end.empty()) range["range_end"] = to_base64(end);
  return range;
}

}  // namespace

std::string to_base64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t count = std::min<std::size_t>(bytes.size() - at, 3);
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      const unsigned char byte = i < count ? static_cast<unsigned char>(bytes[at + i]) : 0;
      group = group << 8 | byte;
    }
    for (std::size_t i = 0; i < 4; ++i) {
      text += i <= count ? kAlphabet[group >> (18 - 6 * i) & 63] : '=';
    }
  }
  return text;
}

bool from_base64(std::string_view text, std::string &bytes) {
  bytes.clear();
  if (text.size() % 4 != 0) return false;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  bytes.reserve(text.size() / 4 * 3);
  for (std::size_t at = 0; at < text.size(); at += 4) {
    const std::size_t digits = at + 4 == text.size() ? 4 - padding : 4;
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      const std::size_t digit = i < digits ? kAlphabet.find(text[at + i]) : 0;
      if (digit == std::string_view::npos) return false;
      group = group << 6 | static_cast<std::uint32_t>(digit);
    }
    // Bits that belong to no byte.
    if (digits < 4 && (group & ((std::uint32_t{1} << (32 - 8 * digits)) - 1)) != 0) return false;
    for (std::size_t i = 0; i + 1 < digits; ++i) {
      bytes += static_cast<char>(group >> (16 - 8 * i) & 0xff);
    }
  }
  return true;
}

std::string to_text(const Json &json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

const Json *member(const Json *object, const char *name) {
  if (object == nullptr) return nullptr;
  const auto found = object->find(name);
  return found == object->end() ? nullptr : &*found;
}

std::string read_text(const Json *object, const char *name) {
  const Json *found = member(object, name);
  const auto *text = found == nullptr ? nullptr : found->get_ptr<const std::string *>();
  return text == nullptr ? std::string() : *text;
}

void EtcdTransaction::expect_value(std::string_view key, std::string_view value) {
  compare_.push_back({{"key", to_base64(key)},
                      {"target", "VALUE"},
                      {"result", "EQUAL"},
                      {"value", to_base64(value)}});
}

void EtcdTransaction::expect(std::string_view key, std::string_view end, const char *result,
                             std::uint64_t revision) {
  Json comparison = key_range(key, end);
  comparison["target"] = "MOD";
  comparison["result"] = result;
  comparison["mod_revision"] = std::to_string(revision);
  compare_.push_back(std::move(comparison));
}

void EtcdTransaction::expect_revision(std::string_view key, std::string_view end,
                                      std::uint64_t revision) {
  expect(key, end, "EQUAL", revision);
}

void EtcdTransaction::expect_revision_below(std::string_view key, std::string_view end,
                                            std::uint64_t revision) {
  expect(key, end, "LESS", revision);
}

void EtcdTransaction::put(std::string_view key, std::string_view value, std::uint64_t lease) {
  Json put = {{"key", to_base64(key)}, {"value", to_base64(value)}};
  if (lease != 0) put["lease"] = std::to_string(lease);
  success_.push_back({{"request_put", std::move(put)}});
}

void EtcdTransaction::remove(std::string_view key, std::string_view end) {
  success_.push_back({{"request_delete_range", key_range(key, end)}});
}

void EtcdTransaction::range(std::string_view key, std::string_view end) {
  success_.push_back({{"request_range", key_range(key, end)}});
}

std::string EtcdTransaction::text() const {
  return to_text(Json{{"compare", compare_}, {"success", success_}});
}

bool read_range(const Json *answer, std::size_t index, std::vector<EtcdKeyValue> &found) {
  found.clear();
  const Json *responses = member(answer, "responses");
  if (responses == nullptr || !responses->is_array() || index >= responses->size()) return false;
  const Json *range = member(&(*responses)[index], "response_range");
  if (range == nullptr) return false;
  const Json *entries = member(range, "kvs");
  if (entries == nullptr) return true;
  if (!entries->is_array()) return false;
  for (const Json &entry : *entries) {
    EtcdKeyValue &pair = found.emplace_back();
    if (!from_base64(read_text(&entry, "key"), pair.key) ||
        !from_base64(read_text(&entry, "value"), pair.value) ||
        !read_number(&entry, "mod_revision", pair.revision) ||
        !read_number(&entry, "lease", pair.lease)) {
      return false;
    }
  }
  return true;
}

bool read_status(const Json *status, StoreSpace &space) {
  if (!read_number(status, "dbSize", space.size) ||
      !read_number(status, "dbSizeInUse", space.in_use) || space.size < 0 || space.in_use < 0) {
    return false;
  }
  if (member(status, "dbSize") == nullptr) return false;
  if (space.in_use == 0) space.in_use = space.size;  // not told before etcd 3.4
  space.quota_known = read_number(status, "dbSizeQuota", space.quota) && space.quota > 0;
  if (const Json *errors = member(status, "errors"); errors != nullptr && errors->is_array()) {
    for (const Json &error : *errors) {
      const auto *text = error.get_ptr<const std::string *>();
      if (text != nullptr && text->find("NOSPACE") != std::string::npos) space.full = true;
    }
  }
  return true;
}

bool read_quota(std::string_view metrics, std::int64_t &quota) {
  constexpr std::string_view name = "etcd_server_quota_backend_bytes ";
  std::size_t at = metrics.starts_with(name) ? 0 : metrics.find("\n" + std::string(name));
  if (at == std::string_view::npos) return false;
  if (metrics[at] == '\n') ++at;
  metrics.remove_prefix(at + name.size());
  const std::string value(metrics.substr(0, metrics.find('\n')));
  char *end = nullptr;
  const double bytes = std::strtod(value.c_str(), &end);
  if (end == value.c_str() || !std::isfinite(bytes) || bytes < 0 || bytes > 9e18) return false;
  quota = static_cast<std::int64_t>(bytes);  // 0: there is none
  return true;
}

bool is_about_space(std::string_view message) {
  return has(message, "database space exceeded");
}

EtcdFault fault_of(std::int64_t code, std::string_view message) {
  if (code == kUnauthenticated || has(message, "invalid auth token") ||
      has(message, "revision of auth store is old") || has(message, "revision in header is old") ||
      has(message, "user name is empty")) {
    return EtcdFault::token;
  }
  if (code == kFailedPrecondition && has(message, "authentication is not enabled")) {
    return EtcdFault::no_auth;
  }
  if (code == kNotFound && has(message, "lease not found")) return EtcdFault::lease_gone;
  // A full database refuses before it proposes anything.
  if (code == kInvalidArgument || code == kPermissionDenied || code == kUnimplemented ||
      is_about_space(message)) {
    return EtcdFault::by_operator;
  }
  return EtcdFault::transient;
}

}  // namespace idgen
