#include "registry/own_record.h"

#include "core/choose.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>

namespace idgen {
namespace {

constexpr std::string_view kTitle = "idgen record 1";
constexpr std::string_view kMarkerText = "This data directory has a record of idgen.\n";
constexpr std::size_t kMaxFileSize = 32768;
// How many nodes of earlier copies a record carries along.
constexpr std::size_t kMaxFormer = 256;
// How many nodes that were left it carries along: four blocks of 64 lanes.
constexpr std::size_t kMaxLeft = 256;

std::uint32_t checksum_of(std::string_view text) {
  return static_cast<std::uint32_t>(
      crc32(0, reinterpret_cast<const Bytef *>(text.data()), static_cast<uInt>(text.size())));
}

// Reads "name = value" lines in order, remembers the first thing that's wrong.
class LineReader {
 public:
  explicit LineReader(std::string_view text) : rest_(text) {}

  void title(std::string_view expected) {
    if (line() != expected) fail("the first line");
  }

  std::string_view value(std::string_view name) {
    std::string_view found = line();
    if (!found.starts_with(name)) return fail(name);
    found.remove_prefix(name.size());
    if (!found.starts_with(" =")) return fail(name);
    found.remove_prefix(2);
    if (found.empty()) return found;
    if (found.front() != ' ') return fail(name);
    return found.substr(1);
  }

  // Whether this line is next: one that not every record has.
  bool has(std::string_view name) const {
    return rest_.starts_with(name) && rest_.substr(name.size()).starts_with(" =");
  }

  template <typename T>
  void number(std::string_view name, T &out, int base = 10) {
    parse(value(name), name, out, base);
  }

  template <typename T>
  void parse(std::string_view text, std::string_view name, T &out, int base = 10) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
    if (error != std::errc{} || end != text.data() + text.size()) fail(name);
  }

  // node@ceiling, with a space between them
  void nodes(std::string_view name, std::vector<PastNode> &out) {
    std::string_view items = value(name);
    while (!items.empty()) {
      const std::size_t end = std::min(items.find(' '), items.size());
      const std::string_view item = items.substr(0, end);
      const std::size_t at = item.find('@');
      if (at == std::string_view::npos || end + 1 == items.size()) {
        fail(name);
        return;
      }
      PastNode &node = out.emplace_back();
      parse(item.substr(0, at), name, node.node);
      parse(item.substr(at + 1), name, node.ceiling);
      items.remove_prefix(std::min(end + 1, items.size()));
    }
  }

  // "number birth"
  void inode(std::string_view name, Inode &out) {
    const std::string_view text = value(name);
    const std::size_t space = text.find(' ');
    if (space == std::string_view::npos) {
      fail(name);
      return;
    }
    parse(text.substr(0, space), name, out.number);
    parse(text.substr(space + 1), name, out.birth_ns);
  }

  std::string_view fail(std::string_view name) {
    if (wrong_.empty()) wrong_ = name;
    return {};
  }
  bool at_end() const { return rest_.empty(); }
  std::string_view wrong() const { return wrong_; }
  std::size_t left() const { return rest_.size(); }

 private:
  std::string_view line() {
    const std::size_t end = rest_.find('\n');
    if (end == std::string_view::npos) return fail("the end of the file");
    const std::string_view found = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return found;
  }

