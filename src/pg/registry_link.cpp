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
// Of asking a candidate whether it answers: nobody is in a hurry.
constexpr std::int64_t kProbeTimeoutNs = 5'000'000'000;
constexpr std::int64_t kProbePauseNs = 1'000'000'000;

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
  // What is not ASCII would not be valid text in every coordinator.
  for (char &c : host) {
    if (IS_HIGHBIT_SET(c)) c = '?';
  }
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

RegistryLink::Opened RegistryLink::open_setting() {
  Opened opened;
  opened.setting = pg::registry;
  opened.name = "local";
  if (opened.is_local()) {
    opened.registry =
        std::make_unique<LocalRegistry>(record_, instance_layout, LocalHost::here(system_));
    return opened;
  }
  char error[256] = {};
  OpenStore *open_store = load_network_library(error, sizeof(error));
  if (open_store != nullptr) {
    opened.store.reset(open_store(opened.setting.c_str(), error, sizeof(error)));
  }
  if (!opened.store) {
    opened.name = "unknown";
    opened.trouble = error;
    return opened;
  }
  opened.name = opened.store->describe();
  opened.registry = std::make_unique<FleetRegistry>(record_, *opened.store, instance_layout,
                                                    LocalHost::here(system_), instance_name());
  return opened;
}

void RegistryLink::open() {
  now_ = open_setting();
  if (!now_.registry) now_.registry = std::make_unique<RefusingRegistry>(now_.trouble);
}

bool RegistryLink::reload() {
  if (pg::registry == (has_candidate() ? candidate_.setting : now_.setting)) return false;
  candidate_.registry.reset();  // before its store
  candidate_ = Opened{};
  answers_ = probing_ = false;
  probe_at_ = 0;
  if (pg::registry != now_.setting) candidate_ = open_setting();
  return true;
}

bool RegistryLink::candidate_answers(std::int64_t now) {
  if (!candidate_.store || answers_) return candidate_.registry != nullptr;
  if (!probing_) {
    if (now < probe_at_) return false;
    candidate_.store->read(0, 0, kProbeTimeoutNs);
    probing_ = true;
  }
  StoreResult result;
  if (!candidate_.store->poll(result)) return false;
  probing_ = false;
  probe_at_ = now + kProbePauseNs;
  answers_ = result.outcome == StoreOutcome::done;
  candidate_.trouble = answers_ ? "" : result.message;
  return answers_;
}

void RegistryLink::doubt_candidate(std::string why) {
  answers_ = probing_ = false;
  candidate_.trouble = std::move(why);
}

void RegistryLink::promote() {
  now_.registry.reset();  // before its store
  now_ = std::move(candidate_);
  candidate_ = Opened{};
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
