// Sections on Windows: the system's own section objects, over a file, a temporary file or the page file. The names are the
// system's own, too, so that a name ends with the last handle of its section, however the holder ends.
// section_win32_views.cc has the views, section_win32_handing.cc the ways to other processes, section_win32_security.cc
// who may open what.
//
// A section of a file needs no open file, except for FlushFileBuffers; whoever has found a section by its name, or inherited
// it, opens the file again by the name that the system knows it by (completeSection).
#include "section_win32.h"

// The functions themselves, of kernel32.
#define PSAPI_VERSION 2
#include <psapi.h>
// RtlGenRandom.
#include <ntsecapi.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "created_file.h"

namespace foliodb::platform {
namespace {

/** How often opening and creating by turns is tried while others remove and create. */
constexpr int kOpenAttemptsMax = 100;
/** Another process is making the file of a section of this name: a few system calls, unless it is stopped in the middle. */
constexpr DWORD kNameWaitMsMax = 10000;
/** Longest name of a file that the system gives, with its end. */
constexpr DWORD kSystemPathMax = 32768;
/** No entry of the page table of a view of this size is ever filled in vain. */
constexpr uint64_t kProbeSize = 65536;

std::wstring objectName(const std::string& name, bool machineWide) {
  return (machineWide ? L"Global\\" : L"Local\\") + wideText(name);
}

DWORD pageProtection(Protection protection) {
  switch (protection) {
    case Protection::readonly: return PAGE_READONLY;
    case Protection::readwrite: return PAGE_READWRITE;
    case Protection::writecopy: return PAGE_WRITECOPY;
  }
  return PAGE_READONLY;
}

Outcome failName(const char* call) {
  const DWORD number = ::GetLastError();
  if (number == ERROR_FILE_NOT_FOUND) return refused(Refusal::noSuchName);
  // An event, a mutex or a semaphore has the name.
  if (number == ERROR_INVALID_HANDLE) return refused(Refusal::foreignName);
  return outcome(failWith(number, call));
}

/** Only one process at a time makes a file and then the section's name: two would both find the name free, and the second be told of
 * a file that exists. Given back at the end of its scope, or by the system if the process dies. */
class NameTurn {
 public:
  ~NameTurn() {
    if (owned_) ::ReleaseMutex(native(mutex_));
  }
  Status take(const SectionRequest& request) {
    Permissions permissions;
    const Status status = permissions.make(Grant::full, request.mode);
    if (!status.ok()) return status;
    const std::wstring name = objectName("foliodb-turn-" + request.name, request.machineWide);
    const HANDLE mutex =
        ::CreateMutexExW(permissions.attributes(), name.c_str(), 0, SYNCHRONIZE | MUTEX_MODIFY_STATE);
    if (mutex == nullptr) return fail("CreateMutex");
    mutex_ = File(reinterpret_cast<intptr_t>(mutex));
    const DWORD waited = ::WaitForSingleObject(mutex, kNameWaitMsMax);
    if (waited == WAIT_FAILED) return fail("WaitForSingleObject");
    if (waited == WAIT_TIMEOUT) return failure(Fault::timedOut, "WaitForSingleObject");
    // Or abandoned by one who died in its turn: what it has made of the file is what any creator may find there.
    owned_ = true;
    return Status{};
  }

