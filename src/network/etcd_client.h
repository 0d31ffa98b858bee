// Calls to an etcd cluster by its JSON gateway, one at a time, never blocking:
// which member to ask, when to go on to the next, and how to be let in.
//
// After a failure the next call begins with the next member. Within a call, too, the
// others are tried while there is time, each for its share of it; but a call that is
// to be sent once isn't sent again after it may have arrived.
//
// With a user, a token is asked for first, and anew (once a call) when it isn't
// valid any more; an etcd without authentication is used without. Users known by
// their client's certificate alone are not: the gateway doesn't offer that.

#ifndef IDGEN_NETWORK_ETCD_CLIENT_H
#define IDGEN_NETWORK_ETCD_CLIENT_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "network/etcd_json.h"
#include "network/etcd_url.h"
#include "network/http_exchange.h"
#include "registry/registry.h"

namespace idgen {

// What the URL says of encryption.
HttpTls tls_of(const EtcdUrl &url);

struct EtcdCall {
  std::string path;  // "/v3/..."
  std::string body;
  bool once = false;          // not to be sent again when it may have arrived
  std::int64_t deadline = 0;  // CLOCK_MONOTONIC, ns
  // A longer answer is none.
  std::size_t max_reply = HttpRequest::kDefaultMaxReply;
};

struct EtcdAnswer {
  enum class Kind : std::uint8_t {
    ok,
    lease_gone,  // not carried out: it names a lease that there isn't
    refused,     // not carried out, and won't be until somebody acts
    unknown,     // carried out or not
  };
  Kind kind = Kind::unknown;
  std::string message;         // unless ok: one line, without a credential
  std::unique_ptr<Json> body;  // ok: an object; else null
  std::uint64_t cluster = 0;   // ok: of the cluster that answered
  std::uint64_t revision = 0;  // ok: of its store
  std::int64_t date_us = 0;    // ok: the member's clock, Unix time, 0 if it didn't say
  std::int64_t asked_at = 0;   // ok: when it was sent, CLOCK_MONOTONIC, ns
};

class EtcdClient {
 public:
  explicit EtcdClient(EtcdUrl url);

  // None may be in flight.
  void begin(EtcdCall call);
  // True, once, when the answer is there.
  bool poll(EtcdAnswer &answer);
  bool busy() const noexcept { return busy_; }
  // Forgets the call in flight; the next begins with the next member.
  void give_up();
  // While busy: when poll() is worth calling.
  Wait waits_for() const noexcept { return answered_ ? Wait{} : exchange_.waits_for(); }

  // The cluster's clock by now: the last Date that was answered, and what time has
  // passed since. Not later than true by that member. 0 if none ever was.
  std::int64_t clock_us() const noexcept;

  const EtcdUrl &url() const noexcept { return url_; }

 private:
  void send();
  void on_reply(const HttpReply &reply);
  void on_error(const HttpReply &reply, const Json &body);
  void on_login(const Json &body);
  void next_member(const std::string &why, bool not_sent, bool needs_operator);
  void answer(EtcdAnswer::Kind kind, std::string message);

  EtcdUrl url_;
  HttpExchange exchange_;
  std::size_t member_ = 0;
  std::string token_;
  bool without_login_;  // there is no user, or authentication isn't enabled
  std::int64_t date_us_ = 0;
  std::int64_t dated_at_ = 0;  // CLOCK_BOOTTIME, ns

  // The call in flight.
  bool busy_ = false;
  bool answered_ = false;
  bool logging_in_ = false;
  bool login_renewed_ = false;
  bool only_operator_helps_ = false;
  std::size_t tried_ = 0;  // members that failed
  EtcdCall call_;
  EtcdAnswer answer_;
};

}  // namespace idgen

#endif  // IDGEN_NETWORK_ETCD_CLIENT_H
