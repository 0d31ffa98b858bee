// A proxy before a real etcd that loses, holds back or alters what passes.

#ifndef IDGEN_TEST_NETWORK_ETCD_PROXY_H
#define IDGEN_TEST_NETWORK_ETCD_PROXY_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace idgen {

class EtcdProxy {
 public:
  enum class Fate : std::uint8_t {
    pass,
    lose_answer,  // carried out, and the connection closed
    hold,         // not carried out, and no answer
    strip_date,   // carried out, and the answer without its Date
    no_json,      // not carried out, and answered with nonsense
    no_leader,    // not carried out, and answered with an error of etcd's
  };
  // Of each request, whole as it came.
  using Judge = std::function<Fate(const std::string &request)>;

  // Before 127.0.0.1:`port`, as in "127.0.0.1:1234".
  explicit EtcdProxy(const std::string &target)
      : target_(static_cast<std::uint16_t>(
            std::strtoul(target.c_str() + target.find(':') + 1, nullptr, 10))) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(0);
    socklen_t length = sizeof(address);
    bind(listener_, reinterpret_cast<sockaddr *>(&address), length);
    listen(listener_, 16);
    getsockname(listener_, reinterpret_cast<sockaddr *>(&address), &length);
    host_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    acceptor_ = std::thread([this] { accept_all(); });
  }
  EtcdProxy(const EtcdProxy &) = delete;
  EtcdProxy &operator=(const EtcdProxy &) = delete;
  ~EtcdProxy() {
    shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    close(listener_);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      for (const int connection : connections_) shutdown(connection, SHUT_RDWR);
    }
    for (std::thread &talk : talks_) talk.join();
    for (const int connection : connections_) close(connection);
  }

  const std::string &host() const { return host_; }
  void judge_by(Judge judge) {
    const std::lock_guard<std::mutex> lock(mutex_);
    judge_ = std::move(judge);
  }

 private:
  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
  }

  void accept_all() {
    for (;;) {
      const int connection = accept(listener_, nullptr, nullptr);
      if (connection < 0) return;
      const std::lock_guard<std::mutex> lock(mutex_);
      connections_.push_back(connection);
      talks_.emplace_back([this, connection] {
        talk(connection);
        shutdown(connection, SHUT_RDWR);
      });
    }
  }

  // One request a connection.
  void talk(int connection) {
    std::string request;
    if (!receive_request(connection, request)) return;
    Fate fate = Fate::pass;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (judge_) fate = judge_(request);
    }
    std::string answer;
    if (fate == Fate::hold) {
      receive(connection, request);  // until the other side has enough of it
    } else if (fate == Fate::no_json) {
      answer = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>";
    } else if (fate == Fate::no_leader) {
      const std::string error = R"({"error":"etcdserver: no leader","code":14})";
      answer =
          "HTTP/1.1 503 Service Unavailable\r\nContent-Length: " + std::to_string(error.size()) +
          "\r\n\r\n" + error;
    } else {
      answer = carry_out(request);
    }
    if (fate == Fate::lose_answer) return;
    const std::size_t date = answer.find("\r\nDate: ");
    if (fate == Fate::strip_date && date != std::string::npos) {
      answer.erase(date, answer.find("\r\n", date + 2) - date);
    }
    send(connection, answer.data(), answer.size(), MSG_NOSIGNAL);
  }

  static bool receive(int from, std::string &text) {
    char buffer[65536];
    const ssize_t got = recv(from, buffer, sizeof(buffer), 0);
    if (got > 0) text.append(buffer, static_cast<std::size_t>(got));
    return got > 0;
  }

  static bool receive_request(int from, std::string &request) {
    for (;;) {
      const std::size_t end = request.find("\r\n\r\n");
      if (end != std::string::npos) {
        const std::size_t length = request.find("Content-Length: ");
        const auto size = std::strtoul(request.c_str() + length + 16, nullptr, 10);
        if (request.size() >= end + 4 + size) return true;
      }
      if (!receive(from, request)) return false;
    }
  }

  std::string carry_out(std::string request) const {
    request.insert(request.find("\r\n") + 2, "Connection: close\r\n");
    const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(target_);
    std::string answer;
    if (connect(server, reinterpret_cast<const sockaddr *>(&address), sizeof(address)) == 0) {
      send(server, request.data(), request.size(), MSG_NOSIGNAL);
      while (receive(server, answer)) {
      }
    }
    close(server);
    return answer;
  }

  std::uint16_t target_;
  int listener_ = -1;
  std::string host_;
  std::thread acceptor_;
  std::mutex mutex_;  // guards what follows
  Judge judge_;
  std::vector<int> connections_;
  std::vector<std::thread> talks_;
};

}  // namespace idgen

#endif  // IDGEN_TEST_NETWORK_ETCD_PROXY_H
