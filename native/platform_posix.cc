// Linux and macOS. What differs between them stands in #ifdefs inside these small functions.
#include "platform.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#if defined(__linux__)
#include <sys/syscall.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace foliodb::platform {
namespace {

/** Past the end of every file, so that a lock never stands on content. Part of the format: docs/FORMAT.md. */
constexpr off_t kLockBase = off_t{1} << 62;

// Locks of the open file description. macOS has them too, but keeps the names from programs.
#if defined(F_OFD_SETLK)
constexpr int kLockSet = F_OFD_SETLK;
constexpr int kLockGet = F_OFD_GETLK;
#else
constexpr int kLockSet = 90;
constexpr int kLockGet = 92;
#endif

#if defined(__linux__)
// Linux 5.14; older headers lack it.
constexpr int kPopulateWrite = 23;
constexpr unsigned kRenameNoReplace = 1;
#endif

Status fail(const char* call) { return Status{errno, call}; }
Status check(int result, const char* call) { return result == -1 ? fail(call) : Status{}; }
int descriptor(const File& file) { return static_cast<int>(file.handle()); }

/** Repeats a call that a signal interrupted. */
template <typename Call>
auto retry(Call call) -> decltype(call()) {
  decltype(call()) result;
  do {
    result = call();
  } while (result == -1 && errno == EINTR);
  return result;
}

Status opened(int fd, const char* call, File* file) {
  if (fd == -1) return fail(call);
  *file = File(fd);
  return Status{};
}

FileStat convert(const struct stat& from) {
  FileStat to;
  to.device = static_cast<uint64_t>(from.st_dev);
  to.inode = static_cast<uint64_t>(from.st_ino);
  to.size = static_cast<uint64_t>(from.st_size);
  to.kind = S_ISREG(from.st_mode) ? Kind::regular : S_ISDIR(from.st_mode) ? Kind::directory : Kind::other;
  return to;
}

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

struct ErrorNameEntry {
  int number;
  const char* name;
};

#define NAMED(number) {number, #number}
constexpr ErrorNameEntry kErrorNames[] = {
    NAMED(EACCES),  NAMED(EAGAIN),       NAMED(EBADF),        NAMED(EBUSY),  NAMED(ECANCELED), NAMED(EDEADLK),
    NAMED(EDQUOT),  NAMED(EEXIST),       NAMED(EFAULT),       NAMED(EFBIG),  NAMED(EINTR),     NAMED(EINVAL),
    NAMED(EIO),     NAMED(EISDIR),       NAMED(ELOOP),        NAMED(EMFILE), NAMED(EMLINK),    NAMED(ENAMETOOLONG),
    NAMED(ENFILE),  NAMED(ENODEV),       NAMED(ENOENT),       NAMED(ENOLCK), NAMED(ENOMEM),    NAMED(ENOSPC),
    NAMED(ENOSYS),  NAMED(ENOTDIR),      NAMED(ENOTEMPTY),    NAMED(ENOTSUP), NAMED(ENXIO),    NAMED(EOVERFLOW),
    NAMED(EPERM),   NAMED(EROFS),        NAMED(ESPIPE),       NAMED(ESTALE), NAMED(ETIMEDOUT), NAMED(ETXTBSY),
    NAMED(EXDEV),
};
#undef NAMED

}  // namespace

Status failure(Fault fault, const char* call) {
  switch (fault) {
    case Fault::io: return Status{EIO, call};
    case Fault::invalid: return Status{EINVAL, call};
    case Fault::isDirectory: return Status{EISDIR, call};
    case Fault::noMemory: return Status{ENOMEM, call};
    case Fault::timedOut: return Status{ETIMEDOUT, call};
    case Fault::cancelled: return Status{ECANCELED, call};
  }
  return Status{EINVAL, call};
}

std::string errorName(int number) {
  for (const ErrorNameEntry& entry : kErrorNames) {
    if (entry.number == number) return entry.name;
  }
  return "E" + std::to_string(number);
}

std::string errorText(int number) {
  char text[256] = "";
  // The GNU function returns the text, the POSIX one stores it; overloads tell which one this system has.
  struct Chosen {
    static const char* text(const char* returned, const char*) { return returned; }
    static const char* text(int, const char* stored) { return stored; }
  };
  return Chosen::text(strerror_r(number, text, sizeof text), text);
}

bool isSpaceExhausted(const Status& status) {
  return status.number == ENOSPC || status.number == EDQUOT || status.number == EFBIG;
}

bool isUnsupported(const Status& status) {
  return status.number == EOPNOTSUPP || status.number == ENOTSUP || status.number == ENOSYS;
}

bool isExisting(const Status& status) { return status.number == EEXIST; }

bool isWriteRefused(const Status& status) {
  return status.number == EACCES || status.number == EROFS || status.number == EPERM || status.number == ETXTBSY;
}

void File::close() {
  if (!isOpen()) return;
  // After an interrupted close the descriptor is gone on Linux and unspecified elsewhere: repeating could close another's.
  ::close(static_cast<int>(handle_));
  handle_ = kNone;
}

