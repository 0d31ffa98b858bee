#include "etcd_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "network/now.h"

extern char **environ;

namespace idgen {
namespace {

// Ports that are free now; held all at once, so that they differ.
std::vector<std::uint16_t> free_ports(std::size_t count) {
  std::vector<std::uint16_t> ports;
  std::vector<int> sockets;
  for (std::size_t i = 0; i < count; ++i) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    bind(socket, reinterpret_cast<sockaddr *>(&address), length);
    getsockname(socket, reinterpret_cast<sockaddr *>(&address), &length);
    ports.push_back(ntohs(address.sin_port));
    sockets.push_back(socket);
  }
  for (const int socket : sockets) close(socket);
  return ports;
}

pid_t spawn(const TestFolder &folder, const std::vector<std::string> &command) {
  std::vector<char *> arguments;
  for (const std::string &argument : command)
    arguments.push_back(const_cast<char *>(argument.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const std::string log = folder.path() + "/log";
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  pid_t pid = -1;
  const int failed = posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) throw std::runtime_error("could not start " + command[0]);
  return pid;
}

std::string loopback(std::uint16_t port) {
  return "127.0.0.1:" + std::to_string(port);
}

}  // namespace

TestFolder::TestFolder() : path_(testing::TempDir() + "idgen-etcd-XXXXXX") {
  if (mkdtemp(path_.data()) == nullptr) throw std::runtime_error("could not make " + path_);
}

TestFolder::~TestFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

int run_program(const TestFolder &folder, const std::vector<std::string> &command) {
  const pid_t pid = spawn(folder, command);
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

EtcdCluster::EtcdCluster(std::size_t members, std::vector<std::string> arguments, bool tls)
    : arguments_(std::move(arguments)), scheme_(tls ? "https://" : "http://") {
  const std::vector<std::uint16_t> ports = free_ports(2 * members);
  for (std::size_t i = 0; i < members; ++i) {
    members_.push_back({"m" + std::to_string(i), ports[2 * i], ports[2 * i + 1], -1});
  }
  // etcd 3.4 refuses to run on arm64 unless asked to, and etcdctl wants to know
  // which interface it speaks.
  setenv("ETCD_UNSUPPORTED_ARCH", "arm64", 1);
  setenv("ETCDCTL_API", "3", 1);
}

EtcdCluster::~EtcdCluster() {
  for (std::size_t i = 0; i < members_.size(); ++i) kill(i);
}

std::string EtcdCluster::peers() const {
  std::string list;
  for (const Member &member : members_) {
    list += (list.empty() ? "" : ",") + member.name + "=http://" + loopback(member.peer_port);
  }
  return list;
}

std::string EtcdCluster::data_of(const Member &member) const {
  return folder_.path() + "/" + member.name;
}

void EtcdCluster::start() {
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if (members_[i].pid < 0) start(i);
  }
}

void EtcdCluster::start(std::size_t member) {
  Member &which = members_[member];
  const std::string client = scheme_ + loopback(which.client_port);
  const std::string peer = "http://" + loopback(which.peer_port);
  // It ends with the test, however that ends.
  std::vector<std::string> command = {"setpriv",
                                      "--pdeathsig",
                                      "KILL",
                                      "etcd",
                                      "--name",
                                      which.name,
                                      "--data-dir",
                                      data_of(which),
                                      "--listen-client-urls",
                                      client,
                                      "--advertise-client-urls",
                                      client,
                                      "--listen-peer-urls",
                                      peer,
                                      "--initial-advertise-peer-urls",
                                      peer,
                                      "--initial-cluster",
                                      peers(),
                                      "--initial-cluster-token",
                                      folder_.path(),
                                      "--heartbeat-interval",
                                      "50",
                                      "--election-timeout",
                                      "500",
                                      "--bcrypt-cost",
                                      "4",
                                      "--logger",
                                      "zap",
                                      "--log-level",
                                      "error"};
  command.insert(command.end(), arguments_.begin(), arguments_.end());
  which.pid = spawn(folder_, command);
}

void EtcdCluster::kill(std::size_t member) {
  pid_t &pid = members_[member].pid;
  if (pid < 0) return;
  ::kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  pid = -1;
}

void EtcdCluster::freeze(std::size_t member) {
  ::kill(members_[member].pid, SIGSTOP);
  waitpid(members_[member].pid, nullptr, WUNTRACED);  // until all its threads stand
}

void EtcdCluster::thaw(std::size_t member) {
  ::kill(members_[member].pid, SIGCONT);
}

void EtcdCluster::restore(const std::string &snapshot) {
  for (const Member &member : members_) {
    ASSERT_TRUE(control({"snapshot", "restore", snapshot, "--data-dir", data_of(member), "--name",
                         member.name, "--initial-cluster", peers(), "--initial-cluster-token",
                         folder_.path(), "--initial-advertise-peer-urls",
                         "http://" + loopback(member.peer_port)}));
  }
}

bool EtcdCluster::control(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), {"etcdctl", "--endpoints", hosts()});
  return run_program(folder_, arguments) == 0;
}

