#include "fair_lock.h"

#include <algorithm>

namespace foliodb {

using platform::LockMode;
using platform::Status;

namespace {

using namespace std::chrono_literals;

/** Between two tries; a wait begins with the first and ends with the last. */
constexpr auto kPollMin = 200us;
constexpr auto kPollMax = 1000us;
/** How long ago "just held" may be: longer than any waiter sleeps. */
constexpr auto kJustHeld = 10ms;
/** How long another may take to use its turn, and how often its use is looked for. */
constexpr auto kGiveWay = 3ms;
constexpr auto kGiveWayPoll = 100us;
/** How long a waiter that did not use its turn is disregarded. */
constexpr auto kImpatience = 100ms;
/** How long a grant waits for the event loop. */
constexpr auto kGrant = 100ms;

const bool kNever = false;

/** Lengthens the sleep between tries by a quarter each time. */
std::chrono::microseconds longer(std::chrono::microseconds sleep) {
  return std::min<std::chrono::microseconds>(sleep + sleep / 4, kPollMax);
}

}  // namespace

Status FairLock::attempt(bool* got) { return platform::lock(file_, lockByte_, 1, LockMode::exclusive, got); }

Status FairLock::giveBack() {
  holder_ = Holder::none;
  grantedTo_ = nullptr;
  released_ = Clock::now();
  changed_.notify_all();
  return platform::unlock(file_, lockByte_, 1);
}

bool FairLock::othersWait() const {
  // Being polite less often is the price where nobody can tell.
  if (waitingCount_ > 0 && !platform::looksPastOwnLocks()) return false;
  int64_t holder = -1;
  return platform::lockedByOther(file_, waitingByte_, 1, LockMode::exclusive, &holder).ok() && holder >= 0;
}

bool FairLock::lockIsTaken() const {
  int64_t holder = -1;
  return platform::lockedByOther(file_, lockByte_, 1, LockMode::exclusive, &holder).ok() && holder >= 0;
}

void FairLock::giveWay(Hold& hold, Clock::time_point deadline, const bool& cancelled) {
  const Clock::time_point begin = Clock::now();
  if (begin - released_ > kJustHeld || begin < impatientUntil_) return;
  const Clock::time_point end = std::min(begin + kGiveWay, deadline);
  while (othersWait()) {
    if (stopped_ || cancelled || holder_ != Holder::none || lockIsTaken()) return;
    if (Clock::now() >= end) {
      impatientUntil_ = end + kImpatience;
      return;
    }
    changed_.wait_for(hold, kGiveWayPoll);
  }
}

void FairLock::beginWaiting() {
  bool granted = false;
  // A waiter that is not seen waiting is only less lucky, so a failure here is none.
  if (waitingCount_++ == 0) platform::lock(file_, waitingByte_, 1, LockMode::shared, &granted);
}

void FairLock::endWaiting() {
  if (--waitingCount_ == 0) platform::unlock(file_, waitingByte_, 1);
}

Status FairLock::tryTake(bool* taken) {
  const Hold hold(mutex_);
  *taken = true;
  if (holder_ == Holder::none) {
    const Clock::time_point now = Clock::now();
    if (now - released_ <= kJustHeld && now >= impatientUntil_ && othersWait()) {
      *taken = false;
      return Status{};
    }
    const Status status = attempt(taken);
    if (!status.ok() || !*taken) return status;
  }
  holder_ = Holder::caller;
  grantedTo_ = nullptr;
  changed_.notify_all();
  return Status{};
}

Status FairLock::take(Clock::duration limit, bool* taken) {
  Hold hold(mutex_);
  const Clock::time_point deadline = Clock::now() + limit;
  std::chrono::microseconds sleep = kPollMin;
  bool waiting = false;
  Status status;
  *taken = false;
  giveWay(hold, deadline, kNever);
  for (;;) {
    *taken = holder_ != Holder::none;
    if (!*taken) status = attempt(taken);
    const Clock::time_point now = Clock::now();
    if (!status.ok() || *taken || stopped_ || now >= deadline) break;
    if (!waiting) beginWaiting();
    waiting = true;
    changed_.wait_for(hold, std::min<Clock::duration>(sleep, deadline - now));
    sleep = longer(sleep);
  }
  if (waiting) endWaiting();
  if (*taken) {
    holder_ = Holder::caller;
    grantedTo_ = nullptr;
    changed_.notify_all();
  }
  return status;
}

Status FairLock::release() {
  const Hold hold(mutex_);
  // A grant that nobody has claimed is not the caller's to release.
  return holder_ == Holder::caller ? giveBack() : Status{};
}

Status FairLock::serve(LockWait& wait, bool* granted) {
  Hold hold(mutex_);
  std::chrono::microseconds sleep = kPollMin;
  bool waiting = false;
  bool mayHaveJustHeld = true;
  Status status;
  *granted = false;
  const auto over = [&] { return stopped_ || wait.cancelled; };
  while (!over() && status.ok()) {
    if (holder_ == Holder::none) {
      if (mayHaveJustHeld) giveWay(hold, wait.deadline, wait.cancelled);
      mayHaveJustHeld = false;
      bool got = false;
      if (holder_ == Holder::none && !over()) status = attempt(&got);
      if (!status.ok()) break;
      if (got) {
        if (waiting) endWaiting();
        waiting = false;
        holder_ = Holder::granted;
        grantedTo_ = &wait;
        if (!wait.notified) wait.notify();
        wait.notified = true;
        changed_.wait_for(hold, kGrant, [&] { return over() || grantedTo_ != &wait; });
        if (wait.claimed) {
          *granted = true;
          return status;
        }
        if (grantedTo_ == &wait) {
          status = giveBack();
          // The event loop is busy. It gets another grant when it has turned.
          changed_.wait_until(hold, wait.deadline, [&] { return over() || !wait.notified; });
        }
        // Otherwise a synchronous call of this opening took the grant over.
        sleep = kPollMin;
        continue;
      }
    } else {
      mayHaveJustHeld = true;
    }
    const Clock::time_point now = Clock::now();
    if (now >= wait.deadline) break;
    if (!waiting && holder_ == Holder::none) {
      beginWaiting();
      waiting = true;
    }
    changed_.wait_for(hold, std::min<Clock::duration>(sleep, wait.deadline - now));
    sleep = longer(sleep);
  }
  if (waiting) endWaiting();
  return status;
}

bool FairLock::claim(LockWait& wait) {
  const Hold hold(mutex_);
  wait.notified = false;
  const bool granted = grantedTo_ == &wait;
  if (granted) {
    wait.claimed = true;
    holder_ = Holder::caller;
    grantedTo_ = nullptr;
  }
  changed_.notify_all();
  return granted;
}

void FairLock::cancel(LockWait& wait) {
  const Hold hold(mutex_);
  wait.cancelled = true;
  changed_.notify_all();
}

void FairLock::stop() {
  const Hold hold(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

}  // namespace foliodb
