// Explores the model of the words.
//
//   words_model                  the protocol as it is: no state may be broken
//   words_model --mutant=NAME    the protocol with one rule left out
//   words_model --list           the mutants
//   words_model --self-test      all of it: the protocol passes, each mutant fails

#include "words_model.h"

#include <chrono>
#include <cstdio>
#include <cstring>
#include <iterator>

namespace idgen::model {
namespace {

struct MutantRow {
  Mutant mutant;
  std::string_view name;
  Broken expected;
  std::string_view setup;  // where it shows soonest
};

constexpr MutantRow kMutants[] = {
    {Mutant::grant_before_last, "grant_before_last", Broken::repeat, "rotate"},
    {Mutant::grant_kept_after_lost_cas, "grant_kept_after_lost_cas", Broken::repeat, "rotate"},
    // Harmless to uniqueness, since the grant and its ceiling are fresh: but IDs
    // run further ahead of the clock than they may, and everybody waits then.
    {Mutant::offset_kept_after_lost_cas, "offset_kept_after_lost_cas", Broken::lead, "rotate"},
    {Mutant::store_instead_of_cas, "store_instead_of_cas", Broken::repeat, "extend"},
    {Mutant::ceiling_ignored, "ceiling_ignored", Broken::repeat, "extend"},
    {Mutant::lanes_beside_grant, "lanes_beside_grant", Broken::repeat, "lanes"},
    {Mutant::no_raise, "no_raise", Broken::repeat, "extend"},
    {Mutant::publish_before_raise, "publish_before_raise", Broken::repeat, "extend"},
    {Mutant::rotate_without_withdrawing, "rotate_without_withdrawing", Broken::repeat, "rotate"},
    {Mutant::publish_before_set_back, "publish_before_set_back", Broken::repeat, "rotate"},
    {Mutant::old_grant_published_again, "old_grant_published_again", Broken::repeat, "rotate"},
    {Mutant::set_back_to_id_of_old_node, "set_back_to_id_of_old_node", Broken::repeat, "rotate"},
    {Mutant::floor_word_shared_by_nodes, "floor_word_shared_by_nodes", Broken::repeat,
     "there and back"},
    {Mutant::raise_to_last_below, "raise_to_last_below", Broken::repeat, "rotate to the top node"},
    {Mutant::set_back_at_old_ceiling, "set_back_at_old_ceiling", Broken::repeat, "there and back"},
    {Mutant::publish_before_durable, "publish_before_durable", Broken::repeat, "extend"},
    {Mutant::ceiling_above_durable, "ceiling_above_durable", Broken::repeat, "extend"},
    {Mutant::floor_without_old_ceiling, "floor_without_old_ceiling", Broken::repeat, "extend"},
};

// Each world is small enough to be visited whole and brings out one danger.
std::vector<Setup> setups() {
  return {
      // An acquisition above a former holder's ceiling, extensions, and a rival
      // that takes what we hold.
      {.name = "extend",
       .backends = 2,
       .calls = 3,
       .sizes = {1, 3},
       .max_lead = 2,
       .choices = {{0, 0}, {1, 0}},
       .eras = 2,
       .rotation = false,
       .ceilings = {1, 5, 0, 0},
       .contested = {true, true, false, false},
       .wall = 2,
       .ticks = 1,
       .steps_back = 0,
       .takes = 1,
       .extends = 1,
       .window = 1},
      // The wall clock steps back; the word follows it to a fresh node, while a
      // rival takes what we hold.
      {.name = "rotate",
       .backends = 2,
       .calls = 3,
       .sizes = {1},
       .max_lead = 1,
       .choices = {{0, 0}, {1, 0}},
       .eras = 2,
       .rotation = true,
       .ceilings = {1, 1, 0, 0},
       .contested = {true, true, false, false},
       .wall = 3,
       .ticks = 1,
       .steps_back = 1,
       .takes = 1,
       .extends = 0,
       .window = 2},
      // To a fresh node and perhaps to the first one again.
      {.name = "rotate twice",
       .backends = 2,
       .calls = 3,
       .sizes = {1},
       .max_lead = 1,
       .choices = {{0, 0}, {1, 0}},
       .eras = 3,
       .rotation = true,
       .ceilings = {1, 1, 0, 0},
       .contested = {false, false, false, false},
       .wall = 3,
       .ticks = 2,
       .steps_back = 1,
       .takes = 0,
       .extends = 0,
       .window = 1},
      // Back on the first node, a second step of the wall clock later.
      {.name = "there and back",
       .backends = 2,
       .calls = 3,
       .sizes = {1, 2},
       .max_lead = 0,
       .choices = {{0, 0}, {1, 0}, {0, 0}},
       .in_order = true,
       .eras = 3,
       .rotation = true,
       .ceilings = {1, 1, 0, 0},
       .contested = {false, false, false, false},
       .wall = 3,
       .ticks = 2,
       .steps_back = 2,
       .takes = 0,
       .extends = 0,
       .window = 1},
      // The same with the greatest node number there is, whose last ID of a tick
      // is the last below the next tick whatever the node.
      {.name = "rotate to the top node",
       .backends = 2,
       .calls = 3,
       .sizes = {1},
       .max_lead = 1,
       .choices = {{3, 0}, {1, 0}},
       .eras = 2,
       .rotation = true,
       .ceilings = {0, 1, 0, 1},
       .contested = {false, false, false, false},
       .wall = 3,
       .ticks = 2,
       .steps_back = 1,
       .takes = 0,
       .extends = 0,
       .window = 2},
      // From a block of two nodes to one of another size. Node 3 is another
      // holder's.
      {.name = "lanes",
       .backends = 2,
       .calls = 2,
       .sizes = {1, 5},
       .max_lead = 1,
       .choices = {{0, 1}, {2, 0}},
       .eras = 2,
       .rotation = true,
       .ceilings = {1, 2, 1, 7},
       .contested = {true, false, true, false},
       .wall = 3,
       .ticks = 1,
       .steps_back = 1,
       .takes = 1,
       .extends = 0,
       .window = 2},
      {.name = "three backends",
       .backends = 3,
       .calls = 3,
       .sizes = {1},
       .max_lead = 0,
       .choices = {{0, 0}, {1, 0}},
       .eras = 2,
       .rotation = true,
       .ceilings = {1, 1, 0, 0},
       .contested = {false, false, false, false},
       .wall = 3,
       .ticks = 0,
       .steps_back = 1,
       .takes = 0,
       .extends = 0,
       .window = 1},
  };
}

// All states found, in the order in which they were, with the one that led to
// each. Found again by an open-addressing table of their numbers.
class Visited {
 public:
  Visited() : table_(1u << 16, kEmpty) {}

