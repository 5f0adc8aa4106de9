/*
 * Stands between a test's process and the system (LD_PRELOAD), and lets calls fail as FOLIODB_SYSTEM says, a list of:
 *   flush=N      the N-th fdatasync fails with EIO        slow     every fdatasync takes 300 ms longer
 *   no-allocate  no fallocate                             no-unnamed    no O_TMPFILE
 *   no-link      no hard links                            no-populate   no MADV_POPULATE_WRITE
 *   no-count     no cachestat                          wait-link    linkat says so, and waits for a line
 *   no-promises  vm.overcommit_memory is 2             no-gigabyte   no file is mapped a gigabyte at once
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *setting(const char *name) {
  const char *all = getenv("FOLIODB_SYSTEM");
  return all == NULL ? NULL : strstr(all, name);
}

static int refuse(int number) {
  errno = number;
  return -1;
}

int fdatasync(int fd) {
  static int count = 0;
  const char *at = setting("flush=");
  if (setting("slow") != NULL) usleep(300000);
  if (at != NULL && __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST) == atoi(at + 6)) return refuse(EIO);
  return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}

static int allocate(const char *symbol, int fd, int mode, off_t at, off_t length) {
  if (setting("no-allocate") != NULL) return refuse(EOPNOTSUPP);
  return ((int (*)(int, int, off_t, off_t))dlsym(RTLD_NEXT, symbol))(fd, mode, at, length);
}

int fallocate(int fd, int mode, off_t at, off_t length) { return allocate("fallocate", fd, mode, at, length); }
int fallocate64(int fd, int mode, off_t at, off_t length) { return allocate("fallocate64", fd, mode, at, length); }

static int opened(const char *symbol, const char *path, int flags, int mode) {
  if (strcmp(path, "/proc/sys/vm/overcommit_memory") == 0 && setting("no-promises") != NULL) {
    int made = memfd_create("setting", 0);
    return write(made, "2\n", 2) == 2 ? made : -1;
  }
  if ((flags & O_TMPFILE) == O_TMPFILE && setting("no-unnamed") != NULL) return refuse(EISDIR);
  return ((int (*)(const char *, int, ...))dlsym(RTLD_NEXT, symbol))(path, flags, mode);
}

#define OPEN(name)                              \
  int name(const char *path, int flags, ...) {  \
    va_list rest;                               \
    va_start(rest, flags);                      \
    int mode = va_arg(rest, int);               \
    va_end(rest);                               \
    return opened(#name, path, flags, mode);    \
  }
OPEN(open)
OPEN(open64)

int link(const char *from, const char *to) {
  if (setting("no-link") != NULL) return refuse(EPERM);
  return ((int (*)(const char *, const char *))dlsym(RTLD_NEXT, "link"))(from, to);
}

int linkat(int fromFolder, const char *from, int toFolder, const char *to, int flags) {
  char end;
  if (setting("wait-link") != NULL && (write(1, "at linkat\n", 10) != 10 || read(0, &end, 1) != 1)) return refuse(EIO);
  return ((int (*)(int, const char *, int, const char *, int))dlsym(RTLD_NEXT, "linkat"))(fromFolder, from, toFolder,
                                                                                           to, flags);
}

int madvise(void *base, size_t length, int advice) {
  if (advice == 23 && setting("no-populate") != NULL) return refuse(EINVAL);
  return ((int (*)(void *, size_t, int))dlsym(RTLD_NEXT, "madvise"))(base, length, advice);
}

/* As many parameters as any call takes: the kernel looks at no more than it needs. */
long syscall(long number, ...) {
  va_list rest;
  long parameters[6];
  va_start(rest, number);
  for (int i = 0; i < 6; i++) parameters[i] = va_arg(rest, long);
  va_end(rest);
  if (number == 451 && setting("no-count") != NULL) return refuse(ENOSYS);
  return ((long (*)(long, ...))dlsym(RTLD_NEXT, "syscall"))(number, parameters[0], parameters[1], parameters[2],
                                                             parameters[3], parameters[4], parameters[5]);
}

static void *mapped(const char *symbol, void *at, size_t length, int protection, int flags, int fd, off_t from) {
  if (fd != -1 && length >= (size_t)1 << 30 && setting("no-gigabyte") != NULL) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  return ((void *(*)(void *, size_t, int, int, int, off_t))dlsym(RTLD_NEXT, symbol))(at, length, protection, flags, fd, from);
}

void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t from) {
  return mapped("mmap", at, length, protection, flags, fd, from);
}
void *mmap64(void *at, size_t length, int protection, int flags, int fd, off_t from) {
  return mapped("mmap64", at, length, protection, flags, fd, from);
}
