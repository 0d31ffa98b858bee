#include "core/scope_word.h"

#include <cstdint>

#include <gtest/gtest.h>

namespace idgen {
namespace {

constexpr IssueLayout kLayout{41, 10, 12, 1000000};
constexpr std::uint64_t kLead = 10;
constexpr std::uint32_t kNode = 5;

std::int64_t no_time() {
  return 0;
}

struct Shared {
  std::atomic<std::uint64_t> high_water{0};
  std::atomic<std::uint64_t> grant{pack(kLayout, {GrantState::active, 0, kNode, 2000})};
  std::atomic<std::int64_t> offset{1'000'000'000};  // tick 1000
  std::uint64_t owners = 0;

  Issued start(ScopeWord &word) {
    return start_scope_word(word, ++owners, {high_water, grant, offset}, kLayout, kLead, no_time);
  }
  Issued issue(ScopeWord &word, std::uint64_t owner, std::uint64_t n = 1) {
    return try_issue(IssueWords{word.last, grant, offset}, kLayout, {.n = n}, kLead, no_time,
                     StillOwned{word, owner});
  }
};

TEST(ScopeWord, starts_at_an_id_that_is_issued_to_nobody) {
  Shared shared;
  ScopeWord word;
  const Issued start = shared.start(word);
  EXPECT_EQ(start.decision.verdict, Verdict::issued);
  EXPECT_EQ(word.last.load(), start.decision.first);
  EXPECT_EQ(shared.high_water.load(), start.decision.first);
  EXPECT_EQ(start.decision.first,
            Block(kLayout, {GrantState::active, 0, kNode, 0}).id_at(1000 << 12));
  EXPECT_GT(shared.issue(word, 1).decision.first, start.decision.first);
}

TEST(ScopeWord, without_a_grant_no_scope_starts) {
  Shared shared;
  shared.grant = pack(kLayout, {GrantState::acquiring, 0, 0, 0});
  ScopeWord word;
  EXPECT_EQ(shared.start(word).decision.verdict, Verdict::not_held);
  EXPECT_EQ(word.last.load(), kTombstone);
  EXPECT_EQ(word.owner.load(), 0u);
  EXPECT_EQ(shared.high_water.load(), 0u);
}

TEST(ScopeWord, who_meets_another_owner_is_issued_nothing) {
  Shared shared;
  ScopeWord word;
  shared.start(word);
  shared.issue(word, 1);
  end_scope_word(word, shared.high_water);
  EXPECT_EQ(shared.issue(word, 1).decision.verdict, Verdict::moved);
  EXPECT_EQ(word.last.load(), kTombstone);
  shared.start(word);
  EXPECT_EQ(shared.issue(word, 1).decision.verdict, Verdict::moved);
  EXPECT_EQ(shared.issue(word, 2).decision.verdict, Verdict::issued);
}

TEST(ScopeWord, made_again_in_any_place_it_goes_on_above_all_it_has_issued) {
  Shared shared;
  ScopeWord here;
  ScopeWord there;
  shared.start(here);
  const std::uint64_t last = shared.issue(here, 1, 5000).decision.last;
  end_scope_word(here, shared.high_water);
  EXPECT_EQ(shared.high_water.load(), last);
  EXPECT_GT(shared.start(there).decision.first, last);
}

// The word is loaded, then the scope is let go of and the place is another's.
TEST(ScopeWord, a_caller_who_stood_still_loses_the_swap) {
  Shared shared;
  ScopeWord word;
  shared.start(word);
  shared.issue(word, 1);
  int reads = 0;
  const Issued issued = try_issue(
      IssueWords{word.last, shared.grant, shared.offset}, kLayout, {}, kLead,
      [&]() -> std::int64_t {
        if (++reads == 1) {
          end_scope_word(word, shared.high_water);
          shared.start(word);
        }
        return 0;
      },
      StillOwned{word, 1});
  EXPECT_EQ(reads, 1);
  EXPECT_EQ(issued.decision.verdict, Verdict::moved);
}

TEST(ScopeWord, ended_twice_it_changes_nothing) {
  Shared shared;
  ScopeWord word;
  shared.start(word);
  end_scope_word(word, shared.high_water);
  const std::uint64_t high_water = shared.high_water;
  end_scope_word(word, shared.high_water);
  EXPECT_EQ(shared.high_water.load(), high_water);
}

TEST(ScopeWord, a_free_word_is_not_raised) {
  ScopeWord word;
  raise_word(word.last, std::uint64_t{1} << 62);
  EXPECT_EQ(word.last.load(), kTombstone);
}

}  // namespace
}  // namespace idgen
