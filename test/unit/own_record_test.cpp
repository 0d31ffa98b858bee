#include "registry/own_record.h"

#include <sys/stat.h>
#include <zlib.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include <unistd.h>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace idgen {
namespace {

namespace fs = std::filesystem;

class OwnRecordFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "idgen-record-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  void TearDown() override { fs::remove_all(root_); }

  std::string directory() const { return (root_ / "idgen").string(); }
  static std::string read(const std::string &path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }

  fs::path root_;
  std::string why_;
};

OwnRecord sample() {
  OwnRecord record;
  record.layout = "time:41 region:3 shard:7 sequence:12 tick:1ms";
  record.epoch = "2025-01-01T00:00:00Z";
  record.registry = "local";
  record.system = 7449876543210987654u;
  record.incarnation.words = {0x0123456789abcdefu, 0xfedcba9876543210u};
  record.node = 397;
  record.ceiling = 59876543210u;
  record.former = {{12, 59876000000}, {845, 7}};
  record.left = {{77, 59876000000}, {78, 1}};
  record.base = 4711;
  record.boot = "01234567-89ab-cdef-0123-456789abcdef";
  record.boottime = 86400000000000;
  record.issuing = 59876540210000000;
  record.window = 3000000000;
  return record;
}

bool reads(const std::string &text) {
  OwnRecord record;
  std::string why;
  const bool ok = from_text(text, record, why);
  EXPECT_EQ(ok, why.empty());
  return ok;
}

RC_GTEST_PROP(OwnRecord, gives_back_what_was_written, ()) {
  OwnRecord record = sample();
  record.system = *rc::gen::arbitrary<std::uint64_t>();
  record.file = {*rc::gen::arbitrary<std::uint64_t>(), *rc::gen::arbitrary<std::int64_t>()};
  record.directory = {*rc::gen::arbitrary<std::uint64_t>(), *rc::gen::arbitrary<std::int64_t>()};
  record.marker_ns = *rc::gen::arbitrary<std::int64_t>();
  record.incarnation.words = {*rc::gen::arbitrary<std::uint64_t>(),
                              *rc::gen::arbitrary<std::uint64_t>()};
  record.log2_lanes = *rc::gen::inRange<std::uint32_t>(0, 7);
  record.node = *rc::gen::arbitrary<std::uint32_t>() >> record.log2_lanes << record.log2_lanes;
  record.ceiling = *rc::gen::arbitrary<std::uint64_t>();
  record.node_epoch = *rc::gen::arbitrary<std::uint64_t>();
  for (std::vector<PastNode> *past : {&record.former, &record.left}) {
    for (const std::uint64_t ceiling : *rc::gen::arbitrary<std::vector<std::uint64_t>>()) {
      past->push_back({*rc::gen::arbitrary<std::uint32_t>(), ceiling});
    }
  }
  record.base = *rc::gen::arbitrary<std::uint64_t>();
  record.boottime = *rc::gen::arbitrary<std::int64_t>();
  record.issuing = *rc::gen::arbitrary<std::int64_t>();
  record.window = *rc::gen::arbitrary<std::int64_t>();
  OwnRecord again;
  std::string why;
  RC_ASSERT(from_text(to_text(record), again, why));
  RC_ASSERT(again == record);
}

