// A PostgreSQL coordinator's connection string: what is accepted, written down again,
// is the same; no message quotes anything of it, and what is shown holds no password.
//
// A service file with two services lies in memory; nothing else of the environment
// counts.

#include "network/pg_target.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "fuzz.h"

namespace idgen {
namespace {

using fuzz::kSecret;
using fuzz::require;

constexpr std::string_view kServices =
    "[fleet]\nhost=db1,db2\nport=5433\nuser=leaser\n[any]\nhost=db3\ntarget_session_attrs=any\n";

std::string quoted(std::string_view value) {
  std::string text = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') text += '\\';
    text += c;
  }
  return text + "'";
}

// As keywords and values.
std::string written(const PgTarget &target) {
  std::string hosts;
  std::string addresses;
  std::string ports;
  const char *comma = "";
  for (const PgHost &host : target.hosts) {
    hosts += comma + host.host;
    addresses += comma + host.address;
    ports += comma + host.port;
    comma = ",";
  }
  std::string text =
      "host=" + quoted(hosts) + " hostaddr=" + quoted(addresses) + " port=" + quoted(ports);
  for (const auto &[keyword, value] : target.common) text += " " + keyword + "=" + quoted(value);
  return text;
}

PgParameters sorted(PgParameters parameters) {
  std::sort(parameters.begin(), parameters.end());
  return parameters;
}

bool same(const PgHost &a, const PgHost &b) {
  return a.host == b.host && a.address == b.address && a.port == b.port;
}

void check_back(const PgTarget &target) {
  PgTarget back;
  std::string why;
  require(parse_pg_target(written(target), back, why), "what is accepted can be written");
  require(sorted(back.common) == sorted(target.common), "its parameters are the same then");
  require(std::equal(back.hosts.begin(), back.hosts.end(), target.hosts.begin(), target.hosts.end(),
                     same),
          "and so are its hosts");
}

void check_target(const PgTarget &target) {
  require(!target.hosts.empty(), "there is a host");
  for (const PgHost &host : target.hosts) {
    for (const std::string &text : {host.host, host.address, host.port}) {
      require(text.find(',') == std::string::npos, "a host is one, not a list");
    }
  }
  PgTarget secret = target;
  for (auto &[keyword, value] : secret.common) {
    require(keyword != "host" && keyword != "hostaddr" && keyword != "port",
            "hosts are no parameters");
    require(
        std::count_if(target.common.begin(), target.common.end(),
                      [&name = keyword](const auto &other) { return other.first == name; }) == 1,
        "a parameter is there once");
    if (keyword != "dbname" && keyword != "service") value = kSecret;
  }
  require(describe(secret) == describe(target), "no password is shown");
  const std::string shown = describe(target);
  require(std::none_of(shown.begin(), shown.end(),
                       [](unsigned char c) { return c < 0x20 || c == 0x7f; }),
          "what is shown is a line");
  check_back(target);
}

}  // namespace
}  // namespace idgen

extern "C" int LLVMFuzzerInitialize(int *, char ***) {
  for (const char *const *entry = environ; *entry != nullptr;) {
    const std::string name(*entry, std::string_view(*entry).find('='));
    if (name.starts_with("PG")) {
      unsetenv(name.c_str());
      entry = environ;
    } else {
      ++entry;
    }
  }
  const int services = memfd_create("services", 0);
  const ssize_t length = write(services, idgen::kServices.data(), idgen::kServices.size());
  idgen::fuzz::require(length == static_cast<ssize_t>(idgen::kServices.size()), "services");
  setenv("PGSERVICEFILE", ("/proc/self/fd/" + std::to_string(services)).c_str(), 1);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using namespace idgen;
  // A setting has no zero byte.
  const std::string_view input = fuzz::text_of(data, size);
  std::string text(input.substr(0, input.find('\0')));
  PgTarget target;
  std::string why;
  if (parse_pg_target(text, target, why)) {
    check_target(target);
  } else {
    fuzz::require(!why.empty(), "a refusal says why");
  }
  text.insert(fuzz::hash_of(text) % (text.size() + 1), kSecret);
  if (!parse_pg_target(text, target, why)) {
    fuzz::require(why.find(kSecret) == std::string::npos, "a refusal quotes nothing");
  }
  return 0;
}
