// Members that die or hang, and how one is let in: authentication and TLS.

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "etcd_fixture.h"

namespace idgen {
namespace {

class EtcdOutageTest : public EtcdTest {
 protected:
  void TearDown() override {
    for (std::size_t i = 0; i < shared_cluster().size(); ++i) shared_cluster().thaw(i);
    shared_cluster().start();
    // Each of them, not only the majority.
    for (std::size_t i = 0; i < shared_cluster().size(); ++i) wait_until_ready(*open_at(i, 1));
  }

  // A store that talks to this member, until it can't, and then to the next.
  std::unique_ptr<FleetStore> open_at(std::size_t member, std::size_t count = 3) const {
    std::string hosts;
    for (std::size_t i = 0; i < count; ++i) {
      hosts += (i > 0 ? "," : "") + shared_cluster().host((member + i) % 3);
    }
    std::string error;
    auto store = open_etcd_store("etcd://" + hosts + "/" + prefix_, error);
    EXPECT_NE(store, nullptr) << error;
    return store;
  }

  // Extends the node until that works, in steps of a second; how long it took. What
  // was unknown is read and written anew, as a registry does.
  static std::int64_t extend_again(FleetStore &store, const FleetRoot &root) {
    const std::int64_t begun = monotonic_now();
    while (monotonic_now() - begun < 10 * kTestSecond) {
      StoreResult result = read(store, 7, 7, kTestSecond);
      EXPECT_TRUE(result.outcome == StoreOutcome::done || result.outcome == StoreOutcome::unknown)
          << result.message;
      if (result.outcome != StoreOutcome::done) continue;
      result = write(store, extending(root, result.view.nodes), kTestSecond);
      if (result.outcome == StoreOutcome::done) break;
      EXPECT_NE(result.outcome, StoreOutcome::refused) << result.message;
    }
    return monotonic_now() - begun;
  }

