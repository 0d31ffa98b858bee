// Keeps the credentials in idgen.registry to the file that they are written in: SHOW
// and pg_settings have the scheme alone, of what holds any, for superusers, too, and
// a line of the log that names the setting ends before its value.

#ifndef IDGEN_PG_SECRECY_H
#define IDGEN_PG_SECRECY_H

namespace idgen::pg {

// What may be shown of a registry's URL; a constant, or `url` itself if it holds
// neither a user nor options.
const char *shown_registry(const char *url) noexcept;

// In the postmaster, for all its children.
void install_log_hook() noexcept;

}  // namespace idgen::pg

#endif  // IDGEN_PG_SECRECY_H
