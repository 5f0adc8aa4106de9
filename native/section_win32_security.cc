// Who may open what this process makes: security descriptors from the user of its token. Without one, an object is open to
// whomever the token's default names, and a file to whom its folder names.
#include "section_win32.h"

#include <vector>

namespace foliodb::platform {
namespace {

constexpr unsigned kOthersMayRead = 04;
constexpr unsigned kOthersMayWrite = 02;

/** The user of this process as text, "S-1-5-21-…". */
Status userSid(std::wstring* text) {
  HANDLE opened = nullptr;
  if (::OpenProcessToken(::GetCurrentProcess(), TOKEN_QUERY, &opened) == 0) return fail("OpenProcessToken");
  const Handle token(opened);
  DWORD size = 0;
  ::GetTokenInformation(token.get(), TokenUser, nullptr, 0, &size);
  std::vector<unsigned char> bytes(size);
  if (size == 0 || ::GetTokenInformation(token.get(), TokenUser, bytes.data(), size, &size) == 0) {
    return fail("GetTokenInformation");
  }
  LPWSTR sid = nullptr;
  if (::ConvertSidToStringSidW(reinterpret_cast<TOKEN_USER*>(bytes.data())->User.Sid, &sid) == 0) {
    return fail("ConvertSidToStringSid");
  }
  *text = sid;
  ::LocalFree(sid);
  return Status{};
}

std::wstring entry(const wchar_t* rights, const std::wstring& trustee) {
  return std::wstring(L"(A;;") + rights + L";;;" + trustee + L")";
}

}  // namespace

Status Permissions::make(Grant grant, unsigned mode) {
  std::wstring user;
  const Status status = userSid(&user);
  if (!status.ok()) return status;
  const bool full = grant == Grant::full;
  const wchar_t* const own = full ? L"GA" : L"GR";
  // P: nothing is inherited from a folder. BA are the administrators, WD is everybody.
  std::wstring text = L"D:P" + entry(own, user) + entry(own, L"BA");
  if (full && (mode & kOthersMayWrite) != 0) text += entry((mode & kOthersMayRead) != 0 ? L"GRGWGX" : L"GWGX", L"WD");
  else if ((mode & kOthersMayRead) != 0) text += entry(L"GR", L"WD");
  return check(::ConvertStringSecurityDescriptorToSecurityDescriptorW(text.c_str(), SDDL_REVISION_1,
                                                                      &attributes_.lpSecurityDescriptor, nullptr),
               "ConvertStringSecurityDescriptorToSecurityDescriptor");
}

}  // namespace foliodb::platform
