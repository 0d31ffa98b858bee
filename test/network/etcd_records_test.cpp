// Records, keys and messages as etcd holds them: what is written is read back, and
// nothing else is taken for a record.

#include "network/etcd_records.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "network/etcd_json.h"
#include "network/etcd_transactions.h"

namespace idgen {
namespace {

FleetNode a_node() {
  FleetNode node;
  node.node = 397;
  node.epoch = 3;
  node.state = NodeState::held;
  node.holder = {{0x0123456789abcdefU, 0xfedcba9876543210U}};
  node.ceiling = UINT64_MAX;
  node.log2_lanes = 6;
  node.system = 7449876543210987654U;
  node.name = "a \"name\"";
  node.ceiling_us = INT64_MAX;
  node.since_us = -1;
  node.extended_us = INT64_MIN;
  return node;
}

TEST(EtcdRecords, a_node_is_read_back) {
  const FleetNode node = a_node();
  const std::string value = node_value(node, 0xabcU);
  FleetNode read;
  ASSERT_TRUE(parse_node(value, read)) << value;
  EXPECT_EQ(read.epoch, node.epoch);
  EXPECT_EQ(read.state, node.state);
  EXPECT_EQ(read.holder, node.holder);
  EXPECT_EQ(read.ceiling, node.ceiling);
  EXPECT_EQ(read.log2_lanes, node.log2_lanes);
  EXPECT_EQ(read.system, node.system);
  EXPECT_EQ(read.name, node.name);
  EXPECT_EQ(read.ceiling_us, node.ceiling_us);
  EXPECT_EQ(read.since_us, node.since_us);
  EXPECT_EQ(read.extended_us, node.extended_us);
  EXPECT_EQ(read.value, value);
  EXPECT_NE(node_value(node, 0xabdU), value);
}

TEST(EtcdRecords, a_name_that_is_no_utf8_does_no_harm) {
  FleetNode node = a_node();
  node.name = "\xff\xfe";
  FleetNode read;
  EXPECT_TRUE(parse_node(node_value(node, 1), read));
}

TEST(EtcdRecords, a_node_with_anything_wrong_is_refused) {
  const std::string right = node_value(a_node(), 0xabcU);
  const std::vector<std::pair<std::string, std::string>> changes = {
      {"\"epoch\":3", "\"epoch\":-3"},
      {"\"epoch\":3", "\"epoch\":3.0"},
      {"\"epoch\":3", "\"epoch\":\"3\""},
      {"\"epoch\":3", "\"epoch\":18446744073709551616"},
      {"\"epoch\":3,", ""},
      {"\"epoch\":3", "\"epoch\":null"},
      {"\"held\"", "\"taken\""},
      {"\"held\"", "1"},
      {"0123456789abcdef", "0123456789abcde"},
      {"0123456789abcdef", "0123456789abcdeF"},
      {"0123456789abcdef", "0123456789abcde "},
      {"\"log2_lanes\":6", "\"log2_lanes\":7"},
      {"\"log2_lanes\":6", "\"log2_lanes\":256"},
      {"\"ceiling_us\":9223372036854775807", "\"ceiling_us\":9223372036854775808"},
      {"0000000000000abc", "abc"},
      {"}", ",\"more\":1}"},
      {"}", ""},
      {"{", "[{"},
  };
  FleetNode node;
  ASSERT_TRUE(parse_node(right, node));
  for (const auto &[from, to] : changes) {
    std::string wrong = right;
    const std::size_t at = wrong.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    wrong.replace(at, from.size(), to);
    EXPECT_FALSE(parse_node(wrong, node)) << wrong;
  }
  for (const char *wrong : {"", "null", "1", "\"\"", "[]", "{}", "\xff"}) {
    EXPECT_FALSE(parse_node(wrong, node)) << wrong;
  }
}

TEST(EtcdRecords, a_root_is_read_back) {
  FleetRoot root;
  root.id = {{1, 2}};
  root.layout = "time:41 region:3 shard:7 sequence:12 tick:1ms";
  root.epoch = "2025-01-01T00:00:00Z";
  root.generation = 7;
  root.base = 99;
  const std::string value = root_value(root, 0xfeedU, 5);
  FleetRoot read;
  ASSERT_TRUE(parse_root(value, 0xfeedU, read));
  EXPECT_TRUE(read.exists);
  EXPECT_EQ(read.id, root.id);
  EXPECT_EQ(read.layout, root.layout);
  EXPECT_EQ(read.epoch, root.epoch);
  EXPECT_EQ(read.generation, root.generation);
  EXPECT_EQ(read.base, root.base);
  EXPECT_FALSE(read.moved);
  EXPECT_EQ(read.value, value);
  ASSERT_TRUE(parse_root(value, 0xfeeeU, read));
  EXPECT_TRUE(read.moved);
  EXPECT_FALSE(read.same_system);
  EXPECT_FALSE(parse_root(node_value(a_node(), 1), 0xfeedU, read));
}

TEST(EtcdRecords, keys_are_in_the_order_of_their_numbers) {
  const EtcdKeys keys("p/q");
  EXPECT_EQ(keys.root(), "p/q/root");
  EXPECT_EQ(keys.node(7), "p/q/node/0000000007");
  EXPECT_EQ(keys.alive(UINT32_MAX), "p/q/alive/4294967295");
  EXPECT_LT(keys.node(UINT32_MAX), keys.node(std::uint64_t{UINT32_MAX} + 1));
  std::uint32_t number = 0;
  EXPECT_TRUE(keys.number_of("p/q/node/0000000007", number));
  EXPECT_EQ(number, 7U);
  EXPECT_TRUE(keys.number_of("p/q/alive/4294967295", number));
  for (const char *wrong : {"", "0000000007", "p/q/node/7", "p/q/node/00000000007",
                            "p/q/node/4294967296", "p/q/node/000000000x", "p/q/node/-000000007",
                            "p/q/other/0000000007", "p/node/0000000007", "p/q/node/0000000007/"}) {
    EXPECT_FALSE(keys.number_of(wrong, number)) << wrong;
  }
}

TEST(EtcdRecords, base64_is_the_usual_one) {
  EXPECT_EQ(to_base64(""), "");
  EXPECT_EQ(to_base64("f"), "Zg==");
  EXPECT_EQ(to_base64("fo"), "Zm8=");
  EXPECT_EQ(to_base64("foo"), "Zm9v");
  EXPECT_EQ(to_base64("\xff\xfe\xfd"), "//79");
  std::string bytes;
  for (const char *wrong :
       {"Zg", "Zg=", "Z===", "====", "Zg==Zg==", "Zm9v\n", "Zm-_", "Z g=", "Zh==", "Zm9="}) {
    EXPECT_FALSE(from_base64(wrong, bytes)) << wrong;
  }
}

RC_GTEST_PROP(EtcdRecords, base64_gives_back_what_it_got, (const std::string &bytes)) {
  std::string back;
  RC_ASSERT(from_base64(to_base64(bytes), back));
  RC_ASSERT(back == bytes);
}

TEST(EtcdRecords, an_answer_that_makes_no_sense_is_none) {
  std::vector<EtcdKeyValue> found;
  for (const char *wrong :
       {"null", "[]", "{}", R"({"responses":{}})", R"({"responses":[]})", R"({"responses":[1]})",
        R"({"responses":[{"response_put":{}}]})",
        R"({"responses":[{"response_range":{"kvs":{}}}]})",
        R"({"responses":[{"response_range":{"kvs":[{"key":"?"}]}}]})",
        R"({"responses":[{"response_range":{"kvs":[{"key":"Zg==","mod_revision":"x"}]}}]})",
        R"({"responses":[{"response_range":{"kvs":[{"key":"Zg==","mod_revision":-1}]}}]})"}) {
    const Json answer = Json::parse(wrong);
    EXPECT_FALSE(read_range(&answer, 0, found)) << wrong;
  }
  const Json empty = Json::parse(R"({"responses":[{"response_range":{"header":{}}}]})");
  EXPECT_TRUE(read_range(&empty, 0, found));
  EXPECT_TRUE(found.empty());
}

using Rows = std::vector<Json>;

Json row(const std::string &key, const std::string &value, int revision) {
  return {{"key", to_base64(key)},
          {"value", to_base64(value)},
          {"mod_revision", std::to_string(revision)}};
}

// What is taken of an answer with these keys.
StoreOutcome taken(const Rows &roots, const Rows &nodes, FleetView &view) {
  Json responses = Json::array();
  for (const Rows &rows : {roots, nodes, Rows()}) {
    responses.push_back({{"response_range", {{"kvs", rows}}}});
  }
  EtcdAnswer answer;
  answer.body = std::make_unique<Json>(Json{{"responses", responses}});
  answer.cluster = 1;
  std::map<std::uint32_t, EtcdAlive> alive;
  std::string why;
  view = FleetView{};
  const StoreOutcome outcome = take_fleet(answer, EtcdKeys("idgen"), view, alive, why);
  EXPECT_EQ(why.empty(), outcome == StoreOutcome::done) << why;
  return outcome;
}

TEST(EtcdRecords, a_fleet_has_each_row_once_and_in_order) {
  const Json root = row("idgen/root", root_value({}, 1, 2), 3);
  const std::string value = node_value(a_node(), 1);
  const Json first = row("idgen/node/0000000007", value, 4);
  const Json second = row("idgen/node/0000000008", value, 5);
  FleetView view;
  EXPECT_EQ(taken({}, {}, view), StoreOutcome::done);
  EXPECT_FALSE(view.root.exists);
  ASSERT_EQ(taken({root}, {second, first}, view), StoreOutcome::done);
  EXPECT_EQ(view.root.revision, 3U);
  ASSERT_EQ(view.nodes.size(), 2U);
  EXPECT_EQ(view.nodes[0].node, 7U);
  EXPECT_EQ(view.nodes[0].revision, 4U);
  EXPECT_EQ(view.nodes[1].node, 8U);

  EXPECT_EQ(taken({root, root}, {}, view), StoreOutcome::unknown);
  EXPECT_EQ(taken({root}, {first, second, first}, view), StoreOutcome::unknown);
}

// A row of revision 0 would be none: its node free to be taken.
TEST(EtcdRecords, a_key_without_a_revision_makes_no_sense) {
  const std::string value = node_value(a_node(), 1);
  FleetView view;
  EXPECT_EQ(taken({row("idgen/root", root_value({}, 1, 2), 0)}, {}, view), StoreOutcome::unknown);
  EXPECT_EQ(taken({}, {row("idgen/node/0000000007", value, 0)}, view), StoreOutcome::unknown);
}

TEST(EtcdRecords, a_key_at_another_ones_place_is_no_record) {
  const std::string value = node_value(a_node(), 1);
  FleetView view;
  EXPECT_EQ(taken({row("idgen/roots", root_value({}, 1, 2), 3)}, {}, view), StoreOutcome::refused);
  EXPECT_EQ(taken({}, {row("idgen/alive/0000000007", value, 4)}, view), StoreOutcome::refused);
}

}  // namespace
}  // namespace idgen
