// Issuing: what a call issues from, the way that is always taken, and, if it can't
// be, the way round: waiting, or an error that says why not.

#ifndef IDGEN_PG_ISSUE_H
#define IDGEN_PG_ISSUE_H

#include "core/generator.h"
#include "core/scope_word.h"
#include "pg/clocks.h"
#include "pg/injection.h"
#include "pg/layouts.h"
#include "pg/settings.h"
#include "pg/shmem.h"

namespace idgen::pg {

// A scope's word, as this process has found it, and the column of its counters.
struct Stream {
  std::atomic<std::uint64_t> *last = nullptr;
  const ScopeWord *place = nullptr;  // null: the default scope, whose word is always its own
  std::uint64_t owner = 0;           // of the place, as it was found
  int column = 0;
};

inline Stream default_stream() noexcept {
  return {&shared->last, nullptr, 0, SharedState::kDefaultColumn};
}

struct StreamIsOurs {
  Stream stream;
  bool operator()() const noexcept {
    return stream.place == nullptr || StillOwned{*stream.place, stream.owner}();
  }
};

// One attempt. Its arguments are copies, which stay in registers.
pg_attribute_always_inline Issued try_issue_here(Stream stream, Want want) noexcept {
  return try_issue(
      IssueWords{*stream.last, shared->grant, shared->clock_offset}, issue_layout, want,
      max_lead_ticks, [] { return monotonic_ns(); }, StreamIsOurs{stream}, PauseCaller{});
}

// Waits until `want` comes out, in part at least; or reports why it doesn't.
// Verdict: issued or moved.
Issued issue_slowly(Stream stream, Want want);

// A scope that is to start: free_place() says where, or null if it isn't to (another
// session was faster, or there is no place); started() hears that it has. Both are
// called under scopes_lock. start_scope_slowly() waits as issue_slowly() does.
class ScopeStart {
 public:
  virtual ScopePlace *free_place() = 0;
  virtual void started(ScopePlace &place) = 0;

 protected:
  ~ScopeStart() = default;
};
void start_scope_slowly(ScopeStart &start);

[[noreturn]] void report_not_preloaded();
// Why the instance issues nothing; `state` is neither active nor acquiring.
[[noreturn]] void report_refusal(GrantState state);
// idgen.max_wait is over, for what the decision says; `failure` is what came of it.
[[noreturn]] void report_max_wait(const Decision &decision,
                                  const char *failure = "could not issue an ID");

inline void note_most(std::atomic<std::uint64_t> &most, std::uint64_t value) noexcept {
  if (value > most.load(std::memory_order_relaxed)) most.store(value, std::memory_order_relaxed);
}

// How full ticks have become.
inline void count_use(Counters &counters, const Issued &issued) noexcept {
  const Block &block = issued.block;
  const std::uint64_t first = issued.decision.first_index;
  const std::uint64_t last = first + issued.decision.count - 1;
  const std::uint64_t ended = ((last + 1) >> block.width) - (first >> block.width);
  const std::uint64_t left = issued.decision.skipped != 0 ? 1 : 0;
  if (ended + left != 0) add(counters.exhausted, ended + left);
  if (left != 0) add(counters.skipped, issued.decision.skipped);
  note_most(counters.peak, ended + left != 0 ? block.capacity() : (last & block.max_offset()) + 1);
}

// Issues 1 to want.n IDs; returns when it has some, or when the stream is no longer
// the scope's (Verdict::moved). `counters`: what the caller has still to count the call
// in.
pg_attribute_always_inline Issued issue(const Stream &stream, const Want &want,
                                        Counters *&counters) {
  require_own_layout_is_issued();
  Issued issued = try_issue_here(stream, want);
  if (unlikely(issued.decision.verdict != Verdict::issued)) issued = issue_slowly(stream, want);
  counters = &my_counters(stream.column);
  if (likely(issued.decision.verdict == Verdict::issued)) count_use(*counters, issued);
  return issued;
}

// Reports an error unless the instance's own record is known to name the layout
// of the settings: only then a database may record it, too. Waits for that, up
// to idgen.max_wait.
void require_layout_matches_record();

// Reports an error in a server that has no worker: not preloaded, single-user.
void require_worker();

// Reports that the instance holds no node, with what the worker says.
[[noreturn]] void report_no_node();

}  // namespace idgen::pg

#endif  // IDGEN_PG_ISSUE_H
