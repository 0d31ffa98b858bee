// An exhaustive model of scopes that come and go (src/core/scope_word.h): two
// scopes, two places for their words, the high-water word, callers that remember
// where they have found their scope, an operator who lets go of words at any time,
// and a worker that acquires nodes and, by policy `rotate`, moves words back.
//
// As in words_model.h, each load and store is a step of its own, every interleaving
// is visited, whoever is between two steps may stay there for ever, and the
// arithmetic is the server's own. What the registry does is as simple as may be:
// that windows are disjoint is words_model's to show.
//
//   scopes_model                  the protocol as it is: no state may be broken
//   scopes_model --mutant=NAME    the protocol with one rule left out
//   scopes_model --list           the mutants
//   scopes_model --self-test      all of it: the protocol passes, each mutant fails

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/generator.h"
#include "core/scope_word.h"
#include "explore.h"

namespace idgen::model::scopes {
namespace {

// 8 ticks, 4 nodes, 2 IDs a tick and node: every ID is a bit of one uint64.
constexpr IssueLayout kTiny{3, 2, 1, 1};
constexpr unsigned kScopes = 2;
constexpr unsigned kPlaces = 2;
constexpr unsigned kMaxCallers = 2;
constexpr std::uint8_t kFree = 64;  // kTombstone, of a word of 7 bits
constexpr std::uint64_t kMaxLead = 2;

enum class Mutant : std::uint8_t {
  none,
  owner_not_checked,
  owner_checked_before_word,
  owner_kept_after_lost_cas,
  word_not_taken_away,
  value_not_folded,
  folded_before_taken_away,
  start_at_high_water,
  start_above_high_water,
  start_without_lock,
  raise_without_lock,
  high_water_not_raised,
  place_not_raised,
};

enum class At : std::uint8_t {
  idle,
  look_up,
  // Under the lock: the scope has no place, and gets one.
  draw_word,
  draw_grant,
  draw_cas,
  store_word,
  store_owner,
  // Issuing, as in try_issue():
  load_word,
  check_owner,
  load_grant,
  cas,
};

struct Caller {
  At at = At::idle;
  std::uint8_t scope = 0;    // 1 or 2; of the place it remembers, too
  std::uint8_t place = 0;    // where it has found the scope
  std::uint8_t owner = 0;    // and as whose; 0: nowhere yet
  std::uint8_t last = 0;     // loaded from the scope's word, or from the high-water word
  std::uint8_t start = 0;    // what was drawn
  std::uint8_t floor = 0;    // ghost: of the grant that was loaded
  std::uint8_t seen = 0;     // ghost: greatest ID of the scope returned before the call began
  std::uint16_t grant = 0;   // squeezed
  std::uint8_t checked = 0;  // by a mutant, before its time
  std::uint8_t n = 0;
};

enum class Work : std::uint8_t {
  idle,
  withdraw,
  lock,
  high_water,
  place_0,
  place_1,
  unlock,
  publish
};
enum class Drop : std::uint8_t { idle, clear_owner, take_word, fold };

constexpr unsigned kUnused = 1;  // so that there is no padding

struct State {
  std::array<std::uint64_t, kScopes> issued{};
  std::array<Caller, kMaxCallers> callers{};
  std::uint16_t grant = 0;
  std::array<std::uint8_t, kPlaces> last{kFree, kFree};
  std::array<std::uint8_t, kPlaces> owner{};     // as callers read it
  std::array<std::uint8_t, kPlaces> scope{};     // under the lock: whose the place is; 0: nobody's
  std::array<std::uint8_t, kScopes> returned{};  // ghost: since order last restarted
  std::uint8_t owners = 0;                       // ever
  std::uint8_t high_water = 0;
  std::uint8_t locked = 0;
  std::uint8_t floor = 0;  // ghost: of the published grant
  std::uint8_t now = 0;    // the tick that all see
  Work work = Work::idle;
  std::uint8_t era = 0;
  Drop drop = Drop::idle;
  std::uint8_t drop_place = 0;
  std::uint8_t dropped = 0;  // the value taken away
  std::uint8_t drops_left = 0;
  std::uint8_t calls_left = 0;
  std::uint8_t ticks_left = 0;
  std::array<std::uint8_t, kUnused> unused{};
};
static_assert(std::has_unique_object_representations_v<State>, "states are compared as bytes");

struct Era {
  std::uint8_t node;
  std::uint8_t floor;
  std::uint8_t ceiling;
  bool rotates;      // moves the words back
  std::uint8_t now;  // where the clock is put
};

struct Setup {
  std::string_view name;
  unsigned callers;
  unsigned calls;
  std::uint8_t longest;  // run that is asked for
  unsigned drops;
  unsigned ticks;
  std::vector<Era> eras;
};

struct Label {
  std::uint8_t actor = 0;  // 0, 1 callers, then:
  static constexpr std::uint8_t kWorker = 10, kOperator = 11, kClock = 12;
  std::uint8_t action = 0;  // an At, Work or Drop
  std::uint8_t scope = 0;
  std::uint8_t place = 0;
  std::uint8_t value = 0;
};

struct Next {
  State state;
  Label label;
  Broken broken = Broken::nothing;
};

std::uint16_t squeeze(const Grant &grant) {
  const std::uint64_t word = pack(kTiny, grant);
  return static_cast<std::uint16_t>(word >> kGrantLanesShift << 5 | (word & 31));
}
Grant grant_of(std::uint16_t squeezed) {
  return unpack(kTiny, std::uint64_t{squeezed} >> 5 << kGrantLanesShift | (squeezed & 31u));
}

std::string text_of_word(std::uint64_t word) {
  if (word == kFree) return "the tombstone";
  return std::to_string(kTiny.tick_in(word)) + "." + std::to_string(word >> 1 & 3) + "." +
         std::to_string(word & 1);
}

std::string describe(const Label &label) {
  const std::string value = text_of_word(label.value);
  const std::string place = "place " + std::to_string(label.place);
  if (label.actor == Label::kClock) return "time: tick " + std::to_string(label.value);
  if (label.actor == Label::kWorker) {
    static constexpr const char *kWorks[] = {"begins",
                                             "withdraws the grant",
                                             "locks",
                                             "raises the high-water word to ",
                                             "raises place 0 to ",
                                             "raises place 1 to ",
                                             "unlocks",
                                             "publishes"};
    const bool raises = label.action >= 3 && label.action <= 5;
    return std::string("worker: ") + kWorks[label.action] + (raises ? value : "");
  }
  if (label.actor == Label::kOperator) {
    static constexpr const char *kDrops[] = {"lets go of ", "clears the owner of ",
                                             "takes away the word of ", "folds the word of "};
    return std::string("operator: ") + kDrops[label.action] + place + " (" + value + ")";
  }
  static constexpr const char *kSteps[] = {"calls",
                                           "looks up",
                                           "draws: loads the high-water word",
                                           "draws: loads the grant",
                                           "draws a start",
                                           "stores the start",
                                           "stores the owner",
                                           "loads the word",
                                           "checks the owner",
                                           "loads the grant",
                                           "CAS"};
  return "caller " + std::to_string(label.actor) + ", scope " + std::to_string(label.scope) + ": " +
         kSteps[label.action] + ", " + place + ", " + value;
}

Decision decide_for(const Caller &caller, const State &state) {
  const std::uint64_t n = caller.at == At::draw_cas ? 1 : caller.n;
  return decide(kTiny, caller.last, grant_of(caller.grant), state.now, {.n = n}, kMaxLead);
}

Broken issue(State &state, Caller &caller, const Decision &decision) {
  Broken broken = Broken::nothing;
  const auto breaks = [&broken](Broken what) {
    if (broken == Broken::nothing) broken = what;
  };
  const std::size_t scope = caller.scope - 1u;
  const Block block(kTiny, grant_of(caller.grant));
  for (std::uint64_t i = 0; i < decision.count; ++i) {
    const std::uint64_t id = block.id_at(decision.first_index + i);
    const std::uint64_t bit = std::uint64_t{1} << (id & 63);
    const std::uint64_t tick = kTiny.tick_in(id);
    if ((state.issued[scope] & bit) != 0) breaks(Broken::repeat);
    state.issued[scope] |= bit;
    if (tick < caller.floor || tick >= grant_of(caller.grant).ceiling) breaks(Broken::u2);
  }
  if (decision.first <= caller.seen) breaks(Broken::order);
  const auto last = static_cast<std::uint8_t>(decision.last);
  if (last <= state.last[caller.place]) breaks(Broken::u1);
  state.last[caller.place] = last;
  state.returned[scope] = std::max(state.returned[scope], last);
  return broken;
}

// Gives up: nothing was issued.
void give_up(State &state, Caller &caller) {
  caller.at = At::idle;
  caller.last = caller.start = caller.floor = caller.seen = caller.checked = caller.n = 0;
  caller.grant = 0;
  ++state.calls_left;
}

void look_up(State &state, Caller &caller, Mutant mutant) {
  caller.owner = 0;
  for (unsigned place = 0; place < kPlaces; ++place) {
    if (state.scope[place] != caller.scope) continue;
    caller.place = static_cast<std::uint8_t>(place);
    caller.owner = state.owner[place];
    caller.at = At::load_word;
    return;
  }
  const auto *free = std::find(state.scope.begin(), state.scope.end(), 0);
  if (free == state.scope.end()) return give_up(state, caller);
  caller.place = static_cast<std::uint8_t>(free - state.scope.begin());
  caller.at = At::draw_word;
  if (mutant == Mutant::start_without_lock) {
    state.scope[caller.place] = caller.scope;
  } else {
    state.locked = 1;
  }
}

bool needs_lock(const Caller &caller) {
  return caller.at == At::look_up;
}

void end_start(State &state, Caller &caller, Mutant mutant) {
  if (mutant != Mutant::start_without_lock) state.locked = 0;
  caller.last = caller.start = caller.floor = 0;
  caller.grant = 0;
  caller.at = At::load_word;
}

Broken step(State &state, Caller &caller, Mutant mutant, Label &label) {
  label.action = static_cast<std::uint8_t>(caller.at);
  switch (caller.at) {
    case At::idle:
      break;
    case At::look_up:
      look_up(state, caller, mutant);
      break;
    case At::draw_word:
      label.value = caller.last = state.high_water;
      caller.at = At::draw_grant;
      break;
    case At::draw_grant:
      caller.grant = state.grant;
      caller.at = At::draw_cas;
      break;
    case At::draw_cas: {
      const Decision decision = decide_for(caller, state);
      if (decision.verdict != Verdict::issued) {
        if (mutant == Mutant::start_without_lock) {
          state.scope[caller.place] = 0;
        } else {
          state.locked = 0;
        }
        give_up(state, caller);
        break;
      }
      caller.start = static_cast<std::uint8_t>(decision.last);
      if (mutant == Mutant::start_at_high_water) caller.start = caller.last;
      if (mutant == Mutant::start_above_high_water) caller.start = caller.last + 1;
      state.high_water = std::max(state.high_water, caller.start);
      label.value = caller.start;
      caller.at = At::store_word;
      break;
    }
    case At::store_word:
      label.value = state.last[caller.place] = caller.start;
      caller.at = At::store_owner;
      break;
    case At::store_owner:
      state.scope[caller.place] = caller.scope;
      state.owner[caller.place] = caller.owner = ++state.owners;
      end_start(state, caller, mutant);
      break;
    case At::load_word:
      label.value = caller.last = state.last[caller.place];
      caller.at = At::check_owner;
      if (mutant == Mutant::owner_not_checked || mutant == Mutant::owner_checked_before_word ||
          (mutant == Mutant::owner_kept_after_lost_cas && caller.checked != 0)) {
        caller.at = At::load_grant;
      }
      break;
    case At::check_owner:
      if (state.owner[caller.place] != caller.owner) {
        caller.owner = caller.last = caller.checked = 0;
        caller.at = At::look_up;
        break;
      }
      caller.at = At::load_grant;
      if (mutant == Mutant::owner_checked_before_word) caller.at = At::load_word;
      if (mutant == Mutant::owner_kept_after_lost_cas) caller.checked = 1;
      break;
    case At::load_grant:
      caller.grant = state.grant;
      caller.floor = state.floor;
      caller.at = At::cas;
      break;
    case At::cas: {
      const Decision decision = decide_for(caller, state);
      if (decision.verdict != Verdict::issued) {
        give_up(state, caller);
        break;
      }
      label.value = static_cast<std::uint8_t>(decision.last);
      if (state.last[caller.place] != caller.last) {
        caller.last = caller.floor = 0;
        caller.grant = 0;
        caller.at = mutant == Mutant::owner_checked_before_word ? At::check_owner : At::load_word;
        label.value = kFree;
        break;
      }
      const Broken broken = issue(state, caller, decision);
      caller.at = At::idle;
      caller.last = caller.floor = caller.seen = caller.checked = caller.n = 0;
      caller.grant = 0;
      return broken;
    }
  }
  return Broken::nothing;
}

void caller_steps(const State &state, unsigned index, const Setup &setup, Mutant mutant,
                  std::vector<Next> &out) {
  const Caller &caller = state.callers[index];
  const auto one = [&](std::uint8_t scope, std::uint8_t n) {
    Next next{state, {static_cast<std::uint8_t>(index)}, Broken::nothing};
    Caller &mine = next.state.callers[index];
    if (mine.at == At::idle) {
      --next.state.calls_left;
      // Where it found the scope the last time, it looks again.
      const bool known = mine.owner != 0 && mine.scope == scope;
      mine.scope = scope;
      mine.n = n;
      if (!known) mine.owner = mine.place = 0;
      mine.seen = next.state.returned[scope - 1u];
      mine.at = !known                                        ? At::look_up
                : mutant == Mutant::owner_checked_before_word ? At::check_owner
                                                              : At::load_word;
    }
    next.label.scope = mine.scope;
    if (needs_lock(mine) && state.locked != 0) return;
    next.broken = step(next.state, mine, mutant, next.label);
    next.label.place = mine.place;
    out.push_back(next);
  };
  if (caller.at != At::idle) {
    one(caller.scope, caller.n);
  } else if (state.calls_left != 0) {
    for (std::uint8_t scope = 1; scope <= kScopes; ++scope) {
      for (std::uint8_t n = 1; n <= setup.longest; ++n) one(scope, n);
    }
  }
}

// Lets go of a word, whosever it is.
void operator_steps(const State &state, Mutant mutant, std::vector<Next> &out) {
  if (state.drop == Drop::idle) {
    if (state.drops_left == 0 || state.locked != 0) return;
    for (std::uint8_t place = 0; place < kPlaces; ++place) {
      if (state.owner[place] == 0) continue;
      Next next{state, {Label::kOperator, 0, 0, place, state.last[place]}, Broken::nothing};
      --next.state.drops_left;
      next.state.locked = 1;
      next.state.drop_place = place;
      next.state.drop = Drop::clear_owner;
      out.push_back(next);
    }
    return;
  }
  Next next{state, {Label::kOperator}, Broken::nothing};
  State &then = next.state;
  const std::uint8_t place = then.drop_place;
  next.label.place = place;
  next.label.value = then.last[place];
  next.label.action = static_cast<std::uint8_t>(then.drop);
  const auto take_away = [&] {
    then.dropped = then.last[place];
    if (mutant != Mutant::word_not_taken_away) then.last[place] = kFree;
  };
  switch (then.drop) {
    case Drop::idle:
      break;
    case Drop::clear_owner:
      then.owner[place] = 0;
      then.drop = Drop::take_word;
      if (mutant == Mutant::folded_before_taken_away) then.dropped = then.last[place];
      break;
    case Drop::take_word:
      if (mutant == Mutant::folded_before_taken_away) {
        then.last[place] = kFree;
      } else {
        take_away();
      }
      then.drop = Drop::fold;
      break;
    case Drop::fold:
      if (mutant != Mutant::value_not_folded) {
        then.high_water = std::max(then.high_water, then.dropped);
      }
      then.scope[place] = then.dropped = then.drop_place = 0;
      then.drop = Drop::idle;
      then.locked = 0;
      break;
  }
  out.push_back(next);
}

void worker_steps(const State &state, const Setup &setup, Mutant mutant, std::vector<Next> &out) {
  Next next{state, {Label::kWorker}, Broken::nothing};
  State &then = next.state;
  if (state.work == Work::idle) {
    if (state.era == setup.eras.size()) return;
    then.work = Work::withdraw;
    out.push_back(next);
    return;
  }
  const Era &era = setup.eras[state.era];
  const Grant grant{GrantState::active, 0, era.node, era.ceiling};
  const auto below = static_cast<std::uint8_t>(Block(kTiny, grant).last_below(era.floor));
  const auto raise = [&](std::uint8_t &word) {
    if (era.rotates) {  // order restarts
      then.returned = {};
      for (Caller &caller : then.callers) caller.seen = 0;
    }
    if (word == kFree) return;
    if (era.rotates || word < below) word = below;
  };
  next.label.action = static_cast<std::uint8_t>(state.work);
  next.label.value = below;
  const bool locks = mutant != Mutant::raise_without_lock;
  switch (state.work) {
    case Work::idle:
      break;
    case Work::withdraw:
      then.grant = squeeze({GrantState::acquiring, 0, 0, 0});
      then.floor = 0;
      break;
    case Work::lock:
      if (locks && state.locked != 0) return;
      if (locks) then.locked = 1;
      break;
    case Work::high_water:
      if (mutant != Mutant::high_water_not_raised) raise(then.high_water);
      break;
    case Work::place_0:
      raise(then.last[0]);
      break;
    case Work::place_1:
      if (mutant != Mutant::place_not_raised) raise(then.last[1]);
      break;
    case Work::unlock:
      if (locks) then.locked = 0;
      then.now = era.now;
      break;
    case Work::publish:
      then.grant = squeeze(grant);
      then.floor = era.floor;
      ++then.era;
      then.work = Work::idle;
      out.push_back(next);
      return;
  }
  then.work = static_cast<Work>(static_cast<unsigned>(state.work) + 1);
  out.push_back(next);
}

struct Row {
  Mutant mutant;
  std::string_view name;
  Broken expected;
  std::string_view setup;
};

constexpr Row kMutants[] = {
    {Mutant::owner_not_checked, "owner_not_checked", Broken::repeat, "dropped"},
    {Mutant::owner_checked_before_word, "owner_checked_before_word", Broken::repeat, "dropped"},
    {Mutant::owner_kept_after_lost_cas, "owner_kept_after_lost_cas", Broken::repeat, "dropped"},
    {Mutant::word_not_taken_away, "word_not_taken_away", Broken::repeat, "dropped"},
    {Mutant::value_not_folded, "value_not_folded", Broken::repeat, "dropped"},
    {Mutant::folded_before_taken_away, "folded_before_taken_away", Broken::repeat, "runs"},
    {Mutant::start_at_high_water, "start_at_high_water", Broken::repeat, "dropped"},
    // Is an ID of the node beside ours, which we may have held before.
    {Mutant::start_above_high_water, "start_above_high_water", Broken::repeat, "rotated"},
    {Mutant::start_without_lock, "start_without_lock", Broken::u2, "acquired"},
    {Mutant::raise_without_lock, "raise_without_lock", Broken::u2, "acquired"},
    {Mutant::high_water_not_raised, "high_water_not_raised", Broken::u2, "acquired"},
    {Mutant::place_not_raised, "place_not_raised", Broken::u2, "acquired"},
};

// For explore.h.
struct Scopes {
  using State = scopes::State;
  using Setup = scopes::Setup;
  using Mutant = scopes::Mutant;
  using Next = scopes::Next;
  using Row = scopes::Row;
  static constexpr std::string_view kName = "scopes_model";
  static std::span<const Row> mutants() { return kMutants; }
  static std::vector<Setup> setups() {
    return {
        // Words are let go of, one after another, under one grant.
        {.name = "dropped",
         .callers = 2,
         .calls = 4,
         .longest = 1,
         .drops = 2,
         .ticks = 1,
         .eras = {{1, 1, 7, false, 1}}},
        {.name = "runs",
         .callers = 2,
         .calls = 3,
         .longest = 3,
         .drops = 2,
         .ticks = 0,
         .eras = {{1, 1, 7, false, 1}}},
        // Another node at a later time, by a clock that is behind its floor.
        {.name = "acquired",
         .callers = 2,
         .calls = 3,
         .longest = 1,
         .drops = 1,
         .ticks = 1,
         .eras = {{1, 1, 4, false, 1}, {0, 5, 7, false, 4}}},
        // The clock steps back: the words follow it to the node below.
        {.name = "rotated",
         .callers = 2,
         .calls = 4,
         .longest = 1,
         .drops = 1,
         .ticks = 1,
         .eras = {{1, 3, 6, false, 3}, {0, 4, 7, true, 3}}},
    };
  }
  static State initial_state(const Setup &setup) {
    State state;
    state.grant = squeeze({GrantState::acquiring, 0, 0, 0});
    state.calls_left = static_cast<std::uint8_t>(setup.calls);
    state.drops_left = static_cast<std::uint8_t>(setup.drops);
    state.ticks_left = static_cast<std::uint8_t>(setup.ticks);
    return state;
  }
  static void successors(const State &state, const Setup &setup, Mutant mutant,
                         std::vector<Next> &out) {
    out.clear();
    for (unsigned i = 0; i < setup.callers; ++i) caller_steps(state, i, setup, mutant, out);
    operator_steps(state, mutant, out);
    worker_steps(state, setup, mutant, out);
    if (state.ticks_left != 0 && state.era != 0) {
      Next next{state, {Label::kClock}, Broken::nothing};
      --next.state.ticks_left;
      next.label.value = ++next.state.now;
      out.push_back(next);
    }
  }
  // Callers are alike.
  static State canonical(State state, const Setup & /*setup*/) {
    if (std::memcmp(&state.callers[0], &state.callers[1], sizeof(Caller)) > 0) {
      std::swap(state.callers[0], state.callers[1]);
    }
    return state;
  }
};

}  // namespace
}  // namespace idgen::model::scopes

int main(int argc, char **argv) {
  return idgen::model::run<idgen::model::scopes::Scopes>(argc, argv);
}
