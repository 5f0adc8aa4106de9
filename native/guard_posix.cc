// The guard by signal handlers. Nothing in the handler allocates or locks: the table is of fixed size, and a range is
// entered by storing its fields first and its base last.
#include "guard.h"

#include <signal.h>
#include <sys/mman.h>
#if defined(__APPLE__)
#include <dlfcn.h>
#endif

#include <cerrno>
#include <mutex>

namespace foliodb::guard {
namespace {

struct Range {
  /** 0: not in use. Stored last on entry and cleared first, so that a nonzero base vouches for the other fields. */
  std::atomic<uintptr_t> base{0};
  std::atomic<uintptr_t> end{0};
  std::atomic<FaultWord*> flag{nullptr};
};

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

/** The flag of the range that holds the address, or null. */
FaultWord* flagOf(uintptr_t address) {
  const int end = rangeEnd.load(std::memory_order_acquire);
  for (int i = 0; i < end; i++) {
    const uintptr_t base = ranges[i].base.load(std::memory_order_acquire);
    if (base == 0 || address < base) continue;
    const uintptr_t limit = ranges[i].end.load(std::memory_order_acquire);
    FaultWord* const flag = ranges[i].flag.load(std::memory_order_acquire);
    // Unchanged: the three belong together, though another thread may be reusing the entry.
    if (address < limit && ranges[i].base.load(std::memory_order_acquire) == base) return flag;
  }
  return nullptr;
}

bool replacePage(uintptr_t address) {
  void* const page = reinterpret_cast<void*>(address & pageMask);
  const size_t length = static_cast<size_t>(~pageMask) + 1;
  return ::mmap(page, length, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANON, -1, 0) != MAP_FAILED;
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
  FaultWord* const flag = isRaisedByFault(info) ? flagOf(reinterpret_cast<uintptr_t>(info->si_addr)) : nullptr;
  if (flag != nullptr && replacePage(reinterpret_cast<uintptr_t>(info->si_addr))) {
    flag->store(1);
  } else {
    passOn(signal, info, context);
  }
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

}  // namespace

platform::Status add(void* base, size_t length, FaultWord* flag, int* slot) {
  const std::lock_guard<std::mutex> hold(tableMutex);
  const platform::Status status = install();
  if (!status.ok()) return status;
  const int end = rangeEnd.load(std::memory_order_relaxed);
  int free = freeFrom;
  while (free < end && ranges[free].base.load(std::memory_order_relaxed) != 0) free++;
  if (free == kRangeCountMax) return platform::failure(platform::Fault::noMemory, "guard");
  const uintptr_t start = reinterpret_cast<uintptr_t>(base);
  ranges[free].end.store(start + length, std::memory_order_release);
  ranges[free].flag.store(flag, std::memory_order_release);
  ranges[free].base.store(start, std::memory_order_release);
  if (free == end) rangeEnd.store(end + 1, std::memory_order_release);
  freeFrom = free + 1;
  *slot = free;
  return platform::Status{};
}

void remove(int slot) {
  const std::lock_guard<std::mutex> hold(tableMutex);
  ranges[slot].base.store(0, std::memory_order_release);
  if (slot < freeFrom) freeFrom = slot;
}

}  // namespace foliodb::guard
