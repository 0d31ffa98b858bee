// Real etcd members on loopback for the tests, and how a step is waited for.

#ifndef IDGEN_TEST_NETWORK_ETCD_SERVER_H
#define IDGEN_TEST_NETWORK_ETCD_SERVER_H

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "network/etcd_client.h"
#include "registry/fleet_store.h"

namespace idgen {

inline constexpr std::int64_t kTestMs = 1'000'000;
inline constexpr std::int64_t kTestSecond = 1000 * kTestMs;
// Of an ordinary step on a busy machine.
inline constexpr std::int64_t kStepTimeout = 10 * kTestSecond;

// A folder of its own, removed with all in it.
class TestFolder {
 public:
  TestFolder();
  TestFolder(const TestFolder &) = delete;
  TestFolder &operator=(const TestFolder &) = delete;
  ~TestFolder();
  const std::string &path() const { return path_; }

 private:
  std::string path_;
};

// Runs a program to its end; its output goes to the folder's "log". Its exit code.
int run_program(const TestFolder &folder, const std::vector<std::string> &command);

class EtcdCluster {
 public:
  // Members with free ports. `arguments` are added to each one's; with `tls`
  // clients are served by https.
  explicit EtcdCluster(std::size_t members, std::vector<std::string> arguments = {},
                       bool tls = false);
  EtcdCluster(const EtcdCluster &) = delete;
  EtcdCluster &operator=(const EtcdCluster &) = delete;
  ~EtcdCluster();

  void start();  // all that don't run
  void start(std::size_t member);
  void kill(std::size_t member);    // SIGKILL
  void freeze(std::size_t member);  // SIGSTOP
  void thaw(std::size_t member);
  // Fills the members' folders from a snapshot, before they are started.
  void restore(const std::string &snapshot);
  // Runs etcdctl on the cluster; true if that went well.
  bool control(std::vector<std::string> arguments) const;
  // The one that leads, asked of the others.
  std::size_t leader() const;

  std::size_t size() const { return members_.size(); }
  std::string host(std::size_t member) const;  // "127.0.0.1:1"
  std::string hosts() const;                   // all, with commas
  // One call of the gateway, as the store would make it.
  EtcdAnswer ask(const std::string &path, const std::string &body) const;
  const TestFolder &folder() const { return folder_; }

 private:
  struct Member {
    std::string name;
    std::uint16_t client_port = 0;
    std::uint16_t peer_port = 0;
    pid_t pid = -1;
  };

  std::string peers() const;
  std::string data_of(const Member &member) const;

  TestFolder folder_;
  std::vector<Member> members_;
  std::vector<std::string> arguments_;
  std::string scheme_;
};

// Waits for the step in flight as a worker does, and for no longer than `timeout`
// and a bit. No message has a password in it: those of the tests hold "SECRET".
StoreResult finish(FleetStore &store, std::int64_t timeout = kStepTimeout);

StoreResult read(FleetStore &store, std::uint32_t first, std::uint32_t last,
                 std::int64_t timeout = kStepTimeout);
StoreResult write(FleetStore &store, const FleetWrite &write, std::int64_t timeout = kStepTimeout);

// Until the store can read, which must be within 15 s.
void wait_until_ready(FleetStore &store);

}  // namespace idgen

#endif  // IDGEN_TEST_NETWORK_ETCD_SERVER_H
