// One opening of a file: descriptor, views, locks and threads, and the order in which they end.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "fair_lock.h"
#include "platform.h"
#include "view.h"
#include "worker.h"

namespace foliodb {

/** No byte of a file. */
constexpr uint64_t kNoByte = UINT64_MAX;

/** Which lock bytes have a meaning for the addon; relative to the platform's base. Files that are no store have none. */
struct LockBytes {
  uint64_t writer = kNoByte;
  uint64_t flush = kNoByte;
  uint64_t waiting = kNoByte;
};

using SharedWord = std::atomic<int32_t>;
static_assert(sizeof(SharedWord) == sizeof(int32_t) && SharedWord::is_always_lock_free,
              "processes share it, and JavaScript uses Atomics on it");

/** The words of the coordination file that commits write, and the view that keeps them mapped. */
struct SharedWords {
  std::shared_ptr<View> view;
  SharedWord* poison = nullptr;
  SharedWord* durable = nullptr;
  SharedWord* newest = nullptr;
};

/** Bytes [from, to) of a file. */
struct Span {
  uint64_t from = 0;
  uint64_t to = UINT64_MAX;
};

struct Opening {
  using Views = std::vector<std::shared_ptr<View>>;

  Opening(platform::File opened, const platform::FileStat& stat, bool mayWrite, const LockBytes& bytes);
  ~Opening();

  /**
   * `length` bytes at an offset of the file that is mapped for writing, or null. Also null where they cross windows.
   */
  uint8_t* span(uint64_t at, uint64_t length) const {
    if (windowSize == 0) return nullptr;
    const uint64_t index = at / windowSize;
    if (index >= windows.size() || windows[index] == nullptr || !windows[index]->writable()) return nullptr;
    const uint64_t offset = at % windowSize;
    const uint64_t shown = windows[index]->shown;
    return offset <= shown && length <= shown - offset ? windows[index]->base() + offset : nullptr;
  }

  /** Makes durable what was stored through the views in the spans, which are in order. */
  platform::Status flush(const Views& views, const std::vector<Span>& spans, platform::Flush kind) const;

  /** The views that stores since the last call may have gone through: of each window the newest, and those it took the place of. */
  Views takeViews() {
    Views all = windows;
    all.insert(all.end(), superseded.begin(), superseded.end());
    superseded.clear();
    return all;
  }

  /** Ends waits at once, a commit's for the flush lock, too, and returns when a commit under way is done. Neither can be begun any more. Twice is fine. */
  void endThreads();

  /** Ends the threads, releases locks, views and the descriptor. Twice is fine. */
  void end();

  platform::File file;
  const platform::FileStat identity;
  const bool writable;
  const LockBytes locks;
  FairLock writer;
  /** Ends the bounded wait for the flush lock. */
  std::atomic<bool> stopping{false};
  const std::shared_ptr<Faults> faults;
  /** The newest view of each window, by index; null where none is mapped. All windows have one size, which the first one fixes. */
  Views windows;
  /** Shorter views that were stored through before they got a longer one; kept only where that makes a difference to a flush. */
  Views superseded;
  uint64_t windowSize = 0;
  SharedWords shared;
  // Waits and commits have a thread each: a wait may be for a lock that a queued commit would release.
  Worker waits;
  Worker commits;
};

}  // namespace foliodb
