#include "network/etcd_space.h"

#include <algorithm>
#include <ctime>
#include <exception>
#include <utility>

#include "network/now.h"

namespace idgen {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
// Between two rounds; after one in which a member did not answer; and while writes are
// refused, so that the end of that shows.
constexpr std::int64_t kPause = 3600 * kSecond;
constexpr std::int64_t kPauseAfterFailure = 60 * kSecond;
constexpr std::int64_t kPauseWhileFull = 5 * kSecond;
// Of one request. Nothing waits for it.
constexpr std::int64_t kTimeout = 30 * kSecond;
// What an etcd that is told nothing allows.
constexpr std::int64_t kDefaultQuota = std::int64_t{2} << 30;
// Metrics of etcd 3.4 are some 150 kB.
constexpr std::size_t kMaxMetrics = std::size_t{4} << 20;

}  // namespace

EtcdSpace::EtcdSpace(EtcdUrl url) : url_(std::move(url)) {}

bool EtcdSpace::tend() {
  try {
    return go_on();
  } catch (const std::exception &) {
    // No memory, or no descriptor: nothing depends on this round.
    asked_ = Asked::nothing;
    next_at_ = monotonic_now() + kPauseAfterFailure;
    return false;
  }
}

bool EtcdSpace::go_on() {
  if (asked_ == Asked::nothing) {
    if (monotonic_now() < next_at_) return false;
    member_ = 0;
    any_failed_ = false;
    finding_.clear();
    ask_status();
  }
  EtcdAnswer answer;
  HttpReply reply;
  while (asked_ != Asked::nothing) {
    if (asked_ == Asked::status) {
      if (!client_->poll(answer)) return false;
      on_status(answer);
    } else {
      if (!exchange_->poll(reply)) return false;
      on_metrics(reply);
    }
  }
  found_ = finding_;
  const bool full =
      std::any_of(found_.begin(), found_.end(), [](const StoreSpace &s) { return s.full; });
  next_at_ = monotonic_now() + (full ? kPauseWhileFull : any_failed_ ? kPauseAfterFailure : kPause);
  return true;
}

void EtcdSpace::ask_status() {
  EtcdUrl one = url_;
  one.endpoints = {url_.endpoints[member_]};
  client_ = std::make_unique<EtcdClient>(std::move(one));
  asked_ = Asked::status;
  client_->begin({"/v3/maintenance/status", "{}", false, monotonic_now() + kTimeout});
}

void EtcdSpace::on_status(const EtcdAnswer &answer) {
  client_.reset();
  space_ = StoreSpace{};
  space_.member = address_of(url_.endpoints[member_]);
  space_.read_at_us = clock_now(CLOCK_REALTIME) / 1000;
  if (answer.kind != EtcdAnswer::Kind::ok || !read_status(answer.body.get(), space_)) {
    any_failed_ = true;
    next_member();
  } else if (space_.quota_known) {
    finding_.push_back(space_);
    next_member();
  } else {
    ask_metrics();
  }
}

void EtcdSpace::ask_metrics() {
  exchange_ = std::make_unique<HttpExchange>(tls_of(url_));
  asked_ = Asked::metrics;
  HttpRequest request;
  request.url =
      (url_.tls ? "https://" : "http://") + address_of(url_.endpoints[member_]) + "/metrics";
  request.deadline = request.connect_by = monotonic_now() + kTimeout;
  request.max_reply = kMaxMetrics;
  exchange_->begin(std::move(request));
}

// An etcd may serve its metrics elsewhere: then its quota is taken for the default.
void EtcdSpace::on_metrics(const HttpReply &reply) {
  exchange_.reset();
  space_.quota_known =
      reply.end == HttpEnd::answered && reply.status == 200 && read_quota(reply.body, space_.quota);
  if (!space_.quota_known) space_.quota = kDefaultQuota;
  finding_.push_back(space_);
  next_member();
}

void EtcdSpace::next_member() {
  if (++member_ < url_.endpoints.size()) {
    ask_status();
  } else {
    asked_ = Asked::nothing;
  }
}

}  // namespace idgen
