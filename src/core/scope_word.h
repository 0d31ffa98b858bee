// The word of a scope that may be dropped, and whose place may become another
// scope's: in the server there are idgen.max_scopes of them.
//
// A caller who has found his scope's word may stand still between any two steps,
// for as long as he likes, while the scope is dropped, made again in another place
// and its old word given to a stranger. That he issues nothing then rests on two
// rules, and on a third for what he has issued before (holes, each; test/model:
// scopes_model.cpp has a mutant of each):
//
//   - The owner is cleared before the word is taken away, and a caller looks at the
//     owner after he has loaded the word: if it is still he, the word he has
//     loaded was his scope's.
//   - A word never has a value twice. What takes it away is a tombstone, which no
//     ID is; and a new scope starts from an ID that is issued to nobody, drawn from
//     the high-water word by the generator itself, so that it is of our own block,
//     below our ceiling, and never anybody else's.
//   - The value taken away is folded into the high-water word, so that a scope
//     that is made again, in whichever place, starts above all that it has issued.
//
// A copy of a database has copies of its scopes' rows: so a start lies above the words
// of all scopes that are there, too; whoever starts one raises the high-water word
// to them before.
//
// start_scope_word(), end_scope_word() and the worker's raising of all words
// exclude each other (in the server by a lock); issuing goes on meanwhile.

#ifndef IDGEN_CORE_SCOPE_WORD_H
#define IDGEN_CORE_SCOPE_WORD_H

#include <atomic>
#include <cstdint>

#include "core/generator.h"

namespace idgen {

// Greater than every ID, so that raise_word() leaves it alone.
inline constexpr std::uint64_t kTombstone = std::uint64_t{1} << 63;

struct ScopeWord {
  std::atomic<std::uint64_t> last{kTombstone};  // the last ID issued
  std::atomic<std::uint64_t> owner{0};          // a number for each scope that starts; 0: free
};

// For try_issue().
struct StillOwned {
  const ScopeWord &word;
  std::uint64_t owner;
  bool operator()() const noexcept { return word.owner.load(std::memory_order_acquire) == owner; }
};

// Takes a free word for `owner`, a number that none had before. What the decision
// says goes for issuing in general: unless it is `issued`, the word stays free.
// Nothing is ever issued from `high_water` itself.
template <typename Monotonic>
Issued start_scope_word(ScopeWord &word, std::uint64_t owner, const IssueWords &high_water,
                        const IssueLayout &layout, std::uint64_t max_lead,
                        Monotonic &&monotonic_ns) noexcept {
  const Issued start = try_issue(high_water, layout, {}, max_lead, monotonic_ns);
  if (start.decision.verdict != Verdict::issued) return start;
  word.last.store(start.decision.last, std::memory_order_release);
  word.owner.store(owner, std::memory_order_release);
  return start;
}

// Lets go of a word. Harmless at any time: the scope goes on in another one.
inline void end_scope_word(ScopeWord &word, std::atomic<std::uint64_t> &high_water) noexcept {
  word.owner.store(0, std::memory_order_release);
  const std::uint64_t last = word.last.exchange(kTombstone, std::memory_order_acq_rel);
  if (last != kTombstone) raise_word(high_water, last);
}

}  // namespace idgen

#endif  // IDGEN_CORE_SCOPE_WORD_H
