// Keeps faults in mapped memory from killing the process. A file truncated under its mapping, a disk that is full
// under a hole, an I/O error, a store into a read-only view: each raises SIGBUS or SIGSEGV, which JavaScript can't
// catch. For addresses of the registered ranges, and for no others, the guard puts a page of zeros in place, raises the
// range's flag and lets the program go on.
//
// After a guarded fault stores are lost although a later flush succeeds, and loads were answered with zeros. Whoever
// uses a range therefore looks at its flag after loading, and before and after flushing.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "platform.h"

namespace foliodb::guard {

using FaultWord = std::atomic<int32_t>;
static_assert(sizeof(FaultWord) == sizeof(int32_t) && FaultWord::is_always_lock_free,
              "a signal handler stores it, and JavaScript reads it as an Int32Array");

/** Registers a range of mapped memory; `slot` is for `remove`. The first call installs the handlers. */
platform::Status add(void* base, size_t length, FaultWord* flag, int* slot);
/** To be called before the memory is unmapped. */
void remove(int slot);

}  // namespace foliodb::guard
