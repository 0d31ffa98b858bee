// The door between C++ and PostgreSQL's errors.
//
// Two rules make the two kinds of non-local exit live together:
//
//   - No exception crosses a frame of PostgreSQL's. Code that may throw runs
//     inside guarded(), which turns an exception into a plain message.
//   - No ereport(ERROR) jumps over a frame with a destructor to run. Functions
//     called from SQL compute with the core, which is noexcept and has plain
//     values only, and report when they have a plain result in hand.

#ifndef IDGEN_PG_DOOR_H
#define IDGEN_PG_DOOR_H

#include <cstdio>
#include <exception>

namespace idgen::pg {

// What came of a call through the door.
struct Outcome {
  bool ok = true;
  char message[256] = {};
};

// Runs `body`; an exception ends here, as a message.
template <typename Body>
Outcome guarded(Body &&body) noexcept {
  Outcome outcome;
  const char *what = "unknown C++ exception";
  try {
    body();
    return outcome;
  } catch (const std::exception &e) {
    what = e.what();
    std::snprintf(outcome.message, sizeof(outcome.message), "%s", what);
  } catch (...) {
    std::snprintf(outcome.message, sizeof(outcome.message), "%s", what);
  }
  outcome.ok = false;
  return outcome;
}

}  // namespace idgen::pg

#endif  // IDGEN_PG_DOOR_H