// As 0.1.0 wrote it.
TEST(OwnRecord, a_record_of_an_earlier_version_is_read) {
  constexpr std::string_view kText =
      "idgen record 1\n"
      "layout = time:41 region:3 shard:7 sequence:12 tick:1ms\n"
      "epoch = 2025-01-01T00:00:00Z\n"
      "registry = local\n"
      "fleet =\n"
      "generation = 0\n"
      "revision = 0\n"
      "system = 7449876543210987654\n"
      "file = 2097161 1732340000123456789\n"
      "directory = 2097155 1732330000987654321\n"
      "incarnation = 0123456789abcdeffedcba9876543210\n"
      "node = 397\n"
      "log2_lanes = 0\n"
      "ceiling = 59876543210\n"
      "former = 12@59876000000 845@7\n"
      "left = 77@59876000000 78@1\n"
      "base = 4711\n"
      "boot = 01234567-89ab-cdef-0123-456789abcdef\n"
      "boottime = 86400000000000\n"
      "issuing = 59876540210000000\n"
      "window = 3000000000\n"
      "checksum = 0ca69025\n";
  OwnRecord record;
  std::string why;
  ASSERT_TRUE(from_text(kText, record, why)) << why;
  OwnRecord expected = sample();
  expected.file = {2097161, 1732340000123456789};
  expected.directory = {2097155, 1732330000987654321};
  EXPECT_EQ(record, expected);
  EXPECT_EQ(record.marker_ns, 0);
}

TEST(OwnRecord, every_changed_or_missing_byte_shows) {
  const std::string text = to_text(sample());
  ASSERT_TRUE(reads(text));
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (const char c : {'0', '1', 'f', ' ', '\n', '\0'}) {
      std::string changed = text;
      changed[i] = c;
      if (changed != text) {
        EXPECT_FALSE(reads(changed)) << "byte " << i;
      }
    }
    EXPECT_FALSE(reads(text.substr(0, i))) << "cut at " << i;
    EXPECT_FALSE(reads(std::string(text).erase(i, 1))) << "byte " << i << " missing";
  }
}

std::string with_checksum(std::string text) {
  text.resize(text.find("checksum"));
  char sum[32];
  std::snprintf(
      sum, sizeof(sum), "checksum = %08lx\n",
      crc32(0, reinterpret_cast<const Bytef *>(text.data()), static_cast<uInt>(text.size())));
  return text + sum;
}

TEST(OwnRecord, a_record_of_0_1_0_is_read_and_names_no_epoch_of_its_node) {
  OwnRecord record = sample();
  record.node_epoch = 4;
  std::string text = to_text(record);
  const std::size_t at = text.find("node_epoch");
  text = with_checksum(text.erase(at, text.find('\n', at) + 1 - at));
  OwnRecord read;
  std::string why;
  ASSERT_TRUE(from_text(text, read, why)) << why;
  record.node_epoch = 0;
  EXPECT_EQ(read, record);
}

// With a checksum that is right: the lines themselves are judged.
TEST(OwnRecord, malformed_lists_are_refused) {
  const auto with = [](const std::string &line, const std::string &value) {
    std::string text = to_text(sample());
    const std::size_t at = text.find(line + " = ") + line.size() + 3;
    text.replace(at, text.find('\n', at) - at, value);
    return with_checksum(text);
  };
  EXPECT_TRUE(reads(with("left", "")));
  EXPECT_TRUE(reads(with("left", "5@7")));
  EXPECT_TRUE(reads(with("left", "5@7 6@8")));
  EXPECT_TRUE(reads(with("former", "5@9 6@1")));
  for (const char *bad :
       {"5", "5@", "@7", "@", "5@7@9", "5@7 ", " 5@7", "5@7  6@8", "a@7", "5@-7"}) {
    EXPECT_FALSE(reads(with("left", bad))) << bad;
    EXPECT_FALSE(reads(with("former", bad))) << bad;
  }
  EXPECT_FALSE(reads(with("base", "")));
  EXPECT_FALSE(reads(with("log2_lanes", "1"))) << "node 397 begins no block of two";
  EXPECT_FALSE(reads(with("log2_lanes", "7")));
  EXPECT_TRUE(reads(with("node_epoch", "0")));
  EXPECT_FALSE(reads(with("node_epoch", "")));
  EXPECT_FALSE(reads(with("node_epoch", "-1")));
  EXPECT_FALSE(reads(with("log2_lanes", "4294967295")));
}

