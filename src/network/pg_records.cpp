#include "network/pg_records.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "network/bounded_json.h"
#include "registry/own_record.h"

namespace idgen {
namespace {

using Json = nlohmann::json;

constexpr std::uint8_t kMaxLog2Lanes = 6;

// What the nodes' table may occupy, beside so much for each row, before somebody should
// look after it. A row and its last versions fill some 500 bytes.
constexpr std::int64_t kSpareBytes = 4'194'304;
constexpr std::int64_t kBytesPerRow = 4096;

[[noreturn]] void refuse(const std::string &name, const char *what) {
  throw std::invalid_argument("\"" + name + "\" is " + what);
}

// A whole number that T holds.
template <typename T>
T number(const Json &object, const char *name) {
  const Json &value = object.at(name);
  if (value.is_number_unsigned()) {
    const auto read = value.get<std::uint64_t>();
    if (read <= static_cast<std::uint64_t>(std::numeric_limits<T>::max())) {
      return static_cast<T>(read);
    }
  } else if (value.is_number_integer() && std::numeric_limits<T>::is_signed) {
    return static_cast<T>(value.get<std::int64_t>());
  }
  refuse(name, "no number that is allowed there");
}

// Likewise, or 0 for null.
std::int64_t number_or_null(const Json &object, const char *name) {
  return object.at(name).is_null() ? 0 : number<std::int64_t>(object, name);
}

// A uuid's digits, or zero for null.
Incarnation uuid(const Json &object, const char *name) {
  Incarnation value;
  const Json &text = object.at(name);
  if (text.is_null()) return value;
  std::string digits = text.get<std::string>();
  std::erase(digits, '-');
  if (!from_hex(digits, value)) refuse(name, "no uuid");
  return value;
}

// The "char" of a state.
NodeState state_of(const Json &row) {
  const auto state = row.at("state").get<std::string>();
  if (state == "f") return NodeState::free;
  if (state == "h") return NodeState::held;
  if (state == "r") return NodeState::retired;
  refuse("state", "none of f, h and r");
}

FleetNode node_of(const Json &row) {
  FleetNode node;
  node.node = number<std::uint32_t>(row, "node");
  node.revision = number<std::uint64_t>(row, "revision");
  if (node.revision == 0) refuse("revision", "0 in a row");
  node.epoch = number<std::uint64_t>(row, "epoch");
  node.state = state_of(row);
  node.holder = uuid(row, "holder");
  node.ceiling = number<std::uint64_t>(row, "ceiling");
  node.log2_lanes = number<std::uint8_t>(row, "log2_lanes");
  if (node.log2_lanes > kMaxLog2Lanes) refuse("log2_lanes", "greater than 6");
  node.alive = !row.at("alive").is_null() && row.at("alive").get<bool>();
  node.system = static_cast<std::uint64_t>(number_or_null(row, "system"));
  if (!row.at("name").is_null()) node.name = row.at("name").get<std::string>();
  node.ceiling_us = number_or_null(row, "ceiling_us");
  node.since_us = number_or_null(row, "since_us");
  node.extended_us = number_or_null(row, "extended_us");
  return node;
}

FleetRoot root_of(const Json &fleet) {
  FleetRoot root;
  if (fleet.is_null()) return root;
  root.exists = true;
  root.id = uuid(fleet, "id");
  root.layout = fleet.at("layout").get<std::string>();
  root.epoch = fleet.at("epoch").get<std::string>();
  root.generation = number<std::uint64_t>(fleet, "generation");
  root.base = number<std::uint64_t>(fleet, "base");
  root.raised_us = number_or_null(fleet, "raised_us");
  root.same_system = fleet.at("same_system").get<bool>();
  // A coordinator whose extension is still 0.1.0 does not know of these.
  root.same_place = fleet.value("same_place", true);
  root.guarded = fleet.value("guarded", true);
  root.moved = !root.same_system || !root.same_place || !root.guarded ||
               !fleet.at("same_timeline").get<bool>();
  root.revision = root.generation;
  return root;
}

// Adds to the warning if dead rows have piled up. A coordinator whose extension is still
// 0.1.0 does not tell.
void warn_of_size(const Json &read, std::string &warning) {
  if (!read.contains("node_bytes") || !read.contains("node_rows")) return;
  const std::int64_t bytes = number_or_null(read, "node_bytes");
  if (read.at("node_rows").is_null()) return;
  const std::int64_t rows = number<std::int64_t>(read, "node_rows");
  if (bytes <= kSpareBytes || (bytes - kSpareBytes) / kBytesPerRow <= rows) return;
  warning += (warning.empty() ? "" : "; ") +
             ("the coordinator's table idgen_internal.node has grown to " +
              std::to_string(bytes >> 20) + " MB for " + std::to_string(rows) +
              " nodes: a long transaction, a prepared one or a replication slot in its database "
              "keeps old row versions, so that each renewal takes longer");
}

FleetView view_of(const Json &read) {
  FleetView view;
  view.root = root_of(read.at("fleet"));
  view.revision = number<std::uint64_t>(read, "revision");
  view.clock_us = number<std::int64_t>(read, "clock_us");
  view.took_over_us = number_or_null(read, "took_over_us");
  const Json &rows = read.at("nodes");
  if (!rows.is_array()) refuse("nodes", "no array");
  for (const Json &row : rows) {
    const FleetNode &node = view.nodes.emplace_back(node_of(row));
    if (view.nodes.size() > 1 && node.node <= view.nodes.end()[-2].node) {
      refuse("nodes", "not in order");
    }
  }
  if (number<std::int64_t>(read, "standbys") > 0 &&
      number<std::int64_t>(read, "synchronous") == 0) {
    view.warning =
        "the coordinator has standbys, but no synchronous one: a fail-over may lose what it has "
        "acknowledged, and all ceilings are raised then";
  }
  warn_of_size(read, view.warning);
  return view;
}

template <typename Read>
bool understand(std::string_view json, std::string &why, const Read &read) {
  try {
    JsonFault fault = JsonFault::none;
    const Json answer = parse_bounded(json, fault);
    if (fault != JsonFault::none) {
      why = std::string("the coordinator's answer ") + describe(fault);
      return false;
    }
    read(answer);
    return true;
  } catch (const Json::exception &e) {
    why = std::string("the coordinator's answer cannot be understood: ") + e.what();
  } catch (const std::invalid_argument &e) {
    why = std::string("the coordinator's answer cannot be understood: ") + e.what();
  }
  return false;
}

}  // namespace

bool parse_fleet(std::string_view json, FleetView &view, std::string &why) {
  return understand(json, why, [&view](const Json &read) { view = view_of(read); });
}

bool parse_written(std::string_view json, StoreResult &result) {
  return understand(json, result.message, [&result](const Json &written) {
    result.revision = number<std::uint64_t>(written, "revision");
    // A coordinator whose extension is still 0.1.0 does not tell.
    result.crowded =
        written.contains("node_bytes") && number_or_null(written, "node_bytes") > kSpareBytes;
  });
}

}  // namespace idgen
