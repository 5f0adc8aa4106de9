// What the POSIX files share: errno as a Status, descriptors, and calls that a signal may interrupt.
#pragma once

#include <cerrno>

#include "platform.h"

namespace foliodb::platform {

inline Status fail(const char* call) { return Status{errno, call}; }
inline Status check(int result, const char* call) { return result == -1 ? fail(call) : Status{}; }
inline int descriptor(const File& file) { return static_cast<int>(file.handle()); }

/** Repeats a call that a signal interrupted. */
template <typename Call>
auto retry(Call call) -> decltype(call()) {
  decltype(call()) result;
  do {
    result = call();
  } while (result == -1 && errno == EINTR);
  return result;
}

inline Status opened(int fd, const char* call, File* file) {
  if (fd == -1) return fail(call);
  *file = File(fd);
  return Status{};
}

}  // namespace foliodb::platform
