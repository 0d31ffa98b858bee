// What the fuzz targets share. Each has LLVMFuzzerTestOneInput(), which gives the
// input to one parser and requires what the parser promises.

#ifndef IDGEN_FUZZ_H
#define IDGEN_FUZZ_H

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace idgen::fuzz {

// Ends the run as a finding, if a promise isn't kept.
inline void require(bool kept, const char *promise) {
  if (kept) return;
  std::fprintf(stderr, "promise not kept: %s\n", promise);
  std::abort();
}

// The input as it is in memory: reading behind its end is a finding, too.
inline std::string_view text_of(const std::uint8_t *data, std::size_t size) {
  return {reinterpret_cast<const char *>(data), size};
}

// Everything up to `delimiter`, which is taken away too; all, if there is none.
inline std::string_view take_until(std::string_view &rest, char delimiter) {
  const std::size_t end = rest.find(delimiter);
  const std::string_view found = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return found;
}

// 64 bits that depend on all of the text (FNV-1a).
inline std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * std::uint64_t{0x100000001b3U};
  }
  return hash ^ hash >> 32;
}

// A word that is in no message.
inline constexpr std::string_view kSecret = "zQ7secret";

}  // namespace idgen::fuzz

#endif  // IDGEN_FUZZ_H
