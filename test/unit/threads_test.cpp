// Threads on real words, for ThreadSanitizer and for what the model can't have:
// the hardware's own order of loads and stores.

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "core/generator.h"
#include "core/scope_word.h"

namespace idgen {
namespace {

constexpr IssueLayout kLayout{41, 10, 12, 1000000};
constexpr std::uint64_t kMaxLead = 10;
constexpr std::int64_t kMsNs = 1'000'000;

std::int64_t monotonic_ns() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

struct Words {
  std::atomic<std::uint64_t> last{0};
  std::atomic<std::uint64_t> grant{0};
  std::atomic<std::int64_t> offset{0};
};

// A run as it was issued, and the greatest ID known to have been returned before
// its call began.
struct IssuedRun {
  std::uint64_t first;
  std::uint64_t last;
  std::uint64_t count;
  std::uint64_t width;
  std::uint64_t before;
};

class World {
 public:
  World() {
    floor_ = kLayout.tick_of(wall_ns());
    words_.offset = wall_ns() - monotonic_ns();
  }

  // What the worker does: acquisitions, extensions, clock steps.
  void work(std::chrono::milliseconds span) {
    const auto end = std::chrono::steady_clock::now() + span;
    for (unsigned round = 0; std::chrono::steady_clock::now() < end; ++round) {
      if (round % 4 == 0) acquire(round);
      const std::uint64_t now = kLayout.tick_of(monotonic_ns() + words_.offset.load());
      ceiling_ = std::max(ceiling_, now + 3);
      publish();
      // Small steps both ways: backends must stand a clock that goes back.
      words_.offset += round % 3 == 1 ? -kMsNs : kMsNs;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    stop_ = true;
  }

  std::vector<IssuedRun> call(unsigned seed) {
    static constexpr std::uint64_t kSizes[] = {1, 1, 1, 2, 7, 100, 5000};
    std::vector<IssuedRun> runs;
    const IssueWords words{words_.last, words_.grant, words_.offset};
    for (std::uint64_t i = seed; !stop_ && runs.size() < 60000; ++i) {
      const std::uint64_t before = returned_.load(std::memory_order_acquire);
      const Issued issued =
          try_issue(words, kLayout, {.n = kSizes[i % std::size(kSizes)]}, kMaxLead, monotonic_ns);
      if (issued.decision.verdict != Verdict::issued) {
        std::this_thread::yield();
        continue;
      }
      const Decision &d = issued.decision;
      raise_word(returned_, d.last);
      runs.push_back({d.first, d.last, d.count, issued.block.width, before});
    }
    return runs;
  }

  unsigned acquisitions() const { return acquisitions_; }

 private:
  static std::int64_t wall_ns() { return 1'000'000'000'000; }

  // Withdraw the grant, raise the word, set the offset, publish the grant.
  void acquire(unsigned round) {
    words_.grant.store(pack(kLayout, {GrantState::acquiring, 0, 0, 0}));
    lanes_ = static_cast<std::uint8_t>(round / 4 % 3);
    node_ = round * 37 % 1024 >> lanes_ << lanes_;
    // U5: the floor is not below any ceiling we had.
    floor_ = std::max({floor_, ceiling_, kLayout.tick_of(monotonic_ns() + words_.offset.load())});
    ceiling_ = floor_ + 3;
    raise_word(words_.last,
               Block(kLayout, {GrantState::active, lanes_, node_, ceiling_}).last_below(floor_));
    words_.offset.store(
        std::max(words_.offset.load(), static_cast<std::int64_t>(floor_) * kMsNs - monotonic_ns()));
    ++acquisitions_;
  }
  void publish() {
    words_.grant.store(pack(kLayout, {GrantState::active, lanes_, node_, ceiling_}),
                       std::memory_order_release);
  }

  Words words_;
  std::atomic<std::uint64_t> returned_{0};
  std::atomic<bool> stop_{false};
  // The worker's own.
  std::uint8_t lanes_ = 0;
  std::uint32_t node_ = 0;
  std::uint64_t floor_ = 0;
  std::uint64_t ceiling_ = 0;
  unsigned acquisitions_ = 0;
};

TEST(Threads, no_repeat_and_no_inversion_while_the_worker_changes_everything) {
  constexpr unsigned kThreads = 4;
  World world;
  std::vector<std::vector<IssuedRun>> runs(kThreads);
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < kThreads; ++i) {
    threads.emplace_back([&world, &runs, i] { runs[i] = world.call(i); });
  }
  world.work(std::chrono::seconds(3));
  for (std::thread &thread : threads) thread.join();

