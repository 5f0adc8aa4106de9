// Threads, and the process's end.
#include "platform_win32.h"

#include <process.h>

namespace foliodb::platform {
namespace {

struct ThreadBody {
  void (*body)(void*);
  void* argument;
};

unsigned __stdcall runThread(void* raw) {
  const ThreadBody start = *static_cast<ThreadBody*>(raw);
  delete static_cast<ThreadBody*>(raw);
  start.body(start.argument);
  return 0;
}

}  // namespace

Status Thread::start(void (*body)(void*), void* argument) {
  ThreadBody* const start = new ThreadBody{body, argument};
  handle_ = ::_beginthreadex(nullptr, 0, runThread, start, 0, nullptr);
  if (handle_ == 0) {
    delete start;
    return failWith(ERROR_NO_SYSTEM_RESOURCES, "thread");
  }
  started_ = true;
  return Status{};
}

void Thread::join() {
  if (!started_) return;
  const HANDLE thread = reinterpret_cast<HANDLE>(handle_);
  ::WaitForSingleObject(thread, INFINITE);
  ::CloseHandle(thread);
  started_ = false;
}

void atProcessEnd(void (*call)()) {
  // A library hears of it when all threads but one are gone already, perhaps with a mutex in hand: nothing can be waited
  // for then. A commit under way is cut off, as a killed process's is.
  (void)call;
}

}  // namespace foliodb::platform
