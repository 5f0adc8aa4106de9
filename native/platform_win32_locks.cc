// Byte-range locks by LockFileEx.
//
// Windows has no call that tells who would refuse a lock: one has to try it, and for that moment the range is locked.
// Another opening that tries just then must not take the trial for a lock. So a trial is made with one more byte locked,
// the *trial* byte; and a lock that is refused is tried again with that byte in hand, when no trial can be under way.
// Whoever is killed in between gives it back with all its locks. Should somebody stand still in between, all are waiting
// for a bounded time, and then take a trial for a lock, as somebody would who tried again and again.
#include "platform_win32.h"

namespace foliodb::platform {
namespace {

/** Past the end of every file, so that a lock never stands on content. Part of the format: docs/FORMAT.md. */
constexpr uint64_t kLockBase = uint64_t{1} << 62;
constexpr uint64_t kTrialByte = kLockBase - 1;
/** How often a trial byte in other hands is looked at again, and for how long it is waited for. */
constexpr int kTrialYields = 100;
constexpr int kTrialSleeps = 10;

Status attempt(const File& file, uint64_t at, uint64_t length, LockMode mode, bool* granted) {
  Operation operation(at);
  const DWORD flags =
      LOCKFILE_FAIL_IMMEDIATELY | (mode == LockMode::exclusive ? DWORD{LOCKFILE_EXCLUSIVE_LOCK} : DWORD{0});
  DWORD count = 0;
  const BOOL begun = ::LockFileEx(native(file), flags, 0, static_cast<DWORD>(length),
                                  static_cast<DWORD>(length >> 32), operation.get());
  const DWORD number = operation.finish(native(file), begun, &count);
  *granted = number == ERROR_SUCCESS;
  return number == ERROR_SUCCESS || number == ERROR_LOCK_VIOLATION ? Status{} : failWith(number, "lock");
}

Status release(const File& file, uint64_t at, uint64_t length) {
  Operation operation(at);
  DWORD count = 0;
  const BOOL begun = ::UnlockFileEx(native(file), 0, static_cast<DWORD>(length), static_cast<DWORD>(length >> 32),
                                    operation.get());
  const DWORD number = operation.finish(native(file), begun, &count);
  return number == ERROR_SUCCESS ? Status{} : failWith(number, "unlock");
}

/** Holds the trial byte, if it was to be had. */
class TrialByte {
 public:
  explicit TrialByte(const File& file) : file_(file) {
    for (int i = 0; !held_ && i < kTrialYields + kTrialSleeps; i++) {
      if (i > 0) ::Sleep(i < kTrialYields ? 0 : 1);
      if (!attempt(file_, kTrialByte, 1, LockMode::exclusive, &held_).ok()) return;
    }
  }
  ~TrialByte() {
    if (held_) release(file_, kTrialByte, 1);
  }
  TrialByte(const TrialByte&) = delete;
  TrialByte& operator=(const TrialByte&) = delete;

 private:
  const File& file_;
  bool held_ = false;
};

Status isFree(const File& file, uint64_t at, uint64_t length, LockMode mode, bool* free) {
  const Status status = attempt(file, at, length, mode, free);
  if (!status.ok() || !*free) return status;
  return release(file, at, length);
}

}  // namespace

Status lock(const File& file, uint64_t start, uint64_t length, LockMode mode, bool* granted) {
  const Status status = attempt(file, kLockBase + start, length, mode, granted);
  if (!status.ok() || *granted) return status;
  const TrialByte noTrials(file);
  return attempt(file, kLockBase + start, length, mode, granted);
}

Status unlock(const File& file, uint64_t start, uint64_t length) { return release(file, kLockBase + start, length); }

Status narrowLock(const File& file, uint64_t start, uint64_t length, uint64_t byte) {
  // An opening may share what it has locked exclusively; the exclusive lock is then given back whole, as it was taken.
  bool granted = false;
  Status status = attempt(file, kLockBase + byte, 1, LockMode::shared, &granted);
  if (status.ok() && !granted) status = failWith(ERROR_LOCK_VIOLATION, "lock");
  return status.ok() ? unlock(file, start, length) : status;
}

Status unlockAll(const File& file) {
  // Closing the one handle there is releases its locks; children don't inherit it.
  (void)file;
  return Status{};
}

bool looksPastOwnLocks() { return false; }

Status lockedByOther(const File& file, uint64_t start, uint64_t length, LockMode mode, int64_t* holder) {
  *holder = -1;
  const TrialByte trial(file);
  bool free = false;
  Status status = isFree(file, kLockBase + start, length, mode, &free);
  if (!status.ok() || free) return status;
  // Halved until one byte is left: the first half that is not free has the first lock.
  while (length > 1) {
    const uint64_t half = length / 2;
    status = isFree(file, kLockBase + start, half, mode, &free);
    if (!status.ok()) return status;
    if (free) start += half;
    length = free ? length - half : half;
  }
  *holder = static_cast<int64_t>(start);
  return Status{};
}

}  // namespace foliodb::platform
