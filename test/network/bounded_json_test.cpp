// JSON from a coordinator costs no more memory and no more stack than its bounds allow.

#include "network/bounded_json.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <string>

namespace idgen {
namespace {

using Json = nlohmann::json;

JsonFault fault_of_text(const std::string &text) {
  JsonFault fault = JsonFault::none;
  const Json json = parse_bounded(text, fault);
  EXPECT_EQ(json.is_discarded(), fault != JsonFault::none);
  return fault;
}

std::string nested(std::size_t depth, const std::string &open, const std::string &close) {
  std::string text;
  for (std::size_t i = 0; i < depth; ++i) text += open;
  text += "0";
  for (std::size_t i = 0; i < depth; ++i) text += close;
  return text;
}

TEST(BoundedJson, reads_what_is_within_the_bounds) {
  JsonFault fault = JsonFault::malformed;
  const Json json = parse_bounded(R"({"a":[1,-2,3.5,null,true,"x"],"b":{}})", fault);
  EXPECT_EQ(fault, JsonFault::none);
  EXPECT_EQ(json, Json::parse(R"({"a":[1,-2,3.5,null,true,"x"],"b":{}})"));
  EXPECT_EQ(fault_of_text(nested(kMaxJsonDepth, "[", "]")), JsonFault::none);
  EXPECT_EQ(fault_of_text(nested(kMaxJsonDepth, "{\"a\":", "}")), JsonFault::none);
}

TEST(BoundedJson, a_depth_bomb_is_refused) {
  EXPECT_EQ(fault_of_text(nested(kMaxJsonDepth + 1, "[", "]")), JsonFault::too_deep);
  EXPECT_EQ(fault_of_text(nested(kMaxJsonDepth + 1, "{\"a\":", "}")), JsonFault::too_deep);
  EXPECT_EQ(fault_of_text(std::string(10'000'000, '[')), JsonFault::too_deep);
}

// Each value takes 16 bytes and more: two bytes of text must not buy them.
TEST(BoundedJson, a_text_of_nothing_but_values_is_refused) {
  std::string text = "[0";
  for (int i = 0; i < 4'000'000; ++i) text += ",0";
  text += "]";
  rusage before{};
  rusage after{};
  getrusage(RUSAGE_SELF, &before);
  EXPECT_EQ(fault_of_text(text), JsonFault::too_many);
  getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 8192) << "kB";
}

TEST(BoundedJson, what_is_too_long_is_not_read) {
  EXPECT_EQ(fault_of_text(std::string(kMaxJsonLength, ' ') + "0"), JsonFault::too_long);
}

TEST(BoundedJson, what_is_no_json_is_refused) {
  for (const char *text : {"", "{", "[1", "nul", "{\"a\" 1}", "0 0", "\"\xff\"", "\"\\u12\""}) {
    EXPECT_EQ(fault_of_text(text), JsonFault::malformed) << text;
  }
}

}  // namespace
}  // namespace idgen
