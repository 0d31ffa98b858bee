// The clock: what the issuing clock should be, given samples of the wall clock,
// of the monotonic clock and of the kernel's opinion of them.
//
// A pure state machine. The worker samples and calls; the offset that comes out
// is what it publishes (after it has made sure of a ceiling above it). Backends
// never see a step of the wall clock: they read CLOCK_MONOTONIC + offset.
//
// *Skew* is the level, issuing time minus wall time, never the size of a step.
// A sample is judged in this order; the first that applies decides:
//
//   1. the machine was suspended        follow by as much as it was
//   2. ahead by more than the limit     rollback: hold, slew; the keeper acts by policy
//   3. ahead                            holding: hold, slew
//   4. no further off than noise        synchronized: follow
//   5. behind by what may be followed   synchronized: follow
//   6. behind by more, not for long     suspect: go on as before
//   7. behind by more, for long         synchronized: follow
//
// All times are nanoseconds; `wall` counts from the layout's epoch.

#ifndef IDGEN_CORE_CLOCK_H
#define IDGEN_CORE_CLOCK_H

#include <array>
#include <cstdint>

namespace idgen {

enum class ClockState : std::uint8_t {
  unset,         // no sample yet
  synchronized,  // issuing time follows the wall clock
  holding,       // issuing time is ahead and runs slower until they meet
  rollback,      // the same, by more than our own ceilings and the skew allowed explain
  suspect,       // the wall clock is far ahead and not believed yet
};

// What the kernel says of its clock (ntp_adjtime).
enum class KernelSync : std::uint8_t { unknown, synchronized, unsynchronized };

struct ClockSample {
  std::int64_t monotonic = 0;
  std::int64_t wall = 0;
  std::int64_t suspended = 0;  // CLOCK_BOOTTIME minus CLOCK_MONOTONIC
  std::int64_t error = 0;      // how far apart the readings may have been
  KernelSync kernel = KernelSync::unknown;
};

struct ClockPolicy {
  std::int64_t max_skew = 60'000'000'000;  // a wall clock further ahead is not believed at once
  std::int64_t confirm = 600'000'000'000;  // but when it has stayed there for this long
  std::int64_t window = 3'000'000'000;     // a lead of max_skew + a window is no rollback
  std::int64_t interval = 100'000'000;     // between samples
};

// What an earlier run left about the time, for the start.
struct ClockEvidence {
  bool known = false;
  bool same_boot = false;     // CLOCK_BOOTTIME counts from the same moment
  std::int64_t boottime = 0;  // CLOCK_BOOTTIME when it was written
  std::int64_t issuing = 0;   // issuing time at that moment
  std::int64_t window = 0;    // the longest since the clocks last met: how far above the clock a
                              // start may have to begin. Also where `known` is false
  friend bool operator==(const ClockEvidence &, const ClockEvidence &) noexcept = default;
};

// What happened, for the log and the views. Some are the keeper's to report.
enum class ClockEventKind : std::uint8_t {
  started,           // the first sample
  synchronized,      // the clocks have met
  holding,           // the wall clock fell behind
  rollback,          // by more than the limit
  suspect,           // the wall clock is far ahead (again, if it was before)
  followed,          // a step ahead was followed at once
  suspended,         // the machine slept; its time was followed
  confirmed,         // a suspect clock lasted, and was followed
  accepted,          // an operator accepted it
  rotated,           // policy `rotate`: a fresh node, the wall clock followed
  rotation_refused,  // policy `rotate`, but there is no node to take
  stopped,           // the clock breaker opened: nothing is issued
  resumed,           // and closed
  unsynchronized,    // the kernel says its clock isn't synchronised
  resynchronized,    // and that it is again
};
inline constexpr std::size_t kClockEventKinds = 15;
static_assert(static_cast<std::size_t>(ClockEventKind::resynchronized) + 1 == kClockEventKinds);

struct ClockEvent {
  ClockEventKind kind = ClockEventKind::started;
  ClockState state = ClockState::unset;  // after it
  std::int64_t skew = 0;                 // after it
  std::int64_t step = 0;                 // how far the wall clock had moved against the monotonic
};

// The events of one turn, oldest first.
class ClockEvents {
 public:
  void add(const ClockEvent &event) noexcept {
    if (size_ < events_.size()) events_[size_++] = event;
  }
  const ClockEvent *begin() const noexcept { return events_.data(); }
  const ClockEvent *end() const noexcept { return events_.data() + size_; }

