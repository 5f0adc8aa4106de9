// The guard on Windows, which can promise less: stores into what may only be read, and nothing else.
//
// Windows can put no page of zeros into a mapped view, and between unmapping the whole view and reserving its addresses
// another thread could be given them. So an access that the device can't serve (EXCEPTION_IN_PAGE_ERROR) ends the process as
// without us. The other reasons for faults are not there: a file can't be truncated under its views, and the blocks of a
// store are allocated before anybody stores into them.
//
// A view for reading is a copy-on-write view whose pages allow reading only. A store faults; the handler below makes that one
// page copy-on-write, tells the words of the view, and lets the store happen again: it goes into a private copy, which the file
// never sees. A view mapped for reading from the start would not do: Windows lets its pages become copy-on-write, but Wine
// refuses, or maps them to the file itself if the section's file is open for writing.
#include "guard.h"

#include <map>

#include "platform_win32.h"
#include "section.h"

namespace foliodb::guard {
namespace {

struct Range {
  uintptr_t end;
  /** What its words are told of a store. */
  int32_t told;
  FaultWord* flag;
  /** Told, too, if not null. */
  FaultWord* mappingFlag;
};

/** The guarded ranges. Never destroyed: threads may fault while the process ends. */
struct Table {
  std::map<uintptr_t, Range> ranges;
  std::map<int, uintptr_t> bases;
  int slotNext = 0;
};

Table& table() {
  static auto* const all = new Table();
  return *all;
}

// The handler runs on the thread that faulted, like a call of it, so it may take the lock: nobody who holds it touches mapped
// memory.
SRWLOCK tableLock = SRWLOCK_INIT;
bool installed = false;

class HoldExclusive {
 public:
  HoldExclusive() { ::AcquireSRWLockExclusive(&tableLock); }
  ~HoldExclusive() { ::ReleaseSRWLockExclusive(&tableLock); }
  HoldExclusive(const HoldExclusive&) = delete;
  HoldExclusive& operator=(const HoldExclusive&) = delete;
};

/** With the lock held. */
bool takeStore(uintptr_t address) {
  auto after = table().ranges.upper_bound(address);
  if (after == table().ranges.begin()) return false;
  const Range& range = (--after)->second;
  DWORD before = 0;
  if (address >= range.end || ::VirtualProtect(reinterpret_cast<void*>(address), 1, PAGE_WRITECOPY, &before) == 0) {
    return false;
  }
  range.flag->fetch_or(range.told);
  if (range.mappingFlag != nullptr) range.mappingFlag->fetch_or(range.told);
  return true;
}

LONG CALLBACK onException(EXCEPTION_POINTERS* pointers) {
  constexpr ULONG_PTR kStore = 1;
  const EXCEPTION_RECORD& record = *pointers->ExceptionRecord;
  if (record.ExceptionCode != static_cast<DWORD>(EXCEPTION_ACCESS_VIOLATION) || record.NumberParameters < 2 ||
      record.ExceptionInformation[0] != kStore) {
    return EXCEPTION_CONTINUE_SEARCH;
  }
  ::AcquireSRWLockShared(&tableLock);
  const bool taken = takeStore(record.ExceptionInformation[1]);
  ::ReleaseSRWLockShared(&tableLock);
  return taken ? EXCEPTION_CONTINUE_EXECUTION : EXCEPTION_CONTINUE_SEARCH;
}

/** With the lock held. Never undone. */
platform::Status install() {
  if (installed) return platform::Status{};
  // Node unloads an addon with its last worker, and the handler would dangle.
  HMODULE self = nullptr;
  const wchar_t* const inside = reinterpret_cast<const wchar_t*>(&installed);
  const DWORD flags = GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS;
  if (::GetModuleHandleExW(flags, inside, &self) == 0) return platform::fail("GetModuleHandleEx");
  // First, so that no handler for what is not ours has a say.
  if (::AddVectoredExceptionHandler(1, onException) == nullptr) return platform::fail("AddVectoredExceptionHandler");
  installed = true;
  return platform::Status{};
}

platform::Status enter(void* base, size_t length, int32_t told, FaultWord* flag, FaultWord* mappingFlag, int* slot) {
  const HoldExclusive hold;
  const platform::Status status = install();
  if (!status.ok()) return status;
  const uintptr_t start = reinterpret_cast<uintptr_t>(base);
  *slot = table().slotNext++;
  table().ranges[start] = Range{start + length, told, flag, mappingFlag};
  table().bases[*slot] = start;
  return platform::Status{};
}

}  // namespace

platform::Status add(void* base, size_t length, FaultWord* flag, int* slot) {
  return enter(base, length, platform::kFaultLost, flag, nullptr, slot);
}

void remove(int slot) {
  const HoldExclusive hold;
  const auto found = table().bases.find(slot);
  if (found == table().bases.end()) return;
  table().ranges.erase(found->second);
  table().bases.erase(found);
}

}  // namespace foliodb::guard

namespace foliodb::platform {

Status guardSection(const ViewRange& range, ViewFaults* faults, int* slot) {
  *slot = -1;
  if (range.access != ViewAccess::read) return Status{};
  // Guarded before a store can fault.
  const Status status =
      guard::enter(range.base, range.length, kFaultStore, &faults->view, faults->mapping.get(), slot);
  DWORD before = 0;
  if (!status.ok() || ::VirtualProtect(range.base, range.length, PAGE_READONLY, &before) != 0) return status;
  return fail("VirtualProtect");
}

}  // namespace foliodb::platform
