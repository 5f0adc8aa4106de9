// The guard by signal handlers. Nothing in the handler allocates or locks: the table is of fixed size, and a range is
// entered by storing its fields first and its base last.
//
// What is put in place of a page: for a store into a read view a private copy of the same page of the file, so that what is
// read there stays right; in every other case, and if that fails, zeros.
//
// Each such page is a mapping of its own, and of those a process has only so many (vm.max_map_count: 65,530): beyond, the system
// refuses another, to V8 as well, which ends the process. So when there are many already, or there is no mapping to be had, all of
// the range is replaced by a single one of the same kind.
#include "guard.h"

#include <signal.h>
#include <sys/mman.h>
#if defined(__APPLE__)
#include <dlfcn.h>
#endif

#include <cerrno>
#include <mutex>

#include "section.h"

namespace foliodb::guard {
namespace {

struct Range {
  /** 0: not in use. Stored last on entry and cleared first, so that a nonzero base vouches for the other fields. */
  std::atomic<uintptr_t> base{0};
  std::atomic<uintptr_t> end{0};
  std::atomic<FaultWord*> flag{nullptr};
  /** Told, too, if not null. */
  std::atomic<FaultWord*> mappingFlag{nullptr};
  /** Of a read view: the descriptor that is mapped at `base` from `at` on. Otherwise -1. */
  std::atomic<int> file{-1};
  std::atomic<uint64_t> at{0};
  /** Pages that were put into it, one at a time. */
  std::atomic<int> putCount{0};
#if defined(__APPLE__)
  /** The page that was copied last. */
  std::atomic<uintptr_t> copied{0};
#endif
};

/** What a handler needs to know of the range that holds an address. */
struct Hit {
  Range* range = nullptr;
  uintptr_t base = 0;
  uintptr_t end = 0;
  FaultWord* flag = nullptr;
  FaultWord* mappingFlag = nullptr;
  int file = -1;
  uint64_t at = 0;
};

/** Single pages in all ranges together: each may cost two mappings, and views leave a quarter of the system's (section_view.cc). */
constexpr int kPutCountMax = 4096;
std::atomic<int> putCountOfAll{0};

/** One entry a window: 64 TiB of store in windows of 1 GiB. Pages of the table that are never used cost no memory. */
constexpr int kRangeCountMax = 65536;
Range ranges[kRangeCountMax];
/** Entries at or above it have never been used. */
std::atomic<int> rangeEnd{0};
/** Guards entering and leaving, and the installation; never taken by the handler. */
std::mutex tableMutex;
bool installed = false;
/** No entry below it is free. */
int freeFrom = 0;
uintptr_t pageMask = 0;

/** What stood before us. Written once, before our handlers are in place. */
struct sigaction previousBus;
struct sigaction previousSegv;

/** The range that holds the address; false: none. */
bool find(uintptr_t address, Hit* hit) {
  const int end = rangeEnd.load(std::memory_order_acquire);
  for (int i = 0; i < end; i++) {
    Range& range = ranges[i];
    const uintptr_t base = range.base.load(std::memory_order_acquire);
    if (base == 0 || address < base) continue;
    const uintptr_t limit = range.end.load(std::memory_order_acquire);
    *hit = Hit{&range,
               base,
               limit,
               range.flag.load(std::memory_order_acquire),
               range.mappingFlag.load(std::memory_order_acquire),
               range.file.load(std::memory_order_acquire),
               range.at.load(std::memory_order_acquire)};
    // Unchanged: they belong together, though another thread may be reusing the entry.
    if (address < limit && range.base.load(std::memory_order_acquire) == base) return true;
  }
  return false;
}

size_t pageSize() { return static_cast<size_t>(~pageMask) + 1; }

bool putZeros(uintptr_t from, size_t length) {
#if defined(MAP_NORESERVE)
  const int flags = MAP_FIXED | MAP_PRIVATE | MAP_ANON | MAP_NORESERVE;
#else
  const int flags = MAP_FIXED | MAP_PRIVATE | MAP_ANON;
#endif
  return ::mmap(reinterpret_cast<void*>(from), length, PROT_READ | PROT_WRITE, flags, -1, 0) != MAP_FAILED;
}

bool putCopy(uintptr_t from, size_t length, const Hit& hit) {
  const off_t at = static_cast<off_t>(hit.at + (from - hit.base));
  return ::mmap(reinterpret_cast<void*>(from), length, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE, hit.file, at) !=
         MAP_FAILED;
}

/** Whether the fault is a store into a read view, and no failure to read the page. */
bool isStore(int signal, uintptr_t page, const Hit& hit) {
  if (hit.file == -1) return false;
#if defined(__APPLE__)
  // Both raise SIGBUS there. A page that faults again right after it was copied can't be read.
  (void)signal;
  return hit.range->copied.exchange(page) != page;
#else
  // A page that can't be read raises SIGBUS, after it was copied, too.
  (void)page;
  return signal == SIGSEGV;
#endif
}

/** Puts something in place of the page, or of the whole range. Zero: neither could be had; otherwise what is to be told. */
int32_t put(uintptr_t page, bool store, const Hit& hit) {
  if (putCountOfAll.load() < kPutCountMax) {
    const bool copied = store && putCopy(page, pageSize(), hit);
    if (copied || (!store && putZeros(page, pageSize()))) {
      hit.range->putCount.fetch_add(1);
      putCountOfAll.fetch_add(1);
      return copied ? platform::kFaultStore : platform::kFaultLost;
    }
  }
  const size_t length = hit.end - hit.base;
  int32_t told = 0;
  if (store && putCopy(hit.base, length, hit)) told = platform::kFaultStore;
  else if (putZeros(hit.base, length)) told = platform::kFaultLost;
  if (told != 0) putCountOfAll.fetch_sub(hit.range->putCount.exchange(0));
  return told;
}

/** Makes the address usable again and tells of it; false: it isn't ours, or there is no memory. */
bool repair(int signal, uintptr_t address) {
  Hit hit;
  if (!find(address, &hit)) return false;
  const uintptr_t page = address & pageMask;
  const int32_t told = put(page, isStore(signal, page, hit), hit);
  if (told == 0) return false;
  hit.flag->fetch_or(told);
  if (hit.mappingFlag != nullptr) hit.mappingFlag->fetch_or(told);
  return true;
}

/** As opposed to one that somebody sent, which carries no address. */
bool isRaisedByFault(const siginfo_t* info) {
#if defined(__APPLE__)
  // The codes of sent signals are positive here, from SI_USER on.
  return info->si_code > 0 && info->si_code < SI_USER;
#else
  return info->si_code > 0;
#endif
}

/** Not ours: what would have happened without us. */
void passOn(int signal, siginfo_t* info, void* context) {
  const struct sigaction& previous = signal == SIGBUS ? previousBus : previousSegv;
  if ((previous.sa_flags & SA_SIGINFO) != 0) {
    previous.sa_sigaction(signal, info, context);
    return;
  }
  const bool raisedByFault = isRaisedByFault(info);
  if (previous.sa_handler == SIG_IGN && !raisedByFault) return;
  if (previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN) {
    // The default action ends the process: a fault occurs again on return, a signal somebody sent is sent again. An
    // ignored fault ends it, too, as the kernel would have it.
    struct sigaction standard = {};
    standard.sa_handler = SIG_DFL;
    ::sigaction(signal, &standard, nullptr);
    if (!raisedByFault) ::raise(signal);
    return;
  }
  previous.sa_handler(signal);
}

void onFault(int signal, siginfo_t* info, void* context) {
  const int savedErrno = errno;
  const bool isOurs = isRaisedByFault(info) && repair(signal, reinterpret_cast<uintptr_t>(info->si_addr));
  if (!isOurs) passOn(signal, info, context);
  errno = savedErrno;
}

/** Keeps this library loaded when the last worker that asked for it ends. Its linker has a flag for that where it is ELF. */
platform::Status keepLoaded() {
#if defined(__APPLE__)
  Dl_info self;
  if (::dladdr(reinterpret_cast<const void*>(&onFault), &self) == 0 ||
      ::dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) == nullptr) {
    return platform::failure(platform::Fault::invalid, "dlopen");
  }
#endif
  return platform::Status{};
}

/** With tableMutex held. Never undone: the library stays loaded, so the handlers never dangle. */
platform::Status install() {
  if (installed) return platform::Status{};
  const platform::Status kept = keepLoaded();
  if (!kept.ok()) return kept;
  pageMask = ~(static_cast<uintptr_t>(platform::memoryPageSize()) - 1);
  struct sigaction action = {};
  action.sa_sigaction = onFault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  // The previous actions are read first: a fault on another thread may come as soon as ours is in place.
  if (::sigaction(SIGBUS, nullptr, &previousBus) == -1 || ::sigaction(SIGSEGV, nullptr, &previousSegv) == -1 ||
      ::sigaction(SIGBUS, &action, nullptr) == -1 || ::sigaction(SIGSEGV, &action, nullptr) == -1) {
    return platform::Status{errno, "sigaction"};
  }
  installed = true;
  return platform::Status{};
}

/** A new entry; all but its base. */
struct Entry {
  FaultWord* flag = nullptr;
  FaultWord* mappingFlag = nullptr;
  int file = -1;
  uint64_t at = 0;
};

platform::Status enter(void* base, size_t length, const Entry& entry, int* slot) {
  const std::lock_guard<std::mutex> hold(tableMutex);
  const platform::Status status = install();
  if (!status.ok()) return status;
  const int end = rangeEnd.load(std::memory_order_relaxed);
  int free = freeFrom;
  while (free < end && ranges[free].base.load(std::memory_order_relaxed) != 0) free++;
  if (free == kRangeCountMax) return platform::failure(platform::Fault::noMemory, "guard");
  const uintptr_t start = reinterpret_cast<uintptr_t>(base);
  Range& range = ranges[free];
  range.end.store(start + length, std::memory_order_release);
  range.flag.store(entry.flag, std::memory_order_release);
  range.mappingFlag.store(entry.mappingFlag, std::memory_order_release);
  range.file.store(entry.file, std::memory_order_release);
  range.at.store(entry.at, std::memory_order_release);
#if defined(__APPLE__)
  range.copied.store(0, std::memory_order_release);
#endif
  range.base.store(start, std::memory_order_release);
  if (free == end) rangeEnd.store(end + 1, std::memory_order_release);
  freeFrom = free + 1;
  *slot = free;
  return platform::Status{};
}

}  // namespace

platform::Status add(void* base, size_t length, FaultWord* flag, int* slot) {
  return enter(base, length, Entry{flag, nullptr, -1, 0}, slot);
}

void remove(int slot) {
  const std::lock_guard<std::mutex> hold(tableMutex);
  ranges[slot].base.store(0, std::memory_order_release);
  putCountOfAll.fetch_sub(ranges[slot].putCount.exchange(0));
  if (slot < freeFrom) freeFrom = slot;
}

}  // namespace foliodb::guard

namespace foliodb::platform {

Status guardSection(const ViewRange& range, ViewFaults* faults, int* slot) {
  const bool copies = range.access == ViewAccess::read;
  const int file = copies ? static_cast<int>(range.section->file.handle()) : -1;
  const uint64_t at = range.section->traits.start + range.at;
  return guard::enter(range.base, range.length, guard::Entry{&faults->view, faults->mapping.get(), file, at}, slot);
}

}  // namespace foliodb::platform
