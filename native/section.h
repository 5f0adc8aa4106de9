// Mapping objects ("sections", as Windows calls them) for people: over a file, a temporary file, or memory without a file;
// with a name or without; and what carries them to other processes. section_posix*.cc and section_win32*.cc implement it.
// The layer above (section_view.*, binding_section*, src/mapping) has checked all that can be known without the system:
// sizes and ranges, the table of protections and accesses, what a name may be, that offsets are aligned.
//
// Lifetimes. A Section is held by a shared_ptr: by the mapping object of JavaScript, by each of its views, by each flush under
// way. The destructor closes everything, so the file, and the use of the name, end with the last of them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "guard.h"
#include "platform.h"

namespace foliodb::platform {

/** PAGE_READONLY, PAGE_READWRITE, PAGE_WRITECOPY. Only `readwrite` allows views for writing; all allow read and copy views. */
enum class Protection { readonly, readwrite, writecopy };
/** FILE_MAP_READ, FILE_MAP_WRITE (which reads, too), FILE_MAP_COPY. */
enum class ViewAccess { read, write, copy };
/** OPEN_EXISTING, CREATE_NEW, OPEN_ALWAYS. */
enum class Disposition { open, create, openOrCreate };
/** What a section stands on. `temporary`: a new file that nobody else finds and that is gone when the section is. */
enum class Backing { file, temporary, memory };

/** Outcomes that mean the same on every system, whatever number it has for them. The layer above has an error code for each. */
enum class Refusal {
  none,
  /** Size 0 was asked for over a file that is empty (Windows: 1006). */
  emptyFile,
  /** A size greater than the file's, and the protection does not allow to make it longer (Windows: 8). */
  notGrowable,
  /** The name isn't there, or all its users are dead (Windows: 2 from OpenFileMapping). */
  noSuchName,
  /** The name belongs to something that is no section of ours. */
  foreignName,
  /** The file of the name's section has been moved, replaced or removed. */
  movedFile,
  /** Something else is at the wanted address, or the system would not map there (Windows: 487). */
  addressTaken,
  /** A token whose mapping is not to be had: taken already, timed out, the sender is gone, or we are not who it is for. */
  notHanded,
};

/** How a call on sections ended. ok() looks at both: a refusal may come without a number. */
struct Outcome {
  Status status;
  Refusal refusal = Refusal::none;
  /** The file it is about, if that is not the one the call was given. */
  std::string path = {};
  bool ok() const { return status.ok() && refusal == Refusal::none; }
};

/** What createSection is to make. */
struct SectionRequest {
  Backing backing = Backing::memory;
  /** UTF-8. `file`: the file's path. `temporary`: the folder to make the file in. */
  std::string path;
  Disposition disposition = Disposition::open;
  /** 0: the file's own size. Greater than the file's: the file grows to it. Never 0 for memory and temporary files; for
   * memory a multiple of the memory page. At most 2^63 - 1. */
  uint64_t size = 0;
  Protection protection = Protection::readwrite;
  /** Empty: no name. At most 200 bytes of UTF-8, no '/', no '\', no NUL, not "." or "..". */
  std::string name;
  /** Windows: Global\ instead of Local\. POSIX names reach as far as /dev/shm does; there it means nothing. */
  bool machineWide = false;
  /** Permission bits of a new file and of a name. POSIX takes the process's umask off. On Windows 0600 and the like (no bit
   * for others) means: the user (and the administrators); bits for others mean everybody. */
  unsigned mode = 0600;
};

/** What a section is. Travels to another process inside a token, so it is a plain value. */
struct SectionTraits {
  Backing backing = Backing::memory;
  uint64_t size = 0;
  /** What may be asked of it: `readwrite` only if the handle itself may write. */
  Protection protection = Protection::readonly;
  /** As given at creation, for error texts; empty for memory. */
  std::string path;
  std::string name;
  bool machineWide = false;
  /** POSIX: where byte 0 of the section lies in the descriptor's file; the record of a name lies before it. Windows: 0. */
  uint64_t start = 0;
};

/** A mapping object. Not to be changed once made; moved only before it is shared. */
class Section {
 public:
  Section() = default;
  Section(Section&&) noexcept = default;
  Section& operator=(Section&&) noexcept = delete;
  /** Ends the use of the name, too (in section_posix*.cc, section_win32*.cc): the last user of a name removes it. */
  ~Section();