TEST_F(OwnRecordFile, the_longest_record_there_can_be_fits) {
  OwnRecord record = sample();
  record.former.assign(256, {0x7fffffff, UINT64_MAX >> 1});
  record.left.assign(256, {0x7fffffff, UINT64_MAX >> 1});
  RecordFile file(directory());
  ASSERT_TRUE(file.store(record, why_)) << why_;
  OwnRecord again;
  bool copied = false;
  EXPECT_EQ(file.load(again, copied, why_), RecordFile::Load::loaded) << why_;
  EXPECT_EQ(again, record);
}

TEST(OwnRecord, nothing_may_follow_or_come_twice) {
  const std::string text = to_text(sample());
  EXPECT_FALSE(reads(text + "\n"));
  EXPECT_FALSE(reads(text + text));
  EXPECT_FALSE(reads(""));
  const std::size_t node = text.find("node = ");
  const std::size_t end = text.find('\n', node) + 1;
  EXPECT_FALSE(reads(std::string(text).insert(end, text.substr(node, end - node))));
}

TEST_F(OwnRecordFile, a_missing_record_is_a_first_start) {
  OwnRecord record;
  bool copied = true;
  EXPECT_EQ(RecordFile(directory()).load(record, copied, why_), RecordFile::Load::missing);
}

TEST_F(OwnRecordFile, what_is_stored_is_loaded) {
  RecordFile file(directory());
  OwnRecord record = sample();
  for (int i = 0; i < 3; ++i) {
    record.ceiling += 1000;
    ASSERT_TRUE(file.store(record, why_)) << why_;
    OwnRecord again;
    bool copied = true;
    ASSERT_EQ(file.load(again, copied, why_), RecordFile::Load::loaded) << why_;
    EXPECT_FALSE(copied);
    EXPECT_EQ(again, record);
    EXPECT_NE(again.file.number, 0u);
    EXPECT_NE(again.directory.number, 0u);
  }
  EXPECT_FALSE(fs::exists(file.path() + ".new"));
}

TEST_F(OwnRecordFile, a_copied_directory_shows) {
  OwnRecord record = sample();
  ASSERT_TRUE(RecordFile(directory()).store(record, why_)) << why_;
  const fs::path copy = root_ / "copy";
  fs::copy(directory(), copy);
  bool copied = false;
  ASSERT_EQ(RecordFile(copy.string()).load(record, copied, why_), RecordFile::Load::loaded);
  EXPECT_TRUE(copied);
  ASSERT_EQ(RecordFile(directory()).load(record, copied, why_), RecordFile::Load::loaded);
  EXPECT_FALSE(copied) << "the original is none";
  fs::rename(directory(), root_ / "moved");
  ASSERT_EQ(RecordFile((root_ / "moved").string()).load(record, copied, why_),
            RecordFile::Load::loaded);
  EXPECT_FALSE(copied) << "moved is not copied";
}

TEST_F(OwnRecordFile, a_record_moved_to_another_directory_shows) {
  OwnRecord record = sample();
  RecordFile file(directory());
  ASSERT_TRUE(file.store(record, why_)) << why_;
  const RecordFile other((root_ / "other").string());
  fs::create_directory(root_ / "other");
  fs::rename(file.path(), other.path());
  bool copied = false;
  ASSERT_EQ(other.load(record, copied, why_), RecordFile::Load::loaded);
  EXPECT_TRUE(copied);
}

// The number of an inode that was set free is soon given to another file.
TEST_F(OwnRecordFile, an_older_record_put_back_in_place_shows) {
  RecordFile file(directory());
  OwnRecord record = sample();
  ASSERT_TRUE(file.store(record, why_)) << why_;
  if (record.file.birth_ns == 0) GTEST_SKIP() << "this file system keeps no time of birth";
  const std::string text = read(file.path());
  // Births are told to a few milliseconds: until the next one.
  OwnRecord later = sample();
  do {
    ASSERT_TRUE(RecordFile((root_ / "later").string()).store(later, why_)) << why_;
  } while (later.file.birth_ns == record.file.birth_ns);
  fs::remove(file.path());
  std::ofstream(file.path()) << text;
  bool copied = false;
  ASSERT_EQ(file.load(record, copied, why_), RecordFile::Load::loaded);
  EXPECT_TRUE(copied);
}

