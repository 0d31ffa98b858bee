#include "core/choose.h"

#include <set>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace idgen {
namespace {

using Is = NodeOffer::Is;
using Why = Choice::Why;

// One letter a node: . free, m mine, x taken, # barred.
std::vector<NodeOffer> region(std::string_view text, std::uint64_t ceiling = 0) {
  std::vector<NodeOffer> nodes;
  for (const char c : text) {
    NodeOffer node;
    node.is = c == 'm' ? Is::mine : c == 'x' ? Is::taken : c == '#' ? Is::barred : Is::free;
    node.ceiling = ceiling;
    nodes.push_back(node);
  }
  return nodes;
}

ChooseRules rules(unsigned log2_lanes = 0) {
  ChooseRules rules;
  rules.log2_lanes = log2_lanes;
  rules.now = 1000;
  rules.latest = 2000;
  return rules;
}

// Every node that luck may lead to.
std::set<std::uint32_t> all_choices(const std::vector<NodeOffer> &nodes, const ChooseRules &rules) {
  std::set<std::uint32_t> choices;
  for (std::uint64_t luck = 0; luck < nodes.size(); ++luck) {
    const Choice choice = choose(nodes, rules, luck);
    if (choice.why == Why::found) choices.insert(choice.first);
  }
  return choices;
}
using Set = std::set<std::uint32_t>;

TEST(Choose, prefers_what_is_mine_up_to_a_bound_of_its_own) {
  std::vector<NodeOffer> nodes = region("..m.x...");
  ChooseRules own = rules();
  own.latest_mine = own.latest + 500;
  nodes[2].ceiling = own.latest_mine;
  EXPECT_EQ(all_choices(nodes, own), Set{2});
  own.pinned = 2;
  EXPECT_EQ(choose(nodes, own, 0).why, Why::found);
  nodes[2].ceiling = own.latest_mine + 1;
  EXPECT_EQ(choose(nodes, own, 0).why, Why::ahead);
  own.pinned = -1;
  EXPECT_EQ(all_choices(nodes, own).count(2), 0u);
}

TEST(Choose, takes_no_node_that_another_holds_or_that_is_barred) {
  EXPECT_EQ(all_choices(region("xx#xx#.x"), rules()), Set{6});
  EXPECT_EQ(choose(region("xx#xx#xx"), rules(), 0).why, Why::full);
}

TEST(Choose, breaks_up_the_smallest_free_block) {
  EXPECT_EQ(all_choices(region("x.......x...xx.."), rules()), (Set{1, 9}));
  EXPECT_EQ(all_choices(region("........xx......"), rules()), (Set{10, 11}));
  EXPECT_EQ(all_choices(region("x.......x......."), rules(1)), (Set{2, 10}));
}

TEST(Choose, is_random_among_equals) {
  EXPECT_EQ(all_choices(region("........"), rules()).size(), 8u);
}

TEST(Choose, scatters_when_others_want_the_same) {
  ChooseRules scattered = rules();
  scattered.scatter = true;
  EXPECT_EQ(all_choices(region("x......."), scattered), (Set{1, 2, 3, 4, 5, 6, 7}));
}

TEST(Choose, prefers_a_ceiling_that_has_passed_then_the_lowest) {
  std::vector<NodeOffer> nodes = region("....", 1500);
  nodes[1].ceiling = 1200;
  nodes[3].ceiling = 1000;
  EXPECT_EQ(all_choices(nodes, rules()), Set{3});
  nodes[3].ceiling = 1300;
  EXPECT_EQ(all_choices(nodes, rules()), Set{1});
  EXPECT_EQ(choose(nodes, rules(), 0).ceiling, 1200u);
}

TEST(Choose, a_ceiling_too_far_ahead_is_of_no_use_not_even_mine) {
  std::vector<NodeOffer> nodes = region("m...", 2500);
  nodes[2].ceiling = 2300;
  const Choice choice = choose(nodes, rules(), 0);
  EXPECT_EQ(choice.why, Why::ahead);
  EXPECT_EQ(choice.ceiling, 2300u);
}

TEST(Choose, lanes_take_an_aligned_block_and_nothing_less) {
  EXPECT_EQ(all_choices(region("x..x...."), rules(2)), Set{4});
  EXPECT_EQ(choose(region("x..x.x.."), rules(2), 0).why, Why::full);
  std::vector<NodeOffer> nodes = region("mmmm....");
  EXPECT_EQ(all_choices(nodes, rules(2)), Set{0});
  nodes[5].ceiling = 2500;  // one node of the other block
  ChooseRules other = rules(2);
  other.not_mine = true;
  EXPECT_EQ(choose(nodes, other, 0).why, Why::ahead);
}

TEST(Choose, another_is_not_mine) {
  ChooseRules other = rules();
  other.not_mine = true;
  EXPECT_EQ(all_choices(region("m.xx"), other), Set{1});
  EXPECT_EQ(choose(region("m#xx"), other, 0).why, Why::full);
}

TEST(Choose, a_pinned_node_or_none) {
  ChooseRules pinned = rules();
  pinned.pinned = 2;
  EXPECT_EQ(all_choices(region("...."), pinned), Set{2});
  EXPECT_EQ(choose(region("..x."), pinned, 0).why, Why::pinned_taken);
  EXPECT_EQ(choose(region("..#."), pinned, 0).why, Why::pinned_barred);
  EXPECT_EQ(choose(region("....", 2500), pinned, 0).why, Why::ahead);
}

RC_GTEST_PROP(Choose, never_hands_out_what_is_not_free, ()) {
  std::vector<NodeOffer> nodes(16);
  for (NodeOffer &node : nodes) {
    node.is = static_cast<Is>(*rc::gen::inRange(0, 4));
    node.ceiling = *rc::gen::inRange<std::uint64_t>(0, 3000);
  }
  ChooseRules any = rules(*rc::gen::inRange(0u, 4u));
  any.not_mine = *rc::gen::arbitrary<bool>();
  any.scatter = *rc::gen::arbitrary<bool>();
  const std::uint32_t size = 1U << any.log2_lanes;
  if (*rc::gen::arbitrary<bool>()) {
    any.pinned = static_cast<std::int64_t>(*rc::gen::inRange(0u, 16u / size) * size);
  }
  const Choice choice = choose(nodes, any, *rc::gen::arbitrary<std::uint64_t>());
  if (choice.why != Why::found) return;
  RC_ASSERT(choice.first % size == 0);
  for (std::uint32_t i = choice.first; i < choice.first + size; ++i) {
    RC_ASSERT(nodes[i].is == Is::free || nodes[i].is == Is::mine);
    RC_ASSERT(nodes[i].ceiling <= choice.ceiling);
    RC_ASSERT(choice.ceiling <= any.latest);
  }
}

}  // namespace
}  // namespace idgen
