// Opening and creating files, and their names.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "platform_posix.h"

#if defined(__linux__)
#include <sys/syscall.h>
#endif

namespace foliodb::platform {
namespace {

#if defined(__linux__)
// Older C libraries have neither the function nor the flag.
constexpr unsigned kRenameNoReplace = 1;
#endif

}  // namespace

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
#if defined(__APPLE__)
  // fsync would leave the names in the drive's cache.
  return flushFile(directory, Flush::durable);
#else
  return check(retry([&] { return ::fsync(descriptor(directory)); }), "fsync");
#endif
}

}  // namespace foliodb::platform
