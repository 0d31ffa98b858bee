#include "core/generator.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/grant.h"
#include "idgen/layout.h"

namespace idgen {
namespace {

constexpr IssueLayout kDefault{41, 10, 12, 1000000};
constexpr std::uint64_t kFarCeiling = 1'000'000;

Grant active(std::uint32_t node, std::uint64_t ceiling, std::uint8_t log2_lanes = 0) {
  return {GrantState::active, log2_lanes, node, ceiling};
}
std::uint64_t id_of(const IssueLayout &layout, std::uint64_t tick, std::uint64_t node,
                    std::uint64_t sequence) {
  return tick << layout.time_shift() | node << layout.sequence_width | sequence;
}
// The last ID below a tick, whatever its node.
constexpr std::uint64_t last_below(const IssueLayout &layout, std::uint64_t tick) {
  return tick == 0 ? 0 : (tick << layout.time_shift()) - 1;
}
std::uint64_t node_in(const IssueLayout &layout, std::uint64_t id) {
  return id >> layout.sequence_width & ((std::uint64_t{1} << layout.node_width) - 1);
}

// ---------------------------------------------------------------------------
// Grants

IssueLayout any_issue_layout() {
  const unsigned sequence = *rc::gen::inRange(5u, 32u);
  const unsigned node = *rc::gen::inRange(1u, std::min(31u, 62 - sequence) + 1);
  const unsigned time = *rc::gen::inRange(1u, 63 - sequence - node + 1);
  return {static_cast<std::uint8_t>(time), static_cast<std::uint8_t>(node),
          static_cast<std::uint8_t>(sequence), 1000000};
}

RC_GTEST_PROP(Grant, unpack_gives_back_what_was_packed, ()) {
  const IssueLayout layout = any_issue_layout();
  Grant grant;
  grant.state = static_cast<GrantState>(*rc::gen::inRange(0, 7));
  grant.log2_lanes = *rc::gen::inRange<std::uint8_t>(0, 8);
  grant.node = *rc::gen::inRange<std::uint32_t>(0, std::uint32_t{1} << layout.node_width);
  grant.ceiling = *rc::gen::oneOf(rc::gen::inRange<std::uint64_t>(0, layout.max_ceiling() + 1),
                                  rc::gen::just(layout.max_ceiling()));
  RC_ASSERT(unpack(layout, pack(layout, grant)) == grant);
}

TEST(Grant, its_word_is_the_picture_in_the_header) {
  const std::uint64_t word = pack(kDefault, {GrantState::mismatch, 5, 1023, (1ull << 41) - 1});
  EXPECT_EQ(word >> 61, 5u);
  EXPECT_EQ(word >> 58 & 7, 5u);
  EXPECT_EQ(word & 1023, 1023u);
  EXPECT_EQ(word >> 10 & ((1ull << 41) - 1), (1ull << 41) - 1);
  // A word that was never written waits: it doesn't issue.
  EXPECT_EQ(unpack(kDefault, 0).state, GrantState::acquiring);
}

TEST(IssueLayout, is_what_the_layout_says) {
  const Layout layout = parse_layout(kDefaultLayout, 0).layout;
  const IssueLayout issue = IssueLayout::of(layout);
  EXPECT_EQ(issue.time_width, 41);
  EXPECT_EQ(issue.node_width, 10);
  EXPECT_EQ(issue.sequence_width, 12);
  EXPECT_EQ(issue.tick_ns, 1000000);
  EXPECT_EQ(issue.time_shift(), 22u);
}

TEST(IssueLayout, ticks_round_the_safe_way) {
  for (const std::int64_t tick_ns : {1000ll, 1000000ll, 10000000ll}) {
    const IssueLayout layout{30, 10, 12, tick_ns};
    EXPECT_EQ(layout.tick_of(-1), 0u);
    EXPECT_EQ(layout.tick_of(0), 0u);
    EXPECT_EQ(layout.tick_of(tick_ns - 1), 0u);
    EXPECT_EQ(layout.tick_of(tick_ns), 1u);
    EXPECT_EQ(layout.ticks_covering(0), 1u);
    EXPECT_EQ(layout.ticks_covering(tick_ns), 1u);
    EXPECT_EQ(layout.ticks_covering(tick_ns + 1), 2u);
    EXPECT_EQ(layout.ticks_covering(2 * tick_ns), 2u);
  }
  EXPECT_EQ(last_below(kDefault, 0), 0u);
  EXPECT_EQ(last_below(kDefault, 1), (1u << 22) - 1);
}

// ---------------------------------------------------------------------------
// decide()

struct Case {
  IssueLayout layout;
  Grant grant;
  std::uint64_t last;
  std::uint64_t now;
  std::uint64_t n;
  std::uint64_t lead;
};

// A block of the default layout with a last ID close to now, of any node.
Case any_case() {
  Case c{kDefault, {}, 0, 0, 1, 0};
  const auto lanes = *rc::gen::inRange<std::uint8_t>(0, 8);
  const auto node = *rc::gen::inRange<std::uint32_t>(0, 1024) >> lanes << lanes;
  c.now = *rc::gen::inRange<std::uint64_t>(100, 200);
  c.lead = *rc::gen::inRange<std::uint64_t>(0, 20);
  c.grant = active(node, *rc::gen::inRange<std::uint64_t>(100, 230), lanes);
  const auto tick = *rc::gen::inRange<std::uint64_t>(90, 220);
  const auto low = *rc::gen::oneOf(
      rc::gen::inRange<std::uint64_t>(0, 1u << 22),
      rc::gen::map(rc::gen::inRange<std::uint64_t>(0, 5),
                   [=](std::uint64_t k) { return (std::uint64_t{node} << 12) + k; }),
      rc::gen::map(
          rc::gen::inRange<std::uint64_t>(1, 5),
          [=](std::uint64_t k) { return (std::uint64_t{node + (1u << lanes)} << 12) - k; }),
      rc::gen::just<std::uint64_t>((1u << 22) - 1));
  c.last = tick << 22 | low;
  c.n = *rc::gen::oneOf(rc::gen::inRange<std::uint64_t>(1, 100),
                        rc::gen::inRange<std::uint64_t>(1, 1u << 24),
                        rc::gen::just(std::uint64_t{1} << 40));
  return c;
}

// How far ahead of `now` a request for n may run: long ones stop half-way to that, and
// half-way to the ceiling.
std::uint64_t lead_for(const Case &c, std::uint64_t n) {
  if (n <= 64 || c.grant.ceiling <= c.now) return c.lead;
  return std::min(c.lead / 2, (c.grant.ceiling - c.now) / 2);
}

RC_GTEST_PROP(Generator, crosses_neither_last_nor_clock_nor_ceiling_nor_lead, ()) {
  const Case c = any_case();
  const Decision d = decide(c.layout, c.last, c.grant, c.now, {.n = c.n}, c.lead);
  RC_PRE(d.verdict == Verdict::issued);
  const Block block(c.layout, c.grant);
  const std::uint64_t lead = lead_for(c, c.n);
  RC_ASSERT(d.count >= 1u);
  RC_ASSERT(d.count <= c.n);
  RC_ASSERT(d.first == block.id_at(d.first_index));
  RC_ASSERT(d.last == block.id_at(d.first_index + d.count - 1));
  RC_ASSERT(d.first > c.last);
  for (const std::uint64_t id : {d.first, block.id_at(d.first_index + d.count / 2), d.last}) {
    const std::uint64_t tick = c.layout.tick_in(id);
    RC_ASSERT(id >= d.first);
    RC_ASSERT(id <= d.last);
    RC_ASSERT(tick >= c.now);
    RC_ASSERT(tick < c.grant.ceiling);
    RC_ASSERT(tick <= c.now + lead);
    RC_ASSERT((node_in(c.layout, id) >> c.grant.log2_lanes) ==
              (c.grant.node >> c.grant.log2_lanes));
  }
  // Shorter than asked for only where no further ID may be issued.
  if (d.count < c.n) {
    const std::uint64_t tick = c.layout.tick_in(block.id_at(d.first_index + d.count));
    RC_ASSERT(tick >= c.grant.ceiling || tick > c.now + lead);
  }
}

RC_GTEST_PROP(Generator, refuses_only_what_it_must, ()) {
  const Case c = any_case();
  const Decision d = decide(c.layout, c.last, c.grant, c.now, {.n = c.n}, c.lead);
  RC_PRE(d.verdict != Verdict::issued);
  const Block block(c.layout, c.grant);
  const std::uint64_t first = std::max(block.index_after(c.last), c.now << block.width);
  const std::uint64_t lead = lead_for(c, c.n);
  const std::uint64_t tick = first >> block.width;
  RC_ASSERT(d.count == 0u);
  RC_ASSERT(d.verdict == (tick >= c.grant.ceiling ? Verdict::ceiling : Verdict::lead));
  RC_ASSERT(tick >= c.grant.ceiling || tick > c.now + lead);
  // After waiting for as long as it says the lead is no reason any more; but for a long
  // request, which has come nearer to the ceiling meanwhile.
  if (lead < (c.n > 64 ? c.lead / 2 : c.lead)) return;
  const std::uint64_t left = c.grant.ceiling - std::min(c.grant.ceiling, c.now + d.wait_ticks);
  if (c.n > 64 && left / 2 < c.lead / 2) return;
  const Decision later =
      decide(c.layout, c.last, c.grant, c.now + d.wait_ticks, {.n = c.n}, c.lead);
  RC_ASSERT(later.verdict != Verdict::lead);
  if (d.verdict == Verdict::lead) {
    RC_ASSERT(d.wait_ticks > 0u);
    RC_ASSERT(later.verdict == Verdict::issued);
    RC_ASSERT(
        decide(c.layout, c.last, c.grant, c.now + d.wait_ticks - 1, {.n = c.n}, c.lead).verdict ==
        Verdict::lead);
  }
}

RC_GTEST_PROP(Generator, a_batch_equals_its_singles, ()) {
  Case c = any_case();
  c.n = *rc::gen::inRange<std::uint64_t>(2, 300);
  const Decision batch = decide(c.layout, c.last, c.grant, c.now, {.n = c.n}, c.lead);
  RC_PRE(batch.verdict == Verdict::issued);
  const Block block(c.layout, c.grant);
  const std::uint64_t lead = lead_for(c, c.n);
  std::uint64_t last = c.last;
  for (std::uint64_t i = 0; i < batch.count; ++i) {
    const Decision single = decide(c.layout, last, c.grant, c.now, {.n = 1}, lead);
    RC_ASSERT(single.verdict == Verdict::issued);
    RC_ASSERT(single.count == 1u);
    RC_ASSERT(single.first == single.last);
    RC_ASSERT(single.first == block.id_at(batch.first_index + i));
    last = single.last;
  }
  RC_ASSERT(last == batch.last);
  const Decision next = decide(c.layout, last, c.grant, c.now, {.n = 1}, lead);
  RC_ASSERT((next.verdict == Verdict::issued) || batch.count < c.n ||
            c.layout.tick_in(block.id_at(batch.first_index + batch.count)) >= c.grant.ceiling ||
            c.layout.tick_in(block.id_at(batch.first_index + batch.count)) > c.now + lead);
}

// Every state of a tiny layout against the definition, word by word: the
// smallest ID of this block that is > last and whose tick is >= now.
TEST(Generator, no_smaller_legal_id_exists) {
  const IssueLayout tiny{3, 2, 2, 1};
  const std::uint64_t ids = 1u << 7;
  const auto legal_after = [&](const Grant &grant, std::uint64_t last, std::uint64_t now) {
    std::optional<std::uint64_t> found;
    for (std::uint64_t id = last + 1; id < ids && !found; ++id) {
      const bool ours = node_in(tiny, id) >> grant.log2_lanes == grant.node >> grant.log2_lanes;
      if (ours && tiny.tick_in(id) >= now) found = id;
    }
    return found;
  };
  std::uint64_t compared = 0;
  for (std::uint8_t lanes = 0; lanes <= 2; ++lanes) {
    for (std::uint32_t node = 0; node < 4; node += 1u << lanes) {
      for (std::uint64_t ceiling = 0; ceiling <= tiny.max_ceiling(); ++ceiling) {
        const Grant grant = active(node, ceiling, lanes);
        for (std::uint64_t last = 0; last < ids; ++last) {
          for (std::uint64_t now = 0; now < 8; ++now) {
            for (std::uint64_t lead = 0; lead < 4; ++lead) {
              for (const std::uint64_t n : {1u, 2u, 3u, 100u}) {
                ++compared;
                const Decision d = decide(tiny, last, grant, now, {.n = n}, lead);
                const std::uint64_t half = ceiling > now ? (ceiling - now) / 2 : 0;
                const std::uint64_t limit = now + (n > 1 ? std::min(lead / 2, half) : lead);
                std::vector<std::uint64_t> expected;
                std::uint64_t at = last;
                while (expected.size() < n) {
                  const auto id = legal_after(grant, at, now);
                  if (!id || tiny.tick_in(*id) >= ceiling || tiny.tick_in(*id) > limit) break;
                  expected.push_back(*id);
                  at = *id;
                }
                ASSERT_EQ(d.verdict == Verdict::issued, !expected.empty())
                    << "last " << last << " now " << now << " ceiling " << ceiling;
                if (expected.empty()) continue;
                ASSERT_EQ(d.count, expected.size());
                ASSERT_EQ(d.first, expected.front());
                ASSERT_EQ(d.last, expected.back());
                const Block block(tiny, grant);
                for (std::uint64_t i = 0; i < d.count; ++i) {
                  ASSERT_EQ(block.id_at(d.first_index + i), expected[i]);
                }
              }
            }
          }
        }
      }
    }
  }
  EXPECT_GT(compared, 500'000u);
}

TEST(Generator, a_block_of_lanes_is_dense_and_strictly_ascending) {
  for (std::uint8_t lanes = 0; lanes <= 7; ++lanes) {
    const std::uint32_t node = 256;
    const Grant grant = active(node, kFarCeiling, lanes);
    const Block block(kDefault, grant);
    const std::uint64_t per_tick = std::uint64_t{4096} << lanes;
    const Decision d =
        decide(kDefault, last_below(kDefault, 1000), grant, 1000, {.n = 3 * per_tick}, 100);
    ASSERT_EQ(d.count, 3 * per_tick);
    std::uint64_t expected = id_of(kDefault, 1000, node, 0);
    for (std::uint64_t i = 0; i < d.count; ++i) {
      ASSERT_EQ(block.id_at(d.first_index + i), expected);
      ++expected;
      if ((i + 1) % per_tick == 0) expected = id_of(kDefault, 1000 + (i + 1) / per_tick, node, 0);
    }
  }
}

TEST(Generator, words_left_by_other_nodes_are_passed) {
  const Grant grant = active(397, kFarCeiling);
  const auto first_after = [&grant](std::uint64_t last) {
    return decide(kDefault, last, grant, 1000, {.n = 1}, 100).first;
  };
  // Lower node, same tick: our first ID of that tick is greater already.
  EXPECT_EQ(first_after(id_of(kDefault, 1005, 396, 4095)), id_of(kDefault, 1005, 397, 0));
  EXPECT_EQ(first_after(id_of(kDefault, 1005, 0, 0)), id_of(kDefault, 1005, 397, 0));
  // Our own.
  EXPECT_EQ(first_after(id_of(kDefault, 1005, 397, 0)), id_of(kDefault, 1005, 397, 1));
  EXPECT_EQ(first_after(id_of(kDefault, 1005, 397, 4095)), id_of(kDefault, 1006, 397, 0));
  // Higher node, and a raised word: the next tick.
  EXPECT_EQ(first_after(id_of(kDefault, 1005, 398, 0)), id_of(kDefault, 1006, 397, 0));
  EXPECT_EQ(first_after(last_below(kDefault, 1005)), id_of(kDefault, 1005, 397, 0));
  // The clock rules where the word lies behind.
  EXPECT_EQ(first_after(0), id_of(kDefault, 1000, 397, 0));
  EXPECT_EQ(first_after(last_below(kDefault, 1000)), id_of(kDefault, 1000, 397, 0));
}

TEST(Generator, every_state_but_active_refuses_and_says_why) {
  for (const GrantState state :
       {GrantState::acquiring, GrantState::fenced, GrantState::breaker, GrantState::drained,
        GrantState::mismatch, GrantState::exhausted, static_cast<GrantState>(7)}) {
    const Decision d = decide(kDefault, 0, {state, 0, 397, kFarCeiling}, 1000, {.n = 1}, 100);
    EXPECT_EQ(d.verdict, Verdict::not_held);
    EXPECT_EQ(d.grant_state, state);
    EXPECT_EQ(d.count, 0u);
  }
}

TEST(Generator, tells_lead_ceiling_and_end_apart) {
  const std::uint64_t full = id_of(kDefault, 1010, 397, 4095);
  Decision d = decide(kDefault, full, active(397, 2000), 1000, {.n = 1}, 10);
  EXPECT_EQ(d.verdict, Verdict::lead);
  EXPECT_EQ(d.wait_ticks, 1u);
  d = decide(kDefault, full, active(397, 2000), 1000, {.n = 65}, 10);
  EXPECT_EQ(d.verdict, Verdict::lead);
  EXPECT_EQ(d.wait_ticks, 6u);
  d = decide(kDefault, full, active(397, 1011), 1000, {.n = 1}, 10);
  EXPECT_EQ(d.verdict, Verdict::ceiling);
  d = decide(kDefault, 0, active(397, 1000), 1000, {.n = 1}, 10);
  EXPECT_EQ(d.verdict, Verdict::ceiling);
  EXPECT_EQ(decide(kDefault, 0, active(397, 0), 0, {.n = 1}, 10).verdict, Verdict::ceiling);
  const std::uint64_t end = kDefault.max_ceiling();
  EXPECT_EQ(decide(kDefault, 0, active(397, end), end, {.n = 1}, 10).verdict, Verdict::end);
  EXPECT_EQ(decide(kDefault, 0, active(397, end), end + 5, {.n = 1}, 10).verdict, Verdict::end);
  EXPECT_EQ(decide(kDefault, 0, active(397, end - 1), end, {.n = 1}, 10).verdict, Verdict::ceiling);
  // The last ID ever, and nothing behind it.
  d = decide(kDefault, last_below(kDefault, end - 1), active(1023, end), end - 1, {.n = 1ull << 40},
             10);
  EXPECT_EQ(d.count, 4096u);
  EXPECT_EQ(d.last, id_of(kDefault, end - 1, 1023, 4095));
  EXPECT_EQ(decide(kDefault, d.last, active(1023, end), end - 1, {.n = 1}, 10).verdict,
            Verdict::end);
}

TEST(Generator, a_single_finds_room_where_a_batch_has_stopped) {
  const Grant grant = active(397, kFarCeiling);
  const Decision batch = decide(kDefault, 0, grant, 1000, {.n = 1ull << 40}, 10);
  EXPECT_EQ(batch.count, 6u * 4096);
  EXPECT_EQ(kDefault.tick_in(batch.last), 1005u);
  EXPECT_EQ(decide(kDefault, batch.last, grant, 1000, {.n = 65}, 10).verdict, Verdict::lead);
  EXPECT_EQ(decide(kDefault, batch.last, grant, 1000, {.n = 64}, 10).count, 64u);
  EXPECT_EQ(decide(kDefault, batch.last, grant, 1000, {.n = 1}, 10).count, 1u);
}

TEST(Generator, a_short_run_is_a_small_part_of_a_tick) {
  EXPECT_EQ(kDefault.short_run(), 64u);
  EXPECT_EQ((IssueLayout{41, 4, 18, 1000000}.short_run()), 4096u);
  EXPECT_EQ((IssueLayout{41, 4, 8, 1000000}.short_run()), 4u);
  EXPECT_EQ((IssueLayout{41, 4, 6, 1000000}.short_run()), 1u);
  EXPECT_EQ((IssueLayout{41, 4, 5, 1000000}.short_run()), 1u);
}

TEST(Generator, huge_requests_do_not_overflow) {
  for (const std::uint64_t n :
       {std::uint64_t{1} << 40, std::uint64_t{1} << 63, ~std::uint64_t{0}}) {
    const Grant grant = active(0, kDefault.max_ceiling(), 7);
    const Decision d = decide(kDefault, 0, grant, 1000, {.n = n}, std::uint64_t{1} << 41);
    ASSERT_EQ(d.verdict, Verdict::issued);
    EXPECT_EQ(kDefault.tick_in(d.first), 1000u);
    EXPECT_EQ(d.count, std::min(n, ((kDefault.max_ceiling() - 1000) / 2 + 1) << 19));
    EXPECT_EQ(d.last, Block(kDefault, grant).id_at(d.first_index + d.count - 1));
  }
}

// U1 must hold however far the clock runs past the end of a short time field.
TEST(Generator, a_clock_far_behind_the_end_never_wraps) {
  const IssueLayout narrow{25, 7, 31, 1000000};
  const Grant grant = active(0, narrow.max_ceiling(), 7);
  const std::uint64_t last = id_of(narrow, narrow.max_ceiling() - 1, 127, 0x7fffffff);
  for (unsigned bit = 25; bit < 44; ++bit) {
    for (const std::uint64_t more : {0u, 1u, 1000u}) {
      const Decision d =
          decide(narrow, last, grant, (std::uint64_t{1} << bit) + more, {.n = 1}, 10);
      EXPECT_EQ(d.verdict, Verdict::end) << "now 2^" << bit << " + " << more;
    }
  }
}

// ---------------------------------------------------------------------------
// Words

struct Words {
  std::atomic<std::uint64_t> last{0};
  std::atomic<std::uint64_t> grant{0};
  std::atomic<std::int64_t> offset{0};
  IssueWords view() { return {last, grant, offset}; }
};

TEST(RaiseWord, never_lowers) {
  std::atomic<std::uint64_t> word{100};
  raise_word(word, 99);
  EXPECT_EQ(word.load(), 100u);
  raise_word(word, 100);
  EXPECT_EQ(word.load(), 100u);
  raise_word(word, 101);
  EXPECT_EQ(word.load(), 101u);
}

TEST(TryIssue, takes_ids_and_moves_the_word_to_the_last) {
  Words words;
  words.grant = pack(kDefault, active(5, 2000));
  words.offset = 1'000'000'000;
  const auto clock = [] { return std::int64_t{0}; };
  const Issued one = try_issue(words.view(), kDefault, {.n = 1}, 10, clock);
  EXPECT_EQ(one.decision.first, id_of(kDefault, 1000, 5, 0));
  EXPECT_EQ(words.last.load(), one.decision.last);
  const Issued run = try_issue(words.view(), kDefault, {.n = 10}, 10, clock);
  EXPECT_EQ(run.decision.first, id_of(kDefault, 1000, 5, 1));
  EXPECT_EQ(words.last.load(), id_of(kDefault, 1000, 5, 10));
  EXPECT_EQ(run.block.id_at(run.decision.first_index + 9), run.decision.last);
}

TEST(TryIssue, a_refusal_leaves_the_word_alone) {
  Words words;
  words.last = 77;
  EXPECT_EQ(try_issue(words.view(), kDefault, {.n = 1}, 10, [] { return std::int64_t{0}; })
                .decision.verdict,
            Verdict::not_held);
  EXPECT_EQ(words.last.load(), 77u);
}

// The clock is read between the loads and the compare-and-swap: whatever it
// changes has changed under a decision already made.
TEST(TryIssue, after_a_lost_swap_all_three_words_are_read_again) {
  Words words;
  words.grant = pack(kDefault, active(5, 2000));
  words.offset = 1'000'000'000;
  int calls = 0;
  const Issued issued = try_issue(words.view(), kDefault, {.n = 1}, 10, [&]() -> std::int64_t {
    if (++calls == 1) {
      words.grant = pack(kDefault, active(9, 5000));
      words.last = last_below(kDefault, 3000);
      words.offset = 3'001'000'000;
    }
    return 0;
  });
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(issued.decision.first, id_of(kDefault, 3001, 9, 0));
}

TEST(TryIssue, a_grant_withdrawn_meanwhile_is_seen_after_a_lost_swap) {
  Words words;
  words.grant = pack(kDefault, active(5, 2000));
  words.offset = 1'000'000'000;
  const Issued issued = try_issue(words.view(), kDefault, {.n = 1}, 10, [&]() -> std::int64_t {
    words.grant = pack(kDefault, {GrantState::drained, 0, 0, 0});
    words.last = last_below(kDefault, 1500);
    return 0;
  });
  EXPECT_EQ(issued.decision.verdict, Verdict::not_held);
  EXPECT_EQ(issued.decision.grant_state, GrantState::drained);
  EXPECT_EQ(words.last.load(), last_below(kDefault, 1500));
}

// However far IDs may run ahead: a long request leaves as much below the ceiling as it
// takes.
TEST(Decide, a_long_request_stops_half_way_to_the_ceiling) {
  const Grant grant = active(397, 1100);
  const Decision d = decide(kDefault, 0, grant, 1000, {.n = std::uint64_t{1} << 40}, 100000);
  EXPECT_EQ(kDefault.tick_in(d.last), 1050u);
  EXPECT_EQ(decide(kDefault, d.last, grant, 1000, {.n = 65}, 100000).verdict, Verdict::lead);
  EXPECT_EQ(decide(kDefault, d.last, grant, 1000, {.n = 64}, 100000).count, 64u);
}

// ---------------------------------------------------------------------------
// Whole runs

RC_GTEST_PROP(Decide, a_whole_run_lies_in_one_tick_and_skips_no_more_than_it_must, ()) {
  const Case c = any_case();
  const Block block(c.layout, c.grant);
  const std::uint64_t n = 1 + (c.n - 1) % block.capacity();
  const Decision d = decide(c.layout, c.last, c.grant, c.now, {.n = n, .whole = true}, c.lead);
  std::uint64_t first = std::max(block.index_after(c.last), c.now << block.width);
  if (block.consecutive_from(first) < n) first = ((first >> block.width) + 1) << block.width;
  const std::uint64_t tick = first >> block.width;
  const bool room = tick < c.grant.ceiling && tick <= c.now + lead_for(c, n);
  RC_ASSERT((d.verdict == Verdict::issued) == room);
  if (!room) return;
  RC_ASSERT(d.first == block.id_at(first));
  RC_ASSERT(d.count == n);
  RC_ASSERT(d.last - d.first == n - 1);
  RC_ASSERT(c.layout.tick_in(d.last) == tick);
}

TEST(Decide, a_whole_run_that_does_not_fit_begins_with_the_next_tick) {
  const Grant grant = active(397, kFarCeiling);
  const std::uint64_t last = id_of(kDefault, 1000, 397, 4000);
  const Decision fits = decide(kDefault, last, grant, 1000, {.n = 95, .whole = true}, 10);
  EXPECT_EQ(fits.first, last + 1);
  EXPECT_EQ(fits.count, 95u);
  const Decision next = decide(kDefault, last, grant, 1000, {.n = 96, .whole = true}, 10);
  EXPECT_EQ(next.first, id_of(kDefault, 1001, 397, 0));
  EXPECT_EQ(next.count, 96u);
  // At half the lead it waits, unless it is so short that it counts as a single caller.
  const std::uint64_t at_half = id_of(kDefault, 1005, 397, 4000);
  EXPECT_EQ(decide(kDefault, at_half, grant, 1000, {.n = 96, .whole = true}, 10).verdict,
            Verdict::lead);
  EXPECT_EQ(decide(kDefault, at_half, grant, 1000, {.n = 64, .whole = true}, 10).count, 64u);
}

TEST(Block, consecutive_integers_end_with_the_tick_or_with_the_node_bits_of_others) {
  const Block one(kDefault, active(397, kFarCeiling));
  EXPECT_EQ(one.consecutive_from(std::uint64_t{1000} << 12), 4096u);
  EXPECT_EQ(one.consecutive_from((std::uint64_t{1000} << 12) + 4095), 1u);
  const Block lanes(kDefault, {GrantState::active, 3, 392, kFarCeiling});
  EXPECT_EQ(lanes.consecutive_from(std::uint64_t{1000} << 15), 8u * 4096);
  EXPECT_EQ(lanes.id_at((std::uint64_t{1000} << 15) + 8 * 4096 - 1) + 1,
            id_of(kDefault, 1000, 400, 0));
  // All nodes are ours: the next tick follows.
  constexpr IssueLayout kAlone{41, 3, 12, 1000000};
  const Block all(kAlone, {GrantState::active, 3, 0, kFarCeiling});
  EXPECT_GT(all.consecutive_from(std::uint64_t{1000} << 15), std::uint64_t{1} << 40);
  EXPECT_EQ(all.id_at((std::uint64_t{1000} << 15) + 8 * 4096),
            all.id_at((std::uint64_t{1000} << 15) + 8 * 4096 - 1) + 1);
}

}  // namespace
}  // namespace idgen
