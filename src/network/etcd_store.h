// A fleet's store in etcd, by its v3 JSON gateway (etcd 3.4 and later).
//
//    <prefix>/root                 what goes for all nodes: etcd_records.h
//    <prefix>/node/<10 digits>     one node's record. No etcd lease is attached:
//                                  whatever expires, a ceiling stays (U4)
//    <prefix>/alive/<10 digits>    its holder, attached to an etcd lease; gone when
//                                  the holder hasn't extended for that long
//
// A step is one etcd transaction. It compares the revision *and* the value (with
// epoch and nonce) of the root and of each node: after a restore from a backup
// revisions come back, values don't.
//
// Reads are linearizable: a transaction of ranges, none of them `serializable`, is
// answered after a round of agreement, and from one state of the store.
//
// The liveness of all nodes that this store has written as held hangs on one
// etcd lease. A write that needs it grants it first; each further write is followed
// by a keep-alive (no write to etcd), whose answer the next step reads. A store
// that is destroyed revokes nothing.
//
// The clock is the header Date of the member that answers: whole seconds, rounded
// down. FleetView.clock_us is 0 if there is none (a proxy took it away).
//
// FleetRoot.moved says that the root was written to an etcd of another cluster ID,
// as a restore from a snapshot makes one; `same_system` is then false.
//
// What etcd can't say: a cluster forced on with a minority of its members
// (--force-new-cluster) keeps its ID, and may have lost writes that were acknowledged.

#ifndef IDGEN_NETWORK_ETCD_STORE_H
#define IDGEN_NETWORK_ETCD_STORE_H

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "network/etcd_client.h"
#include "network/etcd_json.h"
#include "network/etcd_records.h"
#include "network/etcd_space.h"
#include "network/etcd_url.h"
#include "registry/fleet_store.h"

namespace idgen {

class EtcdStore final : public FleetStore {
 public:
  explicit EtcdStore(EtcdUrl url);

  void read(std::uint32_t first, std::uint32_t last, std::int64_t timeout) override;
  // At most kMaxNodes.
  void write(const FleetWrite &write, std::int64_t timeout) override;
  void create(const FleetRoot &root, std::int64_t timeout) override;
  // The rows of a raise that don't go into one transaction are raised before the root.
  // It may then be left half-way: a ceiling too high does no harm.
  void raise(const FleetRaise &raise, std::int64_t timeout) override;

  // May also be called, but needn't be, when no step is in flight.
  bool poll(StoreResult &result) override;
  Wait waits_for() const noexcept override;
  const std::vector<StoreSpace> *tend() override {
    return space_.tend() ? &space_.found() : nullptr;
  }
  StoreCaution caution() const override { return caution_of(client_.url()); }
  std::string describe() const override { return idgen::describe(client_.url()); }

  static constexpr std::size_t kMaxNodes = 64;
  // Rows that one transaction raises.
  static constexpr std::size_t kMaxRaised = 63;

 private:
  enum class Task : std::uint8_t { none, read, write, create, raise };
  enum class Sent : std::uint8_t { nothing, probe, grant, transaction, keep_alive };

  struct Step {
    Task task = Task::none;
    std::int64_t deadline = 0;
    std::uint32_t first = 0;
    std::uint32_t last = 0;
    FleetWrite write;
    FleetRaise raise;
    FleetRoot root;                // create
    std::vector<FleetNode> after;  // write: what the nodes become
    std::size_t raised = 0;        // of raise.above: done
    std::size_t raising = 0;       // and in flight
    bool raises_root = false;      // as the transaction in flight does
    bool probed = false;
    bool lease_was_gone = false;
    bool finished = false;
    StoreResult result;
  };

  // What keeps our nodes alive.
  struct Liveness {
    std::uint64_t lease = 0;      // 0: none
    std::int64_t asked_s = 0;     // for how long a lease was asked
    std::int64_t ttl_ns = 0;      // and granted
    std::int64_t renewed_at = 0;  // CLOCK_MONOTONIC, ns
    // Nodes whose liveness key hangs on the lease, as far as known, and for whom.
    std::map<std::uint32_t, Incarnation> nodes;
  };

  Step &begin(Task task, std::int64_t timeout);
  bool check(const FleetWrite &write);
  void start();
  std::size_t longest_answer() const;
  void proceed();
  void call(Sent sent, const char *path, std::string body, bool once);
  void on_answer(EtcdAnswer answer);
  void on_transaction(const EtcdAnswer &answer);
  void on_done(const EtcdAnswer &answer);
  void finish(StoreOutcome outcome, std::string message);
  void fail(const EtcdAnswer &answer);
  bool is_too_far_ahead() const;

  std::string transaction();
  void make_write(EtcdTransaction &transaction);
  void make_raise(EtcdTransaction &transaction);
  void take_view(const EtcdAnswer &answer);

  bool needs_lease() const;
  void on_grant(const EtcdAnswer &answer);
  void keep_alive();
  void on_keep_alive(const EtcdAnswer &answer);
  bool waits_for_keep_alive() const noexcept;

  std::uint64_t draw();

  EtcdClient client_;
  EtcdKeys keys_;
  EtcdSpace space_;
  std::random_device random_;
  std::uint64_t cluster_ = 0;  // that answered last
  Step step_;
  Sent sent_ = Sent::nothing;
  std::int64_t patience_ends_ = 0;  // of a step, with the keep-alive before it
  Liveness liveness_;
};

// A store for the setting's URL (etcd_url.h). Null, and `error`, if that is not
// right; nothing is connected yet. `error` has no credentials in it.
std::unique_ptr<FleetStore> open_etcd_store(std::string_view registry, std::string &error);

}  // namespace idgen

#endif  // IDGEN_NETWORK_ETCD_STORE_H
