// The answer to a read of the fleet: what is taken is a fleet, every row at its
// place and as its record says.
//
// The input is the body with its keys and values in plain text, not in base64, so
// that it can be changed to some purpose.

#include <map>
#include <memory>
#include <string>

#include "fuzz.h"
#include "network/etcd_transactions.h"

namespace idgen {
namespace {

using fuzz::require;

// Null if there is none.
Json *inner(Json *object, const char *name) {
  if (object == nullptr || !object->is_object()) return nullptr;
  const auto found = object->find(name);
  return found == object->end() ? nullptr : &*found;
}

void encode(Json &body) {
  Json *responses = inner(&body, "responses");
  if (responses == nullptr || !responses->is_array()) return;
  for (Json &response : *responses) {
    Json *entries = inner(inner(&response, "response_range"), "kvs");
    if (entries == nullptr || !entries->is_array()) continue;
    for (Json &entry : *entries) {
      for (const char *name : {"key", "value"}) {
        Json *text = inner(&entry, name);
        if (text != nullptr && text->is_string()) *text = to_base64(text->get<std::string>());
      }
    }
  }
}

void check_view(const FleetView &view, const std::map<std::uint32_t, EtcdAlive> &alive) {
  require(view.root.exists == (view.root.revision != 0), "a root that is there has a revision");
  const FleetNode *before = nullptr;
  for (const FleetNode &node : view.nodes) {
    require(before == nullptr || before->node < node.node, "the rows are by number, each once");
    require(node.revision != 0, "a row that is there has a revision");
    before = &node;
    FleetNode read;
    require(parse_node(node.value, read) && read.epoch == node.epoch && read.state == node.state &&
                read.holder == node.holder && read.ceiling == node.ceiling &&
                read.log2_lanes == node.log2_lanes,
            "a row is what its record says, and nothing of another's");
    const auto liveness = alive.find(node.node);
    require(!node.alive || (node.state == NodeState::held && liveness != alive.end() &&
                            liveness->second.holder == to_text(node.holder)),
            "alive is who holds the node and says so");
  }
}

}  // namespace
}  // namespace idgen

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using namespace idgen;
  const std::string_view text = fuzz::text_of(data, size);
  EtcdAnswer answer;
  answer.body = std::make_unique<Json>(Json::parse(text.begin(), text.end(), nullptr, false));
  answer.cluster = 1;
  answer.revision = 1;
  encode(*answer.body);

  FleetView view;
  std::map<std::uint32_t, EtcdAlive> alive;
  std::string why;
  const StoreOutcome outcome = take_fleet(answer, EtcdKeys("idgen"), view, alive, why);
  if (outcome == StoreOutcome::done) {
    check_view(view, alive);
  } else {
    fuzz::require(outcome != StoreOutcome::conflict && !why.empty(), "a refusal says why");
    fuzz::require(why.find('\n') == std::string::npos, "in a line");
  }
  return 0;
}
