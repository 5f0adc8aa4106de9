// Sections on their way to other processes: handles are inherited, or duplicated into a process that runs. A handle is a
// number that means something in one process only. What is handed to a running process therefore comes with a ticket: memory
// with a secret, of which the receiver gets a handle, too. An address is the secret and that handle's number: in any other
// process, and a second time, the number does not lead to the secret, and nothing is taken.
#include "section_win32.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>

namespace foliodb::platform {
namespace {

HANDLE handleOf(int64_t number) { return reinterpret_cast<HANDLE>(static_cast<intptr_t>(number)); }
int64_t numberOf(HANDLE handle) { return static_cast<int64_t>(reinterpret_cast<intptr_t>(handle)); }

Status duplicateInto(HANDLE process, HANDLE handle, DWORD rights, bool inheritable, HANDLE* duplicate) {
  const DWORD options = rights == 0 ? DUPLICATE_SAME_ACCESS : 0;
  return check(::DuplicateHandle(::GetCurrentProcess(), handle, process, duplicate, rights, inheritable ? TRUE : FALSE, options),
               "DuplicateHandle");
}

constexpr size_t kSecretLength = 32;
constexpr DWORD kTicketSize = 4096;

/** As it lies in the memory of a ticket. */
struct Ticket {
  char secret[kSecretLength];
  int64_t section;
  /** 0 for memory. */
  int64_t file;
};

/** A process that is being given handles. Unless it is to keep them, it loses them again at the end. */
class Receiver {
 public:
  explicit Receiver(HANDLE process) : process_(process) {}
  ~Receiver() {
    for (size_t i = 0; i < count_; i++) {
      ::DuplicateHandle(process_, given_[i], nullptr, nullptr, 0, FALSE, DUPLICATE_CLOSE_SOURCE);
    }
  }
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

  /** `rights` 0: those of the handle. */
  Status give(HANDLE handle, DWORD rights, int64_t* number) {
    const Status status = duplicateInto(process_, handle, rights, false, &given_[count_]);
    if (status.ok()) *number = numberOf(given_[count_++]);
    return status;
  }
  void keep() { count_ = 0; }

 private:
  HANDLE process_;
  HANDLE given_[3] = {};
  size_t count_ = 0;
};

/** Memory with the ticket in it. */
Status makeTicket(const Ticket& ticket, File* memory) {
  Permissions permissions;
  const Status status = permissions.make(Grant::readOnly, 0600);
  if (!status.ok()) return status;
  const HANDLE handle =
      ::CreateFileMappingW(INVALID_HANDLE_VALUE, permissions.attributes(), PAGE_READWRITE, 0, kTicketSize, nullptr);
  if (handle == nullptr) return fail("CreateFileMapping");
  *memory = File(reinterpret_cast<intptr_t>(handle));
  void* const base = ::MapViewOfFile(handle, FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, 0);
  if (base == nullptr) return fail("MapViewOfFile");
  std::memcpy(base, &ticket, sizeof ticket);
  return check(::UnmapViewOfFile(base), "UnmapViewOfFile");
}

/** Reads a ticket and ends it. False: the handle is not that of the ticket with this secret, and stays as it is. */
bool redeem(HANDLE handle, const char* secret, Ticket* ticket) {
  SectionExtent extent;
  if (!querySection(handle, &extent).ok() || extent.isFile || extent.size != kTicketSize) return false;
  void* const base = ::MapViewOfFile(handle, FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, 0);
  if (base == nullptr) return false;
  std::memcpy(ticket, base, sizeof *ticket);
  const bool right = std::memcmp(ticket->secret, secret, kSecretLength) == 0;
  // Before anything else may be told the same.
  if (right) std::memset(base, 0, sizeof *ticket);
  ::UnmapViewOfFile(base);
  if (right) ::CloseHandle(handle);
  return right;
}

/**
 * What this process was born with it takes over once: a second owner would close the handle a second time, when its number may mean
 * another. A few bytes for each mapping that it has inherited.
 */
bool takeInherited(int64_t number) {
  static std::mutex mutex;
  static auto* const taken = new std::set<int64_t>();
  const std::lock_guard<std::mutex> hold(mutex);
  return taken->insert(number).second;
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
  if (!fits(handle, traits) || !takeInherited(number)) return refused(Refusal::notHanded);
  // Children of this process get what they are given, and no more.
  ::SetHandleInformation(handle, HANDLE_FLAG_INHERIT, 0);
  return takeOver(handle, traits, section);
}

Status sectionIdentity(const File& handle, std::string* identity) {
  (void)handle;
  identity->clear();
  return Status{};
}

Outcome handSection(std::shared_ptr<const Section> section, bool readOnly, int64_t pid, uint32_t limitMs, std::function<void()> onEnd,
                    std::unique_ptr<Handing>* handing, std::string* address) {
  (void)limitMs, (void)onEnd;
  handing->reset();
  const Handle process(::OpenProcess(PROCESS_DUP_HANDLE, FALSE, static_cast<DWORD>(pid)));
  if (!process.isValid()) return outcome(fail("OpenProcess"));
  Receiver receiver(process.get());
  Ticket ticket = {};
  std::string secret;
  Status status = randomHex(&secret);
  if (status.ok()) status = receiver.give(sectionHandle(*section), readOnly ? kReadRights : 0, &ticket.section);
  // The file, too: a temporary one lasts as long as this opening of it.
  if (status.ok() && section->file.isOpen()) {
    status = receiver.give(native(section->file), readOnly ? FILE_GENERIC_READ : 0, &ticket.file);
  }
  File memory;
  std::memcpy(ticket.secret, secret.data(), std::min(secret.size(), kSecretLength));
  if (status.ok()) status = makeTicket(ticket, &memory);
  int64_t number = 0;
  if (status.ok()) status = receiver.give(native(memory), 0, &number);
  if (!status.ok()) return outcome(status);
  receiver.keep();
  *address = secret + ":" + std::to_string(number);
  return Outcome{};
}

Outcome receiveHanded(const std::string& address, const SectionTraits& traits, uint32_t limitMs, Section* section) {
  (void)limitMs;
  if (address.size() <= kSecretLength + 1 || address[kSecretLength] != ':') return refused(Refusal::notHanded);
  const int64_t number = std::strtoll(address.c_str() + kSecretLength + 1, nullptr, 10);
  Ticket ticket;
  if (!redeem(handleOf(number), address.data(), &ticket)) return refused(Refusal::notHanded);
  if (ticket.file != 0) section->file = File(static_cast<intptr_t>(ticket.file));
  if (fits(handleOf(ticket.section), traits)) return takeOver(handleOf(ticket.section), traits, section);
  ::CloseHandle(handleOf(ticket.section));
  return refused(Refusal::notHanded);
}

}  // namespace foliodb::platform
