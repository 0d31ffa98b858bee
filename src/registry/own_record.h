// The instance's own record: a small text file under the data directory that
// says what this instance has promised. It is kept in every mode.
//
//    idgen record 1
//    layout = time:41 region:3 shard:7 sequence:12 tick:1ms
//    epoch = 2025-01-01T00:00:00Z
//    registry = local                  or the coordinator's endpoints
//    fleet =                           the fleet's id, 32 hex digits; empty: none
//    generation = 0                    of the fleet's registry, and
//    revision = 0                      its revision: the highest that was seen
//    system = 7449876543210987654
//    file = 2097161 1732340000123456789      the record's own inode and its birth, Unix ns
//    directory = 2097155 1732330000987654321 its directory's
//    marker = 1732340000123456789      only where births are unknown: when the marker's
//                                      inode last changed, Unix ns
//    incarnation = 0123456789abcdef0123456789abcdef
//    node = 397
//    log2_lanes = 0
//    node_epoch = 4                    how often the fleet's registry had given it out; 0: unknown
//    ceiling = 59876543210             first tick that may not be issued
//    former = 12@59876000000           nodes that originals of this copy held: node@ceiling
//    left = 77@59876000000             nodes left for others, likewise
//    base = 0                          no node is taken below this tick
//    boot = 01234567-89ab-cdef-0123-456789abcdef
//    boottime = 86400000000000         CLOCK_BOOTTIME, ns, when written
//    issuing = 59876540210000000       issuing time, ns since the epoch
//    window = 3000000000               the longest since the clocks last met, ns
//    checksum = 89abcdef               CRC-32 (zlib) of all lines above
//
// A record is never changed in place: a temporary file is written, fsync'ed,
// renamed over the old one, and the directory is fsync'ed. fsync(2) itself is
// called, whatever PostgreSQL's fsync setting says (U3). A file whose fsync
// failed is never trusted: the next attempt writes a new one.
//
// Since a copy of the file has another inode than the one it names, or lies in
// another directory, a copied data directory shows. Inode numbers alone are not
// enough: some file systems (overlay, FUSE) number inodes at each mount. There the
// time of birth tells: nothing can give a copy the birth of its original. Where
// births are unknown too, the marker's ctime tells, which nothing can set either: a
// process touches the marker at its first store, and each store writes its ctime
// down.
//
// The marker is a file beside the directory, `directory` + ".marker". It says that
// there has been a record. If the record is missing then, this is no first start:
// the directory may be a mount of its own that is not mounted.

#ifndef IDGEN_REGISTRY_OWN_RECORD_H
#define IDGEN_REGISTRY_OWN_RECORD_H

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "idgen/layout.h"
#include "registry/registry.h"

namespace idgen {

// What tells a file or directory from its copies: a copy has another inode, or
// the same number again with a later birth.
struct Inode {
  std::uint64_t number = 0;
  std::int64_t birth_ns = 0;  // Unix time; 0: the file system doesn't tell
  friend bool operator==(const Inode &, const Inode &) noexcept = default;
};

// A node that was held, and its ceiling as far as this record knows. It may be
// taken again above that only (U4).
struct PastNode {
  std::uint32_t node = 0;
  std::uint64_t ceiling = 0;
  friend bool operator==(const PastNode &, const PastNode &) noexcept = default;
};

struct OwnRecord {
  std::string layout;  // canonical, as to_text() writes it
  std::string epoch;   // as epoch_to_text() writes it
  std::string registry;
  Incarnation fleet;  // all zero: none
  std::uint64_t generation = 0;
  std::uint64_t revision = 0;
  std::uint64_t system = 0;  // PostgreSQL's system identifier
  Inode file;
  Inode directory;
  std::int64_t marker_ns = 0;  // ctime of the marker, Unix time; 0: not known
  Incarnation incarnation;
  std::uint32_t node = 0;
  std::uint32_t log2_lanes = 0;
  std::uint64_t node_epoch = 0;  // of the fleet's row; 0: none, or not known
  std::uint64_t ceiling = 0;
  std::vector<PastNode> former;
  std::vector<PastNode> left;
  std::uint64_t base = 0;
  std::string boot;
  std::int64_t boottime = 0;
  std::int64_t issuing = 0;
  std::int64_t window = 0;
  friend bool operator==(const OwnRecord &, const OwnRecord &) = default;
};

// 128 bits as 32 hex digits, and back.
std::string to_hex(const Incarnation &value);
bool from_hex(std::string_view text, Incarnation &value);

// The record is becoming a copy's: it names its original's nodes as former ones,
// for good, with the ceilings that it knows of.
void disown(OwnRecord &record);

// Returns whether the record names this node as held.
inline bool holds(const OwnRecord &record, std::uint32_t node) noexcept {
  return record.node >> record.log2_lanes == node >> record.log2_lanes;
}

// Adds the nodes that `before` held and `record` does not to the record's `left`,
// with the ceiling of `before`. What no longer fits the list raises `base` instead.
void leave(OwnRecord &record, const OwnRecord &before);

// Raises `base` above every ceiling that the record knows this instance to have
// held. Required before a node of another registry is taken: that registry knows
// nothing of those ceilings, and a rotation may have left the highest of them
// behind.
void raise_base(OwnRecord &record);

// The file's text, and back. from_text() is strict: every line once, in this
// order, nothing else, the checksum right; otherwise false and `why`. Only
// node_epoch may be missing: records of 0.1.0 do not have it.
std::string to_text(const OwnRecord &record);
bool from_text(std::string_view text, OwnRecord &record, std::string &why);

// Where a record is kept.
class RecordStore {
 public:
  enum class Load : std::uint8_t { loaded, missing, damaged, unreadable };

  RecordStore() = default;
  RecordStore(const RecordStore &) = delete;
  RecordStore &operator=(const RecordStore &) = delete;
  virtual ~RecordStore() = default;

  // Reads the record. `copied`: this is not the place where it was written.
  virtual Load load(OwnRecord &record, bool &copied, std::string &why) const = 0;
  // Writes the record durably; fills in what identifies the place.
  // False, and `why`, when it is not known to be durable.
  virtual bool store(OwnRecord &record, std::string &why) = 0;
};

// A file. Its inode and its directory's identify the place.
class RecordFile final : public RecordStore {
 public:
  // `directory`: the folder of the record, made if it's missing (its parent
  // must exist).
  explicit RecordFile(std::string directory) : directory_(std::move(directory)) {}

  Load load(OwnRecord &record, bool &copied, std::string &why) const override;
  bool store(OwnRecord &record, std::string &why) override;

  std::string path() const { return directory_ + "/record"; }
  std::string marker_path() const { return directory_ + ".marker"; }

  // Returns what is worth logging once, and forgets it; empty: nothing.
  std::string take_note() { return std::exchange(note_, {}); }

 private:
  bool make_directory(std::string &why);
  bool make_marker(std::string &why);
  bool sync_directory(const std::string &path, std::string &why);
  std::string parent() const;

  std::string directory_;
  bool directory_is_durable_ = false;  // its own name in its parent
  bool marker_is_durable_ = false;
  bool marker_is_touched_ = false;
  bool syncs_directories_ = true;
  std::string note_;
};

}  // namespace idgen

#endif  // IDGEN_REGISTRY_OWN_RECORD_H
