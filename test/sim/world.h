// Whole instances in one random history: machines with clocks that are set,
// drift and sleep; disks that fail; servers that crash, freeze, are copied and
// restored; a worker and backends that may stop between any two loads and stores.
//
// What runs is the code of the server: Keeper (with Clock and Lease), decide()
// and LocalRegistry. What is simulated is what surrounds it. After each step the
// invariants are checked against what really happened, which the code can't see.

#ifndef IDGEN_TEST_SIM_WORLD_H
#define IDGEN_TEST_SIM_WORLD_H

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "core/keeper.h"
#include "disk.h"
#include "mutants.h"
#include "random.h"
#include "registry/local_registry.h"

namespace idgen::sim {

inline constexpr std::int64_t kMs = 1'000'000;
inline constexpr std::int64_t kSecond = 1000 * kMs;

// What a history went through: a simulation that tests nothing shows.
enum class Seen : std::uint8_t {
  ids,
  rotation,
  confirmed,
  accepted,
  suspect,
  stopped,
  suspended,
  server_crash,
  machine_crash,
  lost_write,
  late_answer,
  lost_answer,
  worker_ended,
  worker_ended_between_steps,
  lost_cas,
  paused_across_a_change,
  clone,
  restore,
  older_backup,
  settings_changed,
  coarse_ticks,
  stop_recovered,
  started_far_ahead,
  refused_copy,
  confirmed_copy,
  disk_fault,
  frozen,
  ahead_at_start,
  pinned,
  count
};
inline constexpr auto kSeen = static_cast<std::size_t>(Seen::count);
extern const char *const kSeenNames[kSeen];

// Clocks as their machine shows them.
struct Machine {
  std::int64_t booted = 0;       // true time
  std::int64_t suspended = 0;    // since then
  std::int64_t wall_offset = 0;  // of the wall clock, from true time
  std::uint64_t boot = 0;
  KernelSync kernel = KernelSync::synchronized;

  ClockSample sample(std::int64_t now) const {
    return {now - booted - suspended, now + wall_offset, suspended, 0, kernel};
  }
};

struct Backend {
  enum class At : std::uint8_t { idle, word, grant, offset, decided, won };
  At at = At::idle;
  std::int64_t next = 0;
  std::uint64_t n = 1;
  std::uint64_t last = 0;
  std::uint64_t grant = 0;
  std::int64_t clock_offset = 0;
  Decision decision;
  std::uint64_t must_exceed = 0;  // greatest ID returned before this call began
  std::uint64_t changes = 0;      // of the instance's grant when it began
  std::uint64_t rotations = 0;
};

// What became of the grants of one life, for the checks.
struct Ghost {
  std::uint64_t returned = 0;   // greatest ID returned
  std::uint64_t rotations = 0;  // after which order begins anew
  std::uint64_t changes = 0;
  bool rotation_written = false;                   // a record of a rotation may be on disk
  std::map<std::uint32_t, std::uint64_t> floors;   // of the grants of this life
  std::map<std::uint32_t, std::uint64_t> durable;  // highest durable ceiling of a node
  std::vector<std::uint32_t> forbidden;            // nodes that the copied record named
  bool has_published = false;                      // since this start
  bool raised = false;                             // likewise
  ClockEvidence evidence;                          // at this start
  std::int64_t allowed_lead = 0;                   // over true time, but for max_skew and windows
  std::int64_t born = 0;
  std::int64_t window = 0;      // greatest seen in this life
  std::int64_t slowest = 0;     // write in this life
  std::int64_t start_gain = 0;  // what starts may have added
  // The extremes of the settings so far: what was promised by them counts on.
  std::int64_t max_skew = 0;
  std::int64_t confirm = INT64_MAX;
  std::int64_t longest_window = 0;  // since the clocks last met
  bool clock_was_right = true;      // always, as far as this instance saw
  std::uint64_t issued = 0;
};

struct Instance {
  Instance(Random &random, Mutant mutant, std::uint64_t directory)
      : disk(random, mutant, directory) {}