// What load() says of the place of a record that is rewritten in place.
class RecordsPlace : public OwnRecordFile {
 protected:
  void SetUp() override {
    OwnRecordFile::SetUp();
    file_ = std::make_unique<RecordFile>(directory());
    OwnRecord record = sample();
    ASSERT_TRUE(file_->store(record, why_)) << why_;
    // Once more, now that there is a marker.
    ASSERT_TRUE(file_->store(record, why_)) << why_;
    here_ = record;
  }
  bool is_copy(OwnRecord record) {
    std::ofstream(file_->path(), std::ios::trunc) << to_text(record);
    bool copied = false;
    EXPECT_EQ(file_->load(record, copied, why_), RecordFile::Load::loaded) << why_;
    return copied;
  }
  std::int64_t marker_time() const {
    struct stat info {};
    EXPECT_EQ(stat(file_->marker_path().c_str(), &info), 0);
    return std::int64_t{info.st_ctim.tv_sec} * 1'000'000'000 + info.st_ctim.tv_nsec;
  }

  std::unique_ptr<RecordFile> file_;
  OwnRecord here_;
};

TEST_F(RecordsPlace, a_birth_that_one_side_does_not_know_is_no_difference) {
  EXPECT_FALSE(is_copy(here_));
  OwnRecord old = here_;
  old.file.birth_ns = old.directory.birth_ns = 0;
  EXPECT_FALSE(is_copy(old));
  old = here_;
  old.directory.birth_ns = 0;
  EXPECT_FALSE(is_copy(old));
}

// As in an overlay, which numbers inodes at each mount.
TEST_F(RecordsPlace, other_numbers_with_the_same_births_are_no_copy) {
  if (here_.file.birth_ns == 0) GTEST_SKIP() << "this file system keeps no time of birth";
  OwnRecord renumbered = here_;
  ++renumbered.directory.number;
  EXPECT_TRUE(is_copy(renumbered)) << "the births are so near that a copy may have them too";
  const auto is_apart = [this] {
    return here_.file.birth_ns - here_.directory.birth_ns > 1'000'000'000;
  };
  while (!is_apart()) {
    ASSERT_TRUE(file_->store(here_, why_)) << why_;
  }
  renumbered = here_;
  ++renumbered.directory.number;
  EXPECT_FALSE(is_copy(renumbered));
  ++renumbered.file.number;
  EXPECT_FALSE(is_copy(renumbered));
  ++renumbered.directory.birth_ns;
  EXPECT_TRUE(is_copy(renumbered));
  renumbered = here_;
  ++renumbered.file.birth_ns;
  EXPECT_TRUE(is_copy(renumbered)) << "the same number, given to another file";
}

// As with FUSE.
TEST_F(RecordsPlace, other_numbers_without_births_are_a_copy_but_for_the_markers_time) {
  OwnRecord renumbered = here_;
  for (Inode *inode : {&renumbered.file, &renumbered.directory}) *inode = {inode->number + 1, 0};
  renumbered.marker_ns = 0;
  EXPECT_TRUE(is_copy(renumbered)) << "nothing vouches for it";
  renumbered.marker_ns = marker_time();
  EXPECT_FALSE(is_copy(renumbered));
  ++renumbered.marker_ns;
  EXPECT_TRUE(is_copy(renumbered)) << "the marker of a copy, or an older record";
  // A birth that differs is a copy, whatever the marker says.
  if (here_.file.birth_ns == 0) return;
  renumbered.marker_ns = marker_time();
  renumbered.file = here_.file;
  ++renumbered.file.birth_ns;
  EXPECT_TRUE(is_copy(renumbered));
}

TEST_F(RecordsPlace, a_copied_marker_has_another_time) {
  const std::int64_t before = marker_time();
  std::int64_t copied = before;
  while (copied == before) {
    const std::string copy = (root_ / "copy.marker").string();
    fs::remove(copy);
    fs::copy(file_->marker_path(), copy);
    struct stat info {};
    ASSERT_EQ(stat(copy.c_str(), &info), 0);
    copied = std::int64_t{info.st_ctim.tv_sec} * 1'000'000'000 + info.st_ctim.tv_nsec;
  }
  EXPECT_GT(copied, before);
}

