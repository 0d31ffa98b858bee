// The settings `idgen.*`: declared, checked, and what they add up to.
//
// They exist only in a server that preloads the library (postmaster settings
// can't be defined later); the values below are then fixed at server start or
// change with a reload, as each says. All spans are milliseconds.

#ifndef IDGEN_PG_SETTINGS_H
#define IDGEN_PG_SETTINGS_H

#include "core/keeper.h"
#include "idgen/layout.h"

namespace idgen::pg {

// Fixed at server start.
extern Layout instance_layout;    // idgen.layout and idgen.epoch
extern IssueLayout issue_layout;  // the same, for the generator
extern int region;                // idgen.region
extern int lanes;                 // idgen.lanes, nodes
extern int max_scopes;            // idgen.max_scopes

// On reload.
extern const char *registry;          // idgen.registry, with its credentials
extern int shard;                     // idgen.shard; -1: drawn or leased
extern int window;                    // idgen.lease_window
extern int max_lead;                  // idgen.max_lead
extern std::uint64_t max_lead_ticks;  // the same in ticks, rounded up
extern int max_batch;                 // idgen.max_batch, IDs
extern int clock_interval;            // idgen.clock_interval
extern int max_clock_skew;            // idgen.max_clock_skew
extern int clock_confirm;             // idgen.clock_confirm
extern int on_clock_rollback;         // idgen.on_clock_rollback, an OnRollback
extern bool require_clock_sync;       // idgen.require_clock_sync
extern int lease_ttl;                 // idgen.lease_ttl
extern bool auto_drain;               // idgen.auto_drain

#ifdef IDGEN_INJECTION
extern int injection_point;  // idgen.injection_point, a PausePoint; test builds only
#endif

// Per session.
extern int max_wait;  // idgen.max_wait

// Defines the settings while the server starts. A value that is refused stops
// the start: going on with a default would record the wrong layout for good.
void define_settings();

// Is the registry the instance's own record alone?
bool registry_is_local();

// The settings that the keeper decides by.
KeeperPolicy keeper_policy();

// What idgen.layout and idgen.epoch say; also in a server that doesn't preload
// the library, where they are mere placeholders of the configuration file.
// Reports an error if they are no valid layout.
Layout configured_layout();

constexpr std::int64_t ms_to_ns(int ms) {
  return std::int64_t{ms} * 1'000'000;
}

}  // namespace idgen::pg

#endif  // IDGEN_PG_SETTINGS_H
