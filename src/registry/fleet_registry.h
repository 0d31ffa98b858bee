// The registry of a fleet: nodes leased from a coordinator, whichever it is.
//
// The protocol is here, once; a FleetStore carries its steps out. Every write is
// a compare-and-write: it names what it was decided by, and whoever is late
// loses. Nothing rests on clocks, time-outs or on liveness, which only say whom
// to take a node from.
//
//   acquire  read the region -> choose -> write {holder, epoch + 1, ceiling} if
//            the rows and the fleet's generation are what was read. The floor is
//            the greatest of their old ceilings, the fleet's base, this
//            instance's own highest ceiling and the clock (U5)
//   extend   write {ceiling} if epoch, revision and generation are what this
//            holder last saw (U6)
//   release  write {free}; the ceiling stays (U4)
//   raise    write {generation, base}: no node's ceiling counts as lower any
//            more, and all holders have to acquire anew
//
// Only `done` of its own write makes a ceiling (U3). After `unknown` it is written
// anew: if the lost write was applied after all, that is a conflict, the rows are
// read, and what they say is a floor.
//
// Who may take a node (U8): whoever finds it free, or not alive. From a holder
// that is alive only the incarnation that follows on it: whose own record, in its
// own place, names that very incarnation. So a restart gets its node back at once,
// a clone can displace its original once, and neither ever displaces back: its
// record doesn't name the other.
//
// Each step that was acknowledged is written into the instance's own record, too:
// it keeps order over a restart, whatever becomes of the fleet; the place to go on
// from when registries are switched; and what was last seen of the fleet, so that
// one that has gone back in time is recognized.

#ifndef IDGEN_REGISTRY_FLEET_REGISTRY_H
#define IDGEN_REGISTRY_FLEET_REGISTRY_H

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/choose.h"
#include "core/grant.h"
#include "registry/fleet_store.h"
#include "registry/local_registry.h"
#include "registry/own_record.h"
#include "registry/registry.h"

namespace idgen {

// A region's nodes are chosen from the first so many; others can be pinned.
inline constexpr std::uint64_t kMaxChoices = 65536;

class FleetRegistry final : public Registry {
 public:
  // `record` and `store` must outlive the registry. `name` is what the fleet shows
  // of this instance.
  FleetRegistry(RecordStore &record, FleetStore &store, const Layout &layout, LocalHost host,
                std::string name);

  void begin(const RegistryRequest &request) override;
  bool poll(RegistryReply &reply) override;
  Wait waits_for() const noexcept override {
    return step_ == Step::idle ? Wait{} : store_.waits_for();
  }
  const FleetView *fleet() const noexcept override { return &view_; }
  bool crowded() const noexcept override { return crowded_; }

 private:
  enum class Step : std::uint8_t { idle, reading, creating, raising, writing };
  // What came of a piece of work on a request.
  enum class Next : std::uint8_t {
    proceed,  // nothing is in the way
    step,     // the store has been given something to do
    reply,    // reply_ is final
  };

  Next start();
  Next go_on();
  Next on_read();
  Next on_written();
  Next on_conflict();

  Next look();
  Next acquire();
  Next choose_node();
  Next take(const Choice &choice, std::uint32_t range_first);
  Next resume();
  Next extend();
  Next extend_after_read();
  Next release(std::vector<FleetNode> rows, const FleetRoot &root);
  void note_stray();
  Next retire();
  Next raise(std::uint64_t at_least);

  Next check_root();
  Next check_layout();
  Next create_root();
  Next load_record();
  Next keep_record();
  Next read(std::uint32_t first, std::uint32_t last);
  Next read_region();
  Next read_all();
  Next read_again();
  Next write(FleetWrite write);
  Next answer(RegistryOutcome outcome, std::string message);

  std::vector<NodeOffer> offers(std::uint32_t first, std::uint32_t size) const;
  NodeOffer offer(const FleetNode &row) const;
  bool is_mine(const FleetNode &row) const;
  bool went_back(const FleetRoot &root, std::uint64_t revision) const;
  bool lost_rows(std::uint32_t first, std::uint32_t last) const;
  void distrust();
  std::int64_t lead_at_raise_us() const;
  std::int64_t lead() const;  // now, ns
  std::int64_t tolerance() const { return std::max(request_.skew, lead()); }
  std::int64_t coordinator_us() const;
  bool still_held(std::string &why) const;
  void forget(std::uint32_t node);
  void note_seen(const FleetRoot &root, std::uint64_t revision);
  std::vector<FleetNode> rows_of(std::uint32_t first, std::uint8_t log2_lanes) const;
  FleetWrite write_of(const std::vector<FleetNode> &rows) const;
  std::uint64_t effective_ceiling(const std::vector<FleetNode> &rows, const FleetRoot &root) const;
  std::uint64_t coordinator_tick(std::int64_t ahead_ns) const;
  // The beginning of a tick, Unix time.
  std::int64_t to_us(std::uint64_t tick) const {
    return tick_start_us(layout_, std::min(tick, layout_.time.max()));
  }
  std::string why_none(const Choice &choice, std::uint32_t first, std::uint32_t size) const;

  RecordStore &record_store_;
  FleetStore &store_;
  Layout layout_;
  IssueLayout issue_;
  LocalHost host_;
  std::string name_;

  bool asked_ = false;
  RegistryRequest request_;
  RegistryReply reply_;
  Step step_ = Step::idle;  // what the store is doing
  StoreResult result_;
  FleetView view_;  // as last read
  bool crowded_ = false;
  bool whole_ = false;  // that of all nodes
  std::uint32_t first_read_ = 0;
  std::uint32_t last_read_ = 0;
  FleetWrite written_;
  std::uint64_t floor_ = 0;  // of the acquisition that is being written
  int attempts_ = 0;         // at this request

  // The own record, as last read or written.
  OwnRecord record_;
  bool record_found_ = false;
  bool record_copied_ = false;
  bool record_is_ours_ = false;  // written by this registry: newer than any file

  // What this incarnation holds, as the coordinator acknowledged it last; and what
  // it held before and has still to release.
  std::vector<FleetNode> held_;
  std::vector<FleetNode> left_;
  FleetRoot root_;  // that held_ was taken or extended under
  // An acquisition that the coordinator acknowledged, and that the own record has
  // not taken yet: tried again as it is, so that failing disks don't carry the
  // ceiling away.
  std::optional<RegistryReply> unrecorded_;

  // The latest of the fleet that this instance, or its record, has seen.
  Incarnation seen_fleet_;
  std::uint64_t seen_generation_ = 0;
  std::uint64_t seen_revision_ = 0;
};

}  // namespace idgen

#endif  // IDGEN_REGISTRY_FLEET_REGISTRY_H
