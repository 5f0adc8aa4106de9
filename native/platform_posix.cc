// Linux and macOS: the content of files, mapped views and the machine; platform_posix_*.cc have the rest. What differs
// between the two systems stands in #ifdefs inside these small functions. What is macOS's alone has been compiled and
// linked (scripts/test-cross.mjs), and has never been run.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "platform_posix.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace foliodb::platform {
namespace {

#if defined(__linux__)
// Linux 5.14; older headers lack it.
constexpr int kPopulateWrite = 23;

// Linux 6.5, on every architecture that came after the numbers were made one; C libraries lack it.
constexpr long kCachestatCall = 451;
struct CachestatRange {
  uint64_t at;
  uint64_t length;
};
struct Cachestat {
  uint64_t cached;
  uint64_t dirty;
  uint64_t writeback;
  uint64_t evicted;
  uint64_t recentlyEvicted;
};
#endif

Kind kindOf(mode_t mode) { return S_ISREG(mode) ? Kind::regular : S_ISDIR(mode) ? Kind::directory : Kind::other; }

FileStat convert(const struct stat& from) {
  return FileStat{static_cast<uint64_t>(from.st_dev), static_cast<uint64_t>(from.st_ino),
                  static_cast<uint64_t>(from.st_size), kindOf(from.st_mode)};
}

#if defined(__linux__)
/**
 * Asks for what is wanted and nothing more. Since Linux 6.13 whoever has been told a file's times makes the next store
 * give it new ones, which the flush after it then has to write too: one write more of every seven of a small commit.
 */
bool askWithoutTimes(int file, const char* path, FileStat* stat) {
  struct statx found;
  const int flags = path[0] == '\0' ? AT_EMPTY_PATH : 0;
  if (::statx(file, path, flags, STATX_TYPE | STATX_INO | STATX_SIZE, &found) == -1) return false;
  // A macro in some C libraries.
  *stat = FileStat{makedev(found.stx_dev_major, found.stx_dev_minor), found.stx_ino, found.stx_size,
                   kindOf(found.stx_mode)};
  return true;
}
#endif

}  // namespace

Status statFile(const File& file, FileStat* stat) {
#if defined(__linux__)
  if (askWithoutTimes(descriptor(file), "", stat)) return Status{};
#endif
  struct stat found;
  if (::fstat(descriptor(file), &found) == -1) return fail("fstat");
  *stat = convert(found);
  return Status{};
}

Status statPath(const char* path, FileStat* stat) {
#if defined(__linux__)
  if (path[0] != '\0' && askWithoutTimes(AT_FDCWD, path, stat)) return Status{};
#endif
  struct stat found;
  if (::stat(path, &found) == -1) return fail("stat");
  *stat = convert(found);
  return Status{};
}

Status setSize(const File& file, uint64_t size) {
  return check(retry([&] { return ::ftruncate(descriptor(file), static_cast<off_t>(size)); }), "ftruncate");
}

Status allocate(const File& file, uint64_t from, uint64_t to) {
#if defined(__linux__)
  // Not posix_fallocate: where the file system can't, that one writes a byte a block without saying so.
  return check(
      retry([&] {
        return ::fallocate(descriptor(file), 0, static_cast<off_t>(from), static_cast<off_t>(to - from));
      }),
      "fallocate");
#elif defined(__APPLE__)
  FileStat stat;
  const Status found = statFile(file, &stat);
  if (!found.ok()) return found;
  // Blocks can only be asked for beyond the end of the file; a hole before it would stay one.
  if (from < stat.size) return Status{EINVAL, "fcntl"};
  fstore_t request;
  std::memset(&request, 0, sizeof request);
  request.fst_flags = F_ALLOCATEALL;
  request.fst_posmode = F_PEOFPOSMODE;
  request.fst_length = static_cast<off_t>(to - stat.size);
  if (retry([&] { return ::fcntl(descriptor(file), F_PREALLOCATE, &request); }) == -1) return fail("fcntl");
  // Preallocated blocks lie beyond the end of the file until its size takes them in.
  return setSize(file, to);
#else
  (void)file, (void)from, (void)to;
  return Status{EOPNOTSUPP, "fallocate"};
#endif
}

