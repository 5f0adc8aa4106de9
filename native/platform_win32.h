// What the Win32 files share: GetLastError as a Status, handles, and paths in UTF-16.
#pragma once

#if !defined(WIN32_LEAN_AND_MEAN)
#define WIN32_LEAN_AND_MEAN
#endif
#if !defined(NOMINMAX)
#define NOMINMAX
#endif
#include <windows.h>

#include <string>

#include "platform.h"

namespace foliodb::platform {

// Error numbers that older headers lack.
constexpr DWORD kDirectoryNotSupported = 336;
constexpr DWORD kStoppedOnSymlink = 681;
constexpr DWORD kDiskQuotaExceeded = 1295;

inline Status failWith(DWORD number, const char* call) { return Status{static_cast<int>(number), call}; }
inline Status fail(const char* call) { return failWith(::GetLastError(), call); }
inline Status check(BOOL result, const char* call) { return result == 0 ? fail(call) : Status{}; }
inline HANDLE native(const File& file) { return reinterpret_cast<HANDLE>(file.handle()); }

/** A handle that closes at the end of its scope. */
class Handle {
 public:
  explicit Handle(HANDLE handle) : handle_(handle) {}
  ~Handle() {
    if (isValid()) ::CloseHandle(handle_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  bool isValid() const { return handle_ != nullptr && handle_ != INVALID_HANDLE_VALUE; }
  HANDLE get() const { return handle_; }

 private:
  HANDLE handle_;
};

/**
 * One operation at an offset of a file. Files are opened for overlapped operations, since Windows lets those of any other
 * kind wait for each other: to ask for a size, or to try a lock, would take as long as a flush under way.
 */
class Operation {
 public:
  explicit Operation(uint64_t at) : event_(::CreateEventW(nullptr, TRUE, FALSE, nullptr)) {
    overlapped_.Offset = static_cast<DWORD>(at);
    overlapped_.OffsetHigh = static_cast<DWORD>(at >> 32);
    overlapped_.hEvent = event_.get();
  }
  OVERLAPPED* get() { return &overlapped_; }
  /** What the call that began it has come to; waits for its end. */
  DWORD finish(HANDLE file, BOOL begun, DWORD* count) {
    const DWORD number = begun != 0 ? ERROR_SUCCESS : ::GetLastError();
    if (number != ERROR_SUCCESS && number != ERROR_IO_PENDING) return number;
    return ::GetOverlappedResult(file, &overlapped_, count, TRUE) != 0 ? ERROR_SUCCESS : ::GetLastError();
  }

 private:
  Handle event_;
  OVERLAPPED overlapped_ = {};
};

}  // namespace foliodb::platform
