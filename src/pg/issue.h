// Issuing, as far as other parts of the PostgreSQL side need it.

#ifndef IDGEN_PG_ISSUE_H
#define IDGEN_PG_ISSUE_H

namespace idgen::pg {

// Reports an error unless the instance's own record is known to name the layout
// of the settings: only then a database may record it, too. Waits for that, up
// to idgen.max_wait.
void require_layout_matches_record();

}  // namespace idgen::pg

#endif  // IDGEN_PG_ISSUE_H
