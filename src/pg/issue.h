// Issuing, as far as other parts of the PostgreSQL side need it.

#ifndef IDGEN_PG_ISSUE_H
#define IDGEN_PG_ISSUE_H

namespace idgen::pg {

// Reports IDG06 if the settings and the instance's own record name different
// layouts: then no database may record the settings' one either.
void require_layout_matches_record();

}  // namespace idgen::pg

#endif  // IDGEN_PG_ISSUE_H
