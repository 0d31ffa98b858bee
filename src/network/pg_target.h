// Where a PostgreSQL coordinator is: the setting idgen.registry, by libpq's rules.
//
// libpq connects asynchronously, but for two things, which are done here instead:
// it looks names up with a call that blocks, and it has no time-out for one host
// of several. So each attempt is for one host, whose address is known.

#ifndef IDGEN_NETWORK_PG_TARGET_H
#define IDGEN_NETWORK_PG_TARGET_H

#include <netdb.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "registry/fleet_store.h"

namespace idgen {

// Keywords and values, as PQconnectStartParams() takes them.
using PgParameters = std::vector<std::pair<std::string, std::string>>;

struct PgHost {
  std::string host;     // a name, an address, a socket's folder, or empty: libpq's default
  std::string address;  // hostaddr, or empty
  std::string port;
};

struct PgTarget {
  StoreCaution caution;       // that the coordinator is not verified
  PgParameters common;        // all but host, hostaddr and port
  std::vector<PgHost> hosts;  // at least one
};

// False if libpq doesn't take it, or if it couldn't be shown in a line; `why` quotes
// nothing of it. Where several hosts are named and nothing else is said, the one that
// takes writes is meant; and where nothing is said of GSSAPI, its encryption is off, as
// libpq would ask for tickets in calls that block.
bool parse_pg_target(std::string_view conninfo, PgTarget &target, std::string &why);

// "postgresql://host:5432,host2:5432/dbname": what may be shown, in a line.
std::string describe(const PgTarget &target);

// Looks a host name up without blocking: getaddrinfo_a(3), whose thread is started
// with all signals blocked.
class PgResolver {
 public:
  PgResolver() = default;
  PgResolver(const PgResolver &) = delete;
  PgResolver &operator=(const PgResolver &) = delete;
  ~PgResolver() { cancel(); }

  // False if it can't be looked up.
  bool begin(const std::string &host);
  enum class State { none, waiting, found, failed };
  // Once `found`: the addresses, numeric. Once `failed`: why.
  State poll(std::vector<std::string> &addresses, std::string &why);
  void cancel();

 private:
  struct Lookup {
    std::string host;
    addrinfo hints{};
    gaicb request{};
  };
  std::unique_ptr<Lookup> lookup_;
};

// Must `host` be looked up, or is it an address, a socket's folder, or libpq's
// default?
bool is_host_name(const std::string &host);

}  // namespace idgen

#endif  // IDGEN_NETWORK_PG_TARGET_H
