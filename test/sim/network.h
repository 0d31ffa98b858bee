// The way between the instances of a fleet and its coordinator. Requests and
// replies take time, and are lost, late or sent twice; some arrive when their
// sender has given up, or has ended.

#ifndef IDGEN_TEST_SIM_NETWORK_H
#define IDGEN_TEST_SIM_NETWORK_H

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "history.h"
#include "registry/fleet_store.h"

namespace idgen::sim {

struct ReadStep {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
};
using StoreStep = std::variant<ReadStep, FleetWrite, FleetRoot, FleetRaise>;

class Link;

// One step on its way there, or with its result on the way back.
struct Message {
  std::int64_t due = 0;
  int instance = 0;
  std::uint64_t link = 0;
  std::uint64_t lease = 0;    // of the link: what it writes as held is alive by it
  std::uint64_t number = 0;   // of the step
  std::int64_t deadline = 0;  // after which nobody waits for it
  bool for_operator = false;
  bool second = false;  // it was sent twice
  std::shared_ptr<const StoreStep> step;
  std::optional<StoreResult> result;
};

// What is at the ends of it.
class NetworkEnds {
 public:
  NetworkEnds() = default;
  NetworkEnds(const NetworkEnds &) = delete;
  NetworkEnds &operator=(const NetworkEnds &) = delete;
  virtual ~NetworkEnds() = default;
  // Who waits for a step's result.
  enum class Sender : std::uint8_t { waits, gave_up, ended };
  // The coordinator carries a step out.
  virtual StoreResult carry_out(const Message &message, Sender sender) = 0;
  // Its result has come to whoever waits for it.
  virtual void on_result(const Message &message) = 0;
  // A step had no answer in time (mutants give it one).
  virtual void on_time_out(const Message &message, StoreResult &result) = 0;
  // Somebody outside doesn't let it through.
  virtual bool is_barred(const Message &message) const = 0;
};

class Network {
 public:
  Network(History &history, NetworkEnds &ends) : history_(history), ends_(ends) {}

  void send(Link &link, StoreStep step, std::int64_t timeout);
  std::int64_t due() const;  // of the next message
  void step();

  // Nothing passes between the coordinator and this instance (0: any), for a while.
  void cut(int instance, std::int64_t until) { cuts_[instance] = until; }
  // All that is on its way is lost; or all that is on its way there.
  void drop_all() { messages_.clear(); }
  void drop_requests() {
    std::erase_if(messages_, [](const Message &message) { return !message.result; });
  }
  void heal();
  // How often a message is lost: once in so many.
  void set_loss(std::uint64_t one_in) { loss_ = one_in; }

 private:
  friend class Link;
  void post(Message message);
  std::int64_t delay();
  bool is_lost();
  bool is_cut(int instance, std::int64_t &until) const;

  History &history_;
  NetworkEnds &ends_;
  std::uint64_t loss_ = 30;
  std::uint64_t links_made_ = 0;
  std::uint64_t leases_made_ = 0;
  std::map<std::uint64_t, Link *> links_;  // those that there are
  std::map<int, std::int64_t> cuts_;
  std::vector<Message> messages_;
};

// A worker's store.
class Link final : public FleetStore {
 public:
  Link(Network &network, int instance);
  ~Link() override { network_.links_.erase(number_); }

  void read(std::uint32_t first, std::uint32_t last, std::int64_t timeout) override {
    network_.send(*this, ReadStep{first, last}, timeout);
  }
  void write(const FleetWrite &write, std::int64_t timeout) override {
    network_.send(*this, write, timeout);
  }
  void create(const FleetRoot &root, std::int64_t timeout) override {
    network_.send(*this, root, timeout);
  }
  void raise(const FleetRaise &raise, std::int64_t timeout) override {
    network_.send(*this, raise, timeout);
  }
  bool poll(StoreResult &result) override;
  Wait waits_for() const noexcept override { return {}; }
  std::string describe() const override { return "memory://fleet"; }

  std::uint64_t lease() const { return lease_; }

  bool for_operator = false;  // the steps from now on

 private:
  friend class Network;
  void note_outcome(const StoreResult &result);
  Network &network_;
  const int instance_;
  const std::uint64_t number_;
  std::uint64_t steps_ = 0;
  std::uint64_t lease_ = 0;
  Message waits_for_;  // in flight, if it has a step
  std::optional<StoreResult> result_;
};

}  // namespace idgen::sim

#endif  // IDGEN_TEST_SIM_NETWORK_H
