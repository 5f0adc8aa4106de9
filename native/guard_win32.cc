// The guard on Windows, which can promise less.
//
// A store into a read-only view is caught: mapView has mapped it as a copy view, so the page can become a private copy that
// takes the store; the file never sees it, and the flag tells. Nothing else is: Windows can put no page of zeros into a mapped view, so an access that
// the device can't serve (EXCEPTION_IN_PAGE_ERROR) ends the process as without us. The other two reasons for faults are
// not there: a file can't be truncated under its views, and its blocks are allocated before anybody stores into them.
#include "platform_win32.h"

#include <map>
#include <mutex>
#include <shared_mutex>

#include "guard.h"

namespace foliodb::guard {
namespace {

struct Range {
  uintptr_t end;
  FaultWord* flag;
};

// The handler runs on the thread that faulted, like a call of it, so it may take the mutex: no code that holds it touches
// mapped memory.
std::shared_mutex tableMutex;
std::map<uintptr_t, Range> ranges;
std::map<int, uintptr_t> bases;
int slotNext = 0;
bool installed = false;

FaultWord* flagOf(uintptr_t address) {
  const std::shared_lock<std::shared_mutex> hold(tableMutex);
  auto after = ranges.upper_bound(address);
  if (after == ranges.begin()) return nullptr;
  const Range& range = (--after)->second;
  return address < range.end ? range.flag : nullptr;
}

LONG CALLBACK onException(EXCEPTION_POINTERS* pointers) {
  constexpr ULONG_PTR kWrite = 1;
  const EXCEPTION_RECORD& record = *pointers->ExceptionRecord;
  const bool isStore = record.ExceptionCode == EXCEPTION_ACCESS_VIOLATION && record.NumberParameters >= 2 &&
                       record.ExceptionInformation[0] == kWrite;
  if (!isStore) return EXCEPTION_CONTINUE_SEARCH;
  const uintptr_t address = record.ExceptionInformation[1];
  FaultWord* const flag = flagOf(address);
  if (flag == nullptr) return EXCEPTION_CONTINUE_SEARCH;
  DWORD before = 0;
  if (::VirtualProtect(reinterpret_cast<void*>(address), 1, PAGE_WRITECOPY, &before) == 0) {
    return EXCEPTION_CONTINUE_SEARCH;
  }
  flag->store(1);
  return EXCEPTION_CONTINUE_EXECUTION;
}

/** With tableMutex held. Never undone. */
platform::Status install() {
  if (installed) return platform::Status{};
  // Node unloads an addon with its last worker, and the handler would dangle.
  HMODULE self = nullptr;
  const DWORD flags = GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS;
  const wchar_t* const inside = reinterpret_cast<const wchar_t*>(&installed);
  if (::GetModuleHandleExW(flags, inside, &self) == 0) return platform::fail("guard");
  // First, so that no handler for what is not ours has a say.
  if (::AddVectoredExceptionHandler(1, onException) == nullptr) return platform::fail("guard");
  installed = true;
  return platform::Status{};
}

}  // namespace

platform::Status add(void* base, size_t length, FaultWord* flag, int* slot) {
  const std::unique_lock<std::shared_mutex> hold(tableMutex);
  const platform::Status status = install();
  if (!status.ok()) return status;
  const uintptr_t start = reinterpret_cast<uintptr_t>(base);
  *slot = slotNext++;
  ranges[start] = Range{start + length, flag};
  bases[*slot] = start;
  return platform::Status{};
}

void remove(int slot) {
  const std::unique_lock<std::shared_mutex> hold(tableMutex);
  const auto found = bases.find(slot);
  if (found == bases.end()) return;
  ranges.erase(found->second);
  bases.erase(found);
}

}  // namespace foliodb::guard
