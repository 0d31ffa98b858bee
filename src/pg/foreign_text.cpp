#include "pg/foreign_text.h"

#include "pg/prelude.h"

namespace idgen::pg {
namespace {

constexpr int kLongestCharacter = 4;  // of any encoding of a database

// The length of the character that a valid prefix of UTF-8 begins with; 0: none does.
int character_at(const char *text, int left) {
  const int length = pg_encoding_mblen(PG_UTF8, text);
  const auto *bytes = reinterpret_cast<const unsigned char *>(text);
  return length <= left && pg_utf8_islegal(bytes, length) ? length : 0;
}

}  // namespace

void store_text(char *to, std::size_t size, const char *text) {
  int length = static_cast<int>(strnlen(text, size));
  if (static_cast<std::size_t>(length) == size) {
    length = static_cast<int>(size) - 1;
    // Back to before the character that is cut, if it is one.
    int begin = length;
    while (begin > 0 && length - begin < 3 && (text[begin] & 0xc0) == 0x80) --begin;
    if (begin < length && begin + pg_encoding_mblen(PG_UTF8, text + begin) > length) length = begin;
  }
  while (length > 0 && isspace(static_cast<unsigned char>(text[length - 1])) != 0) --length;
  memcpy(to, text, static_cast<std::size_t>(length));
  to[length] = '\0';
}

char *to_database_text(const char *text) {
  const int encoding = GetDatabaseEncoding();
  const bool converts = encoding != PG_UTF8 && encoding != PG_SQL_ASCII;
  const Oid proc = converts ? FindDefaultConversionProc(PG_UTF8, encoding) : InvalidOid;
  int left = static_cast<int>(strlen(text));
  StringInfoData result;
  initStringInfo(&result);
  while (left > 0) {
    const int length = IS_HIGHBIT_SET(*text) ? character_at(text, left) : 1;
    unsigned char converted[kLongestCharacter * MAX_CONVERSION_GROWTH + 1] = {};
    if (length == 1 || (length > 1 && encoding == PG_UTF8)) {
      appendBinaryStringInfo(&result, text, length);
    } else if (length > 1 && OidIsValid(proc) &&
               pg_do_encoding_conversion_buf(
                   proc, PG_UTF8, encoding,
                   reinterpret_cast<unsigned char *>(const_cast<char *>(text)), length, converted,
                   sizeof(converted), true) == length) {
      appendStringInfoString(&result, reinterpret_cast<char *>(converted));
    } else {
      appendStringInfoChar(&result, '?');
    }
    text += Max(length, 1);
    left -= Max(length, 1);
  }
  return result.data;
}

}  // namespace idgen::pg
