// Masked IDs: a keyed, exactly invertible permutation of 0 .. 2^63 - 1, so that
// an ID that is shown outside tells neither time nor node nor how many there are.
//
// It is FF1 of NIST SP 800-38G (https://doi.org/10.6028/NIST.SP.800-38G), radix 2,
// 63 bits, no tweak, over a block cipher that the caller brings (AES, in SQL).
// FF1 itself is here for any radix, length and tweak, so that the published
// samples run against the very code that masks.
//
// Pure, noexcept, no allocation. Threads may share an Ff1 if they may share the
// state of its cipher.

#ifndef IDGEN_CORE_MASK_H
#define IDGEN_CORE_MASK_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace idgen {

inline constexpr std::size_t kCipherBlock = 16;  // bytes
using Block = std::array<std::uint8_t, kCipherBlock>;

// A block cipher with its key set. `encrypt` replaces the block by its
// encryption; false if it can't, which fails the whole call.
struct BlockCipher {
  void *state = nullptr;
  bool (*encrypt)(void *state, Block &block) noexcept = nullptr;
};

// A string of numerals as FF1 halves it: the first length / 2 of them and the
// rest, each as a number, most significant numeral first.
struct Halves {
  std::uint64_t left = 0;
  std::uint64_t right = 0;
};

// FF1 with everything worked out that doesn't depend on the text.
struct Ff1 {
  BlockCipher cipher;
  std::uint64_t left_count = 0;   // how many numbers there are of a left half
  std::uint64_t right_count = 0;  // and of a right one
  unsigned number_bytes = 0;      // b of the standard
  unsigned random_bytes = 0;      // d
  Block start{};                  // what each round's last block starts from
};

// Radix 2 to 65536; at least 1,000,000 strings (the standard's minimum), at most
// 2^63 numbers of a half. Nothing if that isn't so, or if the cipher fails.
std::optional<Ff1> prepare_ff1(BlockCipher cipher, std::uint32_t radix, std::uint32_t length,
                               std::span<const std::uint8_t> tweak) noexcept;

// Each half must be below its count. Nothing only if the cipher fails.
std::optional<Halves> ff1_encrypt(const Ff1 &ff1, Halves text) noexcept;
std::optional<Halves> ff1_decrypt(const Ff1 &ff1, Halves text) noexcept;

// FF1 as IDs are masked by it; the cipher's state must outlive it. To be made
// once for a key. Nothing only if the cipher fails.
std::optional<Ff1> prepare_mask(BlockCipher cipher) noexcept;

// `mask` is of prepare_mask(); the number must not be negative, nor is the
// result. unmask_id(mask, mask_id(mask, id)) is id for every id, and the other
// way round: any number is the mask of one ID, so that unmasking proves nothing.
// Nothing only if the cipher fails.
std::optional<std::int64_t> mask_id(const Ff1 &mask, std::int64_t id) noexcept;
std::optional<std::int64_t> unmask_id(const Ff1 &mask, std::int64_t masked) noexcept;

}  // namespace idgen

#endif  // IDGEN_CORE_MASK_H