  std::vector<IssuedRun> all;
  std::uint64_t ids = 0;
  for (const std::vector<IssuedRun> &mine : runs) {
    for (std::size_t i = 0; i < mine.size(); ++i) {
      ASSERT_LE(mine[i].first, mine[i].last);
      ASSERT_GT(mine[i].first, mine[i].before) << "inversion";
      if (i > 0) {
        ASSERT_GT(mine[i].first, mine[i - 1].last) << "not ascending";
      }
      ids += mine[i].count;
    }
    all.insert(all.end(), mine.begin(), mine.end());
  }
  // Runs of one word ascend, so that disjoint runs mean disjoint IDs.
  std::sort(all.begin(), all.end(),
            [](const IssuedRun &a, const IssuedRun &b) { return a.first < b.first; });
  for (std::size_t i = 1; i < all.size(); ++i) {
    ASSERT_GT(all[i].first, all[i - 1].last) << "repeat";
  }
  // It was a fight: many runs, many acquisitions.
  EXPECT_GT(all.size(), 1000u);
  EXPECT_GT(ids, all.size());
  EXPECT_GT(world.acquisitions(), 20u);
}

// No clock, no ceiling in the way: nothing but the compare-and-swap between
// repeats and us.
TEST(Threads, contended_singles_are_dense) {
  constexpr unsigned kThreads = 4;
  constexpr std::size_t kEach = 50000;
  Words words;
  words.grant = pack(kLayout, {GrantState::active, 0, 5, kLayout.max_ceiling()});
  std::vector<std::vector<std::uint64_t>> ids(kThreads);
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < kThreads; ++i) {
    threads.emplace_back([&words, &mine = ids[i]] {
      const IssueWords view{words.last, words.grant, words.offset};
      while (mine.size() < kEach) {
        const Issued issued =
            try_issue(view, kLayout, {.n = 1}, 1000, [] { return std::int64_t{1'000'000'000}; });
        mine.push_back(issued.decision.first_index);
      }
    });
  }
  for (std::thread &thread : threads) thread.join();
  std::vector<std::uint64_t> all;
  for (const auto &mine : ids) {
    ASSERT_TRUE(std::is_sorted(mine.begin(), mine.end()));
    all.insert(all.end(), mine.begin(), mine.end());
  }
  std::sort(all.begin(), all.end());
  for (std::size_t i = 1; i < all.size(); ++i) ASSERT_EQ(all[i], all[i - 1] + 1);
}

TEST(Threads, raise_word_never_lowers_what_another_raised) {
  std::atomic<std::uint64_t> word{0};
  std::atomic<bool> lowered{false};
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 3; ++i) {
    threads.emplace_back([&word, &lowered, i] {
      for (std::uint64_t value = i; value < 150000; value += 3) {
        raise_word(word, value);
        if (word.load() < value) lowered = true;
      }
    });
  }
  for (std::thread &thread : threads) thread.join();
  EXPECT_FALSE(lowered);
  EXPECT_EQ(word.load(), 149999u);
}

// Three scopes on two places: whoever finds his scope without a place lets go of
// another's. Callers remember where they have found theirs.
class Scopes {
 public:
  static constexpr unsigned kScopes = 3;

  struct Found {
    ScopeWord *word = nullptr;
    std::uint64_t owner = 0;
  };

  std::optional<std::uint64_t> issue(unsigned scope, Found &found) {
    if (found.word == nullptr) found = find(scope);
    if (found.word == nullptr) return std::nullopt;
    const Issued issued = try_issue(IssueWords{found.word->last, grant_, offset_}, kLayout, {},
                                    kLead, monotonic_ns, StillOwned{*found.word, found.owner});
    if (issued.decision.verdict == Verdict::moved) found = {};
    if (issued.decision.verdict != Verdict::issued) return std::nullopt;
    return issued.decision.first;
  }

  // As the worker, which acquires.
  void raise() {
    grant_.store(pack(kLayout, {GrantState::acquiring, 0, 0, 0}));
    floor_ = kLayout.tick_of(monotonic_ns() + offset_.load()) + 2 * kLead;
    node_ = (node_ + 1) % 1024;
    const Grant grant{GrantState::active, 0, node_, kLayout.max_ceiling()};
    const std::uint64_t below = Block(kLayout, grant).last_below(floor_);
    {
      const std::lock_guard guard(lock_);
      raise_word(high_water_, below);
      for (Place &place : places_) raise_word(place.word.last, below);
    }
    offset_.store(static_cast<std::int64_t>(floor_) * kMsNs - monotonic_ns());
    grant_.store(pack(kLayout, grant), std::memory_order_release);
  }

  std::uint64_t starts() const { return owners_; }

 private:
  static constexpr std::uint64_t kLead = 50;
  struct Place {
    ScopeWord word;
    unsigned scope = kScopes;
  };

  Found find(unsigned scope) {
    const std::lock_guard guard(lock_);
    for (Place &place : places_) {
      if (place.scope == scope) return {&place.word, place.word.owner.load()};
    }
    Place &place = places_[owners_ % 2];
    end_scope_word(place.word, high_water_);
    place.scope = kScopes;
    const Issued start = start_scope_word(place.word, owners_ + 1, {high_water_, grant_, offset_},
                                          kLayout, kLead, monotonic_ns);
    if (start.decision.verdict != Verdict::issued) return {};
    place.scope = scope;
    return {&place.word, ++owners_};
  }

  std::atomic<std::uint64_t> grant_{0};
  std::atomic<std::int64_t> offset_{1'000'000'000'000};
  std::atomic<std::uint64_t> high_water_{0};
  std::mutex lock_;
  std::array<Place, 2> places_;  // the scopes by lock_
  std::uint64_t owners_ = 0;     // by lock_
  std::uint64_t floor_ = 0;
  std::uint32_t node_ = 0;
};

TEST(Threads, scopes_that_take_each_others_places_repeat_nothing) {
  constexpr unsigned kThreads = 4;
  Scopes scopes;
  scopes.raise();
  std::atomic<bool> stop{false};
  std::array<std::array<std::vector<std::uint64_t>, Scopes::kScopes>, kThreads> ids;
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < kThreads; ++i) {
    threads.emplace_back([&scopes, &stop, &mine = ids[i], i] {
      std::array<Scopes::Found, Scopes::kScopes> found;
      for (unsigned turn = i; !stop; ++turn) {
        // Some calls in one scope, so that others find theirs as it was, too.
        const unsigned scope = turn / 16 % Scopes::kScopes;
        if (const auto id = scopes.issue(scope, found[scope])) mine[scope].push_back(*id);
      }
    });
  }
  for (int i = 0; i < 100; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    scopes.raise();
  }
  stop = true;
  for (std::thread &thread : threads) thread.join();
  for (unsigned scope = 0; scope < Scopes::kScopes; ++scope) {
    std::vector<std::uint64_t> all;
    for (unsigned i = 0; i < kThreads; ++i) {
      ASSERT_TRUE(std::is_sorted(ids[i][scope].begin(), ids[i][scope].end())) << "inversion";
      all.insert(all.end(), ids[i][scope].begin(), ids[i][scope].end());
    }
    std::sort(all.begin(), all.end());
    EXPECT_EQ(std::adjacent_find(all.begin(), all.end()), all.end()) << "repeat";
    EXPECT_GT(all.size(), 100u);
  }
  EXPECT_GT(scopes.starts(), 100u);
}

}  // namespace
}  // namespace idgen
