// U3 on files: what RecordFile::store() asks of the system, in which order, and
// what it says when any of it fails. The calls are the linker's --wrap of the
// real ones (test/CMakeLists.txt).

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "registry/own_record.h"

namespace {

namespace fs = std::filesystem;

std::vector<std::string> calls;
int failing = -1;     // the call, by its place in `calls`, that is to fail
int directories = 0;  // fsync of a directory fails with this
bool has_statx = true;

bool fails(const std::string &call) {
  calls.push_back(call);
  if (failing != static_cast<int>(calls.size()) - 1) return false;
  errno = EIO;
  return true;
}

// The last part of a path.
std::string leaf(const std::string &path) {
  return fs::path(path).filename().string();
}

std::string leaf_of(int descriptor) {
  return leaf(fs::read_symlink("/proc/self/fd/" + std::to_string(descriptor)).string());
}

}  // namespace

extern "C" {
int __real_fsync(int descriptor);
int __real_rename(const char *from, const char *to);
int __real_mkdir(const char *path, mode_t mode);
ssize_t __real_write(int descriptor, const void *bytes, size_t count);

int __real_statx(int directory, const char *path, int flags, unsigned mask, struct statx *info);

int __wrap_statx(int directory, const char *path, int flags, unsigned mask, struct statx *info) {
  if (has_statx) return __real_statx(directory, path, flags, mask, info);
  errno = EPERM;
  return -1;
}
int __wrap_fsync(int descriptor) {
  struct stat info {};
  if (directories != 0 && fstat(descriptor, &info) == 0 && S_ISDIR(info.st_mode)) {
    errno = directories;
    return -1;
  }
  return fails("fsync " + leaf_of(descriptor)) ? -1 : __real_fsync(descriptor);
}
int __wrap_rename(const char *from, const char *to) {
  return fails("rename " + leaf(from) + " " + leaf(to)) ? -1 : __real_rename(from, to);
}
int __wrap_mkdir(const char *path, mode_t mode) {
  return fails("mkdir " + leaf(path)) ? -1 : __real_mkdir(path, mode);
}
ssize_t __wrap_write(int descriptor, const void *bytes, size_t count) {
  return fails("write " + leaf_of(descriptor)) ? -1 : __real_write(descriptor, bytes, count);
}
}

namespace idgen {
namespace {

class DurableStore : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "idgen-store-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
    reset();
  }
  void TearDown() override { fs::remove_all(root_); }

  static void reset(int which = -1) {
    calls.clear();
    failing = which;
    directories = 0;
    has_statx = true;
  }
  std::string directory() const { return (root_ / "data").string(); }
  static OwnRecord record(std::uint64_t ceiling) {
    OwnRecord record;
    record.layout = kDefaultLayout;
    record.epoch = kDefaultEpoch;
    record.registry = "local";
    record.boot = "unknown";
    record.ceiling = ceiling;
    return record;
  }

  fs::path root_;
  std::string why_;
};

using Calls = std::vector<std::string>;

TEST_F(DurableStore, file_before_rename_before_directory) {
  RecordFile file(directory());
  OwnRecord first = record(1);
  ASSERT_TRUE(file.store(first, why_)) << why_;
  EXPECT_EQ(calls,
            (Calls{"mkdir data", "fsync " + leaf(root_.string()), "write record.new",
                   "fsync record.new", "rename record.new record", "fsync data",
                   "write data.marker", "fsync data.marker", "fsync " + leaf(root_.string())}));
  reset();
  OwnRecord second = record(2);
  ASSERT_TRUE(file.store(second, why_)) << why_;
  EXPECT_EQ(calls, (Calls{"mkdir data", "write record.new", "fsync record.new",
                          "rename record.new record", "fsync data"}));
}

// Whoever made the folder may have ended before its name was durable.
TEST_F(DurableStore, a_folder_that_was_there_is_made_durable_once) {
  fs::create_directory(directory());
  RecordFile file(directory());
  OwnRecord first = record(1);
  ASSERT_TRUE(file.store(first, why_)) << why_;
  EXPECT_EQ(calls.at(1), "fsync " + leaf(root_.string()));
}

// 9p, CIFS and virtiofs do that.
TEST_F(DurableStore, a_directory_that_cannot_be_fsynced_is_passed_over_and_told_once) {
  for (const int error : {EINVAL, EBADF}) {
    fs::remove_all(directory());
    reset();
    RecordFile file(directory());
    directories = error;
    OwnRecord first = record(1);
    ASSERT_TRUE(file.store(first, why_)) << why_;
    EXPECT_NE(file.take_note().find("could not fsync directory"), std::string::npos);
    OwnRecord second = record(2);
    ASSERT_TRUE(file.store(second, why_)) << why_;
    EXPECT_EQ(file.take_note(), "");
    bool copied = true;
    EXPECT_EQ(file.load(second, copied, why_), RecordFile::Load::loaded);
  }
  fs::remove_all(directory());
  reset();
  directories = EIO;
  OwnRecord first = record(1);
  EXPECT_FALSE(RecordFile(directory()).store(first, why_)) << "that is a failure";
}

// Old filters of system calls refuse it.
TEST_F(DurableStore, without_statx_births_are_unknown) {
  RecordFile file(directory());
  has_statx = false;
  OwnRecord first = record(1);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(file.store(first, why_)) << why_;
  EXPECT_NE(first.file.number, 0u);
  EXPECT_EQ(first.file.birth_ns, 0);
  EXPECT_NE(first.marker_ns, 0);
  OwnRecord read;
  bool copied = true;
  for (const bool later : {false, true}) {
    has_statx = later;
    ASSERT_EQ(file.load(read, copied, why_), RecordFile::Load::loaded) << why_;
    EXPECT_FALSE(copied) << "the birth has come to be known";
  }
}

TEST_F(DurableStore, nothing_that_fails_is_called_durable) {
  // Each call of a first store, then each of a later one.
  for (const bool later : {false, true}) {
    for (int which = 0;; ++which) {
      fs::remove_all(directory());
      fs::remove(directory() + ".marker");
      reset();
      RecordFile file(directory());
      OwnRecord old = record(1);
      if (later) {
        ASSERT_TRUE(file.store(old, why_)) << why_;
      }
      reset(which);
      OwnRecord next = record(2);
      const bool stored = file.store(next, why_);
      if (which >= static_cast<int>(calls.size())) {
        EXPECT_TRUE(stored) << why_;
        EXPECT_GE(which, 5) << "every call has failed once";
        break;
      }
      const std::string failed = calls.back();
      EXPECT_FALSE(stored) << failed;
      EXPECT_FALSE(why_.empty()) << failed;
      // The next attempt writes a new file; the failed one is never trusted.
      reset();
      OwnRecord again = record(3);
      ASSERT_TRUE(file.store(again, why_)) << failed << ": " << why_;
      EXPECT_NE(std::find(calls.begin(), calls.end(), "fsync data"), calls.end()) << failed;
      OwnRecord found;
      bool copied = true;
      ASSERT_EQ(file.load(found, copied, why_), RecordFile::Load::loaded) << failed;
      EXPECT_EQ(found.ceiling, 3u) << failed;
    }
  }
}

}  // namespace
}  // namespace idgen
