// The layouts a database knows: its own, recorded by CREATE EXTENSION, and
// everybody else's, by name (table idgen_internal.layout).
//
// Rows are append-only, so that functions which decode may be IMMUTABLE. What
// was read is cached in the backend and dropped when the table changes.

#ifndef IDGEN_PG_LAYOUTS_H
#define IDGEN_PG_LAYOUTS_H

#include <string_view>

#include "idgen/layout.h"
#include "pg/prelude.h"

namespace idgen::pg {

// Name of this database's own layout.
inline constexpr std::string_view kOwnLayoutName = "idgen";

struct NamedLayout {
  Layout layout;
  NameData name;
};

// Each reports an error if there is no such layout. The pointer is good until
// the next call of either (an invalidation may come in between).
const NamedLayout *own_layout();
const NamedLayout *layout_named(std::string_view name);

// Does the instance issue IDs in this database's own layout? Reports IDG06 if
// not. Costs one branch once it has been asked.
extern bool own_layout_is_issued;
void check_own_layout_is_issued();
inline void require_own_layout_is_issued() {
  if (unlikely(!own_layout_is_issued)) check_own_layout_is_issued();
}

// Registers the invalidation callback; once per process, when the library is
// loaded.
void watch_layouts();

}  // namespace idgen::pg

#endif  // IDGEN_PG_LAYOUTS_H
