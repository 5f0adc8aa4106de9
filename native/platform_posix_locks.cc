// Byte-range locks.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "platform_posix.h"

namespace foliodb::platform {
namespace {

/** Past the end of every file, so that a lock never stands on content. Part of the format: docs/FORMAT.md. */
constexpr off_t kLockBase = off_t{1} << 62;

// Locks of the open file description. macOS has had them, by these numbers, for longer than its headers have had the names.
#if defined(F_OFD_SETLK)
constexpr int kLockSet = F_OFD_SETLK;
constexpr int kLockGet = F_OFD_GETLK;
#else
constexpr int kLockSet = 90;
constexpr int kLockGet = 92;
#endif

struct flock lockRecord(short type, uint64_t start, uint64_t length) {
  struct flock record;
  std::memset(&record, 0, sizeof record);
  record.l_type = type;
  record.l_whence = SEEK_SET;
  record.l_start = kLockBase + static_cast<off_t>(start);
  record.l_len = static_cast<off_t>(length);
  return record;
}

short lockType(LockMode mode) { return mode == LockMode::exclusive ? F_WRLCK : F_RDLCK; }

}  // namespace

Status lock(const File& file, uint64_t start, uint64_t length, LockMode mode, bool* granted) {
  struct flock record = lockRecord(lockType(mode), start, length);
  if (retry([&] { return ::fcntl(descriptor(file), kLockSet, &record); }) != -1) {
    *granted = true;
    return Status{};
  }
  *granted = false;
  return errno == EAGAIN || errno == EACCES ? Status{} : fail("fcntl");
}

Status unlock(const File& file, uint64_t start, uint64_t length) {
  struct flock record = lockRecord(F_UNLCK, start, length);
  return check(retry([&] { return ::fcntl(descriptor(file), kLockSet, &record); }), "fcntl");
}

Status narrowLock(const File& file, uint64_t start, uint64_t length, uint64_t byte) {
  bool granted = false;
  Status status = lock(file, byte, 1, LockMode::shared, &granted);
  // A length of 0 would mean all that follows.
  if (status.ok() && byte > start) status = unlock(file, start, byte - start);
  if (status.ok() && byte + 1 < start + length) status = unlock(file, byte + 1, start + length - byte - 1);
  return status;
}

bool looksPastOwnLocks() { return true; }

Status unlockAll(const File& file) {
  // A length of 0 reaches to the largest offset.
  return unlock(file, 0, 0);
}

Status lockedByOther(const File& file, uint64_t start, uint64_t length, LockMode mode, int64_t* holder) {
  struct flock record = lockRecord(lockType(mode), start, length);
  *holder = -1;
  if (retry([&] { return ::fcntl(descriptor(file), kLockGet, &record); }) == -1) return fail("fcntl");
  if (record.l_type == F_UNLCK) return Status{};
  // A longer lock may begin before the range that was asked for.
  const int64_t found = static_cast<int64_t>(record.l_start - kLockBase);
  *holder = found < static_cast<int64_t>(start) ? static_cast<int64_t>(start) : found;
  return Status{};
}

}  // namespace foliodb::platform
