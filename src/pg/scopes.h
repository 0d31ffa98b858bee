// Scopes: named streams of IDs of a database.
//
// Which there are is the table idgen_internal.scope's to say, which is dumped,
// replicated and rolled back as any other. Where a scope's word lies is shared
// memory's: a place for (database, name) is made at first use, on a standby too,
// and is let go of when the scope's row changes, or when it is wanted for another
// scope and the row or the database is gone. Letting go is harmless at any time
// (core/scope_word.h): who uses the scope again makes it another place.

#ifndef IDGEN_PG_SCOPES_H
#define IDGEN_PG_SCOPES_H

#include <string_view>

#include "pg/issue.h"

namespace idgen::pg {

// The name of the scope that is always there and that all databases share.
inline constexpr std::string_view kDefaultScope = "default";

// A scope of this database as this process knows it. Its memory is never freed, but a
// process remembers a limited number of names, and a later scope_named() may reuse it
// for another scope. Callers that keep it compare its name before each use.
struct KnownScope;

// Finds a scope by its name; reports an error if there is none.
KnownScope &scope_named(std::string_view name);
std::string_view name_of(const KnownScope &scope) noexcept;

// Issues 1 to want.n IDs in a scope, and counts them as issue() does. Makes the
// scope a place if it has none; reports an error if it has been dropped, or if there
// are idgen.max_scopes already.
Issued issue_in(KnownScope &scope, const Want &want, Counters *&counters);

// Raises, or sets back, the words of all scopes. The worker's, as steps of its turn.
void raise_words(std::uint64_t value);
void set_back_words(std::uint64_t value);

// Registers callbacks; once per process, when the library is loaded.
void watch_scopes();

}  // namespace idgen::pg

#endif  // IDGEN_PG_SCOPES_H
