// Opening and creating files, and their names.
#include "platform_win32.h"

namespace foliodb::platform {
namespace {

/** Others may read, write, rename and delete what is open here, as on other systems. */
constexpr DWORD kShareAll = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
/** From here on a path needs the prefix that lifts the limit of 260 characters; a folder's name has 12 fewer. */
constexpr size_t kShortPathMax = 247;
/** Characters of one name in a path. */
constexpr size_t kNameMax = 255;
/** Virus scanners and indexers open what has just been written, and let go of it a moment later. */
constexpr int kBusyTries = 10;
constexpr DWORD kBusyPauseMs = 5;

std::wstring wide(const char* path) {
  const int size = ::MultiByteToWideChar(CP_UTF8, 0, path, -1, nullptr, 0);
  if (size <= 1) return std::wstring();
  std::wstring text(static_cast<size_t>(size), L'\0');
  ::MultiByteToWideChar(CP_UTF8, 0, path, -1, &text[0], size);
  text.pop_back();
  if (text.size() <= kShortPathMax || text.compare(0, 4, L"\\\\?\\") == 0) return text;
  const DWORD needed = ::GetFullPathNameW(text.c_str(), 0, nullptr, nullptr);
  std::wstring full(needed, L'\0');
  full.resize(::GetFullPathNameW(text.c_str(), needed, &full[0], nullptr));
  if (full.empty()) return text;
  return full.compare(0, 2, L"\\\\") == 0 ? L"\\\\?\\UNC\\" + full.substr(2) : L"\\\\?\\" + full;
}

Status opened(HANDLE handle, const char* call, File* file) {
  if (handle == INVALID_HANDLE_VALUE) return fail(call);
  *file = File(reinterpret_cast<intptr_t>(handle));
  return Status{};
}

bool isDirectory(const wchar_t* path) {
  const DWORD attributes = ::GetFileAttributesW(path);
  return attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
}

/** Windows calls a name that is too long for any folder an invalid one. */
bool hasLongName(const std::wstring& path) {
  size_t length = 0;
  for (const wchar_t c : path) {
    length = c == L'\\' || c == L'/' ? 0 : length + 1;
    if (length > kNameMax) return true;
  }
  return false;
}

/** Repeats a call that meets somebody who has the file open for a moment. */
template <typename Call>
Status unlessBusy(const char* name, Call call) {
  for (int tries = 1;; tries++) {
    if (call() != 0) return Status{};
    const DWORD number = ::GetLastError();
    const bool busy = number == ERROR_SHARING_VIOLATION || number == ERROR_ACCESS_DENIED;
    if (!busy || tries == kBusyTries) return failWith(number, name);
    ::Sleep(kBusyPauseMs);
  }
}

}  // namespace

void File::close() {
  if (!isOpen()) return;
  ::CloseHandle(native(*this));
  handle_ = kNone;
}

Status openFile(const char* path, Access access, bool followLinks, File* file) {
  const std::wstring name = wide(path);
  const DWORD rights = access == Access::read ? GENERIC_READ : GENERIC_READ | GENERIC_WRITE;
  const DWORD flags = FILE_FLAG_OVERLAPPED | (followLinks ? DWORD{0} : DWORD{FILE_FLAG_OPEN_REPARSE_POINT});
  Status status = opened(
      ::CreateFileW(name.c_str(), rights, kShareAll, nullptr, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL | flags, nullptr),
      "open", file);
  if (!status.ok() && hasLongName(name)) return failWith(ERROR_FILENAME_EXCED_RANGE, "open");
  // A folder is "access denied" to those who don't ask for one.
  if (status.number == ERROR_ACCESS_DENIED && isDirectory(name.c_str())) return failure(Fault::isDirectory, "open");
  if (!status.ok() || followLinks) return status;
  FILE_ATTRIBUTE_TAG_INFO found;
  if (::GetFileInformationByHandleEx(native(*file), FileAttributeTagInfo, &found, sizeof found) == 0) return status;
  const bool isLink = (found.FileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0 &&
                      (found.ReparseTag == IO_REPARSE_TAG_SYMLINK || found.ReparseTag == IO_REPARSE_TAG_MOUNT_POINT);
  if (!isLink) return status;
  file->close();
  return failWith(kStoppedOnSymlink, "open");
}

Status createFile(const char* path, unsigned mode, File* file) {
  // Who may use it, the folder's inheritable permissions say.
  (void)mode;
  return opened(::CreateFileW(wide(path).c_str(), GENERIC_READ | GENERIC_WRITE, kShareAll, nullptr, CREATE_NEW,
                              FILE_ATTRIBUTE_NORMAL | FILE_FLAG_OVERLAPPED, nullptr),
                "open", file);
}

Status createUnnamed(const char* directory, unsigned mode, File* file) {
  (void)directory, (void)mode, (void)file;
  return failWith(ERROR_NOT_SUPPORTED, "open");
}

Status linkUnnamed(const File& file, const char* path) {
  (void)file, (void)path;
  return failWith(ERROR_NOT_SUPPORTED, "link");
}

Status linkName(const char* from, const char* to) {
  return check(::CreateHardLinkW(wide(to).c_str(), wide(from).c_str(), nullptr), "link");
}

Status renameOver(const char* from, const char* to) {
  const std::wstring source = wide(from), target = wide(to);
  return unlessBusy("rename", [&] {
    return ::MoveFileExW(source.c_str(), target.c_str(), MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH);
  });
}

Status renameNoReplace(const char* from, const char* to) {
  return check(::MoveFileExW(wide(from).c_str(), wide(to).c_str(), MOVEFILE_WRITE_THROUGH), "rename");
}

Status removeName(const char* path) {
  const std::wstring name = wide(path);
  return unlessBusy("unlink", [&] { return ::DeleteFileW(name.c_str()); });
}

Status flushDirectory(const char* path) {
  // NTFS journals names, and gives no program a way to flush them apart from their files.
  (void)path;
  return Status{};
}

Status statPath(const char* path, FileStat* stat) {
  // Attributes may be asked for whatever others share, of folders only with the second flag.
  File file;
  const Status status = opened(::CreateFileW(wide(path).c_str(), FILE_READ_ATTRIBUTES, kShareAll, nullptr,
                                             OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, nullptr),
                               "stat", &file);
  return status.ok() ? statFile(file, stat) : status;
}

}  // namespace foliodb::platform