  std::size_t a_follower() const { return (shared_cluster().leader() + 1) % 3; }
};

TEST_F(EtcdOutageTest, a_dead_member_costs_no_step) {
  const FleetRoot root = make_fleet();
  const std::vector<FleetNode> held = take(root, 7);
  const std::size_t member = a_follower();
  const auto store = open_at(member);
  ASSERT_EQ(read(*store, 0, 9).outcome, StoreOutcome::done);
  shared_cluster().kill(member);
  EXPECT_EQ(write(*store, extending(root, held), 2 * kTestSecond).outcome, StoreOutcome::done);
}

TEST_F(EtcdOutageTest, a_hanging_member_costs_a_read_its_share_only) {
  make_fleet();
  const std::size_t member = a_follower();
  const auto store = open_at(member);
  ASSERT_EQ(read(*store, 0, 9).outcome, StoreOutcome::done);
  shared_cluster().freeze(member);
  const std::int64_t begun = monotonic_now();
  EXPECT_EQ(read(*store, 0, 9, 2 * kTestSecond).outcome, StoreOutcome::done);
  EXPECT_GE(monotonic_now() - begun, 2 * kTestSecond / 3);  // it did hang
}

TEST_F(EtcdOutageTest, after_a_hanging_member_the_next_step_works) {
  const FleetRoot root = make_fleet();
  const std::vector<FleetNode> held = take(root, 7);
  const std::size_t member = a_follower();
  const auto store = open_at(member);
  ASSERT_EQ(read(*store, 0, 9).outcome, StoreOutcome::done);
  shared_cluster().freeze(member);
  // It may have been done, so it is not asked of another member.
  FleetWrite extension = extending(root, held);
  extension.state = NodeState::free;  // no lease to be granted first
  EXPECT_EQ(write(*store, extension, kTestSecond).outcome, StoreOutcome::unknown);
  EXPECT_LE(extend_again(*store, root), 2 * kTestSecond);
  // And what it does late changes nothing.
  const FleetNode before = seen(7, 7).nodes.at(0);
  shared_cluster().thaw(member);
  usleep(300'000);  // that nothing happens can't be waited for
  EXPECT_EQ(seen(7, 7).nodes.at(0).value, before.value);
}

TEST_F(EtcdOutageTest, after_the_leaders_death_steps_work_within_two_seconds) {
  const FleetRoot root = make_fleet();
  take(root, 7);
  const std::size_t member = shared_cluster().leader();
  const auto store = open_at(member);
  ASSERT_EQ(read(*store, 0, 9).outcome, StoreOutcome::done);
  shared_cluster().kill(member);
  EXPECT_LE(extend_again(*store, root), 2 * kTestSecond);
}

TEST_F(EtcdOutageTest, after_the_leader_hangs_steps_work_within_two_seconds) {
  const FleetRoot root = make_fleet();
  take(root, 7);
  const std::size_t member = shared_cluster().leader();
  const auto store = open_at(member);
  ASSERT_EQ(read(*store, 0, 9).outcome, StoreOutcome::done);
  shared_cluster().freeze(member);
  EXPECT_LE(extend_again(*store, root), 2 * kTestSecond);
}

TEST_F(EtcdOutageTest, with_all_down_a_step_is_unknown_and_later_works_again) {
  const FleetRoot root = make_fleet();
  const std::vector<FleetNode> held = take(root, 7);
  for (std::size_t i = 0; i < 3; ++i) shared_cluster().freeze(i);
  EXPECT_EQ(read(*store_, 0, 9, kTestSecond).outcome, StoreOutcome::unknown);
  EXPECT_EQ(write(*store_, extending(root, held), kTestSecond).outcome, StoreOutcome::unknown);
  for (std::size_t i = 0; i < 3; ++i) shared_cluster().kill(i);
  EXPECT_EQ(read(*store_, 0, 9, kTestSecond).outcome, StoreOutcome::unknown);
  EXPECT_EQ(write(*store_, extending(root, held), kTestSecond).outcome, StoreOutcome::unknown);
  shared_cluster().start();
  EXPECT_LE(extend_again(*store_, root), 8 * kTestSecond);
  EXPECT_GE(read(*store_, 7, 7).view.nodes.at(0).ceiling, held[0].ceiling + 10);
}

// A minority answers nothing, and acknowledges nothing.
TEST_F(EtcdOutageTest, without_a_majority_every_step_is_unknown) {
  const FleetRoot root = make_fleet();
  const std::vector<FleetNode> held = take(root, 7);
  shared_cluster().kill(0);
  shared_cluster().kill(1);
  EXPECT_EQ(read(*store_, 0, 9, kTestSecond).outcome, StoreOutcome::unknown);
  EXPECT_EQ(write(*store_, extending(root, held), kTestSecond).outcome, StoreOutcome::unknown);
  shared_cluster().start();
  EXPECT_LE(extend_again(*store_, root), 8 * kTestSecond);
}

class EtcdAuthTest : public EtcdTest {
 protected:
  void SetUp() override {
    prefix_ = "fleet";
    cluster_.start();
    const auto nobody = open(cluster_);
    wait_until_ready(*nobody);
    make_fleet(*nobody);
    for (const std::vector<std::string> &command : std::vector<std::vector<std::string>>{
             {"user", "add", "root:ROOTSECRET"},
             {"user", "grant-role", "root", "root"},
             {"user", "add", "idgen:SECRET@/1"},
             {"role", "add", "fleet"},
             {"role", "grant-permission", "fleet", "--prefix=true", "readwrite", "fleet/"},
             {"user", "grant-role", "idgen", "fleet"},
             {"auth", "enable"}}) {
      ASSERT_TRUE(cluster_.control(command)) << command[0] << " " << command[1];
    }
  }

  bool as_root(std::vector<std::string> command) {
    command.insert(command.begin(), {"--user", "root:ROOTSECRET"});
    return cluster_.control(std::move(command));
  }

  EtcdCluster cluster_{1};
};

TEST_F(EtcdAuthTest, a_user_gets_in_and_others_do_not) {
  const auto store = open(cluster_, "idgen:SECRET%40%2F1@");
  StoreResult result = read(*store, 0, 9);
  ASSERT_EQ(result.outcome, StoreOutcome::done) << result.message;
  const FleetRoot root = result.view.root;
  result = write(*store, taking(root, untaken(7, 1), incarnation(1)));
  ASSERT_EQ(result.outcome, StoreOutcome::done) << result.message;
  std::vector<FleetNode> held = result.nodes;

  EXPECT_EQ(read(*open(cluster_), 0, 9).outcome, StoreOutcome::refused);
  EXPECT_EQ(read(*open(cluster_, "idgen:SECRET2@"), 0, 9).outcome, StoreOutcome::refused);
  EXPECT_EQ(read(*open(cluster_, "other:SECRET2@"), 0, 9).outcome, StoreOutcome::refused);
  prefix_ = "elsewhere";
  result = read(*open(cluster_, "idgen:SECRET%40%2F1@"), 0, 9);
  EXPECT_EQ(result.outcome, StoreOutcome::refused);
  EXPECT_NE(result.message.find("permission denied"), std::string::npos) << result.message;

  // A token that isn't valid any more is renewed within the step.
  result = write(*store, extending(root, held));
  ASSERT_EQ(result.outcome, StoreOutcome::done) << result.message;
  ASSERT_TRUE(as_root({"user", "delete", "idgen"}));
  ASSERT_TRUE(as_root({"user", "add", "idgen:SECRET@/1"}));
  EXPECT_EQ(write(*store, extending(root, result.nodes)).outcome, StoreOutcome::refused);
  ASSERT_TRUE(as_root({"user", "grant-role", "idgen", "fleet"}));
  result = write(*store, extending(root, result.nodes));
  EXPECT_EQ(result.outcome, StoreOutcome::done) << result.message;
}

TEST_F(EtcdAuthTest, the_password_file_is_read_at_each_login) {
  const std::string file = cluster_.folder().path() + "/pass";
  std::ofstream(file) << "SECRET@/1\n";
  std::string error;
  const std::string url = "etcd://idgen@" + cluster_.hosts() + "/fleet?passfile=" + file;
  ASSERT_EQ(chmod(file.c_str(), 0644), 0);
  EXPECT_EQ(open_etcd_store(url, error), nullptr);
  ASSERT_EQ(chmod(file.c_str(), 0600), 0);
  const auto store = open_etcd_store(url, error);
  ASSERT_NE(store, nullptr) << error;
  EXPECT_EQ(read(*store, 0, 9).outcome, StoreOutcome::done);
  ASSERT_TRUE(as_root({"user", "delete", "idgen"}));
  ASSERT_TRUE(as_root({"user", "add", "idgen:SECRET2"}));
  ASSERT_TRUE(as_root({"user", "grant-role", "idgen", "fleet"}));
  EXPECT_EQ(read(*store, 0, 9).outcome, StoreOutcome::refused);
  std::ofstream(file) << "SECRET2\n";
  StoreResult result = read(*store, 0, 9);
  EXPECT_EQ(result.outcome, StoreOutcome::done) << result.message;
  unlink(file.c_str());
  EXPECT_EQ(read(*store, 0, 9).outcome, StoreOutcome::done);  // the token does it
  ASSERT_TRUE(as_root({"user", "delete", "idgen"}));
  result = read(*store, 0, 9);
  EXPECT_EQ(result.outcome, StoreOutcome::refused);
  EXPECT_NE(result.message.find("password file"), std::string::npos) << result.message;
}

TEST_F(EtcdTest, a_user_where_there_is_no_authentication_gets_in) {
  const auto store = open(shared_cluster(), "idgen:SECRET@");
  EXPECT_EQ(read(*store, 0, 9).outcome, StoreOutcome::done);
}

class EtcdTlsTest : public EtcdTest {
 protected:
  void SetUp() override { prefix_ = "fleet"; }

  bool openssl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "openssl");
    return run_program(folder_, arguments) == 0;
  }

