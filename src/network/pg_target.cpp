#include "network/pg_target.h"

#include <arpa/inet.h>
#include <libpq-fe.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>

namespace idgen {
namespace {

std::vector<std::string> split(const std::string &list) {
  std::vector<std::string> items;
  std::size_t begin = 0;
  for (;;) {
    const std::size_t comma = list.find(',', begin);
    items.push_back(list.substr(begin, comma - begin));
    if (comma == std::string::npos) return items;
    begin = comma + 1;
  }
}

struct FreeOptions {
  void operator()(PQconninfoOption *options) const { PQconninfoFree(options); }
};

using Options = std::unique_ptr<PQconninfoOption, FreeOptions>;

const char *value_of(const Options &options, std::string_view keyword) {
  for (const PQconninfoOption *o = options.get(); o != nullptr && o->keyword != nullptr; ++o) {
    if (keyword == o->keyword) return o->val;
  }
  return nullptr;
}

// What libpq takes from the environment, and from the service file: that of the
// service that is named, as if PGSERVICE named it.
Options defaults_with(const char *service) {
  constexpr char name[] = "PGSERVICE";
  const char *set = getenv(name);
  const std::string before = set == nullptr ? "" : set;
  if (service != nullptr) setenv(name, service, 1);
  Options defaults(PQconndefaults());
  if (set != nullptr) {
    setenv(name, before.c_str(), 1);
  } else {
    unsetenv(name);
  }
  return defaults;
}

bool stays_here(const PgHost &host) {
  const std::string &where = host.address.empty() ? host.host : host.address;
  return where.empty() || where.front() == '/' || where.front() == '@' || is_loopback(where);
}

// Whoever can take the coordinator's place on the network can read passwords, and hand out
// nodes that are in use. `effective` has the value of a keyword.
template <typename Effective>
StoreCaution caution_of(const std::vector<PgHost> &hosts, const Effective &effective) {
  const std::string mode = effective("sslmode");
  if (std::all_of(hosts.begin(), hosts.end(), stays_here) || mode == "verify-full" ||
      effective("gssencmode") == "require" || effective("channel_binding") == "require") {
    return {};
  }
  return {"the identity of the coordinator is not verified: sslmode is " +
              (mode.empty() ? std::string("prefer") : mode),
          "Set sslmode=verify-full, and sslrootcert, in idgen.registry."};
}

// The i-th of a list, or its only one.
std::string pick(const std::vector<std::string> &items, std::size_t i) {
  return items.size() == 1 ? items.front() : items[i];
}

}  // namespace

bool parse_pg_target(std::string_view conninfo, PgTarget &target, std::string &why) {
  char *complaint = nullptr;  // it may quote the string
  const Options options(PQconninfoParse(std::string(conninfo).c_str(), &complaint));
  PQfreemem(complaint);
  if (!options) {
    why = "idgen.registry is not a valid libpq connection string";
    return false;
  }
  const Options defaults = defaults_with(value_of(options, "service"));
  const auto effective = [&](const char *keyword) -> std::string {
    const char *value = value_of(options, keyword);
    if (value == nullptr) value = value_of(defaults, keyword);
    return value == nullptr ? "" : value;
  };
  const std::string hosts = effective("host");
  const std::string addresses = effective("hostaddr");
  const std::string ports = effective("port");
  bool says_which = effective("target_session_attrs") != "any";
  target = PgTarget{};
  for (const PQconninfoOption *option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr) continue;
    const std::string_view keyword = option->keyword;
    if (keyword == "host" || keyword == "hostaddr" || keyword == "port") continue;
    says_which = says_which || keyword == "target_session_attrs";
    target.common.emplace_back(option->keyword, option->val);
  }
  const std::vector<std::string> host = split(hosts);
  const std::vector<std::string> address = split(addresses);
  const std::vector<std::string> port = split(ports);
  const std::size_t count = std::max(host.size(), address.size());
  if ((host.size() != count && !hosts.empty()) || (address.size() != count && !addresses.empty()) ||
      (port.size() != count && port.size() != 1)) {
    why = "idgen.registry: the number of hosts does not match the number of addresses or ports";
    return false;
  }
  for (std::size_t i = 0; i < count; ++i) {
    target.hosts.push_back({pick(host, i), pick(address, i), pick(port, i)});
  }
  target.caution = caution_of(target.hosts, effective);
  // What libpq was built with is "prefer"; somebody who has set that can say so here.
  if (value_of(options, "gssencmode") == nullptr && effective("gssencmode") == "prefer") {
    target.common.emplace_back("gssencmode", "disable");
  }
  if (!says_which) target.common.emplace_back("target_session_attrs", "read-write");
  // It is a line of the own record, and of the log.
  const std::string shown = describe(target);
  if (std::any_of(shown.begin(), shown.end(),
                  [](unsigned char c) { return c < 0x20 || c == 0x7f; })) {
    why = "idgen.registry has a control character in a host, a database or a service";
    return false;
  }
  return true;
}

