// Views of sections: mapping them, and what the system is told about them. guard_win32.cc has stores into those for reading.
#include "section_win32.h"

// The functions themselves, of kernel32.
#define PSAPI_VERSION 2
#include <psapi.h>

#include <algorithm>
#include <cstring>

namespace foliodb::platform {
namespace {

/** The system writes a page out just now, and would have us wait: a moment. */
constexpr int kFlushAttemptsMax = 100;
constexpr DWORD kFlushPauseMs = 1;

const SYSTEM_INFO& systemInformation() {
  static const SYSTEM_INFO information = [] {
    SYSTEM_INFO found;
    ::GetSystemInfo(&found);
    return found;
  }();
  return information;
}

/** Whether a view may lie there at all: above the first 64 KiB, below the system's own half. */
bool isForPrograms(const void* wanted, size_t length) {
  const uintptr_t start = reinterpret_cast<uintptr_t>(wanted);
  const uintptr_t lowest = reinterpret_cast<uintptr_t>(systemInformation().lpMinimumApplicationAddress);
  const uintptr_t highest = reinterpret_cast<uintptr_t>(systemInformation().lpMaximumApplicationAddress);
  return start >= lowest && start <= highest && length - 1 <= highest - start;
}

Status prefetch(const ViewRange& range) {
  // Since Windows 8; asked for by name, for some hosts lack it.
  struct MemoryRange {
    PVOID address;
    SIZE_T length;
  };
  using Prefetch = BOOL(WINAPI*)(HANDLE, ULONG_PTR, MemoryRange*, ULONG);
  const HMODULE library = ::GetModuleHandleW(L"kernel32.dll");
  const FARPROC found = library == nullptr ? nullptr : ::GetProcAddress(library, "PrefetchVirtualMemory");
  if (found == nullptr) return failWith(ERROR_NOT_SUPPORTED, "PrefetchVirtualMemory");
  Prefetch call = nullptr;
  static_assert(sizeof call == sizeof found, "function pointers have one size");
  std::memcpy(&call, &found, sizeof call);
  MemoryRange memory = {range.base, range.length};
  return check(call(::GetCurrentProcess(), 1, &memory, 0), "PrefetchVirtualMemory");
}

/**
 * Takes pages out of this process's working set: unlocking what is not locked does that, and nothing is lost. (OfferVirtualMemory
 * and DiscardVirtualMemory are for private memory that may be lost, and refuse views.)
 */
Status letGo(const ViewRange& range) {
  if (::VirtualUnlock(range.base, range.length) != 0) return Status{};
  const DWORD number = ::GetLastError();
  return number == ERROR_NOT_LOCKED ? Status{} : failWith(number, "VirtualUnlock");
}

}  // namespace

size_t allocationGranularity() { return static_cast<size_t>(systemInformation().dwAllocationGranularity); }

Outcome mapSection(const Section& section, uint64_t at, size_t length, ViewAccess access, void* wanted, void** base) {
  if (wanted != nullptr && !isForPrograms(wanted, length)) return refused(Refusal::addressTaken);
  // A view for reading, too: guard_win32.cc says why. A section that may only be read allows it.
  const DWORD rights = access == ViewAccess::write ? FILE_MAP_READ | FILE_MAP_WRITE : DWORD{FILE_MAP_COPY};
  *base = ::MapViewOfFileEx(sectionHandle(section), rights, static_cast<DWORD>(at >> 32), static_cast<DWORD>(at), length,
                            wanted);
  if (*base != nullptr) return Outcome{};
  if (wanted != nullptr && ::GetLastError() == ERROR_INVALID_ADDRESS) return refused(Refusal::addressTaken);
  return outcome(fail("MapViewOfFile"));
}

Status unmapSection(void* base, size_t length) {
  (void)length;
  return check(::UnmapViewOfFile(base), "UnmapViewOfFile");
}

// Windows has no way to put a reservation in the place of a view: between the two something else may come there.
Status retireSection(void* base, size_t length, Retired* retired) {
  *retired = Retired::unmapped;
  return unmapSection(base, length);
}

Status countMappings(uint64_t* count, uint64_t* countMax) {
  (void)count, (void)countMax;
  return failWith(ERROR_NOT_SUPPORTED, "MapViewOfFile");
}

bool isCutOff(const ViewRange& range) {
  (void)range;
  return false;
}

Status flushSection(const ViewRange& range, bool durable) {
  for (int attempts = 1; ::FlushViewOfFile(range.base, range.length) == 0; attempts++) {
    const DWORD number = ::GetLastError();
    if (number != ERROR_LOCK_VIOLATION || attempts == kFlushAttemptsMax) return failWith(number, "FlushViewOfFile");
    ::Sleep(kFlushPauseMs);
  }
  // An inherited temporary file is open in the process that made it only, and nobody will look for it after a crash.
  if (!durable || !range.section->file.isOpen()) return Status{};
  // FlushViewOfFile has written, but the device may still hold it in a cache of its own, and the file's size is not written.
  return check(::FlushFileBuffers(native(range.section->file)), "FlushFileBuffers");
}

Status adviseSection(const ViewRange& range, Advice advice) {
  switch (advice) {
    case Advice::normal: return Status{};
    // Told when a file is opened, for all of it; not for views.
    case Advice::sequential:
    case Advice::random: return failWith(ERROR_NOT_SUPPORTED, "VirtualAdvise");
    case Advice::willNeed: return prefetch(range);
    case Advice::dontNeed:
    case Advice::discard: return letGo(range);
  }
  return failure(Fault::invalid, "VirtualAdvise");
}

Status sectionResidency(void* base, size_t length, unsigned char* pages) {
  constexpr size_t kPagesOfCall = 512;
  const size_t pageSize = memoryPageSize();
  const size_t count = (length + pageSize - 1) / pageSize;
  PSAPI_WORKING_SET_EX_INFORMATION asked[kPagesOfCall];
  for (size_t done = 0; done < count; done += kPagesOfCall) {
    const size_t part = std::min(kPagesOfCall, count - done);
    for (size_t i = 0; i < part; i++) {
      asked[i] = {};
      asked[i].VirtualAddress = static_cast<char*>(base) + (done + i) * pageSize;
    }
    const DWORD size = static_cast<DWORD>(part * sizeof asked[0]);
    if (::QueryWorkingSetEx(::GetCurrentProcess(), asked, size) == 0) return fail("QueryWorkingSetEx");
    for (size_t i = 0; i < part; i++) pages[done + i] = asked[i].VirtualAttributes.Valid != 0 ? 1 : 0;
  }
  return Status{};
}

}  // namespace foliodb::platform
