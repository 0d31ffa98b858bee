// The URL of an etcd: what is accepted makes sense and, written down again, is the
// same; no message quotes anything of it, and what is shown holds no password.

#include "network/etcd_url.h"

#include <string>

#include "fuzz.h"

namespace idgen {

static bool operator==(const EtcdEndpoint &a, const EtcdEndpoint &b) {
  return a.host == b.host && a.port == b.port;
}

namespace {

using fuzz::kSecret;
using fuzz::require;

std::string encoded(std::string_view text) {
  constexpr char digits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out += {'%', digits[byte >> 4], digits[byte & 15]};
  }
  return out;
}

// As the header has it, everything encoded that may be, every option named.
std::string written(const EtcdUrl &url) {
  std::string text = "etcd://";
  if (!url.user.empty()) text += encoded(url.user) + ":" + encoded(url.password) + "@";
  for (const EtcdEndpoint &endpoint : url.endpoints) text += address_of(endpoint) + ",";
  text.back() = '/';
  text += encoded(url.prefix) + "?tls=" + (!url.tls ? "off" : url.verify ? "on" : "noverify");
  const std::pair<const char *, const std::string &> files[] = {{"&cacert=", url.ca_file},
                                                                {"&cert=", url.certificate_file},
                                                                {"&key=", url.key_file},
                                                                {"&passfile=", url.password_file}};
  for (const auto &[name, value] : files) {
    if (!value.empty()) text += name + encoded(value);
  }
  return text;
}

bool is_clean(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  }
  return true;
}

void check_sense(const EtcdUrl &url) {
  require(!url.endpoints.empty(), "there is a host");
  for (const EtcdEndpoint &endpoint : url.endpoints) {
    require(!endpoint.host.empty() && endpoint.port != 0, "a host has a name and a port");
    require(endpoint.host.find_first_of("/?#@[]%, \"'\\") == std::string::npos,
            "a host's name has no character that would mean something else in a URL");
  }
  require(!url.prefix.empty() && !url.prefix.ends_with('/'), "a prefix ends without a slash");
  for (const std::string &text : {url.prefix, url.user, url.password, url.password_file,
                                  url.ca_file, url.certificate_file, url.key_file}) {
    require(is_clean(text), "there is no control character");
  }
  require(url.user.empty() == (url.password.empty() && url.password_file.empty()),
          "a user has a password");
  require(url.password.empty() || url.password_file.empty(), "and not two");
  require(url.tls || (url.ca_file.empty() && url.certificate_file.empty() && url.key_file.empty()),
          "files are used");
  require(url.key_file.empty() || !url.certificate_file.empty(), "a key has its certificate");
}

void check_back(const EtcdUrl &url) {
  EtcdUrl back;
  std::string why;
  require(parse_etcd_url(written(url), back, why), "what is accepted can be written");
  require(back.endpoints == url.endpoints && back.prefix == url.prefix && back.user == url.user &&
              back.password == url.password && back.password_file == url.password_file &&
              back.tls == url.tls && (back.verify == url.verify || !url.tls) &&
              back.ca_file == url.ca_file && back.certificate_file == url.certificate_file &&
              back.key_file == url.key_file,
          "and is the same then");
}

void check_secrecy(std::string_view text, const EtcdUrl &url) {
  EtcdUrl other = url;
  other.user = other.password = other.password_file = kSecret;
  require(describe(other) == describe(url), "no password is shown");
  // With a word in it that would show.
  std::string marked(text);
  marked.insert(fuzz::hash_of(text) % (text.size() + 1), kSecret);
  std::string why;
  if (!parse_etcd_url(marked, other, why)) {
    require(why.find(kSecret) == std::string::npos, "a refusal quotes nothing");
  }
}

}  // namespace
}  // namespace idgen

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using namespace idgen;
  const std::string_view text = fuzz::text_of(data, size);
  EtcdUrl url;
  std::string why;
  if (parse_etcd_url(text, url, why)) {
    check_sense(url);
    check_back(url);
  } else {
    fuzz::require(!why.empty() && is_clean(why), "a refusal says why, in a line");
  }
  check_secrecy(text, url);
  return 0;
}