 private:
  File mutex_;
  bool owned_ = false;
};

constexpr DWORD kShareAll = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

Status createNew(const std::wstring& path, unsigned mode, DWORD flags, DWORD share, File* file) {
  Permissions permissions;
  const Status status = permissions.make(Grant::full, mode);
  if (!status.ok()) return status;
  const HANDLE handle = ::CreateFileW(path.c_str(), GENERIC_READ | GENERIC_WRITE, share, permissions.attributes(), CREATE_NEW, flags | FILE_FLAG_OVERLAPPED, nullptr);
  if (handle == INVALID_HANDLE_VALUE) return fail("CreateFile");
  *file = File(reinterpret_cast<intptr_t>(handle));
  return Status{};
}

Status openOrCreate(const SectionRequest& request, File* file, CreatedFile* created) {
  const Access access = request.protection == Protection::readwrite ? Access::readWrite : Access::read;
  const std::wstring path = widePath(request.path);
  Status status;
  for (int i = 0; i < kOpenAttemptsMax; i++) {
    if (request.disposition != Disposition::create) {
      status = openFile(request.path.c_str(), access, true, file);
      status.call = "CreateFile";
      if (request.disposition == Disposition::open || status.number != ERROR_FILE_NOT_FOUND) return status;
    }
    status = createNew(path, request.mode, FILE_ATTRIBUTE_NORMAL, kShareAll, file);
    if (status.ok()) created->note(request.path, *file);
    if (request.disposition == Disposition::create || !isExisting(status)) return status;
  }
  return status;
}

Outcome openBackingFile(const SectionRequest& request, Section* section, CreatedFile* created) {
  Status status = openOrCreate(request, &section->file, created);
  FileStat stat;
  if (status.ok()) status = statFile(section->file, &stat);
  if (!status.ok()) return outcome(status);
  if (stat.kind != Kind::regular) {
    return outcome(failure(stat.kind == Kind::directory ? Fault::isDirectory : Fault::invalid, "CreateFile"));
  }
  section->traits.size = request.size == 0 ? stat.size : request.size;
  if (section->traits.size == 0) return refused(Refusal::emptyFile);
  // CreateFileMapping itself makes the file longer, and never shorter.
  const bool grows = section->traits.size > stat.size;
  return grows && request.protection != Protection::readwrite ? refused(Refusal::notGrowable) : Outcome{};
}

/** A file that goes with the last handle to this opening, however that ends. Handing a section over duplicates that handle. */
Status openTemporary(const SectionRequest& request, File* file) {
  std::string digits;
  Status status = randomHex(&digits);
  if (!status.ok()) return status;
  // Temporary: the system keeps it in memory as long as there is enough. It is shared with nobody who would open it.
  const DWORD flags = FILE_ATTRIBUTE_TEMPORARY | FILE_FLAG_DELETE_ON_CLOSE;
  status = createNew(widePath(request.path + "\\foliodb-" + digits + ".tmp"), request.mode, flags, 0, file);
  return status.ok() ? setSize(*file, request.size) : status;
}

Outcome openBacking(const SectionRequest& request, Section* section, CreatedFile* created) {
  section->traits.size = request.size;
  if (request.backing == Backing::file) return openBackingFile(request, section, created);
  return request.backing == Backing::temporary ? outcome(openTemporary(request, &section->file)) : Outcome{};
}

/** A handle that somebody's name led to. */
Outcome adopt(HANDLE handle, Section* section) {
  section->handle = File(reinterpret_cast<intptr_t>(handle));
  section->file.close();
  SectionExtent extent;
  const Status status = querySection(handle, &extent);
  if (!status.ok()) return outcome(status);
  section->traits.size = extent.size;
  section->traits.backing = extent.isFile ? Backing::file : Backing::memory;
  section->traits.path.clear();
  return completeSection(section);
}

/** CreateFileMapping. `existed`: the handle is that of a section that had the name already. */
Outcome makeSection(const SectionRequest& request, Section* section, bool* existed) {
  // A handle is worth what it was made for, whatever the section grants to those who open it: a section without a name
  // grants reading only, so that nobody can turn a handle narrowed to reading into more (DuplicateHandle would).
  const bool opensForWrite = !request.name.empty() && request.protection == Protection::readwrite;
  Permissions permissions;
  const Status status = permissions.make(opensForWrite ? Grant::full : Grant::readOnly, request.mode);
  if (!status.ok()) return outcome(status);
  const std::wstring name = request.name.empty() ? std::wstring() : objectName(request.name, request.machineWide);
  const uint64_t size = section->traits.size;
  const HANDLE base = request.backing == Backing::memory ? INVALID_HANDLE_VALUE : native(section->file);
  const HANDLE handle = ::CreateFileMappingW(base, permissions.attributes(), pageProtection(request.protection),
                                             static_cast<DWORD>(size >> 32), static_cast<DWORD>(size),
                                             name.empty() ? nullptr : name.c_str());
  // All is right but the size, which no file can have.
  if (handle == nullptr && request.backing == Backing::file && ::GetLastError() == ERROR_INVALID_PARAMETER) {
    return outcome(failWith(ERROR_FILE_TOO_LARGE, "CreateFileMapping"));
  }
  if (handle == nullptr) return failName("CreateFileMapping");
  *existed = ::GetLastError() == ERROR_ALREADY_EXISTS;
  if (*existed) return adopt(handle, section);
  section->handle = File(reinterpret_cast<intptr_t>(handle));
  return Outcome{};
}

Outcome findName(const std::string& name, bool machineWide, bool forWrite, HANDLE* handle) {
  *handle = ::OpenFileMappingW(forWrite ? kWriteRights : kReadRights, FALSE, objectName(name, machineWide).c_str());
  return *handle == nullptr ? failName("OpenFileMapping") : Outcome{};
}

/** The file behind a mapped address, by the name the system has for it, which follows a file that is renamed. */
Status openMapped(void* base, Access access, File* file) {
  std::wstring name(kSystemPathMax, L'\0');
  name.resize(::K32GetMappedFileNameW(::GetCurrentProcess(), base, &name[0], kSystemPathMax));
  if (name.empty()) return fail("GetMappedFileName");
  // "\Device\…" on Windows; Wine says "\??\C:\…".
  const std::wstring path = name.compare(0, 4, L"\\??\\") == 0 ? L"\\\\?\\" + name.substr(4) : L"\\\\?\\GLOBALROOT" + name;
  const DWORD rights = access == Access::read ? GENERIC_READ : GENERIC_READ | GENERIC_WRITE;
  const HANDLE handle = ::CreateFileW(path.c_str(), rights, kShareAll, nullptr, OPEN_EXISTING,
                                      FILE_ATTRIBUTE_NORMAL | FILE_FLAG_OVERLAPPED, nullptr);
  if (handle == INVALID_HANDLE_VALUE) return fail("CreateFile");
  *file = File(reinterpret_cast<intptr_t>(handle));
  return Status{};
}

/** The path of an open file as a person knows it, without the prefix of long paths. Only error texts need it. */
std::string pathOf(const File& file) {
  std::wstring path(kSystemPathMax, L'\0');
  path.resize(std::min(::GetFinalPathNameByHandleW(native(file), &path[0], kSystemPathMax, 0), kSystemPathMax));
  if (path.compare(0, 8, L"\\\\?\\UNC\\") == 0) path = L"\\\\" + path.substr(8);
  else if (path.compare(0, 4, L"\\\\?\\") == 0) path = path.substr(4);
  const int length = static_cast<int>(path.size());
  const int size = ::WideCharToMultiByte(CP_UTF8, 0, path.data(), length, nullptr, 0, nullptr, nullptr);
  std::string text(static_cast<size_t>(std::max(size, 0)), '\0');
  if (size > 0) ::WideCharToMultiByte(CP_UTF8, 0, path.data(), length, &text[0], size, nullptr, nullptr);
  return text;
}

}  // namespace

// The handle of the section goes before the file's, which a temporary file goes with.
Section::~Section() { handle.close(); }

std::wstring wideText(const std::string& text) {
  const int length = static_cast<int>(text.size());
  const int size = ::MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text.data(), length, nullptr, 0);
  std::wstring wide(static_cast<size_t>(std::max(size, 0)), L'\0');
  if (size > 0) ::MultiByteToWideChar(CP_UTF8, 0, text.data(), length, &wide[0], size);
  return wide;
}