Status readAt(const File& file, uint64_t at, void* target, size_t length, size_t* got) {
  size_t done = 0;
  while (done < length) {
    const ssize_t count = retry([&] {
      return ::pread(descriptor(file), static_cast<char*>(target) + done, length - done, static_cast<off_t>(at + done));
    });
    if (count == -1) return fail("pread");
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  *got = done;
  return Status{};
}

Status writeAt(const File& file, uint64_t at, const void* source, size_t length) {
  size_t done = 0;
  while (done < length) {
    const ssize_t count = retry([&] {
      return ::pwrite(descriptor(file), static_cast<const char*>(source) + done, length - done,
                      static_cast<off_t>(at + done));
    });
    if (count == -1) return fail("pwrite");
    // A write of nothing would be repeated for ever.
    if (count == 0) return Status{EIO, "pwrite"};
    done += static_cast<size_t>(count);
  }
  return Status{};
}

Status dropCache(const File& file) {
#if defined(__linux__)
  const int number = ::posix_fadvise(descriptor(file), 0, 0, POSIX_FADV_DONTNEED);
  return number == 0 ? Status{} : Status{number, "posix_fadvise"};
#else
  (void)file;
  return Status{};
#endif
}

Status flushFile(const File& file, Flush flush) {
#if defined(__APPLE__)
  // fsync leaves the bytes in the drive's cache, in no order. F_BARRIERFSYNC orders and F_FULLFSYNC empties the cache, which
  // orders, too; a foreign or network file system may have one of them only, or neither.
  const auto isMissing = [] { return errno == ENOTSUP || errno == ENOTTY || errno == EINVAL; };
  const auto request = [&](int command) { return retry([&] { return ::fcntl(descriptor(file), command); }); };
  if (flush == Flush::ordered) {
    if (request(F_BARRIERFSYNC) != -1) return Status{};
    if (!isMissing()) return fail("fcntl");
  }
  if (request(F_FULLFSYNC) != -1) return Status{};
  if (!isMissing()) return fail("fcntl");
  return check(retry([&] { return ::fsync(descriptor(file)); }), "fsync");
#else
  // One of fdatasync and msync is enough; both would cost twice the device flushes. A size that grew is included.
  (void)flush;
  return check(retry([&] { return ::fdatasync(descriptor(file)); }), "fdatasync");
#endif
}

bool viewsNeedFlush() {
#if defined(__linux__)
  return false;
#else
  return true;
#endif
}

Status flushView(void* base, size_t length) {
#if defined(__linux__)
  (void)base, (void)length;
  return Status{};
#else
  return check(::msync(base, length, MS_SYNC), "msync");
#endif
}

size_t memoryPageSize() {
  static const size_t size = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

Status viewLength(const File& file, uint64_t at, size_t wanted, size_t most, size_t* length) {
  (void)file, (void)at;
  struct rlimit limit;
  const bool unlimited = ::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY;
  *length = unlimited ? most : wanted;
  return Status{};
}

Status mapView(const File& file, uint64_t at, size_t length, bool writable, void** base) {
  const int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  void* const mapped = ::mmap(nullptr, length, protection, MAP_SHARED, descriptor(file), static_cast<off_t>(at));
  if (mapped == MAP_FAILED) return fail("mmap");
  *base = mapped;
  return Status{};
}

Status unmapView(void* base, size_t length) { return check(::munmap(base, length), "munmap"); }

Status forgetView(void* base, size_t length) {
#if defined(__APPLE__)
  // MS_SYNC, so that nothing stored is among what is forgotten.
  return check(::msync(base, length, MS_SYNC | MS_INVALIDATE), "msync");
#else
  // On a shared file mapping this drops page table entries only: what was stored stays in the file's pages.
  return check(::madvise(base, length, MADV_DONTNEED), "madvise");
#endif
}

Status residentCount(const File& file, uint64_t at, uint64_t length, uint64_t* count) {
#if defined(__linux__)
  CachestatRange range{at, length};
  Cachestat found{};
  if (::syscall(kCachestatCall, descriptor(file), &range, &found, 0) == -1) return fail("cachestat");
  *count = found.cached;
  return Status{};
#else
  (void)file, (void)at, (void)length, (void)count;
  return Status{ENOSYS, "cachestat"};
#endif
}

Status residency(void* base, size_t length, unsigned char* pages) {
#if defined(__APPLE__)
  return check(::mincore(base, length, reinterpret_cast<char*>(pages)), "mincore");
#else
  return check(retry([&] { return ::mincore(base, length, pages); }), "mincore");
#endif
}

Status populate(void* base, size_t length) {
#if defined(__linux__)
  const Status status = check(retry([&] { return ::madvise(base, length, kPopulateWrite); }), "madvise");
  // Kernels before 5.14 don't know the advice.
  return status.number == EINVAL ? Status{EOPNOTSUPP, "madvise"} : status;
#else
  (void)base, (void)length;
  return Status{EOPNOTSUPP, "madvise"};
#endif
}

void depopulate(void* base, size_t length) {
#if defined(__linux__)
  ::madvise(base, length, MADV_DONTNEED);
#else
  (void)base, (void)length;
#endif
}

Status bootId(uint8_t id[16]) {
  char text[64] = "";
#if defined(__APPLE__)
  size_t length = sizeof text - 1;
  if (::sysctlbyname("kern.bootsessionuuid", text, &length, nullptr, 0) == -1) return fail("sysctl");
#else
  File file;
  const Status status = openFile("/proc/sys/kernel/random/boot_id", Access::read, true, &file);
  if (!status.ok()) return status;
  size_t got = 0;
  const Status read = readAt(file, 0, text, sizeof text - 1, &got);
  if (!read.ok()) return read;
#endif
  // A UUID: 32 hexadecimal digits with hyphens between.
  int digits = 0;
  std::memset(id, 0, 16);
  for (const char* at = text; *at != '\0' && digits < 32; at++) {
    const char c = *at;
    const int value = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (value < 0) continue;
    id[digits / 2] = static_cast<uint8_t>(id[digits / 2] << 4 | value);
    digits++;
  }
  return digits == 32 ? Status{} : failure(Fault::io, "boot id");
}

bool hasCrc32cInstructions() {
#if defined(__x86_64__)
  // Not __builtin_cpu_supports: it wants a variable of the compiler's own library, which not every one has.
  unsigned a, b, c, d;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_SSE4_2) != 0;
#elif defined(__aarch64__) && defined(__APPLE__)
  return true;
#elif defined(__aarch64__) && defined(__linux__)
  constexpr unsigned long kCrc32 = 1UL << 7;
  return (::getauxval(AT_HWCAP) & kCrc32) != 0;
#else
  return false;
#endif
}

}  // namespace foliodb::platform
