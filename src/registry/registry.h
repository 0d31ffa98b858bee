// The registry: who holds which node, up to which ceiling.
//
// One interface, whether the record is a file of the instance's own or rows and
// keys of a coordinator. It never blocks on a network: begin() starts a
// request, poll() asks whether its reply is there, descriptor() is what to wait
// on meanwhile. One request is in flight at a time.
//
// Only the worker talks to a registry. Nothing of it is in shared memory.
// Implementations may throw what the standard library throws (out of memory, no
// random numbers); the worker calls them through the door of pg/door.h.

#ifndef IDGEN_REGISTRY_REGISTRY_H
#define IDGEN_REGISTRY_REGISTRY_H

#include <array>
#include <cstdint>
#include <string>

#include "idgen/layout.h"

namespace idgen {

// The holder of a node: a random value drawn at each start of shared memory (U8).
struct Incarnation {
  std::array<std::uint64_t, 2> words{};
  friend bool operator==(const Incarnation &, const Incarnation &) noexcept = default;
};

enum class RegistryAsk : std::uint8_t {
  acquire,  // take a node; reads its old ceiling in the same step (U5)
  resume,   // go on with the node that this incarnation holds already
  extend,   // raise the ceiling of the node held (U6)
};

struct RegistryRequest {
  RegistryAsk ask = RegistryAsk::acquire;
  Incarnation incarnation;
  std::int64_t region = 0;         // it and the shard fit the layout
  std::int64_t shard = -1;         // acquire: the pinned one, or -1 for any
  std::uint32_t node = 0;          // resume: the node held
  std::uint64_t issuing_tick = 0;  // acquire: the floor is not below this
  std::uint64_t ticks = 0;         // acquire: how far above the floor the ceiling should lie
  std::uint64_t ceiling = 0;       // extend: the ceiling wanted; resume: the one published
};

enum class RegistryOutcome : std::uint8_t {
  done,             // durable; the figures below hold
  failed,           // not done, or not known whether: ask again later
  refused,          // won't work until somebody does something: `message` says what
  layout_mismatch,  // refused, because the record has another layout
  exhausted,        // refused, because the layout's time field has no tick left
};

struct RegistryReply {
  RegistryAsk ask = RegistryAsk::acquire;
  RegistryOutcome outcome = RegistryOutcome::failed;
  std::uint32_t node = 0;
  std::uint64_t floor = 0;      // acquire: no ID below this tick may be issued
  std::uint64_t ceiling = 0;    // durable: IDs below this tick may be issued
  std::string message;          // failed, refused: the reason. done: what's worth logging, or empty
  std::string recorded_layout;  // layout_mismatch: the record's layout and epoch, as text
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
  // Readable when poll() is worth calling; -1: poll() is ready at once.
  virtual int descriptor() const noexcept = 0;
};

}  // namespace idgen

#endif  // IDGEN_REGISTRY_REGISTRY_H
