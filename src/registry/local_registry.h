// The `local` registry: one instance, nothing to set up. The instance's own
// record is the whole registry.

#ifndef IDGEN_REGISTRY_LOCAL_REGISTRY_H
#define IDGEN_REGISTRY_LOCAL_REGISTRY_H

#include <optional>
#include <random>
#include <string>

#include "registry/own_record.h"
#include "registry/registry.h"

namespace idgen {

class LocalRegistry final : public Registry {
 public:
  // `directory`: where the record lies. `system`: PostgreSQL's system
  // identifier, kept for whoever reads the record. The layout must be
  // is_issuable().
  LocalRegistry(std::string directory, const Layout &layout, std::uint64_t system);

  void begin(const RegistryRequest &request) override { request_ = request; }
  bool poll(RegistryReply &reply) override;
  int descriptor() const noexcept override { return -1; }

 private:
  void acquire(const RegistryRequest &request, RegistryReply &reply);
  void resume(const RegistryRequest &request, RegistryReply &reply);
  void extend(const RegistryRequest &request, RegistryReply &reply);
  bool load(RegistryReply &reply, bool &found, bool &copied);
  bool choose(const RegistryRequest &request, bool found, bool copied, OwnRecord &next,
              std::string &message);
  bool store(const RegistryRequest &request, OwnRecord next, RegistryReply &reply);

  RecordFile file_;
  Layout layout_;
  std::uint64_t system_;
  std::random_device random_;
  std::optional<RegistryRequest> request_;
  // What was last written or read, and what is known of it. A ceiling that is
  // only read back serves as a floor, never as a ceiling (U3).
  OwnRecord record_;
  bool held_ = false;  // record_ names the node that this incarnation holds
};

}  // namespace idgen

#endif  // IDGEN_REGISTRY_LOCAL_REGISTRY_H
