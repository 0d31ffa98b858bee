// A fleet's store in PostgreSQL: the functions idgen_internal.fleet_*() of a
// database in which the extension was created, by libpq, never blocking.
//
// A write counts as acknowledged only when the server is idle again after it, with
// no WARNING on the way: the commit comes after the statement's own completion,
// and a wait for a synchronous standby that was cut short is told by a warning,
// though the standby may not have the commit. Then nothing is known.
//
// An error, on the other hand, says for sure that nothing was done.

#ifndef IDGEN_NETWORK_PG_STORE_H
#define IDGEN_NETWORK_PG_STORE_H

#include <libpq-fe.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "network/pg_target.h"
#include "registry/fleet_store.h"

namespace idgen {

class PgStore final : public FleetStore {
 public:
  explicit PgStore(PgTarget target) : target_(std::move(target)) {}

  void read(std::uint32_t first, std::uint32_t last, std::int64_t timeout) override;
  void write(const FleetWrite &write, std::int64_t timeout) override;
  void create(const FleetRoot &root, std::int64_t timeout) override;
  void raise(const FleetRaise &raise, std::int64_t timeout) override;
  bool poll(StoreResult &result) override;
  Wait waits_for() const noexcept override;
  StoreCaution caution() const override { return target_.caution; }
  std::string describe() const override { return idgen::describe(target_); }

 private:
  enum class Task : std::uint8_t { none, read, write, create, raise };
  enum class Link : std::uint8_t {
    closed,
    resolving,   // the host's name
    connecting,  // libpq
    ready,
    busy,  // with the step's query
  };
  struct Close {
    void operator()(PGconn *connection) const { PQfinish(connection); }
  };
  struct Clear {
    void operator()(PGresult *result) const { PQclear(result); }
  };
  using Result = std::unique_ptr<PGresult, Clear>;

  void begin(Task task, const char *function, std::vector<std::string> values,
             std::int64_t timeout);
  bool finish(StoreResult &result, StoreOutcome outcome, const std::string &message);

  // Each goes one step on; false when nothing more can be done for now.
  bool go_on();
  bool open();
  bool resolve();
  bool connect(const std::string &address);
  bool poll_connection();
  std::string call() const;
  bool send();
  bool collect();

  bool hosts_left() const noexcept { return tried_ < target_.hosts.size(); }
  void give_up_host(std::string why);
  void disconnect() noexcept;
  void judge(StoreResult &result);
  void judge_error(const PGresult *error, StoreResult &result);
  void take_rows(const char *json, StoreResult &result);
  static void on_notice(void *self, const PGresult *notice);

  PgTarget target_;
  PgResolver resolver_;
  std::unique_ptr<PGconn, Close> connection_;
  Link link_ = Link::closed;
  PostgresPollingStatusType polling_ = PGRES_POLLING_WRITING;
  std::size_t host_ = 0;     // the one in use, or to be tried first
  std::size_t tried_ = 0;    // hosts, in this step
  std::size_t address_ = 0;  // of the host's, when it has several
  std::int64_t host_until_ = 0;
  std::string failure_;  // of the last attempt to connect

  Task task_ = Task::none;
  const char *function_ = nullptr;
  std::vector<std::string> values_;
  FleetWrite write_;
  std::int64_t until_ = 0;
  std::int64_t timeout_ = 0;
  bool sent_ = false;
  std::vector<Result> results_;
  std::size_t received_ = 0;  // bytes, since the statement was sent
  std::string warning_;       // since the statement was sent
};

// A store for the setting's connection string. Null, and `error`, if it isn't one;
// nothing is connected yet. `error` has no credentials in it.
std::unique_ptr<FleetStore> open_pg_store(std::string_view registry, std::string &error);

}  // namespace idgen

#endif  // IDGEN_NETWORK_PG_STORE_H
