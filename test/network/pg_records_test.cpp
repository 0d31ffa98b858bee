// What a PostgreSQL coordinator answers: read as it is, and nothing cut to fit.

#include "network/pg_records.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace idgen {
namespace {

constexpr char kAnswer[] =
    R"({"clock_us":1764000000000000,"revision":99,"took_over_us":null,"standbys":1,"synchronous":1,)"
    R"("fleet":{"id":"01234567-89ab-cdef-fedc-ba9876543210","layout":"time:41 shard:10 sequence:12",)"
    R"("epoch":"2025-01-01T00:00:00Z","generation":7,"base":5,"raised_us":null,"same_system":true,)"
    R"("same_timeline":true},"nodes":[{"node":7,"revision":3,"epoch":2,"state":"h",)"
    R"("holder":"00000000-0000-0001-0000-000000000002","ceiling":59876543210,"log2_lanes":6,)"
    R"("system":-1,"name":"main","alive":true,"ceiling_us":1,"since_us":2,"extended_us":null},)"
    R"({"node":4294967295,"revision":1,"epoch":0,"state":"f","holder":null,"ceiling":0,)"
    R"("log2_lanes":0,"system":null,"name":null,"alive":null,"ceiling_us":null,"since_us":null,)"
    R"("extended_us":null}]})";

TEST(PgRecords, a_fleet_is_read) {
  FleetView view;
  std::string why;
  ASSERT_TRUE(parse_fleet(kAnswer, view, why)) << why;
  EXPECT_EQ(view.revision, 99U);
  EXPECT_EQ(view.clock_us, 1764000000000000);
  EXPECT_TRUE(view.root.exists);
  EXPECT_FALSE(view.root.moved);
  EXPECT_EQ(view.root.id, (Incarnation{{0x0123456789abcdefU, 0xfedcba9876543210U}}));
  EXPECT_EQ(view.root.generation, 7U);
  EXPECT_EQ(view.root.base, 5U);
  EXPECT_TRUE(view.warning.empty());
  ASSERT_EQ(view.nodes.size(), 2U);
  EXPECT_EQ(view.nodes[0].node, 7U);
  EXPECT_EQ(view.nodes[0].state, NodeState::held);
  EXPECT_EQ(view.nodes[0].holder, (Incarnation{{1, 2}}));
  EXPECT_EQ(view.nodes[0].ceiling, 59876543210U);
  EXPECT_EQ(view.nodes[0].system, UINT64_MAX);
  EXPECT_TRUE(view.nodes[0].alive);
  EXPECT_EQ(view.nodes[1].node, UINT32_MAX);
  EXPECT_EQ(view.nodes[1].state, NodeState::free);
}

std::string with(std::string answer, const std::string &from, const std::string &to) {
  return answer.replace(answer.find(from), from.size(), to);
}

TEST(PgRecords, a_coordinators_place_and_guards_are_read_where_it_tells) {
  for (const char *name : {"same_place", "guarded"}) {
    FleetView view;
    std::string why;
    const std::string more = "\"same_timeline\":true,\"" + std::string(name) + "\":";
    ASSERT_TRUE(parse_fleet(with(kAnswer, "\"same_timeline\":true", more + "true"), view, why));
    EXPECT_FALSE(view.root.moved);
    ASSERT_TRUE(parse_fleet(with(kAnswer, "\"same_timeline\":true", more + "false"), view, why));
    EXPECT_TRUE(view.root.moved) << name;
    EXPECT_FALSE(view.root.same_place && view.root.guarded) << name;
  }
}

TEST(PgRecords, a_table_out_of_proportion_is_warned_about) {
  const auto warning = [](const std::string &bytes, const std::string &rows) {
    FleetView view;
    std::string why;
    const std::string sizes = "\"node_bytes\":" + bytes + ",\"node_rows\":" + rows;
    EXPECT_TRUE(parse_fleet(with(kAnswer, "\"standbys\":1", "\"standbys\":0," + sizes), view, why))
        << why;
    return view.warning;
  };
  EXPECT_EQ(warning("8192", "null"), "");
  EXPECT_EQ(warning("4194304", "0"), "");
  EXPECT_EQ(warning("8290304", "1000"), "") << "a thousand nodes with room";
  EXPECT_NE(warning("16290304", "1000").find("has grown to 15 MB for 1000 nodes"),
            std::string::npos);
}

TEST(PgRecords, answers_of_any_depth_are_refused_and_not_kept) {
  FleetView view;
  std::string why;
  const std::string deep = std::string(1'000'000, '[') + std::string(1'000'000, ']');
  EXPECT_FALSE(parse_fleet(deep, view, why));
  EXPECT_NE(why.find("nested too deeply"), std::string::npos) << why;
  EXPECT_FALSE(parse_fleet(std::string((std::size_t{128} << 20) + 1, ' '), view, why));
  EXPECT_NE(why.find("too long"), std::string::npos) << why;
}

TEST(PgRecords, nothing_is_cut_to_fit) {
  const std::vector<std::pair<std::string, std::string>> changes = {
      {"\"node\":7", "\"node\":4294967303"},
      {"\"node\":7", "\"node\":-1"},
      {"\"node\":7", "\"node\":7.5"},
      {"\"node\":4294967295", "\"node\":7"},
      {"\"node\":4294967295", "\"node\":6"},
      {"\"revision\":99", "\"revision\":-99"},
      {"\"revision\":3", "\"revision\":0"},
      {"\"revision\":3", "\"revision\":\"3\""},
      {"\"state\":\"h\"", "\"state\":\"x\""},
      {"\"state\":\"h\"", "\"state\":null"},
      {"\"ceiling\":59876543210", "\"ceiling\":-1"},
      {"\"ceiling\":59876543210", "\"ceiling\":true"},
      {"\"log2_lanes\":6", "\"log2_lanes\":7"},
      {"\"log2_lanes\":6", "\"log2_lanes\":262"},
      {"\"generation\":7", "\"generation\":-7"},
      {"\"clock_us\":1764000000000000", "\"clock_us\":9223372036854775808"},
      {"00000000-0000-0001", "00000000-0000-000x"},
      {"\"base\":5,", ""},
      {"\"nodes\":[", "\"nodes\":null,\"others\":["},
  };
  for (const auto &[from, to] : changes) {
    std::string wrong = kAnswer;
    const std::size_t at = wrong.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    wrong.replace(at, from.size(), to);
    FleetView view;
    std::string why;
    EXPECT_FALSE(parse_fleet(wrong, view, why)) << wrong;
    EXPECT_NE(why.find("cannot be understood"), std::string::npos) << why;
  }
}

TEST(PgRecords, a_write_has_a_revision) {
  StoreResult result;
  EXPECT_TRUE(parse_written(R"({"revision":12})", result)) << result.message;
  EXPECT_EQ(result.revision, 12U);
  EXPECT_FALSE(result.crowded) << "0.1.0 does not tell";
  EXPECT_TRUE(parse_written(R"({"revision":13,"node_bytes":8192})", result)) << result.message;
  EXPECT_FALSE(result.crowded);
  EXPECT_TRUE(parse_written(R"({"revision":14,"node_bytes":33554432})", result)) << result.message;
  EXPECT_TRUE(result.crowded);
  for (const char *wrong :
       {"", "null", "{}", "[]", R"({"revision":null})", R"({"revision":-1})", R"({"revision":1.0})",
        R"({"revision":"1"})", R"({"revision":1,"node_bytes":"many"})"}) {
    EXPECT_FALSE(parse_written(wrong, result)) << wrong;
  }
}

TEST(PgRecords, an_answer_beyond_the_bounds_is_refused) {
  FleetView view;
  std::string why;
  std::string deep(1'000'000, '[');
  EXPECT_FALSE(parse_fleet(deep, view, why));
  EXPECT_EQ(why, "the coordinator's answer is nested too deeply");
  std::string many = "[0";
  for (int i = 0; i < 100'000; ++i) many += ",0";
  EXPECT_FALSE(parse_fleet(many + "]", view, why));
  EXPECT_EQ(why, "the coordinator's answer has too many values");
  EXPECT_FALSE(parse_fleet("{\"clock_us\":", view, why));
  EXPECT_EQ(why, "the coordinator's answer is not JSON");
}

}  // namespace
}  // namespace idgen
