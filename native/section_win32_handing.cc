// Sections on their way to other processes: handles are inherited, or duplicated into a process that runs. A handle is a
// number that means something in one process only; the address that goes with it says which, so that a token that went astray
// is refused instead of meaning another handle.
#include "section_win32.h"

#include <cstdio>
#include <mutex>
#include <set>

namespace foliodb::platform {
namespace {

/**
 * What this process has taken over. Each handle is taken once: a second owner would close it a second time, when its number
 * may mean something else. A few bytes for each section that ever came to this process.
 */
bool takeOnce(const std::string& key) {
  static std::mutex mutex;
  static auto* const taken = new std::set<std::string>();
  const std::lock_guard<std::mutex> hold(mutex);
  return taken->insert(key).second;
}

HANDLE handleOf(int64_t number) { return reinterpret_cast<HANDLE>(static_cast<intptr_t>(number)); }
int64_t numberOf(HANDLE handle) { return static_cast<int64_t>(reinterpret_cast<intptr_t>(handle)); }

/** Tells one process from another that had its number before. */
Status startOf(HANDLE process, uint64_t* start) {
  FILETIME created, ended, kernel, user;
  if (::GetProcessTimes(process, &created, &ended, &kernel, &user) == 0) return fail("GetProcessTimes");
  *start = uint64_t{created.dwHighDateTime} << 32 | created.dwLowDateTime;
  return Status{};
}

struct Address {
  /** Different in every address: numbers of handles come again, and each address is good once. */
  std::string digits;
  unsigned long process = 0;
  unsigned long long start = 0;
  long long section = 0;
  /** 0 for memory. */
  long long file = 0;
};

std::string textOf(const Address& address) {
  char text[128];
  std::snprintf(text, sizeof text, "%lu:%llx:%lld:%lld", address.process, address.start, address.section, address.file);
  return address.digits + ":" + text;
}

/** False: it is no address of this form. */
bool parse(const std::string& text, Address* address) {
  char digits[33];
  const int count = std::sscanf(text.c_str(), "%32[0-9a-f]:%lu:%llx:%lld:%lld", digits, &address->process, &address->start,
                                &address->section, &address->file);
  if (count != 5) return false;
  address->digits = digits;
  return textOf(*address) == text;
}

/** Whether a handle of this process is what the traits say. Nothing is closed: it may be anybody's. */
bool fits(HANDLE handle, const SectionTraits& traits) {
  SectionExtent extent;
  if (!querySection(handle, &extent).ok()) return false;
  return extent.size == traits.size && extent.isFile == (traits.backing != Backing::memory);
}

/** With a handle that fits: it is the section's from here on. */
Outcome takeOver(HANDLE handle, const SectionTraits& traits, Section* section) {
  section->handle = File(reinterpret_cast<intptr_t>(handle));
  section->traits = traits;
  const Outcome complete = completeSection(section);
  if (complete.status.number != ERROR_ACCESS_DENIED || traits.protection != Protection::readwrite) return complete;
  // It was narrowed to reading on its way.
  section->traits.protection = Protection::readonly;
  return completeSection(section);
}

Status duplicateInto(HANDLE process, HANDLE handle, DWORD rights, bool inheritable, HANDLE* duplicate) {
  const DWORD options = rights == 0 ? DUPLICATE_SAME_ACCESS : 0;
  return check(::DuplicateHandle(::GetCurrentProcess(), handle, process, duplicate, rights, inheritable ? TRUE : FALSE, options),
               "DuplicateHandle");
}

}  // namespace

Outcome inheritSection(const Section& section, bool readOnly, File* handle) {
  HANDLE duplicate = nullptr;
  const DWORD rights = readOnly ? kReadRights : 0;
  const Status status = duplicateInto(::GetCurrentProcess(), sectionHandle(section), rights, true, &duplicate);
  if (status.ok()) *handle = File(reinterpret_cast<intptr_t>(duplicate));
  return outcome(status);
}

Outcome receiveInherited(int64_t number, const SectionTraits& traits, const std::string& identity, Section* section) {
  (void)identity;
  const HANDLE handle = handleOf(number);
  if (!fits(handle, traits) || !takeOnce("inherited:" + std::to_string(number))) return refused(Refusal::notHanded);
  // Children of this process get what they are given, and no more.
  ::SetHandleInformation(handle, HANDLE_FLAG_INHERIT, 0);
  return takeOver(handle, traits, section);
}

Status sectionIdentity(const File& handle, std::string* identity) {
  (void)handle;
  identity->clear();
  return Status{};
}

Outcome handSection(const Section& section, bool readOnly, int64_t pid, uint32_t limitMs, std::unique_ptr<Handing>* handing,
                    std::string* address) {
  (void)limitMs;
  handing->reset();
  const DWORD process = static_cast<DWORD>(pid);
  const Handle target(::OpenProcess(PROCESS_DUP_HANDLE | PROCESS_QUERY_LIMITED_INFORMATION, FALSE, process));
  if (!target.isValid()) return outcome(fail("OpenProcess"));
  Address made;
  made.process = process;
  uint64_t start = 0;
  Status status = startOf(target.get(), &start);
  if (status.ok()) status = randomHex(&made.digits);
  if (!status.ok()) return outcome(status);
  made.start = start;

  HANDLE sent = nullptr;
  HANDLE sentFile = nullptr;
  status = duplicateInto(target.get(), sectionHandle(section), readOnly ? kReadRights : 0, false, &sent);
  // The file, too: a temporary one lasts as long as this opening of it.
  if (status.ok() && section.file.isOpen()) {
    const DWORD rights = readOnly ? FILE_GENERIC_READ : 0;
    status = duplicateInto(target.get(), native(section.file), rights, false, &sentFile);
    if (!status.ok()) ::DuplicateHandle(target.get(), sent, nullptr, nullptr, 0, FALSE, DUPLICATE_CLOSE_SOURCE);
  }
  made.section = numberOf(sent);
  made.file = numberOf(sentFile);
  if (status.ok()) *address = textOf(made);
  return outcome(status);
}

Outcome receiveHanded(const std::string& address, const SectionTraits& traits, uint32_t limitMs, Section* section) {
  (void)limitMs;
  Address parsed;
  uint64_t start = 0;
  if (!parse(address, &parsed)) return refused(Refusal::notHanded);
  const Status status = startOf(::GetCurrentProcess(), &start);
  if (!status.ok()) return outcome(status);
  if (parsed.process != ::GetCurrentProcessId() || parsed.start != start) return refused(Refusal::notHanded);
  if (!fits(handleOf(parsed.section), traits)) return refused(Refusal::notHanded);
  if (parsed.file != 0 && ::GetFileType(handleOf(parsed.file)) != FILE_TYPE_DISK) return refused(Refusal::notHanded);
  if (!takeOnce(address)) return refused(Refusal::notHanded);
  if (parsed.file != 0) section->file = File(static_cast<intptr_t>(parsed.file));
  return takeOver(handleOf(parsed.section), traits, section);
}

}  // namespace foliodb::platform
