// Masked IDs in SQL: the core's permutation over AES of OpenSSL's libcrypto.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "core/mask.h"
#include "pg/prelude.h"

IDGEN_SQL_FUNCTION(idgen_mask);
IDGEN_SQL_FUNCTION(idgen_unmask);

namespace {

constexpr std::size_t kMaxKeyLength = 32;

// What a call site keeps from call to call: the key with all that is made of it.
// It lies in the memory of the call site, and is wiped before that is freed.
struct KeyedSite {
  MemoryContextCallback wipe;
  EVP_CIPHER_CTX *aes;     // wiped by OpenSSL when it is freed
  std::size_t key_length;  // 0: no key is set
  unsigned char key[kMaxKeyLength];
  idgen::Ff1 ff1;
};
static_assert(std::is_trivially_destructible_v<KeyedSite>);

void wipe_site(void *arg) {
  auto *site = static_cast<KeyedSite *>(arg);
  EVP_CIPHER_CTX_free(site->aes);
  site->aes = nullptr;
  OPENSSL_cleanse(site->key, sizeof(site->key));
  OPENSSL_cleanse(&site->ff1, sizeof(site->ff1));
}

bool encrypt_block(void *aes, idgen::Block &block) noexcept {
  int written = 0;
  return EVP_EncryptUpdate(static_cast<EVP_CIPHER_CTX *>(aes), block.data(), &written, block.data(),
                           static_cast<int>(block.size())) == 1;
}

// AES in ECB, which is the cipher itself, a block at a time; null if there is
// none for a key of this length.
const EVP_CIPHER *aes_of(std::size_t key_length) {
  switch (key_length) {
    case 16:
      return EVP_aes_128_ecb();
    case 24:
      return EVP_aes_192_ecb();
    case 32:
      return EVP_aes_256_ecb();
    default:
      return nullptr;
  }
}

[[noreturn]] void report_openssl() {
  const char *reason = ERR_reason_error_string(ERR_get_error());
  ERR_clear_error();
  ereport(ERROR, (errcode(ERRCODE_EXTERNAL_ROUTINE_INVOCATION_EXCEPTION),
                  errmsg("could not mask or unmask: OpenSSL's AES failed"),
                  errdetail("OpenSSL says: %s.", reason != nullptr ? reason : "no reason"),
                  errhint("Masking needs AES in ECB mode. Check that the server's OpenSSL "
                          "configuration allows it.")));
  pg_unreachable();
}

// False if OpenSSL fails; then no key is set.
bool set_key(KeyedSite &site, const unsigned char *key, std::size_t length) {
  site.key_length = 0;
  if (site.aes == nullptr) site.aes = EVP_CIPHER_CTX_new();
  if (site.aes == nullptr ||
      EVP_EncryptInit_ex(site.aes, aes_of(length), nullptr, key, nullptr) != 1 ||
      EVP_CIPHER_CTX_set_padding(site.aes, 0) != 1) {
    return false;
  }
  const std::optional<idgen::Ff1> ff1 = idgen::prepare_mask({site.aes, encrypt_block});
  if (!ff1) return false;
  site.ff1 = *ff1;
  memcpy(site.key, key, length);
  site.key_length = length;
  return true;
}

KeyedSite &site_of(FunctionCallInfo fcinfo) {
  if (fcinfo->flinfo->fn_extra == nullptr) {
    MemoryContext memory = fcinfo->flinfo->fn_mcxt;
    auto *site = static_cast<KeyedSite *>(MemoryContextAllocZero(memory, sizeof(KeyedSite)));
    site->wipe.func = wipe_site;
    site->wipe.arg = site;
    MemoryContextRegisterResetCallback(memory, &site->wipe);
    fcinfo->flinfo->fn_extra = site;
  }
  return *static_cast<KeyedSite *>(fcinfo->flinfo->fn_extra);
}

// FF1 with the key that is the second argument.
const idgen::Ff1 &ff1_argument(FunctionCallInfo fcinfo) {
  const bytea *argument = PG_GETARG_BYTEA_PP(1);
  const auto *key = reinterpret_cast<const unsigned char *>(VARDATA_ANY(argument));
  const auto length = static_cast<std::size_t>(VARSIZE_ANY_EXHDR(argument));
  if (aes_of(length) == nullptr) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("key for masking has an invalid length: %zu bytes", length),
                    errdetail("A key has 16, 24 or 32 bytes: AES-128, AES-192 or AES-256."),
                    errhint("Make one at random, with gen_random_bytes(32) of pgcrypto for "
                            "example. sha256('a long secret') has 32 bytes, too.")));
  }
  KeyedSite &site = site_of(fcinfo);
  if (site.key_length != length || CRYPTO_memcmp(site.key, key, length) != 0) {
    ERR_clear_error();
    if (!set_key(site, key, length)) report_openssl();
  }
  return site.ff1;
}

Datum permuted(FunctionCallInfo fcinfo,
               std::optional<std::int64_t> (*way)(const idgen::Ff1 &, std::int64_t) noexcept) {
  const int64 id = PG_GETARG_INT64(0);
  if (id < 0) {
    ereport(
        ERROR,
        (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("ID " INT64_FORMAT " is negative", id),
         errdetail("Masks are defined for IDs from 0 on, and are such numbers "
                   "themselves."),
         errhint("The ID may belong to another layout, or a driver may have rounded it.")));
  }
  const std::optional<std::int64_t> result = way(ff1_argument(fcinfo), id);
  if (!result) report_openssl();
  PG_RETURN_INT64(*result);
}

}  // namespace

Datum idgen_mask(PG_FUNCTION_ARGS) {
  return permuted(fcinfo, idgen::mask_id);
}
Datum idgen_unmask(PG_FUNCTION_ARGS) {
  return permuted(fcinfo, idgen::unmask_id);
}
