// The URL of an etcd, and that nothing of a password gets out of it.

#include "network/etcd_url.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace idgen {
namespace {

EtcdUrl parsed(const std::string &text) {
  EtcdUrl url;
  std::string why;
  EXPECT_TRUE(parse_etcd_url(text, url, why)) << text << ": " << why;
  return url;
}

std::string refusal(const std::string &text) {
  EtcdUrl url;
  std::string why;
  EXPECT_FALSE(parse_etcd_url(text, url, why)) << text;
  EXPECT_FALSE(why.empty()) << text;
  return why;
}

TEST(EtcdUrl, a_host_is_enough) {
  const EtcdUrl url = parsed("etcd://db1");
  ASSERT_EQ(url.endpoints.size(), 1U);
  EXPECT_EQ(url.endpoints[0].host, "db1");
  EXPECT_EQ(url.endpoints[0].port, 2379);
  EXPECT_EQ(url.prefix, "idgen");
  EXPECT_TRUE(url.user.empty());
  EXPECT_FALSE(url.tls);
  EXPECT_TRUE(url.verify);
  EXPECT_EQ(describe(url), "etcd://db1:2379/idgen");
}

TEST(EtcdUrl, everything_can_be_said) {
  const EtcdUrl url = parsed(
      "etcd://id%67en:p%40ss%3Aw%2Ford%3F%25@db1:1,[fe80::1]:65535,10.0.0.3,[::1]"
      "/fleets/a%20b/?tls=noverify&cacert=/etc/ca%26.pem&cert=c.pem&key=k.pem");
  EXPECT_EQ(url.user, "idgen");
  EXPECT_EQ(url.password, "p@ss:w/ord?%");
  ASSERT_EQ(url.endpoints.size(), 4U);
  EXPECT_EQ(address_of(url.endpoints[0]), "db1:1");
  EXPECT_EQ(url.endpoints[1].host, "fe80::1");
  EXPECT_EQ(address_of(url.endpoints[1]), "[fe80::1]:65535");
  EXPECT_EQ(address_of(url.endpoints[2]), "10.0.0.3:2379");
  EXPECT_EQ(address_of(url.endpoints[3]), "[::1]:2379");
  EXPECT_EQ(url.prefix, "fleets/a b");
  EXPECT_TRUE(url.tls);
  EXPECT_FALSE(url.verify);
  EXPECT_EQ(url.ca_file, "/etc/ca&.pem");
  EXPECT_EQ(url.certificate_file, "c.pem");
  EXPECT_EQ(url.key_file, "k.pem");
  EXPECT_EQ(describe(url), "etcd://db1:1,[fe80::1]:65535,10.0.0.3:2379,[::1]:2379/fleets/a b");
}

TEST(EtcdUrl, a_password_may_hold_an_at_sign_and_colons) {
  const EtcdUrl url = parsed("etcd://u:a@b:c@h");
  EXPECT_EQ(url.user, "u");
  EXPECT_EQ(url.password, "a@b:c");
  EXPECT_EQ(describe(url), "etcd://h:2379/idgen");
}

TEST(EtcdUrl, a_prefix_may_begin_with_a_slash) {
  EXPECT_EQ(parsed("etcd://h//service").prefix, "/service");
  EXPECT_EQ(parsed("etcd://h/").prefix, "idgen");
  EXPECT_EQ(parsed("etcd://h?tls=off").prefix, "idgen");
  EXPECT_EQ(parsed("etcd://h/a///").prefix, "a");
}

TEST(EtcdUrl, files_turn_tls_on) {
  EXPECT_TRUE(parsed("etcd://h?cacert=a").tls);
  EXPECT_TRUE(parsed("etcd://h?cert=a").tls);
  EXPECT_TRUE(parsed("etcd://h?cert=a&key=b").tls);
  EXPECT_TRUE(parsed("etcd://h?tls=on").tls);
  EXPECT_TRUE(parsed("etcd://h?tls=on").verify);
  EXPECT_FALSE(parsed("etcd://h?tls=off").tls);
  EXPECT_TRUE(parsed("etcd://h?cacert=a").verify);
}

TEST(EtcdUrl, what_is_wrong_is_refused) {
  const std::vector<std::string> wrong = {
      "",
      "etcd:",
      "etcd:/h",
      "http://h",
      "etcd://",
      "etcd:///p",
      "etcd://,",
      "etcd://h,",
      "etcd://,h",
      "etcd://h,,i",
      "etcd://h:",
      "etcd://h:0",
      "etcd://h:65536",
      "etcd://h:4294967297",
      "etcd://h:23x",
      "etcd://h:+1",
      "etcd://h:-1",
      "etcd://h: 1",
      "etcd://h i",
      "etcd://h%41",
      "etcd://h#",
      "etcd://::1",
      "etcd://[::1",
      "etcd://[::1]x",
      "etcd://[h]",
      "etcd://[]",
      "etcd://[12]",
      "etcd://@h",
      "etcd://:p@h",
      "etcd://u@h",
      "etcd://u:@h",
      "etcd://u:p@",
      "etcd://u:p%@h",
      "etcd://u:p%4@h",
      "etcd://u:p%4g@h",
      "etcd://u:p%0a@h",
      "etcd://h//",
      "etcd://h/%",
      "etcd://h/a%00",
      "etcd://h/a\n",
      "etcd://h/a@b",
      "etcd://h?tls",
      "etcd://h?tls=",
      "etcd://h?tls=yes",
      "etcd://h?tls=ON",
      "etcd://h?TLS=on",
      "etcd://h?=on",
      "etcd://h?nosuch=1",
      "etcd://h?tls=on&tls=on",
      "etcd://h?tls=on&&cacert=a",
      "etcd://h?tls=off&cacert=a",
      "etcd://h?key=a",
      "etcd://h?passfile=a",
      "etcd://u:p@h?passfile=a",
      "etcd://u@h?passfile=a@b",
  };
  for (const std::string &text : wrong) refusal(text);
}

// However badly it is encoded, and whatever else is wrong with the URL.
TEST(EtcdUrl, a_password_is_in_no_message) {
  const std::vector<std::string> passwords = {
      "SECRET",        "SECRET/SECRET", "SECRET?SECRET=SECRET",
      "SECRET:SECRET", "SECRET%",       "SECRET%zz",
      "12/SECRET",     "12?SECRET",     "SECRET,SECRET",
      "[SECRET",       "SECRET@SECRET", "12/SECRET?SECRET&SECRET=SECRET",
      "SECRET#SECRET", "SECRET SECRET"};
  const std::vector<std::string> rests = {"@h",
                                          "@h:x",
                                          "@",
                                          "@h,",
                                          "@h?tls=maybe",
                                          "@h?nosuch=1",
                                          "@h?tls=off&cacert=a",
                                          "@h/%",
                                          "@h?passfile=/nosuch",
                                          "@h?key=k",
                                          "@[::1",
                                          "@h:2379/x?tls=on"};
  for (const std::string &password : passwords) {
    for (const std::string &rest : rests) {
      EtcdUrl url;
      std::string why;
      const std::string text = "etcd://user:" + password + rest;
      if (parse_etcd_url(text, url, why)) {
        EXPECT_EQ(describe(url).find("SECRET"), std::string::npos) << text;
      } else {
        EXPECT_EQ(why.find("SECRET"), std::string::npos) << text << ": " << why;
      }
    }
  }
}

RC_GTEST_PROP(EtcdUrl, any_text_is_taken_or_refused, (const std::string &text)) {
  EtcdUrl url;
  std::string why;
  if (!parse_etcd_url("etcd://" + text, url, why)) RC_ASSERT(!why.empty());
}

RC_GTEST_PROP(EtcdUrl, any_password_can_be_encoded, ()) {
  const auto password = *rc::gen::nonEmpty(rc::gen::container<std::string>(
      rc::gen::distinctFrom(rc::gen::inRange<char>(0x20, 0x7f), '\x7f')));
  std::string encoded;
  for (const char c : password) {
    constexpr const char *digits = "0123456789ABCDEF";
    encoded += '%';
    encoded += digits[static_cast<unsigned char>(c) >> 4];
    encoded += digits[static_cast<unsigned char>(c) & 15];
  }
  EtcdUrl url;
  std::string why;
  RC_ASSERT(parse_etcd_url("etcd://u:" + encoded + "@h/p?tls=on", url, why));
  RC_ASSERT(url.password == password);
  RC_ASSERT(describe(url) == "etcd://h:2379/p");
}

class PasswordFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "idgen-passfile-XXXXXX";
    const int file = mkstemp(name.data());
    ASSERT_GE(file, 0);
    close(file);
    url_.user = "u";
    url_.password_file = name;
  }
  void TearDown() override { unlink(url_.password_file.c_str()); }

  void write(const std::string &text) { std::ofstream(url_.password_file) << text; }
  bool read() { return read_password(url_, password_, why_); }

  EtcdUrl url_;
  std::string password_;
  std::string why_;
};

