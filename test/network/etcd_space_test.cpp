// How full an etcd is, as its answers say. (On a real etcd: test/t/034_etcd_space.t.)

#include <gtest/gtest.h>

#include "network/etcd_json.h"

namespace idgen {
namespace {

TEST(EtcdSpace, a_status_tells_the_size) {
  StoreSpace space;
  const Json status = Json::parse(
      R"({"dbSize":"303104","dbSizeInUse":"16384","errors":["memberID:1 alarm:NOSPACE "]})");
  ASSERT_TRUE(read_status(&status, space));
  EXPECT_EQ(space.size, 303104);
  EXPECT_EQ(space.in_use, 16384);
  EXPECT_TRUE(space.full);
  EXPECT_FALSE(space.quota_known);
}

TEST(EtcdSpace, a_newer_status_tells_the_quota) {
  StoreSpace space;
  const Json status = Json::parse(
      R"({"dbSize":"20480","dbSizeInUse":"16384","dbSizeQuota":"2147483648","errors":["alarm:CORRUPT"]})");
  ASSERT_TRUE(read_status(&status, space));
  EXPECT_EQ(space.quota, 2147483648);
  EXPECT_TRUE(space.quota_known);
  EXPECT_FALSE(space.full) << "for another reason";
}

TEST(EtcdSpace, a_status_that_makes_no_sense_is_none) {
  for (const char *text : {"{}", R"({"dbSize":"-1"})", R"({"dbSize":"x"})", R"({"dbSize":[]})",
                           R"({"dbSize":"1","dbSizeInUse":{}})", "[]", "null"}) {
    StoreSpace space;
    const Json status = Json::parse(text);
    EXPECT_FALSE(read_status(&status, space)) << text;
  }
}

TEST(EtcdSpace, metrics_tell_the_quota) {
  std::int64_t quota = -1;
  EXPECT_TRUE(
      read_quota("# HELP etcd_server_quota_backend_bytes x\netcd_server_quota_backend_bytes "
                 "2.147483648e+09\nother 1\n",
                 quota));
  EXPECT_EQ(quota, 2147483648);
  EXPECT_TRUE(read_quota("etcd_server_quota_backend_bytes 200000", quota));
  EXPECT_EQ(quota, 200000);
  for (const char *text :
       {"", "# etcd_server_quota_backend_bytes 1\n", "etcd_server_quota_backend_bytes \n",
        "etcd_server_quota_backend_bytes NaN\n", "etcd_server_quota_backend_bytes +Inf\n",
        "etcd_server_quota_backend_bytes -1\n", "xetcd_server_quota_backend_bytes 1\n"}) {
    EXPECT_FALSE(read_quota(text, quota)) << text;
  }
}

}  // namespace
}  // namespace idgen
