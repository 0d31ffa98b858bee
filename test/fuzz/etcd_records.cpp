// idgen's records in etcd: a node's or a root's value that is accepted is written
// and read back, and only keys that idgen makes have a number.

#include "network/etcd_records.h"

#include <string>

#include "fuzz.h"

namespace idgen {
namespace {

using fuzz::require;

void check_node(std::string_view value) {
  FleetNode node;
  if (!parse_node(value, node)) return;
  require(node.value == value, "a node's value is kept");
  require(node.log2_lanes <= 6, "a block has at most 64 nodes");
  FleetNode back;
  require(parse_node(node_value(node, fuzz::hash_of(value)), back), "a node is written");
  require(back.epoch == node.epoch && back.state == node.state && back.holder == node.holder &&
              back.ceiling == node.ceiling && back.log2_lanes == node.log2_lanes &&
              back.system == node.system && back.name == node.name &&
              back.ceiling_us == node.ceiling_us && back.since_us == node.since_us &&
              back.extended_us == node.extended_us,
          "a node is read back");
  require(node_value(back, 0) != node_value(back, 1), "no two writes are alike");
  FleetRoot root;
  require(!parse_root(value, 1, root), "a node is no root");
}

void check_root(std::string_view value) {
  const std::uint64_t cluster = 1;
  FleetRoot root;
  if (!parse_root(value, cluster, root)) return;
  require(root.exists && root.value == value, "a root's value is kept");
  FleetRoot back;
  require(parse_root(root_value(root, cluster, 0), cluster, back), "a root is written");
  require(back.id == root.id && back.layout == root.layout && back.epoch == root.epoch &&
              back.generation == root.generation && back.base == root.base &&
              back.raised_us == root.raised_us && !back.moved && back.same_system,
          "a root is read back");
  require(parse_root(value, cluster + 1, back) && (back.moved || root.moved),
          "a root is of one cluster only");
}

void check_key(std::string_view key) {
  const EtcdKeys keys("idgen");
  std::uint32_t number = 0;
  if (keys.number_of(key, number)) {
    require(key == keys.node(number) || key == keys.alive(number), "a numbered key is idgen's");
  }
  const auto other = static_cast<std::uint32_t>(fuzz::hash_of(key));
  for (const std::string &made : {keys.node(other), keys.alive(other)}) {
    require(keys.number_of(made, number) && number == other, "a key's number is read back");
  }
}

}  // namespace
}  // namespace idgen

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const std::string_view text = idgen::fuzz::text_of(data, size);
  idgen::check_node(text);
  idgen::check_root(text);
  idgen::check_key(text);
  return 0;
}
