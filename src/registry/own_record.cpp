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
constexpr std::size_t kMaxFileSize = 32768;
// How many nodes of earlier copies a record carries along.
constexpr std::size_t kMaxFormer = 256;

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

// The inode of an open file or directory.
bool identify(int fd, Inode &inode) {
  struct statx info {};
  if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &info) != 0) return false;
  inode.number = info.stx_ino;
  inode.birth_ns = 0;
  if ((info.stx_mask & STATX_BTIME) != 0) {
    inode.birth_ns = std::int64_t{info.stx_btime.tv_sec} * 1'000'000'000 + info.stx_btime.tv_nsec;
  }
  return true;
}

bool identify_directory(const std::string &path, Inode &inode) {
  const Descriptor directory(open_retrying(path, O_RDONLY | O_DIRECTORY));
  return directory.ok() && identify(directory.get(), inode);
}

bool sync_directory(const std::string &path, std::string &why) {
  const Descriptor directory(open_retrying(path, O_RDONLY | O_DIRECTORY));
  if (directory.ok() && fsync(directory.get()) == 0) return true;
  why = errno_text("fsync directory", path);
  return false;
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
  line("incarnation", to_hex(record.incarnation));
  line("node", std::to_string(record.node));
  line("log2_lanes", std::to_string(record.log2_lanes));
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

  if (!from_hex(lines.value("incarnation"), read.incarnation)) lines.fail("incarnation");

  lines.number("node", read.node);
  lines.number("log2_lanes", read.log2_lanes);
  if (read.log2_lanes > kMaxLog2Lanes || read.node % (1U << read.log2_lanes) != 0) {
    lines.fail("log2_lanes");
  }
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

RecordStore::Load RecordFile::load(OwnRecord &record, bool &copied, std::string &why) const {
  const Descriptor file(open_retrying(path(), O_RDONLY));
  if (!file.ok()) {
    if (errno == ENOENT) return Load::missing;
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
  copied = record.file != here || record.directory != directory;
  return Load::loaded;
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
  const std::size_t slash = directory_.rfind('/');
  const std::string parent = slash == std::string::npos ? "."
                             : slash == 0               ? "/"
                                                        : directory_.substr(0, slash);
  directory_is_durable_ = sync_directory(parent, why);
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
    if (!file.ok() || !identify(file.get(), record.file) ||
        !identify_directory(directory_, record.directory)) {
      why = errno_text("create file", temporary);
      return false;
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
  return sync_directory(directory_, why);
}

}  // namespace idgen