std::wstring widePath(const std::string& path) {
  const std::wstring text = wideText(path);
  if (text.empty() || text.compare(0, 4, L"\\\\?\\") == 0 || text.compare(0, 4, L"\\\\.\\") == 0) return text;
  const DWORD needed = ::GetFullPathNameW(text.c_str(), 0, nullptr, nullptr);
  std::wstring full(needed, L'\0');
  full.resize(::GetFullPathNameW(text.c_str(), needed, &full[0], nullptr));
  if (full.empty() || full.compare(0, 4, L"\\\\.\\") == 0) return text;
  return full.compare(0, 2, L"\\\\") == 0 ? L"\\\\?\\UNC\\" + full.substr(2) : L"\\\\?\\" + full;
}

Status randomHex(std::string* digits) {
  unsigned char bytes[16];
  if (RtlGenRandom(bytes, sizeof bytes) == 0) return failure(Fault::io, "RtlGenRandom");
  constexpr char kDigits[] = "0123456789abcdef";
  digits->clear();
  for (const unsigned char byte : bytes) *digits += {kDigits[byte >> 4], kDigits[byte & 15]};
  return Status{};
}

Status querySection(HANDLE handle, SectionExtent* extent) {
  // NtQuerySection, SectionBasicInformation. VirtualQuery would tell a size only after all of the section is mapped, and
  // rounded up to memory pages.
  struct BasicInformation {
    PVOID base;
    ULONG attributes;
    LARGE_INTEGER size;
  };
  constexpr int kBasicInformation = 0;
  // By their names in the system's headers: SEC_FILE and SEC_RESERVE, SEC_IMAGE.
  constexpr ULONG kIsFile = 0x800000;
  constexpr ULONG kNotMapped = 0x4000000 | 0x1000000;
  using Query = LONG(WINAPI*)(HANDLE, int, PVOID, SIZE_T, SIZE_T*);
  const HMODULE library = ::GetModuleHandleW(L"ntdll.dll");
  const FARPROC found = library == nullptr ? nullptr : ::GetProcAddress(library, "NtQuerySection");
  if (found == nullptr) return fail("NtQuerySection");
  Query query = nullptr;
  static_assert(sizeof query == sizeof found, "function pointers have one size");
  std::memcpy(&query, &found, sizeof query);
  BasicInformation basic = {};
  if (query(handle, kBasicInformation, &basic, sizeof basic, nullptr) < 0) {
    return failWith(ERROR_INVALID_HANDLE, "NtQuerySection");
  }
  // Somebody's program image, or memory that has yet to be committed: neither is for views of bytes.
  if ((basic.attributes & kNotMapped) != 0) return failWith(ERROR_INVALID_HANDLE, "NtQuerySection");
  extent->size = static_cast<uint64_t>(basic.size.QuadPart);
  extent->isFile = (basic.attributes & kIsFile) != 0;
  return Status{};
}

