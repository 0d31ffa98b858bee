#include "pg/registry_link.h"

#include <unistd.h>

#include <climits>
#include <utility>

#include "network/network.h"
#include "pg/door.h"
#include "pg/settings.h"
#include "registry/fleet_registry.h"
#include "registry/local_registry.h"

// Last: it takes names that others want.
#include "pg/prelude.h"

namespace idgen::pg {
namespace {

constexpr char kRecordDirectory[] = "idgen";  // below the data directory, where we are

class RefusingRegistry final : public Registry {
 public:
  explicit RefusingRegistry(std::string why) : why_(std::move(why)) {}
  void begin(const RegistryRequest &request) override {
    ask_ = request.ask;
    asked_ = true;
  }
  bool poll(RegistryReply &reply) override {
    if (!std::exchange(asked_, false)) return false;
    reply = RegistryReply{};
    reply.ask = ask_;
    reply.outcome = RegistryOutcome::refused;
    reply.message = why_;
    return true;
  }
  Wait waits_for() const noexcept override { return {}; }

 private:
  std::string why_;
  RegistryAsk ask_ = RegistryAsk::look;
  bool asked_ = false;
};

// What the fleet shows of this instance: cluster_name alone would be the same for
// all members of a Patroni cluster.
std::string instance_name() {
  char host[HOST_NAME_MAX + 1] = {};
  (void)gethostname(host, sizeof(host) - 1);
  const std::string address = std::string(host) + ":" + std::to_string(PostPortNumber);
  return cluster_name[0] == '\0' ? address : std::string(cluster_name) + " (" + address + ")";
}

// Loading reports its errors by ereport: caught here, where nothing has a
// destructor. Null, and the reason in `error`, if the library can't be loaded.
OpenStore *load_network_library(char *error, std::size_t size) {
  OpenStore *volatile open = nullptr;
  MemoryContext context = CurrentMemoryContext;
  PG_TRY();
  {
    open = reinterpret_cast<OpenStore *>(
        load_external_function(kNetworkLibrary, kOpenStore, true, nullptr));
  }
  PG_CATCH();
  {
    MemoryContextSwitchTo(context);
    ErrorData *data = CopyErrorData();
    FlushErrorState();
    strlcpy(error, data->message, size);
    FreeErrorData(data);
  }
  PG_END_TRY();
  return open;
}

}  // namespace

RegistryLink::RegistryLink(std::uint64_t system) : system_(system), record_(kRecordDirectory) {}

bool RegistryLink::open() {
  if (registry_ && setting_ == pg::registry) return false;
  setting_ = pg::registry;
  registry_.reset();
  store_.reset();
  name_ = "local";
  if (registry_is_local()) {
    registry_ = std::make_unique<LocalRegistry>(record_, instance_layout, LocalHost::here(system_));
    return true;
  }
  char error[256] = {};
  OpenStore *open_store = load_network_library(error, sizeof(error));
  if (open_store != nullptr) store_.reset(open_store(setting_.c_str(), error, sizeof(error)));
  if (!store_) {
    name_ = "unknown";
    registry_ = std::make_unique<RefusingRegistry>(error);
    return true;
  }
  name_ = store_->describe();
  registry_ = std::make_unique<FleetRegistry>(record_, *store_, instance_layout,
                                              LocalHost::here(system_), instance_name());
  return true;
}

RecordedLayout read_recorded_layout() noexcept {
  RecordedLayout found;
  (void)guarded([&found] {
    OwnRecord record;
    bool copied = false;
    std::string why;
    if (RecordFile(kRecordDirectory).load(record, copied, why) != RecordStore::Load::loaded) return;
    const EpochParse epoch = parse_epoch(record.epoch);
    const LayoutParse layout = parse_layout(record.layout, epoch.unix_us);
    if (!epoch.ok || !layout.ok()) return;
    found = {to_text(layout.layout), epoch_to_text(epoch.unix_us)};
  });
  return found;
}

}  // namespace idgen::pg