  std::string file(const std::string &name) const { return folder_.path() + "/" + name; }

  void make_authority(const std::string &name) {
    ASSERT_TRUE(openssl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                         "-nodes", "-days", "2", "-subj", "/CN=" + name, "-keyout",
                         file(name + ".key"), "-out", file(name + ".pem")}));
  }

  void make_certificate(const std::string &name, const std::string &subject_name) {
    std::ofstream(file(name + ".ext")) << "subjectAltName=" << subject_name << "\n";
    ASSERT_TRUE(
        openssl({"req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                 "/CN=" + name, "-keyout", file(name + ".key"), "-out", file(name + ".csr")}));
    ASSERT_TRUE(openssl({"x509", "-req", "-in", file(name + ".csr"), "-CA", file("ca.pem"),
                         "-CAkey", file("ca.key"), "-CAcreateserial", "-days", "2", "-extfile",
                         file(name + ".ext"), "-out", file(name + ".pem")}));
  }

  StoreResult read_with(const EtcdCluster &cluster, const std::string &options) const {
    return read(*open(cluster, "", options), 0, 9, 2 * kTestSecond);
  }

  TestFolder folder_;
};

TEST_F(EtcdTlsTest, a_server_is_trusted_by_its_authority_only) {
  make_authority("ca");
  make_authority("other");
  make_certificate("server", "IP:127.0.0.1");
  make_certificate("client", "DNS:client");
  const std::vector<std::string> served = {"--cert-file", file("server.pem"), "--key-file",
                                           file("server.key")};
  EtcdCluster cluster(1, served, true);
  cluster.start();
  const std::string trusted = "?cacert=" + file("ca.pem");
  wait_until_ready(*open(cluster, "", trusted));
  const auto store = open(cluster, "", trusted);
  const FleetRoot root = make_fleet(*store);
  EXPECT_EQ(write(*store, taking(root, untaken(7, 1), incarnation(1))).outcome, StoreOutcome::done);

  EXPECT_EQ(read_with(cluster, "?cacert=" + file("other.pem")).outcome, StoreOutcome::refused);
  EXPECT_EQ(read_with(cluster, "?tls=on").outcome, StoreOutcome::refused);
  EXPECT_EQ(read_with(cluster, "?cacert=" + file("none.pem")).outcome, StoreOutcome::refused);
  EXPECT_EQ(read_with(cluster, "?tls=noverify").outcome, StoreOutcome::done);
  const StoreResult plain = read_with(cluster, "");
  EXPECT_EQ(plain.outcome, StoreOutcome::unknown);
  EXPECT_NE(plain.message.find("does it expect TLS?"), std::string::npos) << plain.message;

  // The client's certificate, where it is asked for.
  std::vector<std::string> both = served;
  both.insert(both.end(), {"--client-cert-auth", "--trusted-ca-file", file("ca.pem")});
  EtcdCluster strict(1, both, true);
  strict.start();
  const std::string known = trusted + "&cert=" + file("client.pem") + "&key=" + file("client.key");
  wait_until_ready(*open(strict, "", known));
  EXPECT_EQ(read_with(strict, known).outcome, StoreOutcome::done);
  EXPECT_NE(read_with(strict, trusted).outcome, StoreOutcome::done);
  EXPECT_EQ(
      read_with(strict, trusted + "&cert=" + file("client.pem") + "&key=" + file("server.key"))
          .outcome,
      StoreOutcome::refused);
}

TEST_F(EtcdTlsTest, a_certificate_of_another_host_is_not_trusted) {
  make_authority("ca");
  make_certificate("server", "DNS:elsewhere");
  EtcdCluster cluster(1, {"--cert-file", file("server.pem"), "--key-file", file("server.key")},
                      true);
  cluster.start();
  wait_until_ready(*open(cluster, "", "?tls=noverify"));
  EXPECT_EQ(read_with(cluster, "?cacert=" + file("ca.pem")).outcome, StoreOutcome::refused);
}

}  // namespace
}  // namespace idgen
