#include "network/etcd_url.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace idgen {
namespace {

constexpr std::string_view kScheme = "etcd://";
constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kHexDigits = "0123456789abcdefABCDEF";

bool has_only(std::string_view text, std::string_view allowed) {
  return text.find_first_not_of(allowed) == std::string_view::npos;
}

bool has_control_character(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

// Everything up to `delimiter`, which is taken away too; all, if there is none.
std::string_view take_until(std::string_view &text, char delimiter) {
  const std::size_t end = std::min(text.find(delimiter), text.size());
  const std::string_view found = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return found;
}

bool percent_decode(std::string_view text, std::string &decoded) {
  decoded.clear();
  while (!text.empty()) {
    if (text.front() != '%') {
      decoded += text.front();
      text.remove_prefix(1);
      continue;
    }
    const std::string_view digits = text.substr(1, 2);
    if (digits.size() != 2 || !has_only(digits, kHexDigits)) return false;
    unsigned int byte = 0;
    std::from_chars(digits.data(), digits.data() + 2, byte, 16);
    decoded += static_cast<char>(byte);
    text.remove_prefix(3);
  }
  return true;
}

class UrlParser {
 public:
  UrlParser(EtcdUrl &url, std::string &why) : url_(url), why_(why) {}

  bool parse(std::string_view text) {
    if (!text.starts_with(kScheme)) return fail("it does not begin with \"etcd://\"");
    text.remove_prefix(kScheme.size());
    const std::string_view authority =
        text.substr(0, std::min(text.find_first_of("/?"), text.size()));
    text.remove_prefix(authority.size());
    // A password with an unencoded slash or question mark ends the host too early;
    // what then seems to be a prefix or an option must not be taken for one.
    if (text.find('@') != std::string_view::npos) {
      return fail(
          "there is an @ after the first / or ?; in user and password, /, ? and @ are "
          "percent-encoded (%2F, %3F, %40), and so is an @ elsewhere");
    }
    const std::string_view path = take_until(text, '?');
    return credentials_and_hosts(authority) && prefix(path) && options(text) && is_consistent();
  }

 private:
  bool fail(std::string reason) {
    why_ = "not a URL of an etcd: " + std::move(reason);
    return false;
  }

  bool decode(std::string_view text, std::string &decoded, const char *what) {
    if (!percent_decode(text, decoded)) {
      return fail(std::string(what) + " has a % that is not followed by two hexadecimal digits");
    }
    if (has_control_character(decoded)) {
      return fail(std::string(what) + " has a control character");
    }
    return true;
  }

  bool credentials_and_hosts(std::string_view authority) {
    const std::size_t at = authority.rfind('@');
    if (at != std::string_view::npos) {
      std::string_view credentials = authority.substr(0, at);
      authority.remove_prefix(at + 1);
      const std::string_view user = take_until(credentials, ':');
      if (!decode(user, url_.user, "the user") ||
          !decode(credentials, url_.password, "the password")) {
        return false;
      }
      if (url_.user.empty()) return fail("the user before the @ is empty");
    }
    for (bool more = true; more;) {
      more = authority.find(',') != std::string_view::npos;
      if (!endpoint(take_until(authority, ','))) return false;
    }
    return true;
  }

  bool endpoint(std::string_view text) {
    EtcdEndpoint &endpoint = url_.endpoints.emplace_back();
    const std::string which = "host " + std::to_string(url_.endpoints.size());
    if (text.starts_with('[')) {
      text.remove_prefix(1);
      const std::size_t end = text.find(']');
      if (end == std::string_view::npos) return fail(which + " has a [ without a ]");
      endpoint.host = text.substr(0, end);
      text.remove_prefix(end + 1);
      if (!has_only(endpoint.host, "0123456789abcdefABCDEF:.") ||
          endpoint.host.find(':') == std::string::npos) {
        return fail(which + " is no IPv6 address");
      }
    } else {
      endpoint.host = text.substr(0, std::min(text.find(':'), text.size()));
      text.remove_prefix(endpoint.host.size());
      if (endpoint.host.empty()) return fail(which + " is empty");
      if (!has_only(endpoint.host,
                    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")) {
        return fail(which + " is no host name");
      }
    }
    if (text.empty()) return true;
    const bool is_number = text.front() == ':' && text.size() > 1 && text.size() <= 6 &&
                           has_only(text.substr(1), kDigits);
    unsigned int port = 0;
    if (is_number) std::from_chars(text.data() + 1, text.data() + text.size(), port);
    if (port < 1 || port > 65535) {
      return fail("the port of " + which + " is no number from 1 to 65535");
    }
    endpoint.port = static_cast<std::uint16_t>(port);
    return true;
  }

  bool prefix(std::string_view path) {
    if (path.size() <= 1) {
      return fail("it names no prefix, as in etcd://etcd1:2379,etcd2:2379/orders");
    }
    if (!decode(path.substr(1), url_.prefix, "the prefix")) return false;
    while (url_.prefix.ends_with('/')) url_.prefix.pop_back();
    return !url_.prefix.empty() || fail("the prefix is nothing but slashes");
  }

  bool options(std::string_view text) {
    std::array<bool, 5> seen{};
    for (int number = 1; !text.empty(); ++number) {
      const std::string which = "option " + std::to_string(number);
      std::string_view value = take_until(text, '&');
      const std::string_view name = take_until(value, '=');
      constexpr std::array<std::string_view, 5> names = {"tls", "cacert", "cert", "key",
                                                         "passfile"};
      const auto *const found = std::find(names.begin(), names.end(), name);
      if (found == names.end()) {
        return fail(which + " is none of tls, cacert, cert, key and passfile");
      }
      const auto index = static_cast<std::size_t>(found - names.begin());
      if (seen[index]) return fail(which + " is there twice");
      seen[index] = true;
      std::string decoded;
      if (!decode(value, decoded, which.c_str())) return false;
      if (decoded.empty()) return fail(which + " has no value");
      if (index == 0) {
        if (!tls(decoded)) return false;
      } else {
        const std::array<std::string *, 4> files = {&url_.ca_file, &url_.certificate_file,
                                                    &url_.key_file, &url_.password_file};
        *files[index - 1] = std::move(decoded);
      }
    }
    return true;
  }

  bool tls(std::string_view value) {
    if (value != "on" && value != "off" && value != "noverify") {
      return fail("tls is on, off or noverify");
    }
    tls_is_off_ = value == "off";
    url_.tls = !tls_is_off_;
    url_.verify = value != "noverify";
    return true;
  }

  bool is_consistent() {
    const bool has_files =
        !url_.ca_file.empty() || !url_.certificate_file.empty() || !url_.key_file.empty();
    if (has_files && tls_is_off_) return fail("cacert, cert and key are of no use with tls=off");
    if (has_files) url_.tls = true;
    if (!url_.key_file.empty() && url_.certificate_file.empty()) {
      return fail("there is a key without a cert");
    }
    if (!url_.password.empty() && !url_.password_file.empty()) {
      return fail("there is a password and a passfile");
    }
    if (url_.user.empty() && !url_.password_file.empty()) {
      return fail("there is a passfile without a user");
    }
    if (!url_.user.empty() && url_.password.empty() && url_.password_file.empty()) {
      return fail("there is a user without a password");
    }
    return true;
  }

  EtcdUrl &url_;
  std::string &why_;
  bool tls_is_off_ = false;
};

}  // namespace

bool parse_etcd_url(std::string_view text, EtcdUrl &url, std::string &why) {
  url = EtcdUrl{};
  return UrlParser(url, why).parse(text);
}

bool read_password(const EtcdUrl &url, std::string &password, std::string &why) {
  if (url.password_file.empty()) {
    password = url.password;
    return true;
  }
  const auto fail = [&](const std::string &reason) {
    why = "the password file \"" + url.password_file + "\" " + reason;
    return false;
  };
  // Without O_NONBLOCK, opening a FIFO would wait for its writer.
  const int file = open(url.password_file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return fail(std::string("could not be opened: ") + std::strerror(errno));
  struct stat status {};
  std::array<char, 4096> buffer;
  ssize_t got = -1;
  if (fstat(file, &status) == 0 && S_ISREG(status.st_mode)) {
    do {
      got = ::read(file, buffer.data(), buffer.size());
    } while (got < 0 && errno == EINTR);
  }
  close(file);
  if (got < 0) return fail("could not be read as a regular file");
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return fail("is open to group or others; its permissions should be u=rw (0600) or less");
  }
  std::string_view text(buffer.data(), static_cast<std::size_t>(got));
  text = text.substr(0, text.find('\n'));
  if (text.ends_with('\r')) text.remove_suffix(1);
  if (text.empty()) return fail("has no password in its first line");
  password = text;
  return true;
}

StoreCaution caution_of(const EtcdUrl &url) {
  const bool leaves = std::any_of(url.endpoints.begin(), url.endpoints.end(),
                                  [](const EtcdEndpoint &e) { return !is_loopback(e.host); });
  if (url.user.empty() || !leaves || (url.tls && url.verify)) return {};
  if (!url.tls) {
    return {"the password of etcd is sent unencrypted",
            "Add tls=on to the URL in idgen.registry, and serve etcd's clients by TLS."};
  }
  return {"the password of etcd is sent to a server that is not verified",
          "Replace tls=noverify in idgen.registry with tls=on and cacert=."};
}

std::string address_of(const EtcdEndpoint &endpoint) {
  const bool is_ipv6 = endpoint.host.find(':') != std::string::npos;
  return (is_ipv6 ? "[" + endpoint.host + "]" : endpoint.host) + ":" +
         std::to_string(endpoint.port);
}

std::string describe(const EtcdUrl &url) {
  std::string text;
  for (const EtcdEndpoint &endpoint : url.endpoints) {
    text += text.empty() ? std::string(kScheme) : ",";
    text += address_of(endpoint);
  }
  return text + "/" + url.prefix;
}

}  // namespace idgen