TEST_F(PasswordFile, its_first_line_is_the_password) {
  write("  one two \r\nthree\n");
  ASSERT_TRUE(read()) << why_;
  EXPECT_EQ(password_, "  one two ");
  write("four");
  ASSERT_TRUE(read()) << why_;
  EXPECT_EQ(password_, "four");
}

TEST_F(PasswordFile, one_that_others_can_read_is_refused) {
  write("SECRET\n");
  for (const mode_t mode : {0640U, 0620U, 0604U, 0602U, 0601U}) {
    ASSERT_EQ(chmod(url_.password_file.c_str(), mode), 0);
    EXPECT_FALSE(read());
    EXPECT_EQ(why_.find("SECRET"), std::string::npos);
  }
  ASSERT_EQ(chmod(url_.password_file.c_str(), 0400), 0);
  EXPECT_TRUE(read());
}

TEST_F(PasswordFile, one_without_a_password_is_refused) {
  EXPECT_FALSE(read());
  write("\nSECRET\n");
  EXPECT_FALSE(read());
  EXPECT_EQ(why_.find("SECRET"), std::string::npos);
}

TEST_F(PasswordFile, only_a_regular_file_is_read) {
  unlink(url_.password_file.c_str());
  EXPECT_FALSE(read());
  ASSERT_EQ(mkfifo(url_.password_file.c_str(), 0600), 0);
  EXPECT_FALSE(read());
  url_.password_file = "/";
  EXPECT_FALSE(read());
  url_.password_file = "";
}

}  // namespace
}  // namespace idgen
