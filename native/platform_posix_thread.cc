// Threads, and the process's end.
#include <pthread.h>
#include <signal.h>

#include <cstdlib>
#include <cstring>

#include "platform.h"

namespace foliodb::platform {
namespace {

struct ThreadBody {
  void (*body)(void*);
  void* argument;
};

void* runThread(void* raw) {
  const ThreadBody start = *static_cast<ThreadBody*>(raw);
  delete static_cast<ThreadBody*>(raw);
  start.body(start.argument);
  return nullptr;
}

}  // namespace

Status Thread::start(void (*body)(void*), void* argument) {
  // The process's signals belong to Node's threads. Those that a thread's own fault raises can't be blocked: the guard
  // must see them.
  sigset_t blocked, before;
  sigfillset(&blocked);
  for (const int fault : {SIGBUS, SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGABRT}) sigdelset(&blocked, fault);
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  ThreadBody* const start = new ThreadBody{body, argument};
  pthread_t thread;
  const int number = pthread_create(&thread, nullptr, runThread, start);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (number != 0) {
    delete start;
    return Status{number, "pthread_create"};
  }
  static_assert(sizeof(thread) <= sizeof(handle_), "a pthread_t fits the handle");
  std::memcpy(&handle_, &thread, sizeof thread);
  started_ = true;
  return Status{};
}

void Thread::join() {
  if (!started_) return;
  pthread_t thread;
  std::memcpy(&thread, &handle_, sizeof thread);
  pthread_join(thread, nullptr);
  started_ = false;
}

void atProcessEnd(void (*call)()) { std::atexit(call); }

}  // namespace foliodb::platform
