// The entry of the library idgen_network.

#include "network/network.h"

#include <memory>
#include <string>
#include <string_view>

#include "network/etcd_store.h"
#include "network/pg_store.h"
#include "pg/door.h"
#include "pg/prelude.h"

#pragma GCC visibility push(default)
extern "C" {
PG_MODULE_MAGIC;
idgen::OpenStore idgen_network_open;
}
#pragma GCC visibility pop

idgen::FleetStore *idgen_network_open(const char *registry, char *error, std::size_t size) {
  std::unique_ptr<idgen::FleetStore> store;
  const idgen::pg::Outcome outcome = idgen::pg::guarded([&] {
    std::string why;
    store = std::string_view(registry).starts_with("etcd://")
                ? idgen::open_etcd_store(registry, why)
                : idgen::open_pg_store(registry, why);
    strlcpy(error, why.c_str(), size);
  });
  if (!outcome.ok) strlcpy(error, outcome.message, size);
  return store.release();
}
