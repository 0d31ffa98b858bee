// Visits every state of a small model, breadth first, and tells how a state that is
// broken comes about; what the programs of test/model/ have in common.
//
// A Model has types State (compared as bytes), Setup (with a name), Mutant (with
// `none`), Next (state, label, broken) and Row (mutant, name, expected, setup), and
// static functions mutants(), setups(), initial_state(), successors(), canonical().
// describe(label) is found beside it.

#ifndef IDGEN_TEST_MODEL_EXPLORE_H
#define IDGEN_TEST_MODEL_EXPLORE_H

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

namespace idgen::model {

// What a step may break.
enum class Broken : std::uint8_t {
  nothing,
  repeat,  // an ID issued twice
  u1,      // the word went down outside a rotation
  u2,      // a tick below the floor or at the durable ceiling of its grant
  order,   // not greater than an ID returned before the call began
  lead,    // further ahead of the clock than callers may run
};

constexpr std::string_view name_of(Broken broken) {
  switch (broken) {
    case Broken::nothing:
      return "holds";
    case Broken::repeat:
      return "AN ID IS REPEATED";
    case Broken::u1:
      return "U1 IS BROKEN";
    case Broken::u2:
      return "U2 IS BROKEN";
    case Broken::order:
      return "ORDER IS BROKEN";
    case Broken::lead:
      return "THE LEAD IS TOO LONG";
  }
  return "";
}

// All states found, in the order in which they were, with the one that led to
// each. Found again by an open-addressing table of their numbers.
template <typename State>
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

template <typename Model>
struct Outcome {
  Broken broken = Broken::nothing;
  std::size_t states = 0;
  std::vector<decltype(Model::Next::label)> trace;
};

// The steps along a path of canonical states, told with each backend keeping
// its number.
template <typename Model>
auto replay(std::vector<typename Model::State> path, const typename Model::Setup &setup,
            typename Model::Mutant mutant) {
  std::vector<decltype(Model::Next::label)> labels;
  std::vector<typename Model::Next> nexts;
  auto state = Model::initial_state(setup);
  for (const auto &goal : path) {
    Model::successors(state, setup, mutant, nexts);
    for (const auto &next : nexts) {
      const auto reached = Model::canonical(next.state, setup);
      if (std::memcmp(&goal, &reached, sizeof(goal)) == 0) {
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
template <typename Model>
Outcome<Model> explore(const typename Model::Setup &setup, typename Model::Mutant mutant,
                       Broken wanted) {
  Visited<typename Model::State> visited;
  std::vector<typename Model::Next> nexts;
  visited.add(Model::initial_state(setup), 0);
  for (std::uint32_t i = 0; i < visited.size(); ++i) {
    const auto state = visited[i];
    Model::successors(state, setup, mutant, nexts);
    for (const auto &next : nexts) {
      if (next.broken != Broken::nothing && (wanted == Broken::nothing || next.broken == wanted)) {
        auto path = visited.path_to(i);
        path.push_back(Model::canonical(next.state, setup));
        return {next.broken, visited.size(), replay<Model>(std::move(path), setup, mutant)};
      }
      visited.add(Model::canonical(next.state, setup), i);
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

template <typename Model>
void print_trace(const Outcome<Model> &outcome) {
  for (const auto &label : outcome.trace) std::printf("      %s\n", describe(label).c_str());
}

template <typename Model>
bool protocol_holds() {
  bool holds = true;
  for (const auto &setup : Model::setups()) {
    const Timer timer;
    const Outcome<Model> outcome = explore<Model>(setup, Model::Mutant::none, Broken::nothing);
    std::printf("the protocol, %s: %s, %zu states, %.1f s\n", setup.name.data(),
                name_of(outcome.broken).data(), outcome.states, timer.seconds());
    print_trace(outcome);
    std::fflush(stdout);
    holds = holds && outcome.broken == Broken::nothing;
  }
  return holds;
}

template <typename Model>
bool mutant_is_caught(const typename Model::Row &row, bool with_trace) {
  const Timer timer;
  std::size_t states = 0;
  for (const auto &setup : Model::setups()) {
    if (setup.name != row.setup) continue;
    const Outcome<Model> outcome = explore<Model>(setup, row.mutant, row.expected);
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

template <typename Model>
int run(int argc, char **argv) {
  const std::string_view argument = argc == 2 ? argv[1] : "";
  constexpr std::string_view kMutantOption = "--mutant=";
  if (argc == 1) return protocol_holds<Model>() ? 0 : 1;
  if (argument == "--list") {
    for (const auto &row : Model::mutants()) std::printf("%s\n", row.name.data());
    return 0;
  }
  if (argument == "--self-test") {
    bool passed = protocol_holds<Model>();
    for (const auto &row : Model::mutants()) passed = mutant_is_caught<Model>(row, false) && passed;
    std::printf("%s\n", passed ? "passed" : "FAILED");
    return passed ? 0 : 1;
  }
  if (argument.starts_with(kMutantOption)) {
    for (const auto &row : Model::mutants()) {
      // A counterexample was asked for: finding it is a failure of the mutant.
      if (row.name == argument.substr(kMutantOption.size())) {
        return mutant_is_caught<Model>(row, true) ? 1 : 0;
      }
    }
  }
  std::fprintf(stderr, "usage: %s [--list | --self-test | --mutant=NAME]\n", Model::kName.data());
  return 2;
}

}  // namespace idgen::model

#endif  // IDGEN_TEST_MODEL_EXPLORE_H