std::string describe(const PgTarget &target) {
  std::string text = "postgresql://";
  for (const PgHost &host : target.hosts) {
    if (text.back() != '/') text += ',';
    const std::string &name = host.host.empty() ? host.address : host.host;
    const bool brackets = name.find(':') != std::string::npos;
    text += brackets ? "[" + name + "]" : name;
    if (!host.port.empty()) text += ":" + host.port;
  }
  for (const auto &[keyword, value] : target.common) {
    if (keyword == "dbname") text += "/" + value;
    if (keyword == "service") text += "?service=" + value;
  }
  return text;
}

bool is_host_name(const std::string &host) {
  unsigned char address[sizeof(in6_addr)];
  return !host.empty() && host.front() != '/' && host.front() != '@' &&
         inet_pton(AF_INET, host.c_str(), address) != 1 &&
         inet_pton(AF_INET6, host.c_str(), address) != 1;
}

bool PgResolver::begin(const std::string &host) {
  cancel();
  lookup_ = std::make_unique<Lookup>();
  lookup_->host = host;
  lookup_->hints.ai_family = AF_UNSPEC;
  lookup_->hints.ai_socktype = SOCK_STREAM;
  lookup_->request.ar_name = lookup_->host.c_str();
  lookup_->request.ar_request = &lookup_->hints;
  gaicb *list[] = {&lookup_->request};
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int failed = getaddrinfo_a(GAI_NOWAIT, list, 1, nullptr);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (failed != 0) lookup_.reset();
  return failed == 0;
}

PgResolver::State PgResolver::poll(std::vector<std::string> &addresses, std::string &why) {
  if (!lookup_) return State::none;
  const int error = gai_error(&lookup_->request);
  if (error == EAI_INPROGRESS) return State::waiting;
  const std::unique_ptr<Lookup> done = std::move(lookup_);
  if (error != 0) {
    why = "could not translate host name \"" + done->host + "\" to address: " + gai_strerror(error);
    return State::failed;
  }
  addresses.clear();
  for (const addrinfo *info = done->request.ar_result; info != nullptr; info = info->ai_next) {
    char text[NI_MAXHOST];
    if (getnameinfo(info->ai_addr, info->ai_addrlen, text, sizeof(text), nullptr, 0,
                    NI_NUMERICHOST) == 0) {
      addresses.emplace_back(text);
    }
  }
  freeaddrinfo(done->request.ar_result);
  why = "host name \"" + done->host + "\" has no address";
  return addresses.empty() ? State::failed : State::found;
}

void PgResolver::cancel() {
  if (!lookup_) return;
  // A look-up that is under way can't be stopped, and writes to its memory when it
  // ends: that is left to it.
  if (gai_cancel(&lookup_->request) == EAI_NOTCANCELED) {
    (void)lookup_.release();
    return;
  }
  if (gai_error(&lookup_->request) == 0) freeaddrinfo(lookup_->request.ar_result);
  lookup_.reset();
}

}  // namespace idgen