Status openFile(const char* path, Access access, bool followLinks, File* file) {
  // O_NONBLOCK: opening a FIFO must not wait for its other end. It means nothing to a regular file.
  const int flags = (access == Access::read ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY |
                    (followLinks ? 0 : O_NOFOLLOW);
  return opened(retry([&] { return ::open(path, flags); }), "open", file);
}

Status createFile(const char* path, unsigned mode, File* file) {
  const int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
  return opened(retry([&] { return ::open(path, flags, static_cast<mode_t>(mode)); }), "open", file);
}

Status createUnnamed(const char* directory, unsigned mode, File* file) {
#if defined(O_TMPFILE)
  const int flags = O_RDWR | O_TMPFILE | O_CLOEXEC;
  const Status status =
      opened(retry([&] { return ::open(directory, flags, static_cast<mode_t>(mode)); }), "open", file);
  // Kernels and file systems that don't know the flag see a directory opened for writing.
  return status.number == EISDIR ? Status{EOPNOTSUPP, "open"} : status;
#else
  (void)directory, (void)mode, (void)file;
  return Status{EOPNOTSUPP, "open"};
#endif
}

Status linkUnnamed(const File& file, const char* path) {
#if defined(O_TMPFILE)
  // The documented way for a process without the privilege that AT_EMPTY_PATH needs.
  char name[64];
  std::snprintf(name, sizeof name, "/proc/self/fd/%d", descriptor(file));
  return check(::linkat(AT_FDCWD, name, AT_FDCWD, path, AT_SYMLINK_FOLLOW), "link");
#else
  (void)file, (void)path;
  return Status{EOPNOTSUPP, "link"};
#endif
}

Status linkName(const char* from, const char* to) { return check(::link(from, to), "link"); }

Status renameOver(const char* from, const char* to) { return check(::rename(from, to), "rename"); }

Status renameNoReplace(const char* from, const char* to) {
#if defined(__linux__)
  return check(static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, kRenameNoReplace)), "rename");
#elif defined(__APPLE__)
  return check(::renamex_np(from, to, RENAME_EXCL), "rename");
#else
  (void)from, (void)to;
  return Status{EOPNOTSUPP, "rename"};
#endif
}

Status removeName(const char* path) { return check(::unlink(path), "unlink"); }

Status flushDirectory(const char* path) {
  File directory;
  const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  const Status status = opened(retry([&] { return ::open(path, flags); }), "open", &directory);
  if (!status.ok()) return status;
  return check(retry([&] { return ::fsync(descriptor(directory)); }), "fsync");
}

Status statFile(const File& file, FileStat* stat) {
  struct stat found;
  if (::fstat(descriptor(file), &found) == -1) return fail("fstat");
  *stat = convert(found);
  return Status{};
}

Status statPath(const char* path, FileStat* stat) {
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
  fstore_t request;
  std::memset(&request, 0, sizeof request);
  request.fst_flags = F_ALLOCATEALL;
  request.fst_posmode = F_PEOFPOSMODE;
  request.fst_length = static_cast<off_t>(to - from);
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
  // fsync leaves the bytes in the drive's cache. F_BARRIERFSYNC only orders; network and foreign file systems have neither.
  const int command = flush == Flush::durable ? F_FULLFSYNC : F_BARRIERFSYNC;
  if (retry([&] { return ::fcntl(descriptor(file), command); }) != -1) return Status{};
  if (errno != ENOTSUP && errno != ENOTTY && errno != EINVAL) return fail("fcntl");
  return check(retry([&] { return ::fsync(descriptor(file)); }), "fsync");
#else
  // One of fdatasync and msync is enough; both would cost twice the device flushes. A size that grew is included.
  (void)flush;
  return check(retry([&] { return ::fdatasync(descriptor(file)); }), "fdatasync");
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
  return check(::msync(base, length, MS_INVALIDATE), "msync");
#else
  // On a shared file mapping this drops page table entries only: what was stored stays in the file's pages.
  return check(::madvise(base, length, MADV_DONTNEED), "madvise");
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

namespace {

struct ThreadBody {
  void (*body)(void*);
  void* argument;
};

void* runThread(void* raw) {
  const ThreadBody start = *static_cast<ThreadBody*>(raw);
  delete static_cast<ThreadBody*>(raw);
  start.body(start.argument);
  return nullptr;
}

}  // namespace

Status Thread::start(void (*body)(void*), void* argument) {
  // The process's signals belong to Node's threads. Those that a thread's own fault raises can't be blocked: the guard
  // must see them.
  sigset_t blocked, before;
  sigfillset(&blocked);
  for (const int fault : {SIGBUS, SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGABRT}) sigdelset(&blocked, fault);
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  ThreadBody* const start = new ThreadBody{body, argument};
  pthread_t thread;
  const int number = pthread_create(&thread, nullptr, runThread, start);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (number != 0) {
    delete start;
    return Status{number, "pthread_create"};
  }
  static_assert(sizeof(thread) <= sizeof(handle_), "a pthread_t fits the handle");
  std::memcpy(&handle_, &thread, sizeof thread);
  started_ = true;
  return Status{};
}

void Thread::join() {
  if (!started_) return;
  pthread_t thread;
  std::memcpy(&thread, &handle_, sizeof thread);
  pthread_join(thread, nullptr);
  started_ = false;
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
  return __builtin_cpu_supports("sse4.2") != 0;
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
