// Threads on real words, for ThreadSanitizer and for what the model can't have:
// the hardware's own order of loads and stores.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "core/generator.h"

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
          try_issue(words, kLayout, kSizes[i % std::size(kSizes)], kMaxLead, monotonic_ns);
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
            try_issue(view, kLayout, 1, 1000, [] { return std::int64_t{1'000'000'000}; });
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

}  // namespace
}  // namespace idgen
