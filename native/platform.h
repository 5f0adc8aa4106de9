// What the addon asks of the operating system: one system call a function, every result a Status. platform_posix*.cc
// implement it for Linux and macOS, platform_win32*.cc for Windows; nothing of either shows here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace foliodb::platform {

/** How a call ended. `number` is the system's error number, 0 for success; `call` names the failed call. */
struct Status {
  int number = 0;
  const char* call = "";
  bool ok() const { return number == 0; }
};

/** Errors the addon finds out by itself and reports as if the system had. */
enum class Fault { io, invalid, isDirectory, noMemory, timedOut, cancelled };
Status failure(Fault fault, const char* call);

/** "ENOSPC", or "E123" for a number without a name here. */
std::string errorName(int number);
std::string errorText(int number);
/** The disk, the quota or the largest file size is exhausted. */
bool isSpaceExhausted(const Status& status);
/** The system or this file system has no such call. */
bool isUnsupported(const Status& status);
/** The name exists already. */
bool isExisting(const Status& status);
/** Not permitted to write, as opposed to not permitted at all. */
bool isWriteRefused(const Status& status);

/** An open file; closes it at the end of its life. */
class File {
 public:
  File() = default;
  explicit File(intptr_t handle) : handle_(handle) {}
  File(File&& other) noexcept : handle_(std::exchange(other.handle_, kNone)) {}
  File& operator=(File&& other) noexcept {
    if (this != &other) {
      close();
      handle_ = std::exchange(other.handle_, kNone);
    }
    return *this;
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { close(); }

  bool isOpen() const { return handle_ != kNone; }
  intptr_t handle() const { return handle_; }
  void close();

 private:
  static constexpr intptr_t kNone = -1;
  intptr_t handle_ = kNone;
};

enum class Access { read, readWrite };
enum class Kind { regular, directory, other };
struct FileStat {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t size = 0;
  Kind kind = Kind::other;
};

/** Never waits for a FIFO's other end, is not inherited. `followLinks` false: a symbolic link as the last part fails. */
Status openFile(const char* path, Access access, bool followLinks, File* file);
/** A new file for reading and writing; fails if the name exists. */
Status createFile(const char* path, unsigned mode, File* file);
/** A new file without a name in `directory`; unsupported on some systems and file systems. */
Status createUnnamed(const char* directory, unsigned mode, File* file);
/** Gives an unnamed file a name; never replaces. */
Status linkUnnamed(const File& file, const char* path);
/** Gives a file another name; never replaces. */
Status linkName(const char* from, const char* to);
Status renameOver(const char* from, const char* to);
Status renameNoReplace(const char* from, const char* to);
Status removeName(const char* path);
/** Makes names made and removed in the directory durable. */
Status flushDirectory(const char* path);

Status statFile(const File& file, FileStat* stat);
Status statPath(const char* path, FileStat* stat);
Status setSize(const File& file, uint64_t size);
/** Blocks for bytes [from, to), and a size of at least `to`. */
Status allocate(const File& file, uint64_t from, uint64_t to);
/** Reads until the target is full or the file ends. */
Status readAt(const File& file, uint64_t at, void* target, size_t length, size_t* got);
Status writeAt(const File& file, uint64_t at, const void* source, size_t length);
/** Forgets clean cached pages that no one maps. */
Status dropCache(const File& file);

/** How much a flush promises: only order before the next flush, or that the device has it. They differ on macOS only. */
enum class Flush { ordered, durable };
/** Makes everything stored in the file durable, its size included, and through views if `flushView` went before. */
Status flushFile(const File& file, Flush flush);
/** Whether `flushFile` leaves out what was stored through views, so that `flushView` has to go before. Not on Linux. */
bool viewsNeedFlush();
/** Hands what was stored through a view to `flushFile`; what was stored through another view of the same bytes may be left out. */
Status flushView(void* base, size_t length);

/** Bytes of a page of the system's memory. */
size_t memoryPageSize();
/**
 * How long to map a view from `at` of which `wanted` bytes are wanted now and `most` may be later. Elsewhere than on Windows a
 * view may go on behind the end of its file and costs nothing there, so it gets them all, unless the process may have only so much
 * address space; on Windows it ends where the file does.
 */
Status viewLength(const File& file, uint64_t at, size_t wanted, size_t most, size_t* length);
Status mapView(const File& file, uint64_t at, size_t length, bool writable, void** base);
Status unmapView(void* base, size_t length);
/** Lets go of the view's pages, so that the next access asks the file again. */
Status forgetView(void* base, size_t length);
/**
 * How many of the memory pages that bytes [at, at + length) of the file lie in are in memory. Asks the file and no view, and
 * costs a third of `residency`. Unsupported on
 * older systems; a file of a layered file system may say 0 whatever there is.
 */
Status residentCount(const File& file, uint64_t at, uint64_t length, uint64_t* count);
/** Per memory page of the aligned range: bit 0 is set if its content is in memory. */
Status residency(void* base, size_t length, unsigned char* pages);
/** Makes the aligned range ready for stores, as if each page had been stored to; an error instead of a signal. */
Status populate(void* base, size_t length);
/** Takes pages of a shared mapping of a file out of this process' page table. Nothing is lost: a touch brings them back. */
void depopulate(void* base, size_t length);

/**
 * Byte-range locks that belong to one opening of a file. `start` is relative to 2^62, beyond the end of every file. Not
 * every system converts and splits them: a range is given back as it was taken, and what an opening has it does not take again.
 */
enum class LockMode { shared, exclusive };
Status lock(const File& file, uint64_t start, uint64_t length, LockMode mode, bool* granted);
Status unlock(const File& file, uint64_t start, uint64_t length);
/** Turns an exclusive lock into a shared one of one byte of its range, without a moment between. */
Status narrowLock(const File& file, uint64_t start, uint64_t length, uint64_t byte);
Status unlockAll(const File& file);
/** Whether `lockedByOther` can be asked about bytes that the opening itself has locked. */
bool looksPastOwnLocks();
/** Start of a lock of another opening that would refuse `mode` in the range, or -1. */
Status lockedByOther(const File& file, uint64_t start, uint64_t length, LockMode mode, int64_t* holder);

/** A thread that no asynchronous signal interrupts. */
class Thread {
 public:
  Status start(void (*body)(void*), void* argument);
  /** Waits for the thread's end. */
  void join();
  bool isStarted() const { return started_; }

 private:
  uintptr_t handle_ = 0;
  bool started_ = false;
};

/** Calls when the process ends by itself, while its threads still run; never on Windows, where no such moment is left. */
void atProcessEnd(void (*call)());

/** Differs between boots of the machine. */
Status bootId(uint8_t id[16]);
/** Whether the processor has CRC-32C instructions. */
bool hasCrc32cInstructions();

}  // namespace foliodb::platform
