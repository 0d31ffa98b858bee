#include "network/etcd_records.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <limits>
#include <nlohmann/json.hpp>

#include "network/bounded_json.h"

namespace idgen {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kDigits = 10;
constexpr std::uint8_t kMaxLog2Lanes = 6;
constexpr std::array<std::string_view, 3> kStates = {"free", "held", "retired"};

std::string hex(std::uint64_t number) {
  std::array<char, 17> text;
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(number));
  return text.data();
}

bool from_hex(std::string_view text, std::uint64_t &number) {
  if (text.size() != 16 || text.find_first_not_of("0123456789abcdef") != std::string_view::npos) {
    return false;
  }
  std::from_chars(text.data(), text.data() + text.size(), number, 16);
  return true;
}

// Reads the fields of one object, remembers whether any was wrong.
class FieldReader {
 public:
  explicit FieldReader(std::string_view text)
      : object_(parse_bounded(text)), ok_(object_.is_object()) {}

  template <typename T>
  void number(const char *name, T &out) {
    const Json *field = find(name);
    if (field == nullptr) return;
    if (field->is_number_unsigned()) {
      const auto value = field->get<std::uint64_t>();
      if (value > static_cast<std::uint64_t>(std::numeric_limits<T>::max())) ok_ = false;
      out = static_cast<T>(value);
    } else if (std::numeric_limits<T>::is_signed && field->is_number_integer()) {
      out = static_cast<T>(field->get<std::int64_t>());
    } else {
      ok_ = false;
    }
  }

  void text(const char *name, std::string &out) {
    const Json *field = find(name);
    const auto *value = field == nullptr ? nullptr : field->get_ptr<const std::string *>();
    if (value == nullptr) {
      ok_ = false;
    } else {
      out = *value;
    }
  }

  void hexadecimal(const char *name, std::uint64_t &out) {
    std::string digits;
    text(name, digits);
    ok_ = ok_ && from_hex(digits, out);
  }

  void incarnation(const char *name, Incarnation &out) {
    std::string digits;
    text(name, digits);
    ok_ = ok_ && digits.size() == 32 &&
          from_hex(std::string_view(digits).substr(0, 16), out.words[0]) &&
          from_hex(std::string_view(digits).substr(16), out.words[1]);
  }

  // All were right, and there is no other.
  bool done() const { return ok_ && object_.size() == fields_; }

 private:
  const Json *find(const char *name) {
    ++fields_;
    if (!ok_) return nullptr;
    const auto found = object_.find(name);
    if (found != object_.end()) return &*found;
    ok_ = false;
    return nullptr;
  }

  Json object_;
  bool ok_;
  std::size_t fields_ = 0;
};

// Bytes that aren't UTF-8 (a host's name may be anything) are replaced.
std::string to_text(const nlohmann::ordered_json &json) {
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace

std::string EtcdKeys::numbered(const char *folder, std::uint64_t number) const {
  const std::string digits = std::to_string(number);
  std::string key = prefix_ + folder;
  if (digits.size() < kDigits) key.append(kDigits - digits.size(), '0');
  return key + digits;
}

bool EtcdKeys::number_of(std::string_view key, std::uint32_t &node) const {
  if (key.size() < kDigits) return false;
  const std::string_view digits = key.substr(key.size() - kDigits);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), node);
  return error == std::errc{} && end == digits.data() + digits.size() &&
         (key == this->node(node) || key == alive(node));
}

std::string to_text(const Incarnation &holder) {
  return hex(holder.words[0]) + hex(holder.words[1]);
}

std::string node_value(const FleetNode &node, std::uint64_t nonce) {
  return to_text(nlohmann::ordered_json{
      {"epoch", node.epoch},
      {"state", kStates[static_cast<std::size_t>(node.state)]},
      {"holder", to_text(node.holder)},
      {"ceiling", node.ceiling},
      {"log2_lanes", node.log2_lanes},
      {"system", node.system},
      {"name", node.name},
      {"ceiling_us", node.ceiling_us},
      {"since_us", node.since_us},
      {"extended_us", node.extended_us},
      {"nonce", hex(nonce)},
  });
}

bool parse_node(std::string_view value, FleetNode &node) {
  FieldReader fields(value);
  std::string state;
  std::uint64_t nonce = 0;
  fields.number("epoch", node.epoch);
  fields.text("state", state);
  fields.incarnation("holder", node.holder);
  fields.number("ceiling", node.ceiling);
  fields.number("log2_lanes", node.log2_lanes);
  fields.number("system", node.system);
  fields.text("name", node.name);
  fields.number("ceiling_us", node.ceiling_us);
  fields.number("since_us", node.since_us);
  fields.number("extended_us", node.extended_us);
  fields.hexadecimal("nonce", nonce);
  if (!fields.done() || node.log2_lanes > kMaxLog2Lanes) return false;
  node.value = value;
  for (std::size_t i = 0; i < kStates.size(); ++i) {
    if (state != kStates[i]) continue;
    node.state = static_cast<NodeState>(i);
    return true;
  }
  return false;
}

std::string root_value(const FleetRoot &root, std::uint64_t cluster, std::uint64_t nonce) {
  return to_text(nlohmann::ordered_json{
      {"id", to_text(root.id)},
      {"layout", root.layout},
      {"epoch", root.epoch},
      {"generation", root.generation},
      {"base", root.base},
      {"raised_us", root.raised_us},
      {"cluster", hex(cluster)},
      {"nonce", hex(nonce)},
  });
}

bool parse_root(std::string_view value, std::uint64_t cluster, FleetRoot &root) {
  FieldReader fields(value);
  std::uint64_t made_on = 0;
  std::uint64_t nonce = 0;
  fields.incarnation("id", root.id);
  fields.text("layout", root.layout);
  fields.text("epoch", root.epoch);
  fields.number("generation", root.generation);
  fields.number("base", root.base);
  fields.number("raised_us", root.raised_us);
  fields.hexadecimal("cluster", made_on);
  fields.hexadecimal("nonce", nonce);
  root.exists = true;
  root.value = value;
  root.moved = made_on != cluster;
  root.same_system = !root.moved;
  return fields.done();
}

}  // namespace idgen
