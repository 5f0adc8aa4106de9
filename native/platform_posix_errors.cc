// Error numbers: their names, their texts, and what they mean.
#include <cerrno>
#include <cstring>

#include "platform.h"

namespace foliodb::platform {
namespace {

struct ErrorNameEntry {
  int number;
  const char* name;
};

#define NAMED(number) {number, #number}
constexpr ErrorNameEntry kErrorNames[] = {
    NAMED(EACCES),  NAMED(EAGAIN),       NAMED(EBADF),        NAMED(EBUSY),  NAMED(ECANCELED), NAMED(EDEADLK),
    NAMED(EDQUOT),  NAMED(EEXIST),       NAMED(EFAULT),       NAMED(EFBIG),  NAMED(EINTR),     NAMED(EINVAL),
    NAMED(EIO),     NAMED(EISDIR),       NAMED(ELOOP),        NAMED(EMFILE), NAMED(EMLINK),    NAMED(ENAMETOOLONG),
    NAMED(ENFILE),  NAMED(ENODEV),       NAMED(ENOENT),       NAMED(ENOLCK), NAMED(ENOMEM),    NAMED(ENOSPC),
    NAMED(ENOSYS),  NAMED(ENOTDIR),      NAMED(ENOTEMPTY),    NAMED(ENOTSUP), NAMED(ENXIO),    NAMED(EOVERFLOW),
    NAMED(EPERM),   NAMED(EROFS),        NAMED(ESPIPE),       NAMED(ESTALE), NAMED(ETIMEDOUT), NAMED(ETXTBSY),
    NAMED(EXDEV),
    // Another number than ENOTSUP's on macOS; on Linux it is the same, and the first name counts.
    NAMED(EOPNOTSUPP),
};
#undef NAMED

}  // namespace

Status failure(Fault fault, const char* call) {
  switch (fault) {
    case Fault::io: return Status{EIO, call};
    case Fault::invalid: return Status{EINVAL, call};
    case Fault::isDirectory: return Status{EISDIR, call};
    case Fault::noMemory: return Status{ENOMEM, call};
    case Fault::timedOut: return Status{ETIMEDOUT, call};
    case Fault::cancelled: return Status{ECANCELED, call};
  }
  return Status{EINVAL, call};
}

std::string errorName(int number) {
  for (const ErrorNameEntry& entry : kErrorNames) {
    if (entry.number == number) return entry.name;
  }
  return "E" + std::to_string(number);
}

std::string errorText(int number) {
  char text[256] = "";
  // The GNU function returns the text, the POSIX one stores it; overloads tell which one this system has.
  struct Chosen {
    static const char* text(const char* returned, const char*) { return returned; }
    static const char* text(int, const char* stored) { return stored; }
  };
  return Chosen::text(strerror_r(number, text, sizeof text), text);
}

bool isSpaceExhausted(const Status& status) {
  return status.number == ENOSPC || status.number == EDQUOT || status.number == EFBIG;
}

bool isUnsupported(const Status& status) {
  return status.number == EOPNOTSUPP || status.number == ENOTSUP || status.number == ENOSYS;
}

bool isExisting(const Status& status) { return status.number == EEXIST; }

bool isWriteRefused(const Status& status) {
  return status.number == EACCES || status.number == EROFS || status.number == EPERM || status.number == ETXTBSY;
}

}  // namespace foliodb::platform
