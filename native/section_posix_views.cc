// Views of sections: mapping them, and what the system is told about them.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "section_posix.h"

namespace foliodb::platform {
namespace {

#if defined(__linux__)
// Linux 5.4; older headers lack them.
constexpr int kAdviseCold = 20;
constexpr int kAdvisePageOut = 21;
// Linux reads no more for one call than a device takes at once; 128 KiB every device takes.
constexpr size_t kReadAheadSize = 128 * 1024;
#endif

Status advise(const ViewRange& range, int advice) {
  const Status status = check(retry([&] { return ::madvise(range.base, range.length, advice); }), "madvise");
  // The kernel doesn't know the advice: base and length are right.
  return status.number == EINVAL ? Status{EOPNOTSUPP, "madvise"} : status;
}

Status readAhead(const ViewRange& range) {
#if defined(__linux__)
  for (size_t done = 0; done < range.length; done += kReadAheadSize) {
    ViewRange piece = range;
    piece.base = static_cast<char*>(range.base) + done;
    piece.length = std::min(kReadAheadSize, range.length - done);
    const Status status = advise(piece, MADV_WILLNEED);
    if (!status.ok()) return status;
  }
  return Status{};
#else
  return advise(range, MADV_WILLNEED);
#endif
}

/** Private pages exist nowhere else, and memory without a file has only swap to go to. */
bool isOnDisk(const ViewRange& range) {
  return range.access != ViewAccess::copy && range.section->traits.backing != Backing::memory;
}

Status letGo(const ViewRange& range) {
#if defined(__linux__)
  // On a private mapping MADV_DONTNEED would throw changes away.
  return advise(range, range.access == ViewAccess::copy ? kAdviseCold : MADV_DONTNEED);
#else
  return range.access == ViewAccess::copy ? Status{EOPNOTSUPP, "madvise"} : advise(range, MADV_DONTNEED);
#endif
}

Status discard(const ViewRange& range) {
#if defined(__linux__)
  if (!isOnDisk(range)) return advise(range, kAdvisePageOut);
  const int file = descriptor(range.section->file);
  const off_t at = static_cast<off_t>(range.section->traits.start + range.at);
  // Whole pages: of the last one the cache would keep what was not named.
  const size_t pageSize = memoryPageSize();
  const off_t length = static_cast<off_t>((range.length + pageSize - 1) / pageSize * pageSize);
  // 1. Out of this process: pages that are mapped stay in the cache, and what was stored through the view is noted as dirty.
  Status status = letGo(range);
  if (!status.ok()) return status;
  // 2. To the disk, for dirty pages stay in the cache, too.
  const unsigned written = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  status = check(retry([&] { return ::sync_file_range(file, at, length, written); }), "sync_file_range");
  if (!status.ok()) return status;
  // 3. Out of the cache.
  const int number = ::posix_fadvise(file, at, length, POSIX_FADV_DONTNEED);
  return number == 0 ? Status{} : Status{number, "posix_fadvise"};
#else
  if (!isOnDisk(range)) return Status{EOPNOTSUPP, "madvise"};
  const Status status = check(::msync(range.base, range.length, MS_SYNC), "msync");
  return status.ok() ? advise(range, MADV_DONTNEED) : status;
#endif
}

#if defined(__linux__)
/** A number of the kernel's. 0: nobody tells. */
uint64_t readSetting(const char* path) {
  File file;
  char text[32] = {};
  size_t got = 0;
  if (!openFile(path, Access::read, true, &file).ok()) return 0;
  if (!readAt(file, 0, text, sizeof text - 1, &got).ok()) return 0;
  return std::strtoull(text, nullptr, 10);
}

/** Of a file of the kernel's, which must be read from beginning to end. */
Status countLines(const char* path, uint64_t* count) {
  File file;
  const Status status = openFile(path, Access::read, true, &file);
  if (!status.ok()) return status;
  *count = 0;
  char text[16384];
  while (true) {
    const ssize_t got = retry([&] { return ::read(descriptor(file), text, sizeof text); });
    if (got == -1) return fail("read");
    if (got == 0) return Status{};
    *count += static_cast<uint64_t>(std::count(text, text + got, '\n'));
  }
}
#endif

/** Whether the system counts memory that may be stored into as used before it is. */
bool chargesPromises() {
#if defined(__linux__)
  constexpr uint64_t kNever = 2;
  return readSetting("/proc/sys/vm/overcommit_memory") == kNever;
#else
  return false;
#endif
}

}  // namespace

size_t allocationGranularity() { return memoryPageSize(); }

Outcome mapSection(const Section& section, uint64_t at, size_t length, ViewAccess access, void* wanted, void** base) {
  const int protection = access == ViewAccess::read ? PROT_READ : PROT_READ | PROT_WRITE;
  // A private view is not charged for pages that may never be copied.
  int flags = access == ViewAccess::copy ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED;
#if defined(MAP_FIXED_NOREPLACE)
  if (wanted != nullptr) flags |= MAP_FIXED_NOREPLACE;
#endif
  const off_t offset = static_cast<off_t>(section.traits.start + at);
  void* const mapped = ::mmap(wanted, length, protection, flags, descriptor(section.file), offset);
  if (mapped == MAP_FAILED) {
    // Beyond what the system maps, the kernel speaks of memory, of an invalid argument or of permission.
    const bool isAboutPlace = errno == EEXIST || errno == ENOMEM || errno == EINVAL || errno == EPERM;
    return wanted != nullptr && isAboutPlace ? refused(Refusal::addressTaken) : outcome(fail("mmap"));
  }
  // Systems without the flag take the address as a wish.
  if (wanted != nullptr && mapped != wanted) {
    ::munmap(mapped, length);
    return refused(Refusal::addressTaken);
  }
  *base = mapped;
  return Outcome{};
}

Status unmapSection(void* base, size_t length) { return check(::munmap(base, length), "munmap"); }

Status retireSection(void* base, size_t length, Retired* retired) {
#if defined(MAP_NORESERVE)
  const int flags = MAP_FIXED | MAP_PRIVATE | MAP_ANON | MAP_NORESERVE;
#else
  const int flags = MAP_FIXED | MAP_PRIVATE | MAP_ANON;
#endif
  static const bool isCharged = chargesPromises();
  *retired = isCharged ? Retired::faults : Retired::takesStores;
  const int protection = isCharged ? PROT_NONE : PROT_READ | PROT_WRITE;
  return ::mmap(base, length, protection, flags, -1, 0) == MAP_FAILED ? fail("mmap") : Status{};
}

Status countMappings(uint64_t* count, uint64_t* countMax) {
#if defined(__linux__)
  static const uint64_t most = readSetting("/proc/sys/vm/max_map_count");
  *countMax = most;
  return most == 0 ? Status{EOPNOTSUPP, "open"} : countLines("/proc/self/maps", count);
#else
  (void)count, (void)countMax;
  return Status{EOPNOTSUPP, "mmap"};
#endif
}

bool isCutOff(const ViewRange& range) {
  if (range.section->traits.backing == Backing::memory) return false;
  FileStat stat;
  const uint64_t end = range.section->traits.start + range.at + range.length;
  return statFile(range.section->file, &stat).ok() && stat.size < end;
}

Status flushSection(const ViewRange& range, bool durable) {
#if defined(__linux__)
  // msync waits for the device, and includes a size that grew.
  if (durable) return check(retry([&] { return ::msync(range.base, range.length, MS_SYNC); }), "msync");
  // MS_ASYNC does nothing on Linux.
  const off_t at = static_cast<off_t>(range.section->traits.start + range.at);
  const Status status = check(retry([&] {
                                return ::sync_file_range(descriptor(range.section->file), at,
                                                         static_cast<off_t>(range.length), SYNC_FILE_RANGE_WRITE);
                              }),
                              "sync_file_range");
  if (!isUnsupported(status)) return status;
  return check(::msync(range.base, range.length, MS_ASYNC), "msync");
#else
  const Status status = check(::msync(range.base, range.length, durable ? MS_SYNC : MS_ASYNC), "msync");
  return status.ok() && durable ? flushFile(range.section->file, Flush::durable) : status;
#endif
}

Status adviseSection(const ViewRange& range, Advice advice) {
  switch (advice) {
    case Advice::normal: return advise(range, MADV_NORMAL);
    case Advice::sequential: return advise(range, MADV_SEQUENTIAL);
    case Advice::random: return advise(range, MADV_RANDOM);
    case Advice::willNeed: return readAhead(range);
    case Advice::dontNeed: return letGo(range);
    case Advice::discard: return discard(range);
  }
  return failure(Fault::invalid, "madvise");
}

Status sectionResidency(void* base, size_t length, unsigned char* pages) { return residency(base, length, pages); }

}  // namespace foliodb::platform