  void add(const State &state, std::uint32_t parent) {
    if ((states_.size() + 1) * 2 > table_.size()) grow();
    std::uint32_t &slot = table_[find(state)];
    if (slot != kEmpty) return;
    slot = static_cast<std::uint32_t>(states_.size());
    states_.push_back(state);
    parents_.push_back(parent);
  }
  std::size_t size() const { return states_.size(); }
  const State &operator[](std::size_t i) const { return states_[i]; }

  // The states on the way to one, without the initial one.
  std::vector<State> path_to(std::uint32_t i) const {
    std::vector<State> path;
    for (; i != 0; i = parents_[i]) path.push_back(states_[i]);
    return {path.rbegin(), path.rend()};
  }

 private:
  static constexpr std::uint32_t kEmpty = ~0u;
  static std::uint64_t hash(const State &state) {
    std::uint64_t words[sizeof(State) / 8];
    static_assert(sizeof(words) == sizeof(State));
    std::memcpy(words, &state, sizeof(State));
    std::uint64_t h = 0;
    for (const std::uint64_t word : words) {
      h = (h ^ word) * 0x9E3779B97F4A7C15u;
      h ^= h >> 29;
    }
    return h;
  }
  std::size_t find(const State &state) const {
    const std::size_t mask = table_.size() - 1;
    for (std::size_t i = hash(state) & mask;; i = (i + 1) & mask) {
      const std::uint32_t slot = table_[i];
      if (slot == kEmpty || std::memcmp(&states_[slot], &state, sizeof(State)) == 0) return i;
    }
  }
  void grow() {
    table_.assign(table_.size() * 2, kEmpty);
    for (std::uint32_t i = 0; i < states_.size(); ++i) table_[find(states_[i])] = i;
  }

