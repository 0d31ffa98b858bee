#include "network/etcd_client.h"

#include <algorithm>
#include <ctime>
#include <string_view>
#include <utility>

#include "network/bounded_json.h"
#include "network/now.h"

namespace idgen {
namespace {

constexpr std::size_t kMaxQuoted = 300;

// What a server says, fit for a line of a log.
std::string one_line(std::string_view text) {
  std::string line(text.substr(0, kMaxQuoted));
  for (char &c : line) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  while (line.ends_with(' ')) line.pop_back();
  return line;
}

}  // namespace

HttpTls tls_of(const EtcdUrl &url) {
  return {url.verify, url.ca_file, url.certificate_file, url.key_file};
}

EtcdClient::EtcdClient(EtcdUrl url)
    : url_(std::move(url)), exchange_(tls_of(url_)), without_login_(url_.user.empty()) {}

void EtcdClient::begin(EtcdCall call) {
  call_ = std::move(call);
  answer_ = EtcdAnswer{};
  busy_ = true;
  answered_ = false;
  login_renewed_ = false;
  only_operator_helps_ = true;
  tried_ = 0;
  send();
}

bool EtcdClient::poll(EtcdAnswer &answer) {
  HttpReply reply;
  while (busy_ && !answered_) {
    if (!exchange_.poll(reply)) return false;
    on_reply(reply);
  }
  if (!busy_) return false;
  busy_ = false;
  answer = std::move(answer_);
  return true;
}

void EtcdClient::give_up() {
  exchange_.give_up();
  busy_ = false;
  member_ = (member_ + 1) % url_.endpoints.size();
}

std::int64_t EtcdClient::clock_us() const noexcept {
  return date_us_ == 0 ? 0 : date_us_ + (clock_now(CLOCK_BOOTTIME) - dated_at_) / 1000;
}

void EtcdClient::answer(EtcdAnswer::Kind kind, std::string message) {
  answer_.kind = kind;
  answer_.message = std::move(message);
  answered_ = true;
}

void EtcdClient::send() {
  const std::int64_t now = monotonic_now();
  const std::int64_t left = call_.deadline - now;
  if (left <= 0) {
    // What failed before, if anything, says more.
    if (answer_.message.empty()) answer_.message = "etcd did not answer in time";
    answer(EtcdAnswer::Kind::unknown, answer_.message);
    return;
  }
  const std::int64_t share = now + left / static_cast<std::int64_t>(url_.endpoints.size() - tried_);
  logging_in_ = !without_login_ && token_.empty();

  HttpRequest request;
  request.url = (url_.tls ? "https://" : "http://") + address_of(url_.endpoints[member_]);
  request.headers = {"Content-Type: application/json"};
  request.max_reply = call_.max_reply;
  request.connect_by = share;
  request.deadline = call_.once && !logging_in_ ? call_.deadline : share;
  if (logging_in_) {
    std::string password;
    std::string why;
    if (!read_password(url_, password, why)) {
      answer(EtcdAnswer::Kind::refused, "could not authenticate to etcd: " + why);
      return;
    }
    request.url += "/v3/auth/authenticate";
    request.body = to_text(Json{{"name", url_.user}, {"password", password}});
  } else {
    request.url += call_.path;
    request.body = call_.body;
    if (!token_.empty()) request.headers.push_back("Authorization: " + token_);
  }
  answer_.asked_at = now;
  exchange_.begin(std::move(request));
}

void EtcdClient::on_reply(const HttpReply &reply) {
  if (reply.end != HttpEnd::answered) {
    next_member(reply.error, reply.end == HttpEnd::not_sent, reply.needs_operator);
    return;
  }
  if (reply.date > 0) {
    date_us_ = reply.date * 1'000'000;
    dated_at_ = clock_now(CLOCK_BOOTTIME);
  }
  Json body = parse_bounded(reply.body);
  if (reply.status != 200 || !body.is_object()) {
    on_error(reply, body);
    return;
  }
  if (logging_in_) {
    on_login(body);
    return;
  }
  // A stream's messages come wrapped.
  const Json *result = member(&body, "result");
  const Json *header = member(result != nullptr ? result : &body, "header");
  if (!read_number(header, "cluster_id", answer_.cluster) ||
      !read_number(header, "revision", answer_.revision)) {
    next_member("its answer has no header that makes sense", false, false);
    return;
  }
  answer_.date_us = reply.date * 1'000'000;
  answer_.body = std::make_unique<Json>(std::move(body));
  answer(EtcdAnswer::Kind::ok, "");
}

void EtcdClient::on_login(const Json &body) {
  token_ = read_text(&body, "token");
  // It goes into a header of its own line.
  const bool is_clean = std::all_of(token_.begin(), token_.end(), [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7f;
  });
  if (token_.empty() || !is_clean) {
    token_.clear();
    next_member("its answer to the authentication is malformed", true, false);
    return;
  }
  send();
}

void EtcdClient::on_error(const HttpReply &reply, const Json &body) {
  const std::string where = "etcd at " + address_of(url_.endpoints[member_]) + ": ";
  // Older gateways say "error", newer ones "message"; streams wrap it.
  const Json *wrapped = member(&body, "error");
  const Json *error = wrapped != nullptr && wrapped->is_object() ? wrapped : &body;
  std::int64_t code = 0;
  std::string message = read_text(error, "message");
  if (message.empty()) message = read_text(error, "error");
  if (message.empty() || !read_number(error, "code", code)) {
    const std::string status = "HTTP status " + std::to_string(reply.status) + ", ";
    // No gRPC behind it: it hasn't got as far as a transaction.
    if (reply.status == 404) {
      answer(EtcdAnswer::Kind::refused, where + status + "there is no v3 JSON gateway");
    } else if (reply.status == 400) {
      answer(EtcdAnswer::Kind::refused, where + status + one_line(reply.body));
    } else {
      next_member(status + "and no JSON that makes sense", false, false);
    }
    return;
  }
  message = one_line(message);
  switch (fault_of(code, message)) {
    case EtcdFault::transient:
      next_member(message, logging_in_, false);
      return;
    case EtcdFault::token:
      token_.clear();
      without_login_ = url_.user.empty();
      if (without_login_) {
        answer(EtcdAnswer::Kind::refused, where + message + "; the registry names no user");
      } else if (std::exchange(login_renewed_, true)) {
        answer(EtcdAnswer::Kind::refused, where + message);
      } else {
        send();
      }
      return;
    case EtcdFault::no_auth:
      // As etcd's own clients do: it may be enabled later.
      without_login_ = true;
      send();
      return;
    case EtcdFault::lease_gone:
      answer(EtcdAnswer::Kind::lease_gone, where + message);
      return;
    case EtcdFault::by_operator:
      answer(EtcdAnswer::Kind::refused, where + message);
      return;
  }
}

void EtcdClient::next_member(const std::string &why, bool not_sent, bool needs_operator) {
  answer_.message = "etcd at " + address_of(url_.endpoints[member_]) + ": " + why;
  only_operator_helps_ = only_operator_helps_ && needs_operator;
  member_ = (member_ + 1) % url_.endpoints.size();
  ++tried_;
  const bool may_have_arrived = !not_sent && !logging_in_;
  if ((call_.once && may_have_arrived) || tried_ >= url_.endpoints.size()) {
    answer(only_operator_helps_ ? EtcdAnswer::Kind::refused : EtcdAnswer::Kind::unknown,
           answer_.message);
    return;
  }
  send();
}

}  // namespace idgen
