// The registry that the worker talks to, as the setting idgen.registry says. For
// a fleet it loads the library idgen_network, and with it libpq and libcurl.

#ifndef IDGEN_PG_REGISTRY_LINK_H
#define IDGEN_PG_REGISTRY_LINK_H

#include <cstdint>
#include <memory>
#include <string>

#include "registry/fleet_store.h"
#include "registry/own_record.h"
#include "registry/registry.h"

namespace idgen::pg {

class RegistryLink {
 public:
  explicit RegistryLink(std::uint64_t system);

  // Opens what the setting names, if that has changed: true then. What was there
  // before is let go of; a request in flight is forgotten. A setting that can't be
  // understood is a registry that refuses everything, and says why.
  bool open();

  Registry &registry() { return *registry_; }
  // For people: "local", or the endpoints without credentials.
  const std::string &name() const { return name_; }
  // What the record's file system calls for, to be logged once; empty: nothing.
  std::string take_note() { return record_.take_note(); }

 private:
  std::uint64_t system_;
  std::string setting_;
  std::string name_;
  RecordFile record_;
  std::unique_ptr<FleetStore> store_;
  std::unique_ptr<Registry> registry_;
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
