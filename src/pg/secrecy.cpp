#include "pg/secrecy.h"

#include <cstring>
#include <string_view>

#include "pg/prelude.h"

namespace idgen::pg {
namespace {

constexpr char kSetting[] = "idgen.registry";
constexpr std::string_view kAuthority = "://";

emit_log_hook_type previous_hook = nullptr;

const char *credentials_in(const char *text) {
  if (text == nullptr || strstr(text, kSetting) == nullptr) return nullptr;
  return strstr(text, kAuthority.data());
}

// The rest of a line goes with it: where a password ends can't be known.
void cut(char *text) {
  const char *found = credentials_in(text);
  if (found != nullptr) text[found - text + kAuthority.size()] = '\0';
}

// PostgreSQL logs changes of settings, and statements that make them.
void hide_credentials(ErrorData *error) {
  cut(error->message);
  cut(error->detail);
  cut(error->detail_log);
  cut(error->context);
  cut(error->internalquery);
  if (credentials_in(debug_query_string) != nullptr) error->hide_stmt = true;
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