Outcome completeSection(Section* section) {
  const SectionTraits& traits = section->traits;
  const bool forWrite = traits.protection == Protection::readwrite;
  const SIZE_T length = static_cast<SIZE_T>(std::min(traits.size, kProbeSize));
  void* const base =
      ::MapViewOfFile(sectionHandle(*section), forWrite ? FILE_MAP_READ | FILE_MAP_WRITE : FILE_MAP_READ, 0, 0, length);
  if (base == nullptr) return outcome(fail("MapViewOfFile"));
  Status status;
  if (traits.backing == Backing::file && !section->file.isOpen()) {
    status = openMapped(base, forWrite ? Access::readWrite : Access::read, &section->file);
  }
  ::UnmapViewOfFile(base);
  if (status.ok() && section->file.isOpen() && traits.path.empty()) section->traits.path = pathOf(section->file);
  // Nothing needs the file of a section for reading.
  if (status.ok() || !forWrite) return Outcome{};
  const bool gone = status.number == ERROR_FILE_NOT_FOUND || status.number == ERROR_PATH_NOT_FOUND;
  return gone ? refused(Refusal::movedFile) : outcome(status);
}

Outcome createSection(const SectionRequest& request, Section* section, bool* existed) {
  *existed = false;
  section->traits.backing = request.backing;
  section->traits.protection = request.protection;
  section->traits.name = request.name;
  section->traits.machineWide = request.machineWide;
  if (request.backing != Backing::memory) section->traits.path = request.path;
  NameTurn turn;
  if (!request.name.empty() && request.backing != Backing::memory) {
    const Status status = turn.take(request);
    if (!status.ok()) return outcome(status);
    HANDLE handle = nullptr;
    const bool forWrite = request.protection == Protection::readwrite;
    const Outcome found = findName(request.name, request.machineWide, forWrite, &handle);
    if (found.ok()) {
      *existed = true;
      return adopt(handle, section);
    }
    if (found.refusal != Refusal::noSuchName) return found;
  }
  CreatedFile created;
  Outcome made = openBacking(request, section, &created);
  if (made.ok()) made = makeSection(request, section, existed);
  if (made.ok() && !*existed) created.keep();
  return made;
}

Outcome openSection(const std::string& name, bool machineWide, bool forWrite, Section* section) {
  HANDLE handle = nullptr;
  const Outcome found = findName(name, machineWide, forWrite, &handle);
  if (!found.ok()) return found;
  section->traits.protection = forWrite ? Protection::readwrite : Protection::readonly;
  section->traits.name = name;
  section->traits.machineWide = machineWide;
  return adopt(handle, section);
}

}  // namespace foliodb::platform
