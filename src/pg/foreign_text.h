// Text that comes from outside of this database: from coordinators, libraries, other
// instances. The worker, which has no database, takes it for UTF-8.

#ifndef IDGEN_PG_FOREIGN_TEXT_H
#define IDGEN_PG_FOREIGN_TEXT_H

#include <cstddef>

namespace idgen::pg {

// Copies what fits, cut between two characters, without white space at its end. Always
// terminated.
void store_text(char *to, std::size_t size, const char *text);

template <std::size_t N>
void store_text(char (&to)[N], const char *text) {
  store_text(to, N, text);
}

// The text in the encoding of this database, always valid there: what cannot be converted
// is a question mark. In the current memory context. Not for the worker.
char *to_database_text(const char *text);

}  // namespace idgen::pg

#endif  // IDGEN_PG_FOREIGN_TEXT_H
