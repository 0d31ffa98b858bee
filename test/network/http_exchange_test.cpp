// What an HTTP exchange promises, against a server that misbehaves on purpose.

#include "network/http_exchange.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>

#include "network/now.h"

namespace {

[[maybe_unused]] std::atomic<int> threads_made{0};
[[maybe_unused]] std::atomic<int> threads_with_open_signals{0};

}  // namespace

// Sanitizers have a pthread_create of their own.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IDGEN_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IDGEN_SANITIZED
#endif
#endif
#ifndef IDGEN_SANITIZED
// libcurl's calls come here, too: a program's symbols go before its libraries'.
extern "C" __attribute__((visibility("default"))) int pthread_create(
    pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
    void *argument) noexcept {
  using Create = int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
  static const auto real = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  ++threads_made;
  for (const int signal : {SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGCHLD, SIGURG}) {
    if (sigismember(&mask, signal) == 0) {
      ++threads_with_open_signals;
      break;
    }
  }
  return real(thread, attributes, start, argument);
}
#endif

namespace idgen {
namespace {

constexpr std::int64_t kMs = 1'000'000;

// Answers each connection by a function of its own, one after the other.
class Server {
 public:
  using Talk = std::function<void(int connection)>;

  explicit Server(Talk talk) : talk_(std::move(talk)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    bind(listener_, reinterpret_cast<sockaddr *>(&address), length);
    listen(listener_, 8);
    getsockname(listener_, reinterpret_cast<sockaddr *>(&address), &length);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] {
      for (;;) {
        const int connection = accept(listener_, nullptr, nullptr);
        if (connection < 0) return;
        ++connections;
        talk_(connection);
        close(connection);
      }
    });
  }
  Server(const Server &) = delete;
  Server &operator=(const Server &) = delete;
  ~Server() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/"; }

  // A whole request with its body, or what there is when the other side is done.
  static std::string read_request(int connection) {
    std::string request;
    char buffer[65536];
    for (;;) {
      const std::size_t end = request.find("\r\n\r\n");
      if (end != std::string::npos) {
        const std::size_t length = request.find("Content-Length: ");
        const auto size = std::strtoul(request.c_str() + length + 16, nullptr, 10);
        if (request.size() >= end + 4 + size) return request;
      }
      const ssize_t got = recv(connection, buffer, sizeof(buffer), 0);
      if (got <= 0) return request;
      request.append(buffer, static_cast<std::size_t>(got));
    }
  }

  static void say(int connection, const std::string &text) {
    for (std::size_t at = 0; at < text.size();) {
      const ssize_t sent = send(connection, text.data() + at, text.size() - at, MSG_NOSIGNAL);
      if (sent <= 0) return;
      at += static_cast<std::size_t>(sent);
    }
  }

  std::atomic<int> connections{0};
  std::atomic<int> requests{0};

