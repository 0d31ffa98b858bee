// Issuing, as far as other parts of the PostgreSQL side need it.

#ifndef IDGEN_PG_ISSUE_H
#define IDGEN_PG_ISSUE_H

namespace idgen::pg {

// Reports an error unless the instance's own record is known to name the layout
// of the settings: only then a database may record it, too. Waits for that, up
// to idgen.max_wait.
void require_layout_matches_record();

// Reports an error in a server that has no worker: not preloaded, single-user.
void require_worker();

// Reports that the instance holds no node, with what the worker says.
[[noreturn]] void report_no_node();

}  // namespace idgen::pg

#endif  // IDGEN_PG_ISSUE_H
