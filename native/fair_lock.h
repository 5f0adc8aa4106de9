// The writer lock of one opening: an exclusive byte-range lock with fairness between openings, and with an owner inside
// this opening.
//
// Between openings. The kernel gives a lock that is tried for again and again to whoever tries first, and that is
// whoever has just released it. So a waiter shares a second byte, the *waiting* byte, while it waits; who has just held the lock and
// finds that byte held by another opening lets the other go first: it waits until it has seen the lock taken, or a short
// while. It does not hold the waiting byte meanwhile, or two would give way to each other.
//
// Inside this opening. A lock of an open file description does not conflict with itself, so the kernel would let a
// waiting thread have what a synchronous call holds already. `holder_` decides instead:
//
//   none    → caller   tryTake, take
//   none    → granted  the waiting thread got the lock for a LockWait and has told the event loop
//   granted → caller   claim, in a turn of the event loop; or tryTake, take: a synchronous call takes the grant over
//   granted → none     the event loop did not come in time (a busy loop must not hold up the machine), or cancel, or stop
//   caller  → none     release
//
// Every member function may be called from any thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>

#include "platform.h"

namespace foliodb {

/** One asynchronous wait. Its fields belong to the FairLock's mutex. */
struct LockWait {
  using Clock = std::chrono::steady_clock;
  /** Called with the mutex held when there is a grant to claim: schedules a turn of the event loop that calls `claim`. */
  std::function<void()> notify;
  Clock::time_point deadline;
  bool cancelled = false;
  bool claimed = false;
  /** A notification is on its way to the event loop. */
  bool notified = false;
};

class FairLock {
 public:
  using Clock = LockWait::Clock;

  FairLock(const platform::File& file, uint64_t lockByte, uint64_t waitingByte)
      : file_(file), lockByte_(lockByte), waitingByte_(waitingByte) {}

  /** Whether [start, start + length) is this lock. */
  bool is(uint64_t start, uint64_t length) const { return start == lockByte_ && length == 1; }

  platform::Status tryTake(bool* taken);
  /** Waits on the calling thread. */
  platform::Status take(Clock::duration limit, bool* taken);
  platform::Status release();

  /** Runs a wait to its end, on the waiting thread: granted and claimed, or not granted. */
  platform::Status serve(LockWait& wait, bool* granted);
  /** On the event loop's thread, after a notification: true if the lock now belongs to the caller. */
  bool claim(LockWait& wait);
  void cancel(LockWait& wait);
  /** Ends all waiting, for good. */
  void stop();

 private:
  enum class Holder { none, granted, caller };
  using Hold = std::unique_lock<std::mutex>;

  platform::Status attempt(bool* got);
  platform::Status giveBack();
  bool othersWait() const;
  bool lockIsTaken() const;
  /** Lets others go first if this opening has just held the lock. */
  void giveWay(Hold& hold, Clock::time_point deadline, const bool& cancelled);
  void beginWaiting();
  void endWaiting();

  const platform::File& file_;
  const uint64_t lockByte_;
  const uint64_t waitingByte_;

  std::mutex mutex_;
  std::condition_variable changed_;
  Holder holder_ = Holder::none;
  const LockWait* grantedTo_ = nullptr;
  bool stopped_ = false;
  /** Waits of this opening that share the waiting byte. */
  int waitingCount_ = 0;
  /** When this opening last gave the lock back. */
  Clock::time_point released_{};
  /** Until then nobody is given way to: a waiter that did not take its turn is stopped or very slow. */
  Clock::time_point impatientUntil_{};
};

}  // namespace foliodb