 private:
  Talk talk_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

const std::string kAnswer =
    "HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 2\r\n\r\n{}";

HttpRequest request_to(const std::string &url, std::int64_t timeout = 5000 * kMs) {
  const std::int64_t now = monotonic_now();
  return {url, "{\"a\":1}", {"Content-Type: application/json"}, now + timeout, now + timeout};
}

// Waits as a worker does: for the descriptor, or for the time.
HttpReply finish(HttpExchange &exchange) {
  HttpReply reply;
  while (!exchange.poll(reply)) {
    const Wait wait = exchange.waits_for();
    pollfd descriptor = {wait.descriptor, POLLIN, 0};
    const std::int64_t left = (wait.until - monotonic_now()) / kMs + 1;
    ::poll(&descriptor, 1, static_cast<int>(std::clamp<std::int64_t>(left, 0, 20000)));
  }
  EXPECT_FALSE(exchange.busy());
  return reply;
}

TEST(HttpExchange, a_request_is_answered_on_a_kept_connection) {
  std::string last;
  Server server([&](int connection) {
    for (std::string text; !(text = Server::read_request(connection)).empty();) {
      last = text;
      Server::say(connection, kAnswer);
    }
  });
  {
    HttpExchange exchange({});
    for (int i = 0; i < 3; ++i) {
      exchange.begin(request_to(server.url() + "v3/x"));
      const HttpReply reply = finish(exchange);
      ASSERT_EQ(reply.end, HttpEnd::answered) << reply.error;
      EXPECT_EQ(reply.status, 200);
      EXPECT_EQ(reply.body, "{}");
      EXPECT_EQ(reply.date, 784111777);
    }
  }
  EXPECT_EQ(server.connections, 1);
  EXPECT_TRUE(last.starts_with("POST /v3/x HTTP/1.1\r\n")) << last;
  EXPECT_TRUE(last.ends_with("\r\n\r\n{\"a\":1}")) << last;
  EXPECT_NE(last.find("\r\nContent-Type: application/json\r\n"), std::string::npos) << last;
  EXPECT_EQ(last.find("Expect"), std::string::npos) << last;
}

TEST(HttpExchange, a_request_is_never_sent_twice_by_itself) {
  Server server([&](int connection) {
    while (!Server::read_request(connection).empty()) {
      // Carried out, but the answer doesn't come.
      if (++server.requests == 2) return;
      Server::say(connection, kAnswer);
    }
  });
  HttpExchange exchange({});
  exchange.begin(request_to(server.url()));
  ASSERT_EQ(finish(exchange).end, HttpEnd::answered);
  exchange.begin(request_to(server.url()));
  const HttpReply reply = finish(exchange);
  EXPECT_EQ(reply.end, HttpEnd::lost);
  EXPECT_FALSE(reply.error.empty());
  EXPECT_EQ(server.requests, 2);
  exchange.begin(request_to(server.url()));
  EXPECT_EQ(finish(exchange).end, HttpEnd::answered);
  EXPECT_EQ(server.requests, 3);
}

TEST(HttpExchange, a_request_leaves_without_being_polled_for) {
  Server server([&](int connection) {
    while (!Server::read_request(connection).empty()) {
      Server::say(connection, kAnswer);
      ++server.requests;
    }
  });
  HttpExchange exchange({});
  exchange.begin(request_to(server.url()));
  ASSERT_EQ(finish(exchange).end, HttpEnd::answered);
  exchange.begin(request_to(server.url()));
  // Answered, too: over the loopback what has been sent is there.
  for (int i = 0; i < 500 && server.requests < 2; ++i) usleep(10'000);
  EXPECT_EQ(server.requests, 2);
  // And its answer needs one call.
  HttpReply reply;
  EXPECT_TRUE(exchange.poll(reply));
  EXPECT_EQ(reply.end, HttpEnd::answered);
}

TEST(HttpExchange, nobody_there_means_not_sent) {
  std::string url;
  {
    Server server([](int) {});
    url = server.url();
  }
  HttpExchange exchange({});
  exchange.begin(request_to(url));
  const HttpReply reply = finish(exchange);
  EXPECT_EQ(reply.end, HttpEnd::not_sent);
  EXPECT_FALSE(reply.needs_operator);
}

TEST(HttpExchange, silence_ends_at_the_deadline) {
  Server server([&](int connection) {
    Server::read_request(connection);
    Server::read_request(connection);
  });
  HttpExchange exchange({});
  const std::int64_t before = monotonic_now();
  exchange.begin(request_to(server.url(), 300 * kMs));
  const HttpReply reply = finish(exchange);
  const std::int64_t took = monotonic_now() - before;
  EXPECT_EQ(reply.end, HttpEnd::lost);
  EXPECT_GE(took, 290 * kMs);
  EXPECT_LE(took, 1500 * kMs);
}

TEST(HttpExchange, begin_and_poll_do_not_wait) {
  Server server([&](int connection) {
    Server::read_request(connection);
    Server::read_request(connection);
  });
  HttpExchange exchange({});
  const std::int64_t before = monotonic_now();
  exchange.begin(request_to(server.url()));
  HttpReply reply;
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(exchange.poll(reply));
  exchange.give_up();
  EXPECT_LE(monotonic_now() - before, 1000 * kMs);
  EXPECT_FALSE(exchange.busy());
  EXPECT_FALSE(exchange.poll(reply));
}

TEST(HttpExchange, an_answer_cut_short_is_none) {
  Server server([](int connection) {
    Server::read_request(connection);
    Server::say(connection, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{");
  });
  HttpExchange exchange({});
  exchange.begin(request_to(server.url()));
  EXPECT_EQ(finish(exchange).end, HttpEnd::lost);
}

TEST(HttpExchange, an_answer_without_end_is_cut_off) {
  Server server([](int connection) {
    Server::read_request(connection);
    Server::say(connection, "HTTP/1.1 200 OK\r\n\r\n" + std::string(1 << 20, ' '));
  });
  HttpExchange exchange({});
  exchange.begin(request_to(server.url()));
  const HttpReply reply = finish(exchange);
  EXPECT_EQ(reply.end, HttpEnd::lost);
  EXPECT_NE(reply.error.find("longer than"), std::string::npos) << reply.error;
}

TEST(HttpExchange, a_large_request_arrives_whole) {
  std::string got;
  Server server([&](int connection) {
    got = Server::read_request(connection);
    Server::say(connection, kAnswer);
  });
  HttpExchange exchange({});
  HttpRequest request = request_to(server.url());
  request.body = std::string(3 << 20, 'x');
  exchange.begin(std::move(request));
  EXPECT_EQ(finish(exchange).end, HttpEnd::answered);
  EXPECT_TRUE(got.ends_with("\r\n\r\n" + std::string(3 << 20, 'x')));
}

TEST(HttpExchange, no_redirect_is_followed) {
  Server server([&](int connection) {
    while (!Server::read_request(connection).empty()) {
      ++server.requests;
      Server::say(connection, "HTTP/1.1 307 Go\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n");
    }
  });
  HttpExchange exchange({});
  exchange.begin(request_to(server.url()));
  EXPECT_EQ(finish(exchange).status, 307);
  EXPECT_EQ(server.requests, 1);
}

TEST(HttpExchange, no_proxy_of_the_environment_is_used) {
  Server server([](int connection) {
    Server::read_request(connection);
    Server::say(connection, kAnswer);
  });
  for (const char *name : {"http_proxy", "all_proxy", "ALL_PROXY"}) {
    setenv(name, "http://127.0.0.1:1", 1);
  }
  HttpExchange exchange({});
  exchange.begin(request_to(server.url()));
  const HttpReply reply = finish(exchange);
  for (const char *name : {"http_proxy", "all_proxy", "ALL_PROXY"}) unsetenv(name);
  EXPECT_EQ(reply.end, HttpEnd::answered) << reply.error;
}

TEST(HttpExchange, only_http_is_spoken) {
  HttpExchange exchange({});
  exchange.begin(request_to("file:///etc/passwd"));
  EXPECT_EQ(finish(exchange).end, HttpEnd::not_sent);
}

TEST(HttpExchange, an_unknown_name_is_not_waited_for_beyond_the_deadline) {
  const std::int64_t before = monotonic_now();
  {
    HttpExchange exchange({});
    exchange.begin(request_to("http://no-such-host.invalid:1/", 500 * kMs));
    EXPECT_EQ(finish(exchange).end, HttpEnd::not_sent);
  }
  EXPECT_LE(monotonic_now() - before, 1500 * kMs);
}

#ifndef IDGEN_SANITIZED
TEST(HttpExchange, threads_of_libcurl_take_no_signals) {
  threads_made = 0;
  threads_with_open_signals = 0;
  HttpExchange exchange({});
  exchange.begin(request_to("http://no-such-host.invalid:1/", 1000 * kMs));
  EXPECT_EQ(finish(exchange).end, HttpEnd::not_sent);
  EXPECT_GE(threads_made, 1);  // the resolver's
  EXPECT_EQ(threads_with_open_signals, 0);
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  EXPECT_EQ(sigismember(&mask, SIGTERM), 0);  // ours are open again
}
#endif

}  // namespace
}  // namespace idgen
