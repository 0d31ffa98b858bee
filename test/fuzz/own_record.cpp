// The instance's own record: what is accepted is written and read back, nothing
// damaged is accepted, and a copy forgets no node.
//
// A checksum can't be guessed: the input is also tried with the right one.

#include "registry/own_record.h"

#include <zlib.h>

#include <algorithm>
#include <cstdio>

#include "fuzz.h"

namespace idgen {
namespace {

using fuzz::require;

// Ticks have 62 bits.
constexpr std::uint64_t kNoTick = std::uint64_t{1} << 62;

std::string with_checksum(std::string_view text) {
  std::string sealed(text.substr(0, text.rfind("checksum =")));
  const auto crc =
      crc32(0, reinterpret_cast<const Bytef *>(sealed.data()), static_cast<uInt>(sealed.size()));
  char line[32];
  std::snprintf(line, sizeof(line), "checksum = %08lx\n", crc);
  return sealed + line;
}

bool accepts(std::string_view text) {
  OwnRecord record;
  std::string why;
  return from_text(text, record, why);
}

void check_back(const OwnRecord &record) {
  OwnRecord again;
  std::string why;
  require(from_text(to_text(record), again, why), "what is written is accepted");
  require(again == record, "a record is read back");
}

void check_damage(std::string_view text) {
  const std::uint64_t hash = fuzz::hash_of(text);
  std::string damaged(text);
  const std::size_t covered = text.rfind("checksum =");
  damaged[hash % covered] ^= static_cast<char>(1 << (hash >> 32) % 8);
  require(!accepts(damaged), "a changed bit shows");
  require(!accepts(text.substr(0, hash % text.size())), "a missing end shows");
  require(!accepts(std::string(text) + "\n"), "an end too many shows");
}

// U4: whatever the original's nodes were, none of their ceilings is forgotten.
void check_copy(const OwnRecord &original) {
  OwnRecord copy = original;
  disown(copy);
  check_back(copy);
  std::vector<PastNode> nodes = original.former;
  nodes.insert(nodes.end(), original.left.begin(), original.left.end());
  for (std::uint32_t i = 0; i < 1U << original.log2_lanes; ++i) {
    nodes.push_back({original.node + i, original.ceiling});
  }
  for (const PastNode &past : nodes) {
    if (past.ceiling >= kNoTick) continue;
    const bool known =
        std::any_of(copy.former.begin(), copy.former.end(), [&past](const PastNode &former) {
          return former.node == past.node && former.ceiling >= past.ceiling;
        });
    require(known || copy.base > past.ceiling, "a copy knows its original's ceilings");
  }
}

void check(std::string_view text) {
  OwnRecord record;
  std::string why;
  if (!from_text(text, record, why)) {
    require(!why.empty(), "a refusal says why");
    return;
  }
  check_back(record);
  check_damage(text);
  check_copy(record);
}

}  // namespace
}  // namespace idgen

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const std::string_view text = idgen::fuzz::text_of(data, size);
  idgen::check(text);
  idgen::check(idgen::with_checksum(text));
  return 0;
}
