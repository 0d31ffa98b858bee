// What idgen keeps in etcd: keys below a prefix, and JSON values.
//
//    root               {"id":"<32 hex>","layout":"time:41 ...","epoch":"2025-01-01T00:00:00Z",
//                        "generation":1,"base":0,"cluster":"<16 hex>","nonce":"<16 hex>"}
//    node/0000000397    {"epoch":3,"state":"held","holder":"<32 hex>","ceiling":59876543210,
//                        "log2_lanes":0,"system":7449876543210987654,"name":"main",
//                        "ceiling_us":...,"since_us":...,"extended_us":...,"nonce":"<16 hex>"}
//    alive/0000000397   <32 hex>, the holder
//
// The nonce is drawn for each write, so that no two writes ever leave the same
// value behind. `cluster` is the ID of the etcd cluster that the root was written to.

#ifndef IDGEN_NETWORK_ETCD_RECORDS_H
#define IDGEN_NETWORK_ETCD_RECORDS_H

#include <cstdint>
#include <string>
#include <string_view>

#include "registry/fleet_store.h"

namespace idgen {

class EtcdKeys {
 public:
  explicit EtcdKeys(const std::string &prefix) : prefix_(prefix + "/") {}

  std::string root() const { return prefix_ + "root"; }
  // `node` may be one above the highest, as the end of a range.
  std::string node(std::uint64_t node) const { return numbered("node/", node); }
  std::string alive(std::uint64_t node) const { return numbered("alive/", node); }

  // The number in such a key. False if the key is none that node() or alive() makes.
  bool number_of(std::string_view key, std::uint32_t &node) const;

 private:
  std::string numbered(const char *folder, std::uint64_t number) const;

  std::string prefix_;
};

// 32 hexadecimal digits.
std::string to_text(const Incarnation &holder);

// Of the node's fields those that are recorded; not `node`, `revision`, `alive`
// and `value`.
std::string node_value(const FleetNode &node, std::uint64_t nonce);
// Strict: all fields, each within its range, and no other. The value is kept in
// `node.value`.
bool parse_node(std::string_view value, FleetNode &node);

std::string root_value(const FleetRoot &root, std::uint64_t cluster, std::uint64_t nonce);
// Likewise. `exists` and `value` are set, and `moved` if it isn't `cluster`'s.
bool parse_root(std::string_view value, std::uint64_t cluster, FleetRoot &root);

}  // namespace idgen

#endif  // IDGEN_NETWORK_ETCD_RECORDS_H