  std::vector<State> states_;
  std::vector<std::uint32_t> parents_;
  std::vector<std::uint32_t> table_;
};

struct Outcome {
  Broken broken = Broken::nothing;
  std::size_t states = 0;
  std::vector<Label> trace;
};

// The steps along a path of canonical states, told with each backend keeping
// its number.
std::vector<Label> replay(std::vector<State> path, const Setup &setup, Mutant mutant) {
  std::vector<Label> labels;
  std::vector<Next> nexts;
  State state = initial_state(setup);
  for (const State &goal : path) {
    successors(state, setup, mutant, nexts);
    for (const Next &next : nexts) {
      const State reached = canonical(next.state, setup);
      if (std::memcmp(&goal, &reached, sizeof(State)) == 0) {
        labels.push_back(next.label);
        state = next.state;
        break;
      }
    }
  }
  return labels;
}

// Breadth first, so that a counterexample is a shortest one. `wanted`: stop at
// this kind only and go on past others; nothing: stop at any.
Outcome explore(const Setup &setup, Mutant mutant, Broken wanted) {
  Visited visited;
  std::vector<Next> nexts;
  visited.add(initial_state(setup), 0);
  for (std::uint32_t i = 0; i < visited.size(); ++i) {
    const State state = visited[i];
    successors(state, setup, mutant, nexts);
    for (const Next &next : nexts) {
      if (next.broken != Broken::nothing && (wanted == Broken::nothing || next.broken == wanted)) {
        std::vector<State> path = visited.path_to(i);
        path.push_back(canonical(next.state, setup));
        return {next.broken, visited.size(), replay(std::move(path), setup, mutant)};
      }
      visited.add(canonical(next.state, setup), i);
    }
  }
  return {Broken::nothing, visited.size(), {}};
}

class Timer {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

void print_trace(const Outcome &outcome) {
  for (const Label &label : outcome.trace) std::printf("      %s\n", describe(label).c_str());
}

bool protocol_holds() {
  bool holds = true;
  for (const Setup &setup : setups()) {
    const Timer timer;
    const Outcome outcome = explore(setup, Mutant::none, Broken::nothing);
    std::printf("the protocol, %s: %s, %zu states, %.1f s\n", setup.name.data(),
                name_of(outcome.broken).data(), outcome.states, timer.seconds());
    print_trace(outcome);
    std::fflush(stdout);
    holds = holds && outcome.broken == Broken::nothing;
  }
  return holds;
}

bool mutant_is_caught(const MutantRow &row, bool with_trace) {
  const Timer timer;
  std::size_t states = 0;
  for (const Setup &setup : setups()) {
    if (setup.name != row.setup) continue;
    const Outcome outcome = explore(setup, row.mutant, row.expected);
    states += outcome.states;
    if (outcome.broken == Broken::nothing) continue;
    std::printf("mutant %s, %s: %s after %zu steps, %zu states, %.1f s\n", row.name.data(),
                setup.name.data(), name_of(outcome.broken).data(), outcome.trace.size(), states,
                timer.seconds());
    if (with_trace) print_trace(outcome);
    std::fflush(stdout);
    return true;
  }
  std::printf("mutant %s: NOT CAUGHT, %zu states, %.1f s\n", row.name.data(), states,
              timer.seconds());
  return false;
}

int run(int argc, char **argv) {
  const std::string_view argument = argc == 2 ? argv[1] : "";
  constexpr std::string_view kMutantOption = "--mutant=";
  if (argc == 1) return protocol_holds() ? 0 : 1;
  if (argument == "--list") {
    for (const MutantRow &row : kMutants) std::printf("%s\n", row.name.data());
    return 0;
  }
  if (argument == "--self-test") {
    bool passed = protocol_holds();
    for (const MutantRow &row : kMutants) passed = mutant_is_caught(row, false) && passed;
    std::printf("%s\n", passed ? "passed" : "FAILED");
    return passed ? 0 : 1;
  }
  if (argument.starts_with(kMutantOption)) {
    for (const MutantRow &row : kMutants) {
      // A counterexample was asked for: finding it is a failure of the mutant.
      if (row.name == argument.substr(kMutantOption.size())) {
        return mutant_is_caught(row, true) ? 1 : 0;
      }
    }
  }
  std::fprintf(stderr, "usage: words_model [--list | --self-test | --mutant=NAME]\n");
  return 2;
}

}  // namespace

}  // namespace idgen::model

int main(int argc, char **argv) {
  return idgen::model::run(argc, argv);
}
