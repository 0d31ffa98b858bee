// Explores the model of the words.
//
//   words_model                  the protocol as it is: no state may be broken
//   words_model --mutant=NAME    the protocol with one rule left out
//   words_model --list           the mutants
//   words_model --self-test      all of it: the protocol passes, each mutant fails

#include "words_model.h"

#include <span>

#include "explore.h"

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

// For explore.h.
struct Words {
  using State = model::State;
  using Setup = model::Setup;
  using Mutant = model::Mutant;
  using Next = model::Next;
  using Row = MutantRow;
  static constexpr std::string_view kName = "words_model";
  static std::span<const MutantRow> mutants() { return kMutants; }
  static std::vector<Setup> setups() { return model::setups(); }
  static State initial_state(const Setup &setup) { return model::initial_state(setup); }
  static void successors(const State &state, const Setup &setup, Mutant mutant,
                         std::vector<Next> &out) {
    model::successors(state, setup, mutant, out);
  }
  static State canonical(const State &state, const Setup &setup) {
    return model::canonical(state, setup);
  }
};

}  // namespace

}  // namespace idgen::model

int main(int argc, char **argv) {
  return idgen::model::run<idgen::model::Words>(argc, argv);
}