  std::string_view rest_;
  std::string_view wrong_;
};

std::string hex(std::uint64_t value, int digits) {
  char buffer[17];
  std::snprintf(buffer, sizeof(buffer), "%0*llx", digits, static_cast<unsigned long long>(value));
  return buffer;
}

bool parse_hex(std::string_view digits, std::uint64_t &value) {
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  return error == std::errc{} && end == digits.data() + digits.size();
}

std::string inode_text(const Inode &inode) {
  return std::to_string(inode.number) + " " + std::to_string(inode.birth_ns);
}

std::string nodes_text(const std::vector<PastNode> &nodes) {
  std::string text;
  for (const PastNode &node : nodes) {
    if (!text.empty()) text += ' ';
    text += std::to_string(node.node) + "@" + std::to_string(node.ceiling);
  }
  return text;
}

std::string errno_text(const char *what, const std::string &path) {
  return std::string("could not ") + what + " \"" + path + "\": " + std::strerror(errno);
}

// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor &) = delete;
  Descriptor &operator=(const Descriptor &) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

int open_retrying(const std::string &path, int flags) {
  int fd = -1;
  do {
    fd = open(path.c_str(), flags | O_CLOEXEC, 0666);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return false;
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

constexpr std::int64_t kNsPerSecond = 1'000'000'000;

std::int64_t to_ns(std::int64_t seconds, std::int64_t ns) {
  return seconds * kNsPerSecond + ns;
}

// The inode of an open file or directory. Where statx() is not to be had (old
// kernels, filters of system calls), its birth is unknown.
bool identify(int fd, Inode &inode) {
  struct statx info {};
  if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &info) == 0) {
    inode = {info.stx_ino, 0};
    if ((info.stx_mask & STATX_BTIME) != 0) {
      inode.birth_ns = to_ns(info.stx_btime.tv_sec, info.stx_btime.tv_nsec);
    }
    return true;
  }
  struct stat old {};
  if (fstat(fd, &old) != 0) return false;
  inode = {old.st_ino, 0};
  return true;
}

bool identify_directory(const std::string &path, Inode &inode) {
  const Descriptor directory(open_retrying(path, O_RDONLY | O_DIRECTORY));
  return directory.ok() && identify(directory.get(), inode);
}

// Times in whole seconds are too coarse to tell a copy from its original.
bool is_fine(std::int64_t ns) {
  return ns % kNsPerSecond != 0;
}

enum class Sameness : std::uint8_t {
  same,
  renumbered,  // another number, the same birth
  other,
  unknown,  // another number, and no birth to compare
};

Sameness compare(const Inode &recorded, const Inode &here) {
  const bool has_births = recorded.birth_ns != 0 && here.birth_ns != 0;
  if (has_births && recorded.birth_ns != here.birth_ns) return Sameness::other;
  if (recorded.number == here.number) return Sameness::same;
  return has_births && is_fine(here.birth_ns) ? Sameness::renumbered : Sameness::unknown;
}

// Births are told to a few milliseconds, so a copy that was made at once may have
// those of its original. A copy's folder and file are born together: where these were
// not, it is none.
bool are_born_apart(const OwnRecord &record) {
  return record.directory.birth_ns != 0 &&
         record.file.birth_ns - record.directory.birth_ns >= kNsPerSecond;
}

// The ctime of the marker; 0: there is none, or it cannot be told. `touch`: makes it
// now first.
std::int64_t marker_time(const std::string &path, bool touch) {
  const Descriptor file(open_retrying(path, O_RDONLY));
  if (!file.ok() || (touch && futimens(file.get(), nullptr) != 0)) return 0;
  struct stat info {};
  if (fstat(file.get(), &info) != 0) return 0;
  return to_ns(info.st_ctim.tv_sec, info.st_ctim.tv_nsec);
}

bool can_be_read(std::string_view text) {
  OwnRecord read;
  std::string why;
  return text.size() <= kMaxFileSize && from_text(text, read, why);
}

}  // namespace

std::string to_hex(const Incarnation &value) {
  return hex(value.words[0], 16) + hex(value.words[1], 16);
}

bool from_hex(std::string_view text, Incarnation &value) {
  Incarnation read;
  if (text.size() != 32 || !parse_hex(text.substr(0, 16), read.words[0]) ||
      !parse_hex(text.substr(16), read.words[1])) {
    return false;
  }
  value = read;
  return true;
}

void disown(OwnRecord &record) {
  const auto add = [&](PastNode past) {
    const auto same = [&past](const PastNode &known) { return known.node == past.node; };
    for (const PastNode &known : record.former) {
      if (same(known)) past.ceiling = std::max(past.ceiling, known.ceiling);
    }
    std::erase_if(record.former, same);
    record.former.push_back(past);
  };
  for (const PastNode &left : record.left) add(left);
  const std::uint32_t lanes = 1U << record.log2_lanes;
  for (std::uint32_t i = 0; i < lanes; ++i) add({record.node + i, record.ceiling});
  record.left.clear();
  while (record.former.size() > kMaxFormer) {
    record.base = std::max(record.base, record.former.front().ceiling + 1);
    record.former.erase(record.former.begin());
  }
}

void leave(OwnRecord &record, const OwnRecord &before) {
  for (std::uint32_t i = 0; i < 1U << before.log2_lanes; ++i) {
    const std::uint32_t node = before.node + i;
    if (holds(record, node)) continue;
    std::erase_if(record.left, [node](const PastNode &known) { return known.node == node; });
    record.left.push_back({node, before.ceiling});
  }
  while (record.left.size() > kMaxLeft) {
    const auto lowest = std::min_element(
        record.left.begin(), record.left.end(),
        [](const PastNode &a, const PastNode &b) { return a.ceiling < b.ceiling; });
    record.base = std::max(record.base, lowest->ceiling + 1);
    record.left.erase(lowest);
  }
}

void raise_base(OwnRecord &record) {
  record.base = std::max(record.base, record.ceiling + 1);
  for (const PastNode &left : record.left) record.base = std::max(record.base, left.ceiling + 1);
}

