// Where a PostgreSQL coordinator is, by libpq's rules: what is not left to libpq,
// so that no name is looked up by a call that blocks.

#include "network/pg_target.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

namespace idgen {
namespace {

PgTarget parsed(const std::string &text) {
  PgTarget target;
  std::string why;
  EXPECT_TRUE(parse_pg_target(text, target, why)) << text << ": " << why;
  return target;
}

std::string value_of(const PgTarget &target, const std::string &keyword) {
  for (const auto &[name, value] : target.common) {
    if (name == keyword) return value;
  }
  return "";
}

class PgTargetTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char *name : {"PGHOST", "PGPORT", "PGHOSTADDR", "PGSERVICE", "PGSERVICEFILE"}) {
      unsetenv(name);
    }
    path_ = testing::TempDir() + "idgen-service-" + std::to_string(getpid());
    std::ofstream(path_) << "[fleet]\nhost=db1,db2\nport=5433\nuser=leaser\n"
                            "[any]\nhost=db3\ntarget_session_attrs=primary\n";
    setenv("PGSERVICEFILE", path_.c_str(), 1);
  }
  void TearDown() override { unlink(path_.c_str()); }
  std::string path_;
};

TEST_F(PgTargetTest, takes_several_hosts_and_their_ports) {
  const PgTarget target = parsed("postgresql://u@db1:1,db2:2,[::1]:3/fleet");
  ASSERT_EQ(target.hosts.size(), 3U);
  EXPECT_EQ(target.hosts[1].host, "db2");
  EXPECT_EQ(target.hosts[1].port, "2");
  EXPECT_EQ(target.hosts[2].host, "::1");
  EXPECT_EQ(value_of(target, "dbname"), "fleet");
  EXPECT_EQ(value_of(target, "target_session_attrs"), "read-write");
  EXPECT_EQ(describe(target), "postgresql://db1:1,db2:2,[::1]:3/fleet");
}

TEST_F(PgTargetTest, takes_the_hosts_of_a_service) {
  const PgTarget target = parsed("postgresql:///fleet?service=fleet");
  ASSERT_EQ(target.hosts.size(), 2U);
  EXPECT_EQ(target.hosts[0].host, "db1");
  EXPECT_EQ(target.hosts[1].host, "db2");
  EXPECT_EQ(target.hosts[1].port, "5433");
  EXPECT_EQ(value_of(target, "service"), "fleet") << "libpq finds the rest there";
  EXPECT_EQ(value_of(target, "target_session_attrs"), "read-write");
  EXPECT_EQ(getenv("PGSERVICE"), nullptr) << "the environment is as it was";
}

TEST_F(PgTargetTest, what_is_said_counts_more_than_the_service) {
  const PgTarget target = parsed("postgresql://here:1/?service=any");
  ASSERT_EQ(target.hosts.size(), 1U);
  EXPECT_EQ(target.hosts[0].host, "here");
  EXPECT_EQ(target.hosts[0].port, "1");
  EXPECT_EQ(value_of(target, "target_session_attrs"), "") << "the service says which";
}

TEST_F(PgTargetTest, takes_hosts_of_the_environment) {
  setenv("PGHOST", "db9", 1);
  setenv("PGPORT", "77", 1);
  const PgTarget target = parsed("postgresql://");
  ASSERT_EQ(target.hosts.size(), 1U);
  EXPECT_EQ(target.hosts[0].host, "db9");
  EXPECT_EQ(target.hosts[0].port, "77");
}

TEST_F(PgTargetTest, refuses_what_libpq_refuses_and_quotes_nothing_of_it) {
  for (const std::string text :
       {"postgresql://u:secret@db/%zz", "postgresql://u:secret@db/x?bogus=1",
        "postgresql://u:secret@a,b:1,c:2,d/x?hostaddr=1.1.1.1"}) {
    PgTarget target;
    std::string why;
    EXPECT_FALSE(parse_pg_target(text, target, why)) << text;
    EXPECT_EQ(why.find("secret"), std::string::npos) << why;
    EXPECT_FALSE(why.empty());
  }
}

// The own record has it as a line: one that ended early would be damage.
TEST_F(PgTargetTest, what_is_shown_is_a_line) {
  for (const std::string text : {"postgresql://db/a%0Ab", "postgresql://d%0Db/x",
                                 "postgresql:///x?host=a%09", "dbname='a\nb'"}) {
    PgTarget target;
    std::string why;
    EXPECT_FALSE(parse_pg_target(text, target, why)) << text;
    EXPECT_NE(why.find("control character"), std::string::npos) << why;
  }
  EXPECT_EQ(value_of(parsed("postgresql://u:a%0Ab@db/x"), "password"), "a\nb");
}

// libpq would ask for tickets in calls that block.
TEST_F(PgTargetTest, gssapi_is_off_unless_it_is_asked_for) {
  unsetenv("PGGSSENCMODE");
  EXPECT_EQ(value_of(parsed("postgresql://u@db1/fleet"), "gssencmode"), "disable");
  EXPECT_EQ(value_of(parsed("postgresql://u@db1/fleet?gssencmode=prefer"), "gssencmode"), "prefer");
  EXPECT_EQ(value_of(parsed("postgresql://u@db1/fleet?gssencmode=require"), "gssencmode"),
            "require");
  setenv("PGGSSENCMODE", "require", 1);
  EXPECT_EQ(value_of(parsed("postgresql://u@db1/fleet"), "gssencmode"), "") << "libpq finds it";
  unsetenv("PGGSSENCMODE");
}

TEST_F(PgTargetTest, a_coordinator_that_is_not_verified_is_warned_of) {
  unsetenv("PGSSLMODE");
  const auto caution = [](const char *text) { return parsed(text).caution.message; };
  EXPECT_EQ(caution("postgresql://u:SECRET@db1/fleet"),
            "the identity of the coordinator is not verified: sslmode is prefer");
  EXPECT_EQ(caution("postgresql://u@db1/fleet?sslmode=require"),
            "the identity of the coordinator is not verified: sslmode is require");
  EXPECT_EQ(caution("postgresql://u@localhost,db1/fleet?sslmode=verify-ca"),
            "the identity of the coordinator is not verified: sslmode is verify-ca");
  EXPECT_EQ(caution("postgresql:///fleet?service=fleet"),
            "the identity of the coordinator is not verified: sslmode is prefer");
  for (const char *text :
       {"postgresql://u:SECRET@db1/fleet?sslmode=verify-full",
        "postgresql://u:SECRET@localhost/fleet", "postgresql://u@127.0.0.1,[::1]/fleet",
        "postgresql:///fleet?host=/tmp", "postgresql://u@db1/fleet?hostaddr=127.0.0.1",
        "postgresql://", "postgresql://u@db1/fleet?channel_binding=require",
        "postgresql://u@db1/fleet?gssencmode=require"}) {
    EXPECT_EQ(caution(text), "") << text;
  }
}

}  // namespace
}  // namespace idgen