std::string EtcdCluster::host(std::size_t member) const {
  return loopback(members_[member].client_port);
}

std::string EtcdCluster::hosts() const {
  std::string list;
  for (const Member &member : members_) {
    list += (list.empty() ? "" : ",") + loopback(member.client_port);
  }
  return list;
}

std::size_t EtcdCluster::leader() const {
  for (std::size_t i = 0; i < members_.size(); ++i) {
    EtcdUrl url;
    url.endpoints = {{"127.0.0.1", members_[i].client_port}};
    EtcdClient client(std::move(url));
    client.begin({"/v3/maintenance/status", "{}", false, monotonic_now() + kTestSecond});
    EtcdAnswer answer;
    while (!client.poll(answer)) usleep(1000);
    std::uint64_t self = 0;
    std::uint64_t leader = 0;
    if (read_number(member(answer.body.get(), "header"), "member_id", self) &&
        read_number(answer.body.get(), "leader", leader) && leader != 0 && leader == self) {
      return i;
    }
  }
  ADD_FAILURE() << "no member leads";
  return 0;
}

EtcdAnswer EtcdCluster::ask(const std::string &path, const std::string &body) const {
  EtcdUrl url;
  std::string why;
  EXPECT_TRUE(parse_etcd_url("etcd://" + hosts() + "/test", url, why)) << why;
  EtcdClient client(std::move(url));
  client.begin({path, body, false, monotonic_now() + kStepTimeout});
  EtcdAnswer answer;
  while (!client.poll(answer)) usleep(1000);
  EXPECT_EQ(answer.kind, EtcdAnswer::Kind::ok) << answer.message;
  return answer;
}

StoreResult finish(FleetStore &store, std::int64_t timeout) {
  StoreResult result;
  const std::int64_t begun = monotonic_now();
  while (!store.poll(result)) {
    const Wait wait = store.waits_for();
    const std::int64_t now = monotonic_now();
    if (now - begun > timeout + kTestSecond) {
      ADD_FAILURE() << "the step doesn't end";
      break;
    }
    pollfd descriptor = {wait.descriptor, static_cast<short>(wait.for_writing ? POLLOUT : POLLIN),
                         0};
    const std::int64_t left =
        std::min((wait.until - now) / kTestMs + 1, (timeout + kTestSecond) / kTestMs);
    ::poll(&descriptor, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
  }
  EXPECT_LE(monotonic_now() - begun, timeout + kTestSecond / 2);
  EXPECT_EQ(result.message.empty(), result.outcome == StoreOutcome::done) << result.message;
  EXPECT_EQ(result.message.find("SECRET"), std::string::npos) << result.message;
  EXPECT_EQ(result.message.find('\n'), std::string::npos) << result.message;
  return result;
}

StoreResult read(FleetStore &store, std::uint32_t first, std::uint32_t last, std::int64_t timeout) {
  store.read(first, last, timeout);
  return finish(store, timeout);
}

StoreResult write(FleetStore &store, const FleetWrite &write, std::int64_t timeout) {
  store.write(write, timeout);
  return finish(store, timeout);
}

void wait_until_ready(FleetStore &store) {
  const std::int64_t begun = monotonic_now();
  StoreResult result;
  while (monotonic_now() - begun < 15 * kTestSecond) {
    result = read(store, 0, 0, kTestSecond);
    if (result.outcome == StoreOutcome::done) return;
    usleep(20'000);
  }
  FAIL() << "etcd is not ready: " << result.message;
}

}  // namespace idgen
