// The `local` registry: one instance, nothing to set up. The instance's own
// record is the whole registry.

#ifndef IDGEN_REGISTRY_LOCAL_REGISTRY_H
#define IDGEN_REGISTRY_LOCAL_REGISTRY_H

#include <functional>
#include <optional>
#include <string>

#include "core/grant.h"
#include "registry/own_record.h"
#include "registry/registry.h"

namespace idgen {

// What the registry needs to know of where it runs.
struct LocalHost {
  std::uint64_t system = 0;  // PostgreSQL's system identifier, kept for whoever reads the record
  std::string boot;          // of the running kernel; empty or "unknown": it cannot be read
  // A random number in [0, n).
  std::function<std::uint64_t(std::uint64_t n)> draw;

  // Returns whether the record was written in the running boot. A boot id that
  // cannot be read is nobody's.
  bool is_boot_of(const OwnRecord &record) const {
    return !boot.empty() && boot != kUnknownBoot && boot == record.boot;
  }

  static constexpr const char *kUnknownBoot = "unknown";
  // This machine's boot id and random numbers.
  static LocalHost here(std::uint64_t system);
};

class LocalRegistry final : public Registry {
 public:
  // `store`: where the record is kept; it must outlive the registry. The layout
  // must be is_issuable().
  LocalRegistry(RecordStore &store, const Layout &layout, LocalHost host);

  void begin(const RegistryRequest &request) override { request_ = request; }
  bool poll(RegistryReply &reply) override;
  Wait waits_for() const noexcept override { return {}; }

 private:
  void look(RegistryReply &reply);
  void acquire(const RegistryRequest &request, RegistryReply &reply);
  void resume(const RegistryRequest &request, RegistryReply &reply);
  void extend(const RegistryRequest &request, RegistryReply &reply);
  bool load(RegistryReply &reply, bool &found, bool &copied);
  bool load_for(const RegistryRequest &request, RegistryReply &reply, bool &found, bool &copied);
  bool choose(const RegistryRequest &request, bool found, bool copied, OwnRecord &next,
              std::string &message);
  bool pinned(const RegistryRequest &request, OwnRecord &next, std::string &message);
  bool drawn(const RegistryRequest &request, OwnRecord &next, std::uint64_t &choices,
             std::string &message);
  std::uint64_t lowest_floor(const RegistryRequest &request) const;
  bool is_vouched_for(bool is_own, const OwnRecord &next) const;
  bool store(const RegistryRequest &request, OwnRecord next, RegistryReply &reply);

  RecordStore &store_;
  Layout layout_;
  IssueLayout issue_;
  LocalHost host_;
  std::optional<RegistryRequest> request_;
  // What was last written or read, and what is known of it. A ceiling that is
  // only read back serves as a floor, never as a ceiling (U3).
  OwnRecord record_;
  bool held_ = false;  // record_ names the node that this incarnation holds
  // What an acquisition began with whose write failed: the file may show it all
  // the same. Nothing of it was promised to anybody.
  struct Beginning {
    OwnRecord record;
    bool found = false;
    bool copied = false;
  };
  std::optional<Beginning> failed_from_;
};

}  // namespace idgen

#endif  // IDGEN_REGISTRY_LOCAL_REGISTRY_H
