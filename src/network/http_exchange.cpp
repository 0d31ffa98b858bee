#include "network/http_exchange.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <cstring>
#include <exception>
#include <new>
#include <string_view>
#include <system_error>
#include <utility>

#include "network/now.h"

namespace idgen {
namespace {

constexpr std::int64_t kMillisecond = 1'000'000;
// A call of libcurl often wants to be followed by another at once.
constexpr int kMaxCalls = 16;

// A thread inherits the mask of the one that makes it.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  SignalsBlocked(const SignalsBlocked &) = delete;
  SignalsBlocked &operator=(const SignalsBlocked &) = delete;
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

void start_curl() {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (started != CURLE_OK) {
    throw std::system_error(std::make_error_code(std::errc::not_supported),
                            "could not start libcurl");
  }
}

// From now until `deadline`, for an option in which 0 would mean for ever.
long milliseconds_until(std::int64_t deadline, std::int64_t now) {
  const std::int64_t left = (deadline - now + kMillisecond - 1) / kMillisecond;
  return static_cast<long>(std::clamp<std::int64_t>(left, 1, INT32_MAX));
}

// Of a key that is none, or another certificate's, libcurl says "bad argument" by 8.22.
bool is_about_certificates(CURLcode code) {
  return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CERTPROBLEM ||
         code == CURLE_SSL_CACERT_BADFILE || code == CURLE_SSL_ISSUER_ERROR ||
         code == CURLE_BAD_FUNCTION_ARGUMENT;
}

}  // namespace

HttpExchange::HttpExchange(const HttpTls &tls) {
  start_curl();
  multi_ = curl_multi_init();
  easy_ = curl_easy_init();
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  if (multi_ == nullptr || easy_ == nullptr || epoll_ < 0) {
    const int error = epoll_ < 0 ? errno : ENOMEM;
    if (epoll_ >= 0) close(epoll_);
    curl_easy_cleanup(easy_);
    curl_multi_cleanup(multi_);
    throw std::system_error(error, std::generic_category(), "could not make an HTTP client");
  }
  set_options(tls);
}

HttpExchange::~HttpExchange() {
  give_up();
  {
    const SignalsBlocked blocked;
    curl_easy_cleanup(easy_);
    curl_multi_cleanup(multi_);
  }
  curl_slist_free_all(headers_);
  close(epoll_);
}

// What is the same for all requests.
void HttpExchange::set_options(const HttpTls &tls) {
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, watch_socket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, set_timer);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, 8L);

  curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy_, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(easy_, CURLOPT_FOLLOWLOCATION, 0L);
#if LIBCURL_VERSION_NUM >= 0x075500
  curl_easy_setopt(easy_, CURLOPT_PROTOCOLS_STR, "http,https");
#else
  curl_easy_setopt(easy_, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
  // Otherwise the end of a request waits for a name server's answer.
  curl_easy_setopt(easy_, CURLOPT_QUICK_EXIT, 1L);
  // Authorities that are replaced count from the next connection on.
  curl_easy_setopt(easy_, CURLOPT_CA_CACHE_TIMEOUT, 0L);
#endif
  curl_easy_setopt(easy_, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy_, CURLOPT_ERRORBUFFER, error_.data());
  curl_easy_setopt(easy_, CURLOPT_POST, 1L);
  // libcurl sends a request again by itself when a kept connection turns out to be
  // dead; with a body that can't be rewound it doesn't once it has sent some of it.
  curl_easy_setopt(easy_, CURLOPT_READFUNCTION, give_body);
  curl_easy_setopt(easy_, CURLOPT_READDATA, this);
  curl_easy_setopt(easy_, CURLOPT_SEEKFUNCTION, rewind_body);
  curl_easy_setopt(easy_, CURLOPT_SEEKDATA, this);
  curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(easy_, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy_, CURLOPT_HEADERFUNCTION, take_header);
  curl_easy_setopt(easy_, CURLOPT_HEADERDATA, this);

  curl_easy_setopt(easy_, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYPEER, tls.verify ? 1L : 0L);
  curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYHOST, tls.verify ? 2L : 0L);
  if (!tls.ca_file.empty()) {
    curl_easy_setopt(easy_, CURLOPT_CAINFO, tls.ca_file.c_str());
    // Those of the file only, not the system's besides.
    curl_easy_setopt(easy_, CURLOPT_CAPATH, nullptr);
  }
  if (!tls.certificate_file.empty()) {
    curl_easy_setopt(easy_, CURLOPT_SSLCERT, tls.certificate_file.c_str());
    curl_easy_setopt(easy_, CURLOPT_SSLKEY,
                     (tls.key_file.empty() ? tls.certificate_file : tls.key_file).c_str());
  }
}

void HttpExchange::begin(HttpRequest request) {
  request_ = std::move(request);
  reply_ = HttpReply{};
  given_ = 0;
  error_.front() = '\0';

  curl_slist_free_all(std::exchange(headers_, nullptr));
  // Without "Expect:" a large body would wait to be asked for.
  request_.headers.emplace_back("Expect:");
  for (const std::string &header : request_.headers) {
    curl_slist *longer = curl_slist_append(headers_, header.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    headers_ = longer;
  }
  const std::int64_t now = monotonic_now();
  curl_easy_setopt(easy_, CURLOPT_URL, request_.url.c_str());
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers_);
  curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE,
                   static_cast<curl_off_t>(request_.body.size()));
  curl_easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT_MS,
                   milliseconds_until(std::min(request_.connect_by, request_.deadline), now));
  curl_easy_setopt(easy_, CURLOPT_TIMEOUT_MS, milliseconds_until(request_.deadline, now));
  {
    const SignalsBlocked blocked;
    if (curl_multi_add_handle(multi_, easy_) != CURLM_OK) throw std::bad_alloc();
  }
  busy_ = true;
  timer_at_ = now;
  drive();
}

