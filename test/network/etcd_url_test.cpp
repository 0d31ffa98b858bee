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

TEST(EtcdUrl, a_host_and_a_prefix_are_enough) {
  const EtcdUrl url = parsed("etcd://db1/orders");
  ASSERT_EQ(url.endpoints.size(), 1U);
  EXPECT_EQ(url.endpoints[0].host, "db1");
  EXPECT_EQ(url.endpoints[0].port, 2379);
  EXPECT_EQ(url.prefix, "orders");
  EXPECT_TRUE(url.user.empty());
  EXPECT_FALSE(url.tls);
  EXPECT_TRUE(url.verify);
  EXPECT_EQ(describe(url), "etcd://db1:2379/orders");
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
  const EtcdUrl url = parsed("etcd://u:a@b:c@h/p");
  EXPECT_EQ(url.user, "u");
  EXPECT_EQ(url.password, "a@b:c");
  EXPECT_EQ(describe(url), "etcd://h:2379/p");
}

TEST(EtcdUrl, a_prefix_may_begin_with_a_slash) {
  EXPECT_EQ(parsed("etcd://h//service").prefix, "/service");
  EXPECT_EQ(parsed("etcd://h/a///").prefix, "a");
}

// It would be the same for all fleets.
TEST(EtcdUrl, no_prefix_is_not_some_other_fleet_s) {
  for (const char *text : {"etcd://h", "etcd://h/", "etcd://h:1,i", "etcd://u:p@h",
                           "etcd://h?tls=off", "etcd://h/?tls=off"}) {
    EXPECT_NE(refusal(text).find("names no prefix"), std::string::npos) << text;
  }
}

TEST(EtcdUrl, a_password_that_can_be_read_on_the_way_is_warned_of) {
  const auto caution = [](const char *text) { return caution_of(parsed(text)).message; };
  EXPECT_EQ(caution("etcd://u:SECRET@db1/p"), "the password of etcd is sent unencrypted");
  EXPECT_EQ(caution("etcd://u:SECRET@127.0.0.1,db1/p?tls=off"),
            "the password of etcd is sent unencrypted");
  EXPECT_EQ(caution("etcd://u:SECRET@db1/p?tls=noverify"),
            "the password of etcd is sent to a server that is not verified");
  for (const char *text :
       {"etcd://db1/p", "etcd://u:SECRET@db1/p?tls=on", "etcd://u:SECRET@db1/p?cacert=a",
        "etcd://u:SECRET@127.0.0.1/p", "etcd://u:SECRET@localhost,[::1]/p"}) {
    EXPECT_EQ(caution(text), "") << text;
  }
}

TEST(EtcdUrl, files_turn_tls_on) {
  EXPECT_TRUE(parsed("etcd://h/p?cacert=a").tls);
  EXPECT_TRUE(parsed("etcd://h/p?cert=a").tls);
  EXPECT_TRUE(parsed("etcd://h/p?cert=a&key=b").tls);
  EXPECT_TRUE(parsed("etcd://h/p?tls=on").tls);
  EXPECT_TRUE(parsed("etcd://h/p?tls=on").verify);
  EXPECT_FALSE(parsed("etcd://h/p?tls=off").tls);
  EXPECT_TRUE(parsed("etcd://h/p?cacert=a").verify);
}

TEST(EtcdUrl, what_is_wrong_is_refused) {
  const std::vector<std::string> wrong = {
      "",
      "etcd:",
      "etcd:/h",
      "http://h",
      "etcd://",
      "etcd:///p",
      "etcd://,/p",
      "etcd://h,/p",
      "etcd://,h/p",
      "etcd://h,,i/p",
      "etcd://h:/p",
      "etcd://h:0/p",
      "etcd://h:65536/p",
      "etcd://h:4294967297/p",
      "etcd://h:23x/p",
      "etcd://h:+1/p",
      "etcd://h:-1/p",
      "etcd://h: 1/p",
      "etcd://h i/p",
      "etcd://h%41/p",
      "etcd://h#/p",
      "etcd://::1/p",
      "etcd://[::1/p",
      "etcd://[::1]x/p",
      "etcd://[h]/p",
      "etcd://[]/p",
      "etcd://[12]/p",
      "etcd://@h/p",
      "etcd://:p@h/p",
      "etcd://u@h/p",
      "etcd://u:@h/p",
      "etcd://u:p@/p",
      "etcd://u:p%@h/p",
      "etcd://u:p%4@h/p",
      "etcd://u:p%4g@h/p",
      "etcd://u:p%0a@h/p",
      "etcd://h//",
      "etcd://h/%",
      "etcd://h/a%00",
      "etcd://h/a\n",
      "etcd://h/a@b",
      "etcd://h/p?tls",
      "etcd://h/p?tls=",
      "etcd://h/p?tls=yes",
      "etcd://h/p?tls=ON",
      "etcd://h/p?TLS=on",
      "etcd://h/p?=on",
      "etcd://h/p?nosuch=1",
      "etcd://h/p?tls=on&tls=on",
      "etcd://h/p?tls=on&&cacert=a",
      "etcd://h/p?tls=off&cacert=a",
      "etcd://h/p?key=a",
      "etcd://h/p?passfile=a",
      "etcd://u:p@h/p?passfile=a",
      "etcd://u@h/p?passfile=a@b",
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
  const std::vector<std::string> rests = {"@h/p",
                                          "@h:x",
                                          "@",
                                          "@h,",
                                          "@h/p?tls=maybe",
                                          "@h/p?nosuch=1",
                                          "@h/p?tls=off&cacert=a",
                                          "@h/%",
                                          "@h/p?passfile=/nosuch",
                                          "@h/p?key=k",
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
