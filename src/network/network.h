// What the library idgen_network offers to idgen's worker, which alone loads it:
// libpq and libcurl stay out of the postmaster and the backends.

#ifndef IDGEN_NETWORK_NETWORK_H
#define IDGEN_NETWORK_NETWORK_H

#include <cstddef>

#include "registry/fleet_store.h"

namespace idgen {

inline constexpr char kNetworkLibrary[] = "idgen_network";
inline constexpr char kOpenStore[] = "idgen_network_open";

// A store for the setting idgen.registry; the caller deletes it. Null, and a
// message without credentials in `error`, if the setting can't be understood. Never
// throws.
using OpenStore = FleetStore *(const char *registry, char *error, std::size_t size);

}  // namespace idgen

#endif  // IDGEN_NETWORK_NETWORK_H