void HttpExchange::drive() {
  const SignalsBlocked blocked;
  int running = 0;
  std::array<epoll_event, 8> events;
  const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    // 0: it looks for itself what the socket is ready for.
    curl_multi_socket_action(multi_, events[static_cast<std::size_t>(i)].data.fd, 0, &running);
  }
  for (int i = 0; i < kMaxCalls && timer_at_ <= monotonic_now(); ++i) {
    timer_at_ = INT64_MAX;
    curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
  }
}

bool HttpExchange::poll(HttpReply &reply) {
  if (!busy_) return false;
  drive();
  int left = 0;
  while (const CURLMsg *message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    finish(message->data.result, reply);
    return true;
  }
  return false;
}

void HttpExchange::finish(CURLcode code, HttpReply &reply) {
  if (code == CURLE_OK) {
    curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &reply_.status);
    reply_.end = HttpEnd::answered;
  } else {
    reply_.end = given_ == 0 ? HttpEnd::not_sent : HttpEnd::lost;
    // A server that expects TLS closes the connection, or resets it.
    long answered = 0;
    curl_easy_getinfo(easy_, CURLINFO_HEADER_SIZE, &answered);
    const bool hung_up = code == CURLE_GOT_NOTHING || (code == CURLE_RECV_ERROR && answered == 0);
    if (hung_up && request_.url.starts_with("http:")) {
      reply_.error = "closed the connection without an answer; does it expect TLS?";
    } else if (reply_.error.empty()) {
      reply_.error = error_.front() != '\0' ? error_.data() : curl_easy_strerror(code);
    }
    std::replace(reply_.error.begin(), reply_.error.end(), '\n', ' ');
    reply_.needs_operator = is_about_certificates(code);
  }
  reply = std::move(reply_);
  give_up();
}

void HttpExchange::give_up() {
  if (!busy_) return;
  const SignalsBlocked blocked;
  curl_multi_remove_handle(multi_, easy_);
  busy_ = false;
  timer_at_ = INT64_MAX;
}

int HttpExchange::watch_socket(CURL *, curl_socket_t socket, int what, void *self, void *) {
  const int epoll = static_cast<HttpExchange *>(self)->epoll_;
  if (what == CURL_POLL_REMOVE) {
    // A socket that is closed already has left by itself.
    epoll_ctl(epoll, EPOLL_CTL_DEL, socket, nullptr);
    return 0;
  }
  epoll_event event{};
  if (what != CURL_POLL_OUT) event.events |= EPOLLIN;
  if (what != CURL_POLL_IN) event.events |= EPOLLOUT;
  event.data.fd = socket;
  if (epoll_ctl(epoll, EPOLL_CTL_MOD, socket, &event) == 0) return 0;
  return errno == ENOENT && epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event) == 0 ? 0 : -1;
}

int HttpExchange::set_timer(CURLM *, long timeout_ms, void *self) {
  static_cast<HttpExchange *>(self)->timer_at_ =
      timeout_ms < 0 ? INT64_MAX : monotonic_now() + timeout_ms * kMillisecond;
  return 0;
}

std::size_t HttpExchange::give_body(char *to, std::size_t size, std::size_t count, void *self) {
  auto *exchange = static_cast<HttpExchange *>(self);
  const std::string &body = exchange->request_.body;
  const std::size_t length = std::min(size * count, body.size() - exchange->given_);
  std::copy_n(body.data() + exchange->given_, length, to);
  exchange->given_ += length;
  return length;
}

// Of a body that has been given nothing of, there is nothing to rewind. From 8.7 on
// libcurl, once refused, asks again at the start of the next request, and would fail
// that one, too, and all that follow.
int HttpExchange::rewind_body(void *self, curl_off_t offset, int origin) {
  const bool untouched = static_cast<HttpExchange *>(self)->given_ == 0;
  return untouched && offset == 0 && origin == SEEK_SET ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

std::size_t HttpExchange::take_body(char *from, std::size_t size, std::size_t count, void *self) {
  auto *exchange = static_cast<HttpExchange *>(self);
  const std::size_t most = exchange->request_.max_reply;
  HttpReply &reply = exchange->reply_;
  const std::size_t length = size * count;
  // What is returned short ends the transfer. No exception may cross libcurl.
  try {
    if (length > most - reply.body.size()) {
      reply.error = "the answer is longer than " + std::to_string(most) + " bytes";
      return 0;
    }
    reply.body.append(from, length);
    return length;
  } catch (const std::exception &) {
    return 0;
  }
}

std::size_t HttpExchange::take_header(char *from, std::size_t size, std::size_t count, void *self) {
  constexpr std::string_view name = "date:";
  const std::string_view line(from, size * count);
  if (line.size() <= name.size() || strncasecmp(line.data(), name.data(), name.size()) != 0) {
    return line.size();
  }
  try {
    const std::string value(line.substr(name.size()));
    const std::time_t date = curl_getdate(value.c_str(), nullptr);
    if (date > 0) static_cast<HttpExchange *>(self)->reply_.date = date;
    return line.size();
  } catch (const std::exception &) {
    return 0;
  }
}

}  // namespace idgen
