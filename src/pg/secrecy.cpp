#include "pg/secrecy.h"

#include <cstring>
#include <string_view>

#include "pg/prelude.h"

namespace idgen::pg {
namespace {

emit_log_hook_type previous_hook = nullptr;

// The end of the setting's name in a text, however it is written there: in either
// case, its parts quoted. Null if it isn't there.
const char *name_in(const char *text) {
  constexpr char first[] = "idgen";
  constexpr char second[] = "registry";
  if (text == nullptr) return nullptr;
  // Statements can be long: from one that may be the first letter to the next.
  for (text += strcspn(text, "iI"); *text != '\0'; ++text, text += strcspn(text, "iI")) {
    if (pg_strncasecmp(text, first, strlen(first)) != 0) continue;
    const char *rest = text + strlen(first);
    rest += strspn(rest, "\". \t\n");
    if (pg_strncasecmp(rest, second, strlen(second)) == 0) return rest + strlen(second);
  }
  return nullptr;
}

// The rest of a line goes with it: where a password ends can't be known.
void cut(char *text) {
  const char *name = name_in(text);
  if (name == nullptr) return;
  const char *end = nullptr;
  for (const char *const mark : {"://", "= '", "='", "=\t'", "to '", "TO '", "E'", "$$"}) {
    const char *found = strstr(name, mark);
    if (found != nullptr && (end == nullptr || found < end)) end = found + strlen(mark);
  }
  if (end != nullptr) text[end - text] = '\0';
}

// PostgreSQL logs changes of settings, and statements that make them.
void hide_credentials(ErrorData *error) {
  cut(error->message);
  cut(error->detail);
  cut(error->detail_log);
  cut(error->context);
  cut(error->internalquery);
  if (name_in(debug_query_string) != nullptr) error->hide_stmt = true;
  if (previous_hook != nullptr) previous_hook(error);
}

}  // namespace

const char *shown_registry(const char *url) noexcept {
  if (strpbrk(url, "@?") == nullptr) return url;
  return std::string_view(url).starts_with("etcd") ? "etcd://***" : "postgresql://***";
}

void install_log_hook() noexcept {
  previous_hook = emit_log_hook;
  emit_log_hook = hide_credentials;
}

}  // namespace idgen::pg