std::string to_text(const OwnRecord &record) {
  std::string text(kTitle);
  const auto line = [&text](std::string_view name, const std::string &value) {
    text.append("\n").append(name).append(" = ").append(value);
  };
  line("layout", record.layout);
  line("epoch", record.epoch);
  line("registry", record.registry);
  line("fleet", record.fleet == Incarnation{} ? "" : to_hex(record.fleet));
  line("generation", std::to_string(record.generation));
  line("revision", std::to_string(record.revision));
  line("system", std::to_string(record.system));
  line("file", inode_text(record.file));
  line("directory", inode_text(record.directory));
  if (record.marker_ns != 0) line("marker", std::to_string(record.marker_ns));
  line("incarnation", to_hex(record.incarnation));
  line("node", std::to_string(record.node));
  line("log2_lanes", std::to_string(record.log2_lanes));
  line("node_epoch", std::to_string(record.node_epoch));
  line("ceiling", std::to_string(record.ceiling));
  line("former", nodes_text(record.former));
  line("left", nodes_text(record.left));
  line("base", std::to_string(record.base));
  line("boot", record.boot);
  line("boottime", std::to_string(record.boottime));
  line("issuing", std::to_string(record.issuing));
  line("window", std::to_string(record.window));
  text += '\n';
  text += "checksum = " + hex(checksum_of(text), 8) + "\n";
  return text;
}

bool from_text(std::string_view text, OwnRecord &record, std::string &why) {
  OwnRecord read;
  LineReader lines(text);
  lines.title(kTitle);
  read.layout = lines.value("layout");
  read.epoch = lines.value("epoch");
  read.registry = lines.value("registry");
  const std::string_view fleet = lines.value("fleet");
  if (!fleet.empty() && !from_hex(fleet, read.fleet)) lines.fail("fleet");
  lines.number("generation", read.generation);
  lines.number("revision", read.revision);
  lines.number("system", read.system);
  lines.inode("file", read.file);
  lines.inode("directory", read.directory);
  if (lines.has("marker")) lines.number("marker", read.marker_ns);

  if (!from_hex(lines.value("incarnation"), read.incarnation)) lines.fail("incarnation");

  lines.number("node", read.node);
  lines.number("log2_lanes", read.log2_lanes);
  if (read.log2_lanes > kMaxLog2Lanes || read.node % (1U << read.log2_lanes) != 0) {
    lines.fail("log2_lanes");
  }
  if (lines.has("node_epoch")) lines.number("node_epoch", read.node_epoch);
  lines.number("ceiling", read.ceiling);

  lines.nodes("former", read.former);
  lines.nodes("left", read.left);
  lines.number("base", read.base);

  read.boot = lines.value("boot");
  lines.number("boottime", read.boottime);
  lines.number("issuing", read.issuing);
  lines.number("window", read.window);

  const std::string_view covered = text.substr(0, text.size() - lines.left());
  std::uint32_t checksum = 0;
  lines.number("checksum", checksum, 16);
  if (lines.wrong().empty() && checksum != checksum_of(covered)) lines.fail("checksum");
  if (lines.wrong().empty() && !lines.at_end()) lines.fail("the end of the file");
  if (!lines.wrong().empty()) {
    why = "it is wrong at: " + std::string(lines.wrong());
    return false;
  }
  record = std::move(read);
  return true;
}

namespace {

// A first start, or a record that was there and is not.
RecordStore::Load missing(const std::string &marker, const std::string &record,
                          const std::string &directory, std::string &why) {
  if (access(marker.c_str(), F_OK) != 0) {
    if (errno == ENOENT) return RecordStore::Load::missing;
    why = errno_text("look for file", marker);
    return RecordStore::Load::unreadable;
  }
  why = "the file \"" + record + "\" is missing, and \"" + marker +
        "\" says that there was one: if \"" + directory +
        "\" is a mount of its own, mount it; if the record is gone for good, remove \"" + marker +
        "\"";
  return RecordStore::Load::damaged;
}

}  // namespace

RecordStore::Load RecordFile::load(OwnRecord &record, bool &copied, std::string &why) const {
  const Descriptor file(open_retrying(path(), O_RDONLY));
  if (!file.ok()) {
    if (errno == ENOENT) return missing(marker_path(), path(), directory_, why);
    why = errno_text("open file", path());
    return Load::unreadable;
  }
  Inode here;
  Inode directory;
  std::string text(kMaxFileSize, '\0');
  std::size_t length = 0;
  bool failed = !identify(file.get(), here) || !identify_directory(directory_, directory);
  while (!failed && length < text.size()) {
    const ssize_t got = read(file.get(), text.data() + length, text.size() - length);
    if (got == 0) break;
    if (got > 0) {
      length += static_cast<std::size_t>(got);
    } else if (errno != EINTR) {
      failed = true;
    }
  }
  if (failed) {
    why = errno_text("read file", path());
    return Load::unreadable;
  }
  text.resize(length);
  if (!from_text(text, record, why)) {
    why = "the file \"" + path() + "\" is damaged: " + why;
    return Load::damaged;
  }
  const Sameness file_is = compare(record.file, here);
  const Sameness directory_is = compare(record.directory, directory);
  const auto either_is = [=](Sameness is) { return file_is == is || directory_is == is; };
  if (either_is(Sameness::other)) {
    copied = true;
  } else if (either_is(Sameness::unknown)) {
    const std::int64_t marker_ns = marker_time(marker_path(), false);
    copied = record.marker_ns != marker_ns || !is_fine(marker_ns);
  } else {
    copied = either_is(Sameness::renumbered) && !are_born_apart(record);
  }
  return Load::loaded;
}

