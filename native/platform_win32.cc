// Windows: the content of files, mapped views and the machine; platform_win32_*.cc have the rest.
#include "platform_win32.h"

#include <algorithm>
#include <cstring>

#if defined(_MSC_VER)
#include <intrin.h>
#endif

namespace foliodb::platform {
namespace {

/** Bytes that one call reads or writes at the most: a count has 32 bits. */
constexpr size_t kTransferMax = size_t{1} << 30;

LARGE_INTEGER largeInteger(uint64_t value) {
  LARGE_INTEGER large;
  large.QuadPart = static_cast<LONGLONG>(value);
  return large;
}

Status setEnd(const File& file, uint64_t size, const char* call) {
  FILE_END_OF_FILE_INFO end;
  end.EndOfFile = largeInteger(size);
  return check(::SetFileInformationByHandle(native(file), FileEndOfFileInfo, &end, sizeof end), call);
}

uint64_t wordOf(const uint8_t* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

}  // namespace

Status statFile(const File& file, FileStat* stat) {
  if (::GetFileType(native(file)) != FILE_TYPE_DISK) {
    *stat = FileStat{};
    return Status{};
  }
  BY_HANDLE_FILE_INFORMATION found;
  if (::GetFileInformationByHandle(native(file), &found) == 0) return fail("fstat");
  stat->size = uint64_t{found.nFileSizeHigh} << 32 | found.nFileSizeLow;
  stat->kind = (found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0 ? Kind::directory : Kind::regular;
  stat->device = found.dwVolumeSerialNumber;
  stat->inode = uint64_t{found.nFileIndexHigh} << 32 | found.nFileIndexLow;
  // ReFS numbers its files with 128 bits, whose upper half is 0 on NTFS.
  FILE_ID_INFO id;
  if (::GetFileInformationByHandleEx(native(file), FileIdInfo, &id, sizeof id) != 0) {
    stat->device = id.VolumeSerialNumber;
    stat->inode = wordOf(id.FileId.Identifier) ^ wordOf(id.FileId.Identifier + 8);
  }
  return Status{};
}

Status setSize(const File& file, uint64_t size) { return setEnd(file, size, "ftruncate"); }

Status allocate(const File& file, uint64_t from, uint64_t to) {
  // A file that is neither sparse nor compressed gets its clusters with its size; what it holds then reads as zeros.
  (void)from;
  return setEnd(file, to, "allocate");
}

Status readAt(const File& file, uint64_t at, void* target, size_t length, size_t* got) {
  size_t done = 0;
  while (done < length) {
    Operation operation(at + done);
    const DWORD wanted = static_cast<DWORD>(std::min(length - done, kTransferMax));
    DWORD count = 0;
    const BOOL begun = ::ReadFile(native(file), static_cast<char*>(target) + done, wanted, nullptr, operation.get());
    const DWORD number = operation.finish(native(file), begun, &count);
    if (number == ERROR_HANDLE_EOF) break;
    if (number != ERROR_SUCCESS) return failWith(number, "read");
    if (count == 0) break;
    done += count;
  }
  *got = done;
  return Status{};
}

Status writeAt(const File& file, uint64_t at, const void* source, size_t length) {
  size_t done = 0;
  while (done < length) {
    Operation operation(at + done);
    const DWORD wanted = static_cast<DWORD>(std::min(length - done, kTransferMax));
    DWORD count = 0;
    const BOOL begun =
        ::WriteFile(native(file), static_cast<const char*>(source) + done, wanted, nullptr, operation.get());
    const DWORD number = operation.finish(native(file), begun, &count);
    if (number != ERROR_SUCCESS) return failWith(number, "write");
    // A write of nothing would be repeated for ever.
    if (count == 0) return failure(Fault::io, "write");
    done += count;
  }
  return Status{};
}

Status dropCache(const File& file) {
  // There is no such call.
  (void)file;
  return Status{};
}

Status flushFile(const File& file, Flush flush) {
  (void)flush;
  return check(::FlushFileBuffers(native(file)), "fsync");
}

bool viewsNeedFlush() { return true; }

Status flushView(void* base, size_t length) { return check(::FlushViewOfFile(base, length), "msync"); }

size_t memoryPageSize() {
  static const size_t size = [] {
    SYSTEM_INFO system;
    ::GetSystemInfo(&system);
    return static_cast<size_t>(system.dwPageSize);
  }();
  return size;
}

Status viewLength(const File& file, uint64_t at, size_t wanted, size_t most, size_t* length) {
  (void)most;
  LARGE_INTEGER size;
  if (::GetFileSizeEx(native(file), &size) == 0) return fail("mmap");
  const uint64_t end = static_cast<uint64_t>(size.QuadPart);
  if (at >= end) return failWith(ERROR_HANDLE_EOF, "mmap");
  *length = static_cast<size_t>(std::min<uint64_t>(wanted, end - at));
  return Status{};
}

Status mapView(const File& file, uint64_t at, size_t length, bool writable, void** base) {
  // A section as long as its file: a longer one would lengthen the file. The view keeps it after its handle is closed.
  const Handle section(
      ::CreateFileMappingW(native(file), nullptr, writable ? PAGE_READWRITE : PAGE_READONLY, 0, 0, nullptr));
  if (!section.isValid()) return fail("mmap");
  // For reading, private copies of pages stand ready for the guard, which gives one to a stray store.
  const DWORD rights = writable ? FILE_MAP_READ | FILE_MAP_WRITE : DWORD{FILE_MAP_COPY};
  *base = ::MapViewOfFile(section.get(), rights, static_cast<DWORD>(at >> 32), static_cast<DWORD>(at), length);
  if (*base == nullptr) return fail("mmap");
  DWORD before = 0;
  if (writable || ::VirtualProtect(*base, length, PAGE_READONLY, &before) != 0) return Status{};
  const Status status = fail("mmap");
  ::UnmapViewOfFile(*base);
  return status;
}

Status unmapView(void* base, size_t length) {
  (void)length;
  return check(::UnmapViewOfFile(base), "munmap");
}

Status forgetView(void* base, size_t length) {
  // Views show what the system has cached, which nothing can be told to drop.
  (void)base, (void)length;
  return Status{};
}

Status residentCount(const File& file, uint64_t at, uint64_t length, uint64_t* count) {
  (void)file, (void)at, (void)length, (void)count;
  return failWith(ERROR_CALL_NOT_IMPLEMENTED, "cachestat");
}

Status residency(void* base, size_t length, unsigned char* pages) {
  // QueryWorkingSetEx knows this process's working set only, and not what the system has cached.
  (void)base, (void)length, (void)pages;
  return failWith(ERROR_CALL_NOT_IMPLEMENTED, "mincore");
}

Status populate(void* base, size_t length) {
  (void)base, (void)length;
  return failWith(ERROR_CALL_NOT_IMPLEMENTED, "madvise");
}

void depopulate(void* base, size_t length) { (void)base, (void)length; }

Status bootId(uint8_t id[16]) {
  // SystemTimeOfDayInformation of NtQuerySystemInformation: when the machine was booted, and by how much its clock has
  // been set since. The difference stays the same from boot to boot only if two happen in the same 100 ns.
  struct TimeOfDay {
    LARGE_INTEGER bootTime;
    LARGE_INTEGER currentTime;
    LARGE_INTEGER timeZoneBias;
    ULONG timeZoneId;
    ULONG reserved;
    ULONGLONG bootTimeBias;
    ULONGLONG sleepTimeBias;
  };
  constexpr ULONG kTimeOfDay = 3;
  using Query = LONG(WINAPI*)(ULONG, PVOID, ULONG, PULONG);
  const HMODULE library = ::GetModuleHandleW(L"ntdll.dll");
  if (library == nullptr) return fail("boot id");
  Query query = nullptr;
  const FARPROC found = ::GetProcAddress(library, "NtQuerySystemInformation");
  if (found == nullptr) return fail("boot id");
  static_assert(sizeof query == sizeof found, "function pointers have one size");
  std::memcpy(&query, &found, sizeof query);
  TimeOfDay times = {};
  if (query(kTimeOfDay, &times, sizeof times, nullptr) != 0) return failure(Fault::io, "boot id");
  const uint64_t booted = static_cast<uint64_t>(times.bootTime.QuadPart) - times.bootTimeBias;
  std::memset(id, 0, 16);
  std::memcpy(id, &booted, sizeof booted);
  return Status{};
}

bool hasCrc32cInstructions() {
#if defined(_M_ARM64) || defined(__aarch64__)
  return ::IsProcessorFeaturePresent(PF_ARM_V8_CRC32_INSTRUCTIONS_AVAILABLE) != 0;
#elif defined(_MSC_VER)
  constexpr int kSse42 = 1 << 20;
  int registers[4];
  __cpuid(registers, 1);
  return (registers[2] & kSse42) != 0;
#else
  return __builtin_cpu_supports("sse4.2") != 0;
#endif
}

}  // namespace foliodb::platform
