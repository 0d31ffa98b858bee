// The registry: who holds which node, up to which ceiling.
//
// One interface, whether the record is a file of the instance's own or rows and
// keys of a coordinator. It never blocks on a network: begin() starts a
// request, poll() asks whether its reply is there, waits_for() is what to wait
// for meanwhile. One request is in flight at a time.
//
// Only the worker talks to a registry. Nothing of it is in shared memory.
// Implementations may throw what the standard library throws (out of memory, no
// random numbers); the worker calls them through the door of pg/door.h.

#ifndef IDGEN_REGISTRY_REGISTRY_H
#define IDGEN_REGISTRY_REGISTRY_H

#include <cstdint>
#include <string>

#include "core/request.h"

namespace idgen {

struct FleetView;

struct RegistryReply : RegistryAnswer {
  std::string message;          // failed, refused: the reason. done: what's worth logging, or empty
  std::string recorded_layout;  // layout_mismatch: the record's layout and epoch, as text
  bool fleet_disagrees = false;  // layout_mismatch: not the record, but the fleet's registry
};

// What to wait for until poll() is worth calling.
struct Wait {
  int descriptor = -1;       // -1: none
  bool for_writing = false;  // until it is writable, else readable
  std::int64_t until = 0;    // or until this CLOCK_MONOTONIC, ns; 0: poll() is ready at once
};

class Registry {
 public:
  Registry() = default;
  Registry(const Registry &) = delete;
  Registry &operator=(const Registry &) = delete;
  virtual ~Registry() = default;

  // Starts a request. None may be in flight.
  virtual void begin(const RegistryRequest &request) = 0;
  // True, once for each request, when its reply has come.
  virtual bool poll(RegistryReply &reply) = 0;
  virtual Wait waits_for() const noexcept = 0;
  // The fleet as last read; null for a registry of one instance.
  virtual const FleetView *fleet() const noexcept { return nullptr; }
  // Whether the fleet should be read, as there may be something to warn of.
  virtual bool crowded() const noexcept { return false; }
};

}  // namespace idgen

#endif  // IDGEN_REGISTRY_REGISTRY_H