  int number = 0;
  Machine machine;
  Disk disk;
  KeeperPolicy policy;
  bool gone = false;  // for good
  bool running = false;
  int put_right = 0;  // how often
  std::int64_t frozen_until = 0;
  std::int64_t start_at = 0;

  // Shared memory.
  std::uint64_t grant = 0;
  std::int64_t offset = 0;
  std::uint64_t last = 0;
  Incarnation incarnation;
  std::unique_ptr<Keeper> saved;
  std::array<Backend, 3> backends;
  std::int64_t started = 0;  // monotonic

  // The worker.
  std::unique_ptr<Keeper> keeper;  // null: there is none
  std::unique_ptr<LocalRegistry> registry;
  std::deque<WordStep> steps;
  bool asks = false;
  RegistryRequest ask;
  enum class Request : std::uint8_t { none, sent, written } request = Request::none;
  RegistryReply reply;
  std::int64_t sent_at = 0;
  std::int64_t reply_at = 0;
  std::int64_t worker_next = 0;
  std::unique_ptr<LocalRegistry> old_registry;  // Mutant::old_life_writes

  Ghost ghost;
};

struct Result {
  Broken broken = Broken::nothing;
  std::string what;
  std::uint64_t events = 0;
  std::uint64_t hash = 0;  // of the whole history
  std::array<std::uint64_t, kSeen> seen{};
  std::vector<std::string> trace;  // the last of it, if asked for
};

class World {
 public:
  World(std::uint64_t seed, Mutant mutant, bool trace);
  Result run();

 private:
  // actions of the world
  void chaos();
  void heal();
  bool all_issue() const;
  void put_right(Instance &instance);
  Instance &add_instance(std::int64_t now);
  void copy(Instance &from, bool in_place);
  void change_settings(Instance &instance);
  void note_settings(Instance &instance) const;
  void start(Instance &instance);
  void crash(Instance &instance, bool machine);
  void end_worker(Instance &instance);
  void start_worker(Instance &instance);
  void step_wall(Instance &instance);

  // the parts of an instance
  void step_worker(Instance &instance);
  void carry_out(Instance &instance, const Turn &turn);
  void store_word(Instance &instance, const WordStep &step);
  void send(Instance &instance);
  void deliver(Instance &instance);
  void step_backend(Instance &instance, Backend &backend);
  void won(Instance &instance, Backend &backend);

  // checks
  void check_publish(Instance &instance, const Grant &grant, bool acquired);
  void check_disk(Instance &instance);
  void check_lead(const Instance &instance, std::uint64_t tick);
  void fail(Broken broken, const std::string &what);

  bool is_pause() { return random_.one_in(40); }
  std::int64_t soon() {
    return is_pause() ? random_.between(kMs, 3 * kSecond) : random_.between(1000, 400'000);
  }
  void see(Seen what) { ++result_.seen[static_cast<std::size_t>(what)]; }
  template <typename... Parts>
  void tell(const Instance &instance, const Parts &...parts);

  Random random_;
  Mutant mutant_;
  bool trace_;
  bool calm_ = false;  // faults have ended
  Layout layout_;
  IssueLayout issue_;
  std::int64_t now_ = 1'000'000 * kSecond;
  std::int64_t next_chaos_ = 0;
  std::uint64_t directories_ = 0;
  std::uint64_t draws_ = 0;
  std::uint64_t boots_ = 0;
  std::vector<std::unique_ptr<Instance>> instances_;
  std::unordered_set<std::uint64_t> issued_;
  std::map<std::uint32_t, std::uint64_t> highest_tick_;  // issued with a node, by anybody
  KeeperPolicy policy_;
  Result result_;
};

}  // namespace idgen::sim

#endif  // IDGEN_TEST_SIM_WORLD_H
