#include "core/mask.h"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <rapidcheck/gtest.h>

namespace idgen {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::int64_t kMaxId = std::numeric_limits<std::int64_t>::max();

Bytes from_hex(std::string_view hex) {
  Bytes bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(
        static_cast<std::uint8_t>(std::stoul(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

// The key of NIST's samples; AES-128 and AES-192 take its beginning.
Bytes sample_key(std::size_t length = 32) {
  Bytes key = from_hex("2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F7F036D6F04FC6A94");
  key.resize(length);
  return key;
}

class Aes {
 public:
  explicit Aes(const Bytes &key) : context_(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free) {
    const EVP_CIPHER *cipher = key.size() == 16   ? EVP_aes_128_ecb()
                               : key.size() == 24 ? EVP_aes_192_ecb()
                                                  : EVP_aes_256_ecb();
    if (EVP_EncryptInit_ex(context_.get(), cipher, nullptr, key.data(), nullptr) != 1 ||
        EVP_CIPHER_CTX_set_padding(context_.get(), 0) != 1) {
      throw std::runtime_error("no AES");
    }
  }
  BlockCipher cipher() { return {context_.get(), encrypt}; }

 private:
  static bool encrypt(void *state, Block &block) noexcept {
    int written = 0;
    return EVP_EncryptUpdate(static_cast<EVP_CIPHER_CTX *>(state), block.data(), &written,
                             block.data(), static_cast<int>(block.size())) == 1;
  }
  std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context_;
};

// A key with all that is made of it.
struct Masker {
  explicit Masker(const Bytes &key) : aes(key), ff1(prepare_mask(aes.cipher()).value()) {}
  std::int64_t mask(std::int64_t id) const { return mask_id(ff1, id).value(); }
  std::int64_t unmask(std::int64_t id) const { return unmask_id(ff1, id).value(); }
  Aes aes;
  Ff1 ff1;
};

// ---------------------------------------------------------------------------
// Published samples, on texts of numerals

std::uint64_t number_of(std::string_view numerals, std::uint32_t radix) {
  std::uint64_t number = 0;
  for (const char c : numerals) {
    const auto digit = static_cast<std::uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
    number = number * radix + digit;
  }
  return number;
}

std::string numerals_of(std::uint64_t number, std::uint32_t radix, std::size_t length) {
  std::string numerals(length, '0');
  for (std::size_t i = length; i-- > 0; number /= radix) {
    numerals[i] = "0123456789abcdefghijklmnopqrstuvwxyz"[number % radix];
  }
  return numerals;
}

struct Sample {
  const char *from;
  std::size_t key_length;
  std::uint32_t radix;
  Bytes tweak;
  const char *plain;
  const char *encrypted;
};

Bytes counted_bytes(std::size_t n) {
  Bytes bytes(n);
  for (std::size_t i = 0; i < n; ++i) bytes[i] = static_cast<std::uint8_t>(i);
  return bytes;
}

std::string bits_of(std::string_view hex) {
  std::string bits;
  for (const char c : hex) bits += numerals_of(number_of(std::string_view(&c, 1), 16), 2, 4);
  return bits;
}

std::string run_ff1(std::optional<Halves> (*way)(const Ff1 &, Halves) noexcept,
                    const Sample &sample, std::string_view text) {
  Aes aes(sample_key(sample.key_length));
  const auto length = static_cast<std::uint32_t>(text.size());
  const Ff1 ff1 = prepare_ff1(aes.cipher(), sample.radix, length, sample.tweak).value();
  const std::size_t left = text.size() / 2;
  const Halves halves = way(ff1, {number_of(text.substr(0, left), sample.radix),
                                  number_of(text.substr(left), sample.radix)})
                            .value();
  return numerals_of(halves.left, sample.radix, left) +
         numerals_of(halves.right, sample.radix, text.size() - left);
}

// https://csrc.nist.gov/CSRC/media/Projects/Cryptographic-Standards-and-Guidelines/documents/examples/FF1samples.pdf
const Sample kNistSamples[] = {
    {"sample 1", 16, 10, {}, "0123456789", "2433477484"},
    {"sample 2", 16, 10, from_hex("39383736353433323130"), "0123456789", "6124200773"},
    {"sample 3", 16, 36, from_hex("3737373770717273373737"), "0123456789abcdefghi",
     "a9tv40mll9kdu509eum"},
    {"sample 4", 24, 10, {}, "0123456789", "2830668132"},
    {"sample 5", 24, 10, from_hex("39383736353433323130"), "0123456789", "2496655549"},
    {"sample 6", 24, 36, from_hex("3737373770717273373737"), "0123456789abcdefghi",
     "xbj3kv35jrawxv32ysr"},
    {"sample 7", 32, 10, {}, "0123456789", "6657667009"},
    {"sample 8", 32, 10, from_hex("39383736353433323130"), "0123456789", "1001623463"},
    {"sample 9", 32, 36, from_hex("3737373770717273373737"), "0123456789abcdefghi",
     "xs8a0azh2avyalyzuwd"},
};

TEST(Mask, ff1_agrees_with_every_sample_of_nist) {
  for (const Sample &sample : kNistSamples) {
    EXPECT_EQ(run_ff1(ff1_encrypt, sample, sample.plain), sample.encrypted) << sample.from;
    EXPECT_EQ(run_ff1(ff1_decrypt, sample, sample.encrypted), sample.plain) << sample.from;
  }
}

// NIST has none of radix 2. These are of the Zcash project's vectors
// (zcash-test-vectors, ff1.py): 88 bits, most significant first; the last has a
// tweak of 16 blocks.
TEST(Mask, ff1_agrees_with_zcash_in_radix_2) {
  const struct {
    const char *plain, *encrypted;
    std::size_t tweak;
  } vectors[] = {
      {"0000000000000000000000", "093577fcc1b3e7756a44cf", 0},
      {"093577fcc1b3e7756a44cf", "dad18f04cfd9d5a1e457d8", 0},
      {"5555555555555555555555", "0f41ed77f194036e897326", 0},
      {"5555555555555555555555", "7d881d6115a039e48adea3", 255},
  };
  for (const auto &vector : vectors) {
    const Sample sample = {"zcash", 32, 2, counted_bytes(vector.tweak), "", ""};
    EXPECT_EQ(run_ff1(ff1_encrypt, sample, bits_of(vector.plain)), bits_of(vector.encrypted));
    EXPECT_EQ(run_ff1(ff1_decrypt, sample, bits_of(vector.encrypted)), bits_of(vector.plain));
  }
}

// ---------------------------------------------------------------------------
// FF1 once more, for radix 2 and no tweak, as the standard's steps have it: on
// strings of bits and of bytes, without any arithmetic of numbers.

std::string bits_of_id(std::int64_t id) {
  return numerals_of(static_cast<std::uint64_t>(id), 2, 63);
}

Bytes bytes_of_bits(std::string bits) {
  bits.insert(0, (8 - bits.size() % 8) % 8, '0');
  Bytes bytes;
  for (std::size_t i = 0; i < bits.size(); i += 8) {
    bytes.push_back(static_cast<std::uint8_t>(number_of(bits.substr(i, 8), 2)));
  }
  return bytes;
}

// The last `length` bits of a + b, by hand: with a carry.
std::string sum_of_bits(const std::string &a, const std::string &b, std::size_t length) {
  std::string sum(length, '0');
  int carry = 0;
  for (std::size_t i = 0; i < length; ++i) {
    const int digit = (i < a.size() ? a[a.size() - 1 - i] - '0' : 0) +
                      (i < b.size() ? b[b.size() - 1 - i] - '0' : 0) + carry;
    sum[length - 1 - i] = digit % 2 == 0 ? '0' : '1';
    carry = digit / 2;
  }
  return sum;
}

Bytes cbc_mac(Aes &aes, const Bytes &text) {
  const BlockCipher cipher = aes.cipher();
  Block y{};
  for (std::size_t i = 0; i < text.size(); i += 16) {
    for (std::size_t j = 0; j < 16; ++j) y[j] ^= text[i + j];
    EXPECT_TRUE(cipher.encrypt(cipher.state, y));
  }
  return {y.begin(), y.end()};
}

std::int64_t literal_ff1(const Bytes &key, std::int64_t id) {
  Aes aes(key);
  const std::string x = bits_of_id(id);
  const std::size_t n = 63, u = 31, v = 32;                           // step 1
  std::string a = x.substr(0, u), b = x.substr(u);                    // 2
  const std::size_t bytes_of_b = 4, d = 8;                            // 3, 4
  const Bytes p = {1, 2, 1, 0, 0, 2, 10, u, 0, 0, 0, n, 0, 0, 0, 0};  // 5
  for (std::uint8_t i = 0; i < 10; ++i) {                             // 6
    Bytes pq = p;                                                     // i
    pq.insert(pq.end(), 16 - bytes_of_b - 1, 0);
    pq.push_back(i);
    Bytes number = bytes_of_bits(b);
    number.insert(number.begin(), bytes_of_b - number.size(), 0);
    pq.insert(pq.end(), number.begin(), number.end());
    Bytes s = cbc_mac(aes, pq);       // ii
    s.erase(s.begin() + d, s.end());  // iii
    std::string y;                    // iv
    for (const std::uint8_t byte : s) y += numerals_of(byte, 2, 8);
    const std::size_t m = i % 2 == 0 ? u : v;    // v
    const std::string c = sum_of_bits(a, y, m);  // vi, vii
    a = b;                                       // viii
    b = c;                                       // ix
  }
  return static_cast<std::int64_t>(number_of(a + b, 2));  // 7
}

// Computed by a third implementation (Python's integers), which agreed with all
// of the above.
const struct {
  std::size_t key_length;
  std::int64_t id, masked;
} kKnown[] = {
    {16, 0, 7407393923982924685},
    {16, 1, 967355656107369710},
    {16, 2, 1149213133373398004},
    {16, 250510213499645953, 6704261887920965266},
    {16, 1541815603606036480, 3946301473427649872},
    {16, 4294967295, 1653029524283769984},
    {16, 4294967296, 7509352455087835278},
    {16, 4611686018427387904, 2526675867030662031},
    {16, 9223372036854775807, 3989821467963092630},
    {24, 0, 126944741226461894},
    {24, 1, 2231257593274759901},
    {24, 2, 6789773043217577256},
    {24, 250510213499645953, 5188167892227540678},
    {24, 1541815603606036480, 757718380952196490},
    {24, 4294967295, 2471142977588926447},
    {24, 4294967296, 6648769776291036198},
    {24, 4611686018427387904, 8169152539808204048},
    {24, 9223372036854775807, 7370977128084145244},
    {32, 0, 4324959997293592711},
    {32, 1, 4694632794459499269},
    {32, 2, 8492194764690553782},
    {32, 250510213499645953, 8641570469673700597},
    {32, 1541815603606036480, 9022893241479777571},
    {32, 4294967295, 4693355893369945864},
    {32, 4294967296, 6173792712006930355},
    {32, 4611686018427387904, 1874906243854172420},
    {32, 9223372036854775807, 2900474083761485816},
};

// What was masked once must be unmasked for ever: these must never change.
TEST(Mask, known_answers) {
  for (const auto &known : kKnown) {
    const Masker masker(sample_key(known.key_length));
    EXPECT_EQ(masker.mask(known.id), known.masked) << known.key_length << ", " << known.id;
    EXPECT_EQ(masker.unmask(known.masked), known.id) << known.key_length << ", " << known.masked;
    EXPECT_EQ(literal_ff1(sample_key(known.key_length), known.id), known.masked);
  }
}

// ---------------------------------------------------------------------------
// Properties

// Every magnitude alike, not only large ones.
std::int64_t any_id() {
  const auto bits = *rc::gen::inRange(0, 64);
  const auto value = *rc::gen::arbitrary<std::uint64_t>();
  return bits == 0 ? 0 : static_cast<std::int64_t>((value >> (64 - bits)) & kMaxId);
}

Bytes any_key() {
  const auto length = *rc::gen::element<std::size_t>(16, 24, 32);
  return *rc::gen::container<Bytes>(length, rc::gen::arbitrary<std::uint8_t>());
}

RC_GTEST_PROP(Mask, unmasking_gives_back_the_id_and_masking_the_mask, ()) {
  const Masker masker(any_key());
  const std::int64_t id = any_id();
  const std::int64_t masked = masker.mask(id);
  RC_ASSERT(masked >= 0);
  RC_ASSERT(masker.unmask(masked) == id);
  const std::int64_t unmasked = masker.unmask(id);
  RC_ASSERT(unmasked >= 0);
  RC_ASSERT(masker.mask(unmasked) == id);
}

RC_GTEST_PROP(Mask, agrees_with_the_steps_of_the_standard, ()) {
  const Bytes key = any_key();
  const std::int64_t id = any_id();
  RC_ASSERT(Masker(key).mask(id) == literal_ff1(key, id));
}

RC_GTEST_PROP(Mask, another_key_masks_otherwise, ()) {
  const Bytes key = any_key();
  Bytes other = key;
  const auto bit = *rc::gen::inRange<std::size_t>(0, key.size() * 8);
  other[bit / 8] = static_cast<std::uint8_t>(other[bit / 8] ^ (1u << bit % 8));
  const std::int64_t id = any_id();
  // Alike by chance once in 2^63.
  RC_ASSERT(Masker(key).mask(id) != Masker(other).mask(id));
  RC_ASSERT(Masker(other).unmask(Masker(key).mask(id)) != id);
}

RC_GTEST_PROP(Mask, ff1_of_any_form_goes_there_and_back, ()) {
  const auto radix = *rc::gen::inRange<std::uint32_t>(2, 65537);
  const auto length = *rc::gen::inRange<std::uint32_t>(2, 127);
  const auto tweak = *rc::gen::arbitrary<Bytes>();
  Aes aes(sample_key());
  const std::optional<Ff1> ff1 = prepare_ff1(aes.cipher(), radix, length, tweak);
  RC_PRE(ff1.has_value());
  const Halves text = {*rc::gen::arbitrary<std::uint64_t>() % ff1->left_count,
                       *rc::gen::arbitrary<std::uint64_t>() % ff1->right_count};
  const Halves encrypted = ff1_encrypt(*ff1, text).value();
  RC_ASSERT(encrypted.left < ff1->left_count);
  RC_ASSERT(encrypted.right < ff1->right_count);
  const Halves decrypted = ff1_decrypt(*ff1, encrypted).value();
  RC_ASSERT(decrypted.left == text.left);
  RC_ASSERT(decrypted.right == text.right);
}

// IDs that follow each other, as an instance issues them.
constexpr std::int64_t kFirst = 250510213499645952;
constexpr std::int64_t kRun = 100'000;

TEST(Mask, ids_in_a_row_have_masks_that_differ) {
  const Masker masker(sample_key());
  std::set<std::int64_t> seen;
  for (std::int64_t i = 0; i < kRun; ++i) seen.insert(masker.mask(kFirst + i));
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(kRun));
}

// A sanity check, not a proof: neighbours differ in half of their bits, in each
// of them half of the time, and ascend half of the time. The bounds are ten
// standard deviations; the run is the same one each time.
TEST(Mask, neighbours_look_unrelated) {
  const Masker masker(sample_key());
  std::int64_t differing[63] = {};
  std::int64_t all = 0;
  std::int64_t ascending = 0;
  std::int64_t before = masker.mask(kFirst);
  for (std::int64_t i = 1; i <= kRun; ++i) {
    const std::int64_t masked = masker.mask(kFirst + i);
    const auto changed = static_cast<std::uint64_t>(masked ^ before);
    all += std::popcount(changed);
    for (unsigned bit = 0; bit < 63; ++bit) differing[bit] += changed >> bit & 1;
    ascending += masked > before;
    before = masked;
  }
  const double run = kRun;
  EXPECT_NEAR(static_cast<double>(all) / run, 31.5, 10 * 0.0126);
  for (const std::int64_t count : differing) {
    EXPECT_NEAR(static_cast<double>(count) / run, 0.5, 10 * 0.0016);
  }
  EXPECT_NEAR(static_cast<double>(ascending) / run, 0.5, 10 * 0.0016);
}

// ---------------------------------------------------------------------------
// What can't be

bool broken(void *, Block &) noexcept {
  return false;
}

TEST(Mask, a_cipher_that_fails_fails_the_call) {
  EXPECT_FALSE(prepare_mask({nullptr, broken}).has_value());
  Masker masker(sample_key());
  masker.ff1.cipher = {nullptr, broken};
  EXPECT_FALSE(mask_id(masker.ff1, 1).has_value());
  EXPECT_FALSE(unmask_id(masker.ff1, 1).has_value());
}

TEST(Mask, ff1_refuses_what_the_halves_do_not_hold_or_the_standard_forbids) {
  Aes aes(sample_key());
  const auto possible = [&](std::uint32_t radix, std::uint32_t length) {
    return prepare_ff1(aes.cipher(), radix, length, {}).has_value();
  };
  EXPECT_FALSE(possible(0, 10));
  EXPECT_FALSE(possible(1, 63));
  EXPECT_FALSE(possible(65537, 4));
  EXPECT_FALSE(possible(65536, 1));
  EXPECT_FALSE(possible(2, 19));  // 524,288 strings
  EXPECT_FALSE(possible(10, 5));
  EXPECT_TRUE(possible(2, 20));
  EXPECT_TRUE(possible(10, 6));
  EXPECT_TRUE(possible(65536, 2));
  EXPECT_TRUE(possible(2, 126));
  EXPECT_FALSE(possible(2, 127));
  EXPECT_FALSE(possible(2, std::numeric_limits<std::uint32_t>::max()));
}

}  // namespace
}  // namespace idgen
