// A data directory's place for the record: what the page cache shows, what would
// survive a crash of the machine, and faults.

#ifndef IDGEN_TEST_SIM_DISK_H
#define IDGEN_TEST_SIM_DISK_H

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "history.h"
#include "registry/own_record.h"

namespace idgen::sim {

enum class Fault : std::uint8_t {
  none,
  full,        // nothing is written
  fsync,       // the new file's fsync fails: the old record stays
  directory,   // the rename shows, but nobody knows whether it is durable
  unreadable,  // the record can't be read
};

// The ceiling below which nothing more may be issued with a node, as a record
// says; 0 if it doesn't name the node.
inline std::uint64_t ceiling_in(const OwnRecord &record, std::uint32_t node) {
  if (record.node >> record.log2_lanes == node >> record.log2_lanes) return record.ceiling;
  for (const auto *past : {&record.left, &record.former}) {
    for (const PastNode &known : *past) {
      if (known.node == node) return known.ceiling;
    }
  }
  return 0;
}

struct Disk final : RecordStore {
  Disk(History &history, std::uint64_t directory)
      : random_(history.random), mutant_(history.mutant), directory_(directory) {}

  Load load(OwnRecord &record, bool &copied, std::string & /*why*/) const override {
    if (fault == Fault::unreadable) return Load::unreadable;
    if (!cache) return Load::missing;
    record = *cache;
    if (mutant_ == Mutant::record_not_read) record.ceiling = 0;
    if (mutant_ == Mutant::living_displaced) record.incarnation = holder_of(record.node);
    copied = record.directory.number != directory_ && mutant_ != Mutant::copy_unseen;
    return Load::loaded;
  }

  bool store(OwnRecord &record, std::string & /*why*/) override {
    record.file = {++inode_, 0};
    record.directory = {directory_, 0};
    ++writes;
    foreign = foreign || record.incarnation != holder;
    if (mutant_ == Mutant::record_not_kept) return true;
    if (mutant_ == Mutant::left_forgotten) record.left.clear();
    if (mutant_ == Mutant::window_forgotten) record.window = 0;
    OwnRecord written = record;
    if (mutant_ == Mutant::ceiling_lowered && writes % 4 == 0) {
      written.ceiling -= written.ceiling > 1000 ? 1000 : 0;
    }
    switch (fault) {
      case Fault::none:
      case Fault::unreadable:
        if (random_.one_in(8)) backup = written;
        cache = durable = written;
        written_in = boot;
        return true;
      case Fault::full:
      case Fault::fsync:
        return mutant_ == Mutant::acknowledged_undone;
      case Fault::directory:
        cache = written;
        written_in = boot;
        unsure = true;
        if (random_.one_in(2)) durable = written;
        return mutant_ == Mutant::acknowledged_undone || mutant_ == Mutant::failed_fsync_trusted;
    }
    return false;
  }

  std::uint64_t directory() const { return directory_; }

  // The record is gone, and its backups.
  void vanish() {
    cache = durable = backup = std::nullopt;
    unsure = false;
  }

  // The machine crashes: the page cache is gone.
  void lose_cache() {
    lost = lost || (unsure && !(cache == durable));
    cache = durable;
    unsure = false;
  }

  Fault fault = Fault::none;
  std::optional<OwnRecord> cache;
  std::optional<OwnRecord> durable;
  std::optional<OwnRecord> backup;  // of some time ago
  std::uint64_t boot = 0;           // of the machine
  std::uint64_t written_in = 0;     // the boot in which the page cache last took a record
  std::uint64_t writes = 0;
  // Mutant::living_displaced: who holds a node now.
  std::function<Incarnation(std::uint32_t node)> holder_of;
  Incarnation holder;    // of the life that runs
  bool foreign = false;  // somebody else has written
  bool unsure = false;   // a write failed after the rename
  bool lost = false;     // and the machine crashed before it was durable

 private:
  Random &random_;
  Mutant mutant_;
  std::uint64_t directory_;
  std::uint64_t inode_ = 1000;
};

}  // namespace idgen::sim

#endif  // IDGEN_TEST_SIM_DISK_H
