// A fleet's transactions in etcd: what they compare, and what a read brings.

#ifndef IDGEN_NETWORK_ETCD_TRANSACTIONS_H
#define IDGEN_NETWORK_ETCD_TRANSACTIONS_H

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "network/etcd_client.h"
#include "network/etcd_json.h"
#include "network/etcd_records.h"
#include "registry/fleet_store.h"

namespace idgen {

// The root is still this one.
void expect_root(EtcdTransaction &transaction, const EtcdKeys &keys, const FleetRoot &root);

// Each node is still this one; those of revision 0 aren't there. Together with the
// root no more comparisons than a transaction may have, for up to 64 nodes in order.
void expect_nodes(EtcdTransaction &transaction, const EtcdKeys &keys,
                  const std::vector<FleetNode> &nodes);

// Everything of [first, last], in one state of the store.
void read_fleet(EtcdTransaction &transaction, const EtcdKeys &keys, std::uint32_t first,
                std::uint32_t last);

// A liveness key.
struct EtcdAlive {
  std::string holder;
  std::uint64_t lease = 0;
};

// The answer to it. Refused, if a record isn't one of ours: nothing is known of that
// node then, and it must not be taken for free; unknown, if the answer makes no sense.
StoreOutcome take_fleet(const EtcdAnswer &answer, const EtcdKeys &keys, FleetView &view,
                        std::map<std::uint32_t, EtcdAlive> &alive, std::string &why);

}  // namespace idgen

#endif  // IDGEN_NETWORK_ETCD_TRANSACTIONS_H
