// What a PostgreSQL coordinator answers: what is taken for a fleet, written as the
// coordinator would, is the same again.

#include "network/pg_records.h"

#include <nlohmann/json.hpp>
#include <string>

#include "fuzz.h"
#include "registry/own_record.h"

namespace idgen {
namespace {

using fuzz::require;
using Json = nlohmann::json;

const char *letter_of(NodeState state) {
  return state == NodeState::held ? "h" : state == NodeState::retired ? "r" : "f";
}

Json written(const FleetNode &node) {
  return {{"node", node.node},
          {"revision", node.revision},
          {"epoch", node.epoch},
          {"state", letter_of(node.state)},
          {"holder", to_hex(node.holder)},
          {"ceiling", node.ceiling},
          {"log2_lanes", node.log2_lanes},
          {"alive", node.alive},
          {"system", static_cast<std::int64_t>(node.system)},
          {"name", node.name},
          {"ceiling_us", node.ceiling_us},
          {"since_us", node.since_us},
          {"extended_us", node.extended_us}};
}

Json written(const FleetRoot &root) {
  if (!root.exists) return nullptr;
  return {{"id", to_hex(root.id)},
          {"layout", root.layout},
          {"epoch", root.epoch},
          {"generation", root.generation},
          {"base", root.base},
          {"raised_us", root.raised_us},
          {"same_system", root.same_system},
          {"same_place", root.same_place},
          {"guarded", root.guarded},
          {"same_timeline", !root.moved}};
}

std::string written(const FleetView &view) {
  Json nodes = Json::array();
  for (const FleetNode &node : view.nodes) nodes.push_back(written(node));
  return Json{{"fleet", written(view.root)},
              {"revision", view.revision},
              {"clock_us", view.clock_us},
              {"took_over_us", view.took_over_us},
              {"standbys", view.warning.empty() ? 0 : 1},
              {"synchronous", 0},
              {"nodes", std::move(nodes)}}
      .dump();
}

void check_fleet(std::string_view text) {
  FleetView view;
  std::string why;
  if (!parse_fleet(text, view, why)) {
    require(!why.empty() && why.find('\n') == std::string::npos, "a refusal says why, in a line");
    return;
  }
  const FleetNode *before = nullptr;
  for (const FleetNode &node : view.nodes) {
    require(before == nullptr || before->node < node.node, "the rows are by number, each once");
    require(node.revision != 0, "a row that is there has a revision");
    require(node.log2_lanes <= 6, "a block has at most 64 nodes");
    before = &node;
  }
  FleetView back;
  require(parse_fleet(written(view), back, why), "a fleet is written");
  require(written(back) == written(view), "a fleet is read back");

  const Json read = Json::parse(text.begin(), text.end());
  require(read["revision"] == view.revision && read["clock_us"] == view.clock_us &&
              (!view.root.exists || (read["fleet"]["generation"] == view.root.generation &&
                                     read["fleet"]["base"] == view.root.base)),
          "no number of the fleet is cut to fit");
  require(view.nodes.size() == read["nodes"].size(), "no row is left out");
  for (std::size_t i = 0; i < view.nodes.size(); ++i) {
    const Json &row = read["nodes"][i];
    const FleetNode &node = view.nodes[i];
    require(row["node"] == node.node && row["revision"] == node.revision &&
                row["epoch"] == node.epoch && row["ceiling"] == node.ceiling &&
                row["log2_lanes"] == node.log2_lanes && row["state"] == letter_of(node.state),
            "none of a row, either");
  }
}

}  // namespace
}  // namespace idgen

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using namespace idgen;
  const std::string_view text = fuzz::text_of(data, size);
  check_fleet(text);
  StoreResult result;
  if (parse_written(text, result)) {
    fuzz::require(Json::parse(text.begin(), text.end())["revision"] == result.revision,
                  "a write's revision is what the answer says");
  } else {
    fuzz::require(!result.message.empty(), "a refusal says why");
  }
  return 0;
}
