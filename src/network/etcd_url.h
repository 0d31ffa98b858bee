// Where an etcd is, and how to get in: the setting idgen.registry as a URL.
//
//    etcd://[user[:password]@]host[:port][,host[:port]...]/prefix[?name=value[&...]]
//
// User, password, prefix and values are percent-decoded; an IPv6 address stands
// in brackets. The port is 2379 unless another is given; a prefix that starts with a slash
// is written with two. Options:
//
//    tls       on, off, or noverify: encrypted, but the server's certificate isn't
//              checked. Default: on if one of the next three is given, else off
//    cacert    file of the authorities (PEM); without it the system's are trusted
//    cert      file of the client's certificate (PEM)
//    key       file of its key; without it the key is expected in the file of cert
//    passfile  file whose first line is the password, closed to group and others
//
// A password without TLS is allowed, as a loopback or a private network may do
// without: it then goes over the wire as it is, and caution_of() warns.

#ifndef IDGEN_NETWORK_ETCD_URL_H
#define IDGEN_NETWORK_ETCD_URL_H

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "registry/fleet_store.h"

namespace idgen {

struct EtcdEndpoint {
  std::string host;  // an IPv6 address without brackets
  std::uint16_t port = 2379;
};

struct EtcdUrl {
  std::vector<EtcdEndpoint> endpoints;  // at least one
  std::string prefix;                   // not empty; no slash at its end
  std::string user;                     // empty: no authentication
  std::string password;
  std::string password_file;  // instead of `password`
  bool tls = false;
  bool verify = true;
  std::string ca_file;
  std::string certificate_file;
  std::string key_file;
};

// False, and `why`, if it isn't such a URL. `why` quotes nothing of the URL, as a
// password with a character left unencoded may turn up anywhere in it.
bool parse_etcd_url(std::string_view text, EtcdUrl &url, std::string &why);

// The password, from where the URL says. Reads the file each time: it may be
// changed without a new setting. False, and `why`.
bool read_password(const EtcdUrl &url, std::string &password, std::string &why);

// What an operator should know of it: that a password goes to other machines unencrypted,
// or to a server that is not verified.
StoreCaution caution_of(const EtcdUrl &url);

// "host:port", with brackets where they belong.
std::string address_of(const EtcdEndpoint &endpoint);

// "etcd://host:2379,host2:2379/prefix": what may be shown.
std::string describe(const EtcdUrl &url);

}  // namespace idgen

#endif  // IDGEN_NETWORK_ETCD_URL_H