std::string RecordFile::parent() const {
  const std::size_t slash = directory_.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : directory_.substr(0, slash);
}

// Like PostgreSQL, passes over file systems that cannot fsync a directory.
bool RecordFile::sync_directory(const std::string &path, std::string &why) {
  const Descriptor directory(open_retrying(path, O_RDONLY | O_DIRECTORY));
  if (directory.ok() && fsync(directory.get()) == 0) return true;
  const bool is_unsupported = directory.ok() && (errno == EBADF || errno == EINVAL);
  why = errno_text("fsync directory", path);
  if (!is_unsupported) return false;
  if (syncs_directories_) {
    note_ = why +
            "; the file system does not support that, so the record may be lost if the "
            "machine crashes";
  }
  syncs_directories_ = false;
  return true;
}

// Comes after the record: a marker without one is refused.
bool RecordFile::make_marker(std::string &why) {
  if (marker_is_durable_ && access(marker_path().c_str(), F_OK) == 0) return true;
  marker_is_durable_ = false;
  // Only a new one is written: the record may name the time at which it last changed.
  int fd = open_retrying(marker_path(), O_WRONLY | O_CREAT | O_EXCL);
  const bool is_new = fd >= 0;
  if (!is_new && errno == EEXIST) fd = open_retrying(marker_path(), O_RDONLY);
  const Descriptor file(fd);
  if (!file.ok()) {
    why = errno_text("create file", marker_path());
    return false;
  }
  if ((is_new && !write_all(file.get(), kMarkerText)) || fsync(file.get()) != 0) {
    why = errno_text("write file", marker_path());
    return false;
  }
  marker_is_durable_ = sync_directory(parent(), why);
  return marker_is_durable_;
}

// The folder's own name must be durable before the record in it counts, whoever
// made it: he may have ended before he could see to that.
bool RecordFile::make_directory(std::string &why) {
  if (mkdir(directory_.c_str(), 0777) == 0) {
    directory_is_durable_ = false;
  } else if (errno != EEXIST) {
    why = errno_text("create directory", directory_);
    return false;
  }
  if (directory_is_durable_) return true;
  directory_is_durable_ = sync_directory(parent(), why);
  // After a failed fsync the next one says nothing of what the first should have
  // written: an empty folder is made anew.
  if (!directory_is_durable_) (void)rmdir(directory_.c_str());
  return directory_is_durable_;
}

bool RecordFile::store(OwnRecord &record, std::string &why) {
  if (!make_directory(why)) return false;
  const std::string temporary = path() + ".new";
  if (unlink(temporary.c_str()) != 0 && errno != ENOENT) {
    why = errno_text("remove file", temporary);
    return false;
  }
  {
    const Descriptor file(open_retrying(temporary, O_WRONLY | O_CREAT | O_EXCL));
    if (!file.ok()) {
      why = errno_text("create file", temporary);
      return false;
    }
    if (!identify(file.get(), record.file) || !identify_directory(directory_, record.directory)) {
      why = errno_text("read the status of file", temporary);
      return false;
    }
    const bool has_births = record.file.birth_ns != 0 && record.directory.birth_ns != 0;
    record.marker_ns = 0;
    if (!has_births) {
      record.marker_ns = marker_time(marker_path(), !marker_is_touched_);
      marker_is_touched_ = true;
    }
    const std::string text = to_text(record);
    if (!can_be_read(text)) {
      why = "the record could not be read again: its registry's name is too long, or not a line";
      return false;
    }
    if (!write_all(file.get(), text)) {
      why = errno_text("write file", temporary);
      return false;
    }
    if (fsync(file.get()) != 0) {
      why = errno_text("fsync file", temporary);
      return false;
    }
  }
  if (rename(temporary.c_str(), path().c_str()) != 0) {
    why = errno_text("rename file", temporary);
    return false;
  }
  return sync_directory(directory_, why) && make_marker(why);
}

}  // namespace idgen