  SectionTraits traits;
  /** The file. POSIX: or the memory, and opened for reading only unless `readwrite`. Windows: not open for memory. */
  File file;
  /** Windows: the section's handle, which keeps the name, too. POSIX: not open. */
  File handle;
  /** POSIX: the opening whose shared lock says that the name is in use. Windows: not open. */
  File nameUse;
  /** POSIX without a way to open a descriptor anew (macOS): memory and temporary files, for reading. Else not open. */
  File reader;
};

/**
 * Makes a section, or finds the one that has the name. `existed` is set if the name was there: then the section is the
 * existing one (its size, its file; path, disposition and size of the request mean nothing), opened as the request's
 * protection wants it: for reading and writing with `readwrite`, else for reading.
 */
Outcome createSection(const SectionRequest& request, Section* section, bool* existed);
/** OpenFileMapping. `forWrite` false: the section may not be mapped for writing, and its protection is `readonly`. */
Outcome openSection(const std::string& name, bool machineWide, bool forWrite, Section* section);

/** What `at` and a wanted base are multiples of: the memory page on POSIX, 64 KiB on Windows. */
size_t allocationGranularity();

/**
 * Maps [at, at + length) of the section; `at` is a multiple of the granularity, the range lies inside traits.size. `wanted`:
 * exactly there or addressTaken, never over anything; null: anywhere. A store into a read view must never reach the
 * section and never end the process: it faults, and the guard takes it (on Windows the view is mapped copy-on-write
 * underneath, so that even without the guard it stays private). No two views, of the same range or not, may share an address.
 */
Outcome mapSection(const Section& section, uint64_t at, size_t length, ViewAccess access, void* wanted, void** base);
/** What mapSection mapped, whole. */
Status unmapSection(void* base, size_t length);
/** What has become of a view's addresses. */
enum class Retired {
  /** Memory of nobody's lies there, until `unmapSection`: a thread that stores there still harms nothing. */
  takesStores,
  /** They stay taken until `unmapSection`, and every access faults: for the guard. */
  faults,
  /** They are free. */
  unmapped,
};
/**
 * Takes the section from under a view, without a moment between. On Windows there is no way to do that and keep the addresses; on
 * Linux that promises no more memory than it has (vm.overcommit_memory 2) memory for stores would be charged for in full, and
 * there is none. If it fails, nothing has changed.
 */
Status retireSection(void* base, size_t length, Retired* retired);
/** How many mappings this process has, and how many it may have. isUnsupported() where there is no such limit, or nobody tells. */
Status countMappings(uint64_t* count, uint64_t* countMax);

/** A view as the functions below and the guard need it. `at`, `base` as in mapSection; `length` bytes. */
struct ViewRange {
  const Section* section = nullptr;
  ViewAccess access = ViewAccess::read;
  void* base = nullptr;
  uint64_t at = 0;
  size_t length = 0;
};

/**
 * FlushViewOfFile of a range whose base is a multiple of the memory page: writing begins. `durable` waits for the device, too
 * (FlushFileBuffers), for all that was stored through this range. Called for write views of files only, on any thread.
 */
Status flushSection(const ViewRange& range, bool durable);

/** `discard` lets go of the memory; no change that was stored, private ones included, is ever lost by any of these. */
enum class Advice { normal, sequential, random, willNeed, dontNeed, discard };
/** Page-aligned range. A system without such advice does nothing and says so by isUnsupported(). `willNeed` is prefetch. */
Status adviseSection(const ViewRange& range, Advice advice);

/**
 * Per memory page of a page-aligned range of a view: bit 0 is set if its content is in memory. Windows tells it of this process
 * only: a page that the system has cached counts from when the process has touched it through this view.
 */
Status sectionResidency(void* base, size_t length, unsigned char* pages);

/**
 * Whether the file ends before the range does: it was truncated, and who touches what lies behind its end loses it. False for
 * memory, which nobody truncates, and on Windows, which truncates no mapped file.
 */
bool isCutOff(const ViewRange& range);

/** The words a fault is told in. Bits of both: kFaultLost, kFaultStore. */
struct ViewFaults {
  /** Of this view. */
  guard::FaultWord view{0};
  /** Of the mapping; shared by its views. Never null. */
  std::shared_ptr<guard::FaultWord> mapping;
};
/** The memory behind the view was not to be had (truncated file, full disk, I/O error): zeros were put in its place. */
constexpr int32_t kFaultLost = 1;
/** A store into a read view: it went into a private copy of the page. */
constexpr int32_t kFaultStore = 2;
/** Not in a word, but found out when asked, and gone when the file is long enough again: the view isCutOff. */
constexpr int32_t kFaultCutOff = 4;

/**
 * Puts a view under the guard (guard_posix.cc; guard_win32.cc, which takes stray stores only).
 * The range and the faults must outlive the entry; `slot` is for guard::remove, before unmapping.
 */
Status guardSection(const ViewRange& range, ViewFaults* faults, int* slot);

/** 32 hexadecimal digits that nobody can guess. */
Status randomHex(std::string* digits);

// ---- Handing over ------------------------------------------------------------------------------------------------------

/**
 * For a child that is about to be spawned. POSIX: `handle` becomes a descriptor of its own, closed on exec, which the caller
 * puts into the child's stdio array. Windows: an inheritable duplicate of the section's handle, which the child finds under
 * the same number. It is to be kept open until the child has been spawned. `readOnly`: what the child gets can't be mapped
 * for writing, whatever it tries with it.
 */
Outcome inheritSection(const Section& section, bool readOnly, File* handle);
/**
 * In the child: takes over descriptor or handle `number`; `traits` are from the token. Checks that it is what the traits say
 * (POSIX: a regular file, long enough, of this access; `identity` is what sectionIdentity gave). Afterwards it is the section's.
 */
Outcome receiveInherited(int64_t number, const SectionTraits& traits, const std::string& identity, Section* section);
/** Text without blanks that tells one file or memory from another (POSIX: device and inode). May be empty (Windows). */
Status sectionIdentity(const File& handle, std::string* identity);

/** A mapping on its way to a running process. */
class Handing {
 public:
  /** Withdraws it if it has not been received (Windows: need not). Waits for the thread, which ends at once. */
  virtual ~Handing() = default;
  /** Received, timed out or failed: nothing is pending, and destroying it does not wait. */
  virtual bool ended() const = 0;
};
/**
 * Hands a section to process `pid`. POSIX: a thread serves the descriptor once, on a Unix socket, to whoever is that
 * process and knows the secret, for `limitMs`; it holds the section, and so the use of its name, until the receiver is a user
 * of the name itself. Windows: DuplicateHandle into the process at once; the limit means nothing.
 * `address` is ASCII without blanks, for receiveHanded; `handing` is set if something goes on (may be null on Windows). `onEnd`
 * is called on the thread when it has ended(), so that whoever has the handing destroys it.
 */
Outcome handSection(std::shared_ptr<const Section> section, bool readOnly, int64_t pid, uint32_t limitMs, std::function<void()> onEnd,
                    std::unique_ptr<Handing>* handing, std::string* address);
/** In the receiver; waits for the sender's answer, at most `limitMs`. */
Outcome receiveHanded(const std::string& address, const SectionTraits& traits, uint32_t limitMs, Section* section);

}  // namespace foliodb::platform
