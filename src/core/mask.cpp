#include "core/mask.h"

#include <bit>
#include <limits>

namespace idgen {
namespace {

__extension__ using Wide = unsigned __int128;  // y, of up to 12 bytes

constexpr unsigned kRounds = 10;
constexpr std::uint32_t kMaxRadix = 1 << 16;
constexpr std::uint64_t kMinStrings = 1'000'000;
constexpr std::uint64_t kMaxCount = std::uint64_t{1} << 63;  // sums of two numbers don't overflow

constexpr std::uint32_t kIdBits = 63;
constexpr unsigned kIdRightBits = kIdBits - kIdBits / 2;
constexpr std::uint64_t kIdRightMask = (std::uint64_t{1} << kIdRightBits) - 1;

constexpr std::uint8_t byte_of(std::uint64_t number, unsigned place) noexcept {
  return static_cast<std::uint8_t>(number >> (8 * place));
}

// radix ^ exponent; nothing if that is more than a half may have.
std::optional<std::uint64_t> count_of(std::uint32_t radix, std::uint32_t exponent) noexcept {
  std::uint64_t count = 1;
  for (std::uint32_t i = 0; i < exponent; ++i) {
    if (count > kMaxCount / radix) return std::nullopt;
    count *= radix;
  }
  return count;
}

// The standard's block P: what is encrypted, and how.
Block parameters(std::uint32_t radix, std::uint32_t length, std::uint32_t tweak_length) noexcept {
  Block p = {1, 2, 1, 0, 0, 0, kRounds, byte_of(length / 2, 0)};
  for (unsigned i = 0; i < 3; ++i) p[5 - i] = byte_of(radix, i);
  for (unsigned i = 0; i < 4; ++i) p[11 - i] = byte_of(length, i);
  for (unsigned i = 0; i < 4; ++i) p[15 - i] = byte_of(tweak_length, i);
  return p;
}

// What a round adds to a half or takes from it, modulo `count`: the function F,
// that is the CBC-MAC of P and Q. Q ends in the number of the round and the other
// half; all before is in `start`.
std::optional<std::uint64_t> addend(const Ff1 &ff1, unsigned round, std::uint64_t half,
                                    std::uint64_t count) noexcept {
  Block block = ff1.start;
  block[kCipherBlock - 1 - ff1.number_bytes] ^= byte_of(round, 0);
  for (unsigned i = 0; i < ff1.number_bytes; ++i) block[kCipherBlock - 1 - i] ^= byte_of(half, i);
  if (!ff1.cipher.encrypt(ff1.cipher.state, block)) return std::nullopt;

  Wide y = 0;
  for (unsigned i = 0; i < ff1.random_bytes; ++i) y = y << 8 | block[i];
  // For IDs the count is a power of two; this halves what masking one takes.
  if (std::has_single_bit(count)) return static_cast<std::uint64_t>(y) & (count - 1);
  return static_cast<std::uint64_t>(y % count);
}

Halves halves_of(std::int64_t id) noexcept {
  const auto bits = static_cast<std::uint64_t>(id);
  return {bits >> kIdRightBits, bits & kIdRightMask};
}

std::int64_t joined(Halves halves) noexcept {
  return static_cast<std::int64_t>(halves.left << kIdRightBits | halves.right);
}

}  // namespace

std::optional<Ff1> prepare_ff1(BlockCipher cipher, std::uint32_t radix, std::uint32_t length,
                               std::span<const std::uint8_t> tweak) noexcept {
  if (radix < 2 || radix > kMaxRadix || length < 2) return std::nullopt;
  if (tweak.size() > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  const std::optional<std::uint64_t> left = count_of(radix, length / 2);
  const std::optional<std::uint64_t> right = count_of(radix, length - length / 2);
  if (!left || !right || Wide{*left} * *right < kMinStrings) return std::nullopt;

  Ff1 ff1;
  ff1.cipher = cipher;
  ff1.left_count = *left;
  ff1.right_count = *right;
  ff1.number_bytes = (static_cast<unsigned>(std::bit_width(*right - 1)) + 7) / 8;
  ff1.random_bytes = (ff1.number_bytes + 3) / 4 * 4 + 4;

  // Q: the tweak, zeros up to a whole number of blocks, then what changes with
  // the round, which fits into the last block (9 bytes at most).
  const std::size_t changing = 1 + ff1.number_bytes;
  const std::size_t blocks = (tweak.size() + changing + kCipherBlock - 1) / kCipherBlock;
  ff1.start = parameters(radix, length, static_cast<std::uint32_t>(tweak.size()));
  for (std::size_t block = 0; block < blocks; ++block) {
    if (!cipher.encrypt(cipher.state, ff1.start)) return std::nullopt;
    for (std::size_t i = 0; i < kCipherBlock; ++i) {
      const std::size_t place = block * kCipherBlock + i;
      if (place < tweak.size()) ff1.start[i] ^= tweak[place];
    }
  }
  return ff1;
}

std::optional<Halves> ff1_encrypt(const Ff1 &ff1, Halves text) noexcept {
  for (unsigned round = 0; round < kRounds; ++round) {
    const std::uint64_t count = round % 2 == 0 ? ff1.left_count : ff1.right_count;
    const std::optional<std::uint64_t> y = addend(ff1, round, text.right, count);
    if (!y) return std::nullopt;
    const std::uint64_t sum = text.left + *y;
    text = {text.right, sum < count ? sum : sum - count};
  }
  return text;
}

std::optional<Halves> ff1_decrypt(const Ff1 &ff1, Halves text) noexcept {
  for (unsigned round = kRounds; round-- > 0;) {
    const std::uint64_t count = round % 2 == 0 ? ff1.left_count : ff1.right_count;
    const std::optional<std::uint64_t> y = addend(ff1, round, text.left, count);
    if (!y) return std::nullopt;
    text = {text.right < *y ? text.right + (count - *y) : text.right - *y, text.left};
  }
  return text;
}

std::optional<Ff1> prepare_mask(BlockCipher cipher) noexcept {
  return prepare_ff1(cipher, 2, kIdBits, {});
}

std::optional<std::int64_t> mask_id(const Ff1 &mask, std::int64_t id) noexcept {
  const std::optional<Halves> masked = ff1_encrypt(mask, halves_of(id));
  if (!masked) return std::nullopt;
  return joined(*masked);
}

std::optional<std::int64_t> unmask_id(const Ff1 &mask, std::int64_t masked) noexcept {
  const std::optional<Halves> id = ff1_decrypt(mask, halves_of(masked));
  if (!id) return std::nullopt;
  return joined(*id);
}

}  // namespace idgen
