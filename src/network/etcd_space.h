// How full the databases of an etcd's members are.
//
// etcd keeps every revision until it is compacted, and refuses all writes of the cluster
// once the database of any member exceeds its quota. Each renewal of each instance is a
// revision. So the members are asked, one after the other, when a store is opened and
// once an hour: for their size by /v3/maintenance/status, and for their quota by
// /metrics, as the status has had that only since etcd 3.6.
//
// This goes on beside the store's steps, over connections of its own, and delays none.

#ifndef IDGEN_NETWORK_ETCD_SPACE_H
#define IDGEN_NETWORK_ETCD_SPACE_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "network/etcd_client.h"
#include "network/etcd_url.h"
#include "network/http_exchange.h"
#include "registry/fleet_store.h"

namespace idgen {

class EtcdSpace {
 public:
  explicit EtcdSpace(EtcdUrl url);

  // Goes on, and starts when it is time. Never blocks. True, once for each round, when
  // all members have been asked; those that answered are in found() then.
  bool tend();
  const std::vector<StoreSpace> &found() const noexcept { return found_; }
  // Asks again soon: a write was refused for lack of room.
  void look_soon() noexcept { next_at_ = 0; }

 private:
  enum class Asked : std::uint8_t { nothing, status, metrics };

  bool go_on();
  void ask_status();
  void ask_metrics();
  void on_status(const EtcdAnswer &answer);
  void on_metrics(const HttpReply &reply);
  void next_member();

  EtcdUrl url_;
  Asked asked_ = Asked::nothing;
  std::size_t member_ = 0;
  std::int64_t next_at_ = 0;  // CLOCK_MONOTONIC, ns
  bool any_failed_ = false;
  std::unique_ptr<EtcdClient> client_;      // while a status is asked for
  std::unique_ptr<HttpExchange> exchange_;  // while metrics are
  StoreSpace space_;                        // of the member that is being asked
  std::vector<StoreSpace> finding_;
  std::vector<StoreSpace> found_;
};

}  // namespace idgen

#endif  // IDGEN_NETWORK_ETCD_SPACE_H
