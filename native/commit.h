// The commit's one native job: from the checksums of new pages to the publishing stores, on one thread without a turn of
// the event loop in between, for the machine-wide writer lock is held all the while.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "opening.h"

namespace foliodb {

struct CommitPlan {
  /** A run of new pages in the mapping. */
  struct Run {
    uint8_t* at = nullptr;
    size_t length = 0;
  };
  /** A meta record and the two places it is stored at. */
  struct Record {
    uint8_t* first = nullptr;
    uint8_t* copy = nullptr;
    std::vector<uint8_t> bytes;
  };

  std::vector<Run> runs;
  uint32_t checksumSeed = 0;
  Record meta;
  std::vector<Record> rewrites;
  /** Where in the file runs and rewrites lie, and where the meta record does: what each of the two flushes is for. In order. */
  std::vector<Span> firstFlush;
  std::vector<Span> secondFlush;
  int32_t publishIndex = 0;
  bool unlockWriter = false;
  /** Keep the memory mapped that the pointers point to. */
  Opening::Views views;
  SharedWords shared;
};

/** Where a job failed, in the order of its steps. `none`: committed. */
enum class CommitStep { none, flushLock, faultBeforeFlush1, flush1, faultBeforeMeta, flush2, faultAfterFlush2 };

struct CommitOutcome {
  CommitStep failed = CommitStep::none;
  bool poisoned = false;
  platform::Status cause;
};

/** Runs the job on this thread. */
CommitOutcome runCommit(const CommitPlan& plan, Opening& opening);

/** A job on the opening's thread, and its outcome for whoever waits. */
class CommitJob {
 public:
  explicit CommitJob(CommitPlan plan) : plan_(std::move(plan)) {}
  void run(Opening& opening);
  bool isDone() const;
  CommitOutcome wait() const;

 private:
  CommitPlan plan_;
  mutable std::mutex mutex_;
  mutable std::condition_variable finished_;
  bool done_ = false;
  CommitOutcome outcome_;
};

}  // namespace foliodb
