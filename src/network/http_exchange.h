// One HTTP POST at a time, by libcurl, never blocking.
//
// Connections are kept and used again. Threads that libcurl makes (its resolver)
// have all signals blocked: in a PostgreSQL process only the main thread may
// take one. SIGPIPE must be ignored in the process, as a worker's is.

#ifndef IDGEN_NETWORK_HTTP_EXCHANGE_H
#define IDGEN_NETWORK_HTTP_EXCHANGE_H

#include <curl/curl.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "registry/registry.h"

namespace idgen {

struct HttpTls {
  bool verify = true;  // the server's certificate, and that it is the host's
  // PEM files. No ca_file: the system's authorities. No key_file: the key is in
  // certificate_file.
  std::string ca_file;
  std::string certificate_file;
  std::string key_file;
};

struct HttpRequest {
  std::string url;  // http://... or https://..., without credentials
  std::string body;
  std::vector<std::string> headers;  // "Name: value"
  // CLOCK_MONOTONIC, ns: until when to be connected (TLS included), and answered.
  std::int64_t connect_by = 0;
  std::int64_t deadline = 0;
  // A longer body ends the exchange.
  std::size_t max_reply = kDefaultMaxReply;

  static constexpr std::size_t kDefaultMaxReply = std::size_t{64} << 10;
};

enum class HttpEnd : std::uint8_t {
  answered,  // by whatever status
  not_sent,  // failed, and nothing of the body has been sent
  lost,      // failed, and it may have reached the server
};

struct HttpReply {
  HttpEnd end = HttpEnd::lost;
  long status = 0;
  std::string body;
  std::int64_t date = 0;        // the header Date as Unix time, s; 0: none
  std::string error;            // unless answered: one line
  bool needs_operator = false;  // unless answered: a certificate that won't do
};

class HttpExchange {
 public:
  // Throws std::system_error or std::bad_alloc.
  explicit HttpExchange(const HttpTls &tls);
  HttpExchange(const HttpExchange &) = delete;
  HttpExchange &operator=(const HttpExchange &) = delete;
  ~HttpExchange();

  // Starts a request; none may be in flight. It is sent at once where a kept
  // connection has room for it, so that it reaches the server even if nobody polls.
  // It is never sent a second time once its body may have reached the server.
  void begin(HttpRequest request);
  // True, once, when the reply or the failure is there. False if none is in flight.
  bool poll(HttpReply &reply);
  bool busy() const noexcept { return busy_; }
  // Forgets the request in flight, if there is one.
  void give_up();
  // While busy: when poll() is worth calling.
  Wait waits_for() const noexcept { return {epoll_, false, timer_at_}; }

 private:
  void set_options(const HttpTls &tls);
  void drive();
  void finish(CURLcode code, HttpReply &reply);

  static int watch_socket(CURL *easy, curl_socket_t socket, int what, void *self, void *);
  static int set_timer(CURLM *multi, long timeout_ms, void *self);
  static std::size_t give_body(char *to, std::size_t size, std::size_t count, void *self);
  static int rewind_body(void *self, curl_off_t offset, int origin);
  static std::size_t take_body(char *from, std::size_t size, std::size_t count, void *self);
  static std::size_t take_header(char *from, std::size_t size, std::size_t count, void *self);

  CURLM *multi_ = nullptr;
  CURL *easy_ = nullptr;
  int epoll_ = -1;
  std::int64_t timer_at_ = INT64_MAX;  // when libcurl wants to be called
  bool busy_ = false;
  HttpRequest request_;
  curl_slist *headers_ = nullptr;
  std::size_t given_ = 0;  // of request_.body
  HttpReply reply_;
  std::array<char, CURL_ERROR_SIZE> error_{};
};

}  // namespace idgen

#endif  // IDGEN_NETWORK_HTTP_EXCHANGE_H
