// Error numbers of Windows: what POSIX calls them, which is what JavaScript is told as on every system, their texts, and what they mean.
#include "platform_win32.h"

namespace foliodb::platform {
namespace {

struct ErrorNameEntry {
  DWORD number;
  const char* name;
};

constexpr ErrorNameEntry kErrorNames[] = {
    {ERROR_FILE_NOT_FOUND, "ENOENT"},
    {ERROR_PATH_NOT_FOUND, "ENOENT"},
    {ERROR_INVALID_DRIVE, "ENOENT"},
    {ERROR_BAD_NETPATH, "ENOENT"},
    {ERROR_BAD_NET_NAME, "ENOENT"},
    {ERROR_INVALID_NAME, "ENOENT"},
    {ERROR_BAD_PATHNAME, "ENOENT"},
    {ERROR_DIRECTORY, "ENOTDIR"},
    {kDirectoryNotSupported, "EISDIR"},
    {ERROR_FILE_EXISTS, "EEXIST"},
    {ERROR_ALREADY_EXISTS, "EEXIST"},
    {ERROR_ACCESS_DENIED, "EACCES"},
    {ERROR_PRIVILEGE_NOT_HELD, "EPERM"},
    {ERROR_WRITE_PROTECT, "EROFS"},
    {ERROR_SHARING_VIOLATION, "EBUSY"},
    {ERROR_LOCK_VIOLATION, "EBUSY"},
    {ERROR_USER_MAPPED_FILE, "EBUSY"},
    {ERROR_DELETE_PENDING, "EBUSY"},
    {ERROR_TOO_MANY_OPEN_FILES, "EMFILE"},
    {ERROR_TOO_MANY_LINKS, "EMLINK"},
    {ERROR_FILENAME_EXCED_RANGE, "ENAMETOOLONG"},
    {ERROR_CANT_RESOLVE_FILENAME, "ELOOP"},
    {kStoppedOnSymlink, "ELOOP"},
    {ERROR_NOT_SAME_DEVICE, "EXDEV"},
    {ERROR_DIR_NOT_EMPTY, "ENOTEMPTY"},
    {ERROR_DISK_FULL, "ENOSPC"},
    {ERROR_HANDLE_DISK_FULL, "ENOSPC"},
    {kDiskQuotaExceeded, "EDQUOT"},
    {ERROR_FILE_TOO_LARGE, "EFBIG"},
    {ERROR_NOT_ENOUGH_MEMORY, "ENOMEM"},
    {ERROR_OUTOFMEMORY, "ENOMEM"},
    {ERROR_COMMITMENT_LIMIT, "ENOMEM"},
    {ERROR_NO_SYSTEM_RESOURCES, "ENOMEM"},
    {ERROR_NOT_ENOUGH_QUOTA, "ENOMEM"},
    {ERROR_INVALID_HANDLE, "EBADF"},
    {ERROR_INVALID_PARAMETER, "EINVAL"},
    {ERROR_MAPPED_ALIGNMENT, "EINVAL"},
    {ERROR_FILE_INVALID, "EINVAL"},
    {ERROR_HANDLE_EOF, "EINVAL"},
    {ERROR_NEGATIVE_SEEK, "EINVAL"},
    {ERROR_INVALID_FUNCTION, "ENOTSUP"},
    {ERROR_NOT_SUPPORTED, "ENOTSUP"},
    {ERROR_CALL_NOT_IMPLEMENTED, "ENOSYS"},
    {ERROR_IO_DEVICE, "EIO"},
    {ERROR_CRC, "EIO"},
    {ERROR_GEN_FAILURE, "EIO"},
    {ERROR_READ_FAULT, "EIO"},
    {ERROR_WRITE_FAULT, "EIO"},
    {ERROR_NOT_READY, "EIO"},
    {ERROR_TIMEOUT, "ETIMEDOUT"},
    {ERROR_CANCELLED, "ECANCELED"},
    {ERROR_OPERATION_ABORTED, "ECANCELED"},
};

bool isOneOf(const Status& status, std::initializer_list<DWORD> numbers) {
  for (const DWORD number : numbers) {
    if (status.number == static_cast<int>(number)) return true;
  }
  return false;
}

}  // namespace

Status failure(Fault fault, const char* call) {
  switch (fault) {
    case Fault::io: return failWith(ERROR_IO_DEVICE, call);
    case Fault::invalid: return failWith(ERROR_INVALID_PARAMETER, call);
    case Fault::isDirectory: return failWith(kDirectoryNotSupported, call);
    case Fault::noMemory: return failWith(ERROR_NOT_ENOUGH_MEMORY, call);
    case Fault::timedOut: return failWith(ERROR_TIMEOUT, call);
    case Fault::cancelled: return failWith(ERROR_CANCELLED, call);
  }
  return failWith(ERROR_INVALID_PARAMETER, call);
}

std::string errorName(int number) {
  for (const ErrorNameEntry& entry : kErrorNames) {
    if (static_cast<int>(entry.number) == number) return entry.name;
  }
  return "E" + std::to_string(number);
}

std::string errorText(int number) {
  wchar_t wide[512];
  const DWORD flags = FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS | FORMAT_MESSAGE_MAX_WIDTH_MASK;
  const DWORD length = ::FormatMessageW(flags, nullptr, static_cast<DWORD>(number), 0, wide, 512, nullptr);
  char text[2048];
  const int size =
      ::WideCharToMultiByte(CP_UTF8, 0, wide, static_cast<int>(length), text, sizeof text, nullptr, nullptr);
  std::string result(text, static_cast<size_t>(size));
  // The system ends its texts as sentences; here they stand in the middle of one.
  result.erase(result.find_last_not_of(" .") + 1);
  return result.empty() ? "error " + std::to_string(number) : result;
}

bool isSpaceExhausted(const Status& status) {
  return isOneOf(status, {ERROR_DISK_FULL, ERROR_HANDLE_DISK_FULL, kDiskQuotaExceeded, ERROR_FILE_TOO_LARGE});
}

bool isUnsupported(const Status& status) {
  return isOneOf(status, {ERROR_NOT_SUPPORTED, ERROR_INVALID_FUNCTION, ERROR_CALL_NOT_IMPLEMENTED});
}

bool isExisting(const Status& status) { return isOneOf(status, {ERROR_FILE_EXISTS, ERROR_ALREADY_EXISTS}); }

bool isWriteRefused(const Status& status) { return isOneOf(status, {ERROR_ACCESS_DENIED, ERROR_WRITE_PROTECT}); }

}  // namespace foliodb::platform