 private:
  std::array<ClockEvent, 6> events_{};
  std::size_t size_ = 0;
};

class Clock {
 public:
  // A difference up to this is reading noise and slewing by the time daemon:
  // followed in both directions.
  static constexpr std::int64_t kNoise = 1'000'000;
  // While ahead, issuing time runs at 1 - 1/10 of real speed: a sample takes a
  // tenth of the time since the last one off, at most kMaxSlewStep, so that
  // callers never see a step they would have to wait for. Samples should come
  // every kSlewInterval meanwhile; late ones only make it slower.
  static constexpr std::int64_t kSlewDivisor = 10;
  static constexpr std::int64_t kMaxSlewStep = 1'000'000;
  static constexpr std::int64_t kSlewInterval = kMaxSlewStep * kSlewDivisor;
  // So far issuing time goes back at most, at any moment, against all it has shown.
  static constexpr std::int64_t kMaxStepBack = 2 * kNoise;
  static_assert(kMaxStepBack >= kMaxSlewStep);
  // A suspect clock that moves by more than this has not stayed where it was.
  static constexpr std::int64_t kSteady = 1'000'000'000;
  // Steps ahead that are followed are reported from this size on.
  static constexpr std::int64_t kWorthTelling = 100'000'000;

  // Starts at the wall clock, unless what an earlier run left contradicts it:
  // then where that says the time is, and suspect.
  void start(const ClockSample &sample, const ClockEvidence &evidence,
             const ClockPolicy &policy) noexcept;

  // Follows the wall clock from here on, wherever issuing time was, but not
  // below `floor`.
  void follow(const ClockSample &sample, std::int64_t floor) noexcept;

  // Issuing time must not be below `floor` from now on (a fresh grant's floor).
  // `explained`: so much of the lead that comes of it is the fleet's, and no
  // rollback of this clock.
  void raise(const ClockSample &sample, std::int64_t floor, std::int64_t explained = 0) noexcept;

  // Takes a sample in; offset(), state() and skew() tell what follows.
  void sample(const ClockSample &sample, const ClockPolicy &policy, ClockEvents &events) noexcept;

  // An ID of another instance was seen whose tick ends at `until`: issuing time must
  // not be below that (the receive rule of a hybrid logical clock). False, and
  // nothing changes, if it lies more than `max_skew` ahead of believed_offset().
  bool observe(const ClockSample &sample, std::int64_t until, std::int64_t max_skew) noexcept;

  // From CLOCK_MONOTONIC to the wall clock, as of a sample and of the last that was
  // judged, whichever is less; of a clock that is suspect, to where it should be. What
  // is observed doesn't move it: or each observation would make room for the next.
  std::int64_t believed_offset(const ClockSample &sample) const noexcept;

  // An operator says that the wall clock is right; true if it was suspect.
  bool accept(const ClockSample &sample, ClockEvents &events) noexcept;

  // Is the wall clock that far behind by this sample?
  bool is_rollback(const ClockSample &sample) const noexcept {
    return offset_ - (sample.wall - sample.monotonic) > rollback_limit_;
  }

  // Backends use this offset (a worker that goes on after another).
  void resume(std::int64_t offset) noexcept { offset_ = offset; }

  std::int64_t offset() const noexcept { return offset_; }
  ClockState state() const noexcept { return state_; }
  // Issuing time minus wall time at the last sample: a level, not a step.
  std::int64_t skew() const noexcept { return skew_; }
  const ClockSample &last() const noexcept { return last_; }
  // The longest window since issuing time and the wall clock last met.
  std::int64_t window() const noexcept { return window_; }
  ClockEvent event(ClockEventKind kind) const noexcept { return {kind, state_, skew_, 0}; }

 private:
  void note_window(const ClockPolicy &policy, std::int64_t longest) noexcept;
  void settle(const ClockSample &sample) noexcept;
  bool judge_lead(const ClockSample &sample, std::int64_t elapsed) noexcept;
  ClockEventKind judge_lag(const ClockSample &sample, const ClockPolicy &policy,
                           std::int64_t elapsed) noexcept;

  ClockState state_ = ClockState::unset;
  std::int64_t offset_ = 0;
  std::int64_t skew_ = 0;
  ClockSample last_;
  std::int64_t window_ = 0;
  std::int64_t rollback_limit_ = 0;
  // How much of max_skew has been followed in steps ahead. Forgotten at a rate
  // of max_skew in `confirm`: many small steps must not do what one may not.
  std::int64_t followed_ = 0;
  std::int64_t suspect_offset_ = 0;  // where the wall clock was when it became suspect
  std::int64_t lasted_ = 0;          // for how long it has been seen there since
  std::int64_t trusted_offset_ = 0;  // where it should have been
  // Issuing time is ahead because of what was observed. Of such leads, which may come
  // and go with every message from another instance, no event tells.
  bool observed_ = false;
};

}  // namespace idgen

#endif  // IDGEN_CORE_CLOCK_H
