// The registry that the worker talks to, as the setting idgen.registry says. For
// a fleet it loads the library idgen_network, and with it libpq and libcurl.
//
// A setting that changes while the server runs is a candidate at first: the registry that
// there is stays in use until the candidate has answered. So a slip of the pen, or a line
// that was lost, costs no working node.

#ifndef IDGEN_PG_REGISTRY_LINK_H
#define IDGEN_PG_REGISTRY_LINK_H

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "registry/fleet_store.h"
#include "registry/own_record.h"
#include "registry/registry.h"

namespace idgen::pg {

class RegistryLink {
 public:
  explicit RegistryLink(std::uint64_t system);

  // Opens what the setting names. One that can't be understood is a registry that refuses
  // everything, and says why.
  void open();

  Registry &registry() { return *now_.registry; }
  bool is_local() const { return now_.is_local(); }
  StoreCaution caution() const { return now_.store ? now_.store->caution() : StoreCaution{}; }
  // As FleetStore's; null for a registry of one instance.
  const std::vector<StoreSpace> *tend() { return now_.store ? now_.store->tend() : nullptr; }
  // For people: "local", or the endpoints without credentials.
  const std::string &name() const { return now_.name; }
  // What the record's file system calls for, to be logged once; empty: nothing.
  std::string take_note() { return record_.take_note(); }

  // The setting may have changed: true if the candidate is another one than before, or
  // there is none any more.
  bool reload();
  bool has_candidate() const { return !candidate_.setting.empty(); }
  Registry &candidate() { return *candidate_.registry; }
  bool candidate_is_local() const { return candidate_.is_local(); }
  // Why the candidate can't be used, if that is known; else empty.
  const std::string &candidate_trouble() const { return candidate_.trouble; }
  // Does the candidate answer? Asks it, a step at each call, and again after a while if it
  // doesn't. Not while it has a request in flight.
  bool candidate_answers(std::int64_t now);
  // It didn't after all.
  void doubt_candidate(std::string why);
  // The candidate is the registry now. A request in flight at the old one is forgotten.
  void promote();

 private:
  struct Opened {
    std::string setting;
    std::string name;
    std::unique_ptr<FleetStore> store;
    std::unique_ptr<Registry> registry;  // null if the setting can't be understood
    std::string trouble;

    bool is_local() const { return setting == "local"; }
  };
  Opened open_setting();

  std::uint64_t system_;
  RecordFile record_;
  Opened now_;
  Opened candidate_;
  bool answers_ = false;  // the candidate
  bool probing_ = false;
  std::int64_t probe_at_ = 0;
};

// The layout and the epoch in the instance's own record, in their canonical form. Both
// are empty if there is no record, or if it cannot be read. Callable in any process
// whose working directory is the data directory.
struct RecordedLayout {
  LayoutText layout;
  LayoutText epoch;
};
RecordedLayout read_recorded_layout() noexcept;

}  // namespace idgen::pg

#endif  // IDGEN_PG_REGISTRY_LINK_H
