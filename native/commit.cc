#include "commit.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include "crc32c.h"

namespace foliodb {

using platform::Status;

namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

/**
 * Only who holds the writer lock takes the flush lock, and gives it back first. So whoever is in our way keeps to other
 * rules than these, and waiting is a courtesy: long enough for two flushes, short for a caller that is blocked.
 */
constexpr auto kFlushLockWait = 10s;
constexpr auto kFlushLockPoll = 200us;
/** A page's checksum stands at its byte 0 and covers what follows. */
constexpr size_t kChecksumSize = 4;
constexpr int32_t kPoisoned = 1;

void storeChecksums(const CommitPlan& plan) {
  for (const CommitPlan::Run& run : plan.runs) {
    const uint32_t crc = crc32c(run.at + kChecksumSize, run.length - kChecksumSize, plan.checksumSeed);
    for (size_t i = 0; i < kChecksumSize; i++) run.at[i] = static_cast<uint8_t>(crc >> (8 * i));
  }
}

void store(const CommitPlan::Record& record) {
  std::memcpy(record.first, record.bytes.data(), record.bytes.size());
  std::memcpy(record.copy, record.bytes.data(), record.bytes.size());
}

/** The memory pages of both copies are there and writable. A system that can't tell leaves it to the fault flag. */
Status populate(const CommitPlan::Record& record) {
  const uintptr_t mask = ~(static_cast<uintptr_t>(platform::memoryPageSize()) - 1);
  uintptr_t done = 0;
  for (uint8_t* const at : {record.first, record.copy}) {
    const uintptr_t from = reinterpret_cast<uintptr_t>(at) & mask;
    const uintptr_t to = (reinterpret_cast<uintptr_t>(at) + record.bytes.size() + ~mask) & mask;
    // The copies lie in one page of 4 KiB.
    if (to <= done) continue;
    done = to;
    const Status status = platform::populate(reinterpret_cast<void*>(from), to - from);
    if (!status.ok() && !platform::isUnsupported(status)) return status;
  }
  return Status{};
}

/** So many new pages are taken out of the page table together, if they are at least every fourth where they lie. */
constexpr size_t kManyPages = 16;
constexpr size_t kSpread = 4;
/** Pages behind the last that may have been made ready and not taken. */
constexpr size_t kManyMore = 64;

/**
 * Takes the new pages out of the page table in one go where they are many. The flush would take from each the right to be
 * written, one by one, and tell every processor that runs a thread of this process: measured at a quarter of a commit of 50
 * pages.
 */
void depopulateNew(const CommitPlan& plan) {
  const uintptr_t pageSize = platform::memoryPageSize();
  for (const std::shared_ptr<View>& view : plan.views) {
    uint8_t* const base = view->base();
    size_t from = view->length();
    size_t to = 0;
    size_t total = 0;
    for (const CommitPlan::Run& run : plan.runs) {
      if (run.at < base || run.at >= base + view->length()) continue;
      const size_t at = static_cast<size_t>(run.at - base);
      from = std::min(from, at);
      to = std::max(to, at + run.length);
      total += run.length;
    }
    if (total < kManyPages * pageSize || to - from > kSpread * total) continue;
    from -= from % pageSize;
    // Behind the last there may be some that were made ready and not taken: they are flushed as well.
    to = std::min(view->length(), to + kManyMore * pageSize);
    platform::depopulate(base + from, to - from);
  }
}

/** Tries at least once: a commit whose opening is being closed still commits where nobody is in the way. */
Status takeFlushLock(Opening& opening, bool* taken) {
  const Clock::time_point deadline = Clock::now() + kFlushLockWait;
  for (;;) {
    const Status status =
        platform::lock(opening.file, opening.locks.flush, 1, platform::LockMode::exclusive, taken);
    if (!status.ok() || *taken) return status;
    if (opening.stopping) return platform::failure(platform::Fault::cancelled, "flush lock");
    if (Clock::now() >= deadline) return platform::failure(platform::Fault::timedOut, "flush lock");
    std::this_thread::sleep_for(kFlushLockPoll);
  }
}

CommitOutcome failed(CommitStep step, Status cause = Status{}) { return CommitOutcome{step, false, cause}; }

/** The flush failed: what the device holds is unknown, and flushing again would succeed and prove nothing (I14). */
CommitOutcome poison(const CommitPlan& plan, CommitStep step, Status cause) {
  // Before anything else: nobody may write, or believe what is published next, from this moment on.
  plan.shared.poison->store(kPoisoned);
  return CommitOutcome{step, true, cause};
}

/** The steps under the flush lock. A crash between any two leaves the previous snapshot readable. */
CommitOutcome flushAndPublish(const CommitPlan& plan, Opening& opening) {
  const auto faulted = [&] { return opening.faults->word.load() != 0; };

  // 1. A store that faulted is lost although a flush would succeed.
  if (faulted()) return failed(CommitStep::faultBeforeFlush1);

  // 2. Slots to be repaired or vouched for again: before flush 1, which covers them.
  for (const CommitPlan::Record& record : plan.rewrites) store(record);

  // 3. New pages, and the size of the file, are on the device before anything refers to them.
  depopulateNew(plan);
  Status status = opening.flush(plan.views, plan.firstFlush, platform::Flush::ordered);
  if (!status.ok()) return poison(plan, CommitStep::flush1, status);

  // 4. Checksums, rewrites and write-back may have faulted since step 1. The meta page must not name pages that are lost.
  if (faulted()) return failed(CommitStep::faultBeforeMeta);
  status = populate(plan.meta);
  if (!status.ok()) return failed(CommitStep::faultBeforeMeta, status);

  // 5. Into the older meta page: the newer one stays valid, whatever comes.
  store(plan.meta);

  // 6. Only now is the commit durable,
  status = opening.flush(plan.views, plan.secondFlush, platform::Flush::durable);
  if (!status.ok()) return poison(plan, CommitStep::flush2, status);

  // 7. unless the meta page itself was lost in a fault.
  if (faulted()) return failed(CommitStep::faultAfterFlush2);

  // 8. Only now may anyone see it. Durable first: who sees the newest must not find it newer than what is durable.
  plan.shared.durable->store(plan.publishIndex);
  plan.shared.newest->store(plan.publishIndex);
  return CommitOutcome{};
}

}  // namespace