TEST_F(RecordsPlace, a_record_that_is_missing_is_no_first_start) {
  fs::remove_all(directory());
  OwnRecord record;
  bool copied = false;
  EXPECT_EQ(file_->load(record, copied, why_), RecordFile::Load::damaged);
  EXPECT_NE(why_.find("is a mount of its own"), std::string::npos) << why_;
  fs::create_directory(directory());  // where something else was mounted
  EXPECT_EQ(file_->load(record, copied, why_), RecordFile::Load::damaged);
  fs::remove(file_->marker_path());
  EXPECT_EQ(file_->load(record, copied, why_), RecordFile::Load::missing);
  // A record without a marker is one that an earlier version wrote.
  ASSERT_TRUE(file_->store(here_, why_)) << why_;
  fs::remove(file_->marker_path());
  EXPECT_EQ(file_->load(record, copied, why_), RecordFile::Load::loaded);
  ASSERT_TRUE(file_->store(here_, why_)) << why_;
  EXPECT_TRUE(fs::exists(file_->marker_path()));
}

TEST_F(OwnRecordFile, a_damaged_record_is_not_a_missing_one) {
  RecordFile file(directory());
  OwnRecord record = sample();
  ASSERT_TRUE(file.store(record, why_)) << why_;
  const std::string text = read(file.path());
  for (const std::string &damaged :
       {std::string(), text.substr(0, text.size() / 2), text + std::string(20000, ' ')}) {
    std::ofstream(file.path(), std::ios::trunc) << damaged;
    bool copied = false;
    EXPECT_EQ(file.load(record, copied, why_), RecordFile::Load::damaged);
    EXPECT_NE(why_.find("damaged"), std::string::npos) << why_;
  }
}

TEST_F(OwnRecordFile, a_record_that_can_not_be_read_is_not_a_missing_one) {
  fs::create_directories(directory() + "/record");
  OwnRecord record;
  bool copied = false;
  EXPECT_EQ(RecordFile(directory()).load(record, copied, why_), RecordFile::Load::unreadable);
  EXPECT_FALSE(why_.empty());
}

TEST_F(OwnRecordFile, what_a_crash_left_behind_is_no_obstacle) {
  fs::create_directories(directory());
  RecordFile file(directory());
  std::ofstream(file.path() + ".new") << "half a rec";
  OwnRecord record = sample();
  EXPECT_TRUE(file.store(record, why_)) << why_;
  bool copied = true;
  EXPECT_EQ(file.load(record, copied, why_), RecordFile::Load::loaded);
}

TEST_F(OwnRecordFile, a_store_that_fails_leaves_the_old_record) {
  RecordFile file(directory());
  OwnRecord record = sample();
  ASSERT_TRUE(file.store(record, why_)) << why_;
  const std::string before = read(file.path());
  fs::create_directories(file.path() + ".new/in_the_way");
  record.ceiling += 1;
  EXPECT_FALSE(file.store(record, why_));
  EXPECT_FALSE(why_.empty());
  EXPECT_EQ(read(file.path()), before);
  EXPECT_FALSE(RecordFile((root_ / "no" / "parent").string()).store(record, why_));
}

TEST_F(OwnRecordFile, what_could_not_be_read_again_is_not_stored) {
  RecordFile file(directory());
  OwnRecord record = sample();
  ASSERT_TRUE(file.store(record, why_)) << why_;
  const std::string before = read(file.path());
  for (const std::string &registry : {std::string("two\nlines"), std::string(40000, 'x')}) {
    record.registry = registry;
    EXPECT_FALSE(file.store(record, why_));
    EXPECT_FALSE(why_.empty());
    EXPECT_EQ(read(file.path()), before);
  }
}

}  // namespace
}  // namespace idgen
