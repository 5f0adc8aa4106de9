// What the Win32 files of sections share.
#pragma once

#include "platform_win32.h"

#include <sddl.h>

#include <string>

#include "section.h"

namespace foliodb::platform {

inline Outcome refused(Refusal refusal) { return Outcome{Status{}, refusal}; }
inline Outcome outcome(const Status& status) { return Outcome{status, Refusal::none}; }
inline HANDLE sectionHandle(const Section& section) { return native(section.handle); }

/** What the handle of a section that may only be read is good for: mapping it for reading, and asking for its size. */
constexpr DWORD kReadRights = SECTION_MAP_READ | SECTION_QUERY;
constexpr DWORD kWriteRights = kReadRights | SECTION_MAP_WRITE;

/** Empty if it is not valid UTF-8. */
std::wstring wideText(const std::string& text);
/** An absolute path that may be longer than 260 characters. */
std::wstring widePath(const std::string& path);

/** What an object grants to those whom its permission bits let in at all. */
enum class Grant { readOnly, full };

/** Who may open a new object: the user of this process and the administrators; others as the bits for others of `mode` say. */
class Permissions {
 public:
  Permissions() = default;
  ~Permissions() { ::LocalFree(attributes_.lpSecurityDescriptor); }
  Permissions(const Permissions&) = delete;
  Permissions& operator=(const Permissions&) = delete;

  Status make(Grant grant, unsigned mode);
  SECURITY_ATTRIBUTES* attributes() { return &attributes_; }

 private:
  SECURITY_ATTRIBUTES attributes_ = {sizeof(SECURITY_ATTRIBUTES), nullptr, FALSE};
};

/** What the system says of a section's handle, which needs SECTION_QUERY. */
struct SectionExtent {
  uint64_t size = 0;
  bool isFile = false;
};
Status querySection(HANDLE handle, SectionExtent* extent);

/**
 * Fills in what a handle alone does not bring: checks that it can be mapped as `protection` says, and opens the file behind it
 * once more, which only FlushFileBuffers needs. For sections that came by name or from another process.
 */
Outcome completeSection(Section* section);

}  // namespace foliodb::platform