CommitOutcome runCommit(const CommitPlan& plan, Opening& opening) {
  // Before the flush lock, so that it is held no longer than the flushes take.
  storeChecksums(plan);

  // Every meta write happens under the flush lock, held from before flush 1 to after the publish (I11); it is taken
  // after the writer lock, which the caller holds.
  bool taken = false;
  const Status status = takeFlushLock(opening, &taken);
  CommitOutcome outcome =
      taken ? flushAndPublish(plan, opening) : CommitOutcome{CommitStep::flushLock, false, status};

  // Failures of unlocking are without consequence: the locks end with the descriptor.
  if (taken) platform::unlock(opening.file, opening.locks.flush, 1);
  if (plan.unlockWriter) opening.writer.release();
  return outcome;
}

void CommitJob::run(Opening& opening) {
  const CommitOutcome outcome = runCommit(plan_, opening);
  {
    const std::lock_guard<std::mutex> hold(mutex_);
    outcome_ = outcome;
    done_ = true;
    // The views belong to the job only until it is done.
    plan_ = CommitPlan{};
  }
  finished_.notify_all();
}

bool CommitJob::isDone() const {
  const std::lock_guard<std::mutex> hold(mutex_);
  return done_;
}

CommitOutcome CommitJob::wait() const {
  std::unique_lock<std::mutex> hold(mutex_);
  finished_.wait(hold, [this] { return done_; });
  return outcome_;
}

}  // namespace foliodb
