// A file's locks, and waiting for the writer lock.
#include <utility>

#include "binding_file.h"
#include "binding_operation.h"

namespace foliodb {

using platform::Status;

Napi::Value FileObject::lock(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  const uint64_t start = arguments.integer("start");
  const uint64_t length = arguments.integer("length");
  const bool exclusive = arguments.flag("exclusive");
  if (!arguments.bad() && length == 0) arguments.refuse("length", "greater than 0");
  if (arguments.bad() || !isOpen(env)) return Napi::Value();
  bool granted = false;
  if (exclusive && opening_->writer.is(start, length)) {
    check(env, opening_->writer.tryTake(&granted));
  } else {
    const platform::LockMode mode = exclusive ? platform::LockMode::exclusive : platform::LockMode::shared;
    check(env, platform::lock(opening_->file, start, length, mode, &granted));
  }
  return Napi::Boolean::New(env, granted);
}

void FileObject::unlock(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const uint64_t start = arguments.integer("start");
  const uint64_t length = arguments.integer("length");
  if (!arguments.bad() && length == 0) arguments.refuse("length", "greater than 0");
  if (arguments.bad() || !isOpen(info.Env())) return;
  const bool isWriter = opening_->writer.is(start, length);
  check(info.Env(), isWriter ? opening_->writer.release() : platform::unlock(opening_->file, start, length));
}

void FileObject::narrowLock(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const uint64_t start = arguments.integer("start");
  const uint64_t length = arguments.integer("length");
  const uint64_t byte = arguments.integer("byte");
  if (!arguments.bad() && (byte < start || byte - start >= length)) arguments.refuse("byte", "one of the range");
  if (arguments.bad() || !isOpen(info.Env())) return;
  check(info.Env(), platform::narrowLock(opening_->file, start, length, byte));
}

Napi::Value FileObject::lockedByOther(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  const uint64_t start = arguments.integer("start");
  const uint64_t length = arguments.integer("length");
  const bool exclusive = arguments.flag("exclusive");
  if (!arguments.bad() && length == 0) arguments.refuse("length", "greater than 0");
  if (arguments.bad() || !isOpen(env)) return Napi::Value();
  int64_t holder = -1;
  const platform::LockMode mode = exclusive ? platform::LockMode::exclusive : platform::LockMode::shared;
  check(env, platform::lockedByOther(opening_->file, start, length, mode, &holder));
  return Napi::Number::New(env, static_cast<double>(holder));
}

Napi::Value FileObject::waitLock(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  const LockWait::Clock::duration limit = arguments.timeout("limitMs");
  if (arguments.bad() || !isOpen(env)) return Napi::Value();
  bool taken = false;
  check(env, opening_->writer.take(limit, &taken));
  return Napi::Boolean::New(env, taken);
}

Napi::Value FileObject::waitLockAsync(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  const LockWait::Clock::duration limit = arguments.timeout("timeoutMs");
  const Napi::Function callback = arguments.function("callback");
  if (arguments.bad() || !isOpen(env)) return Napi::Value();
  auto owned = std::make_unique<Operation>();
  Operation* const operation = owned.get();
  operation->opening = opening_;
  operation->callback = Napi::Persistent(callback);
  operation->wait.deadline = LockWait::Clock::now() + limit;
  const uint64_t number = beginOperation(env, std::move(owned));
  const napi_threadsafe_function reports = addon_->reports;
  operation->wait.notify = [reports, number] { report(reports, Report{number, true, false, Status{}}); };
  // The thread must not own the opening, whose end joins the thread; the operation, which does, outlives the task.
  const Status status = opening_->waits.post([reports, number, operation, opening = opening_.get()] {
    bool granted = false;
    const Status served = opening->writer.serve(operation->wait, &granted);
    report(reports, Report{number, false, granted, served});
  });
  if (!status.ok()) {
    endOperation(env, number);
    throwStatus(env, status, path_);
    return Napi::Value();
  }
  return Napi::Number::New(env, static_cast<double>(number));
}

void FileObject::cancelWait(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const uint64_t number = arguments.integer("wait");
  if (arguments.bad()) return;
  // One that has ended is gone: cancelling it means nothing.
  const auto found = addonOf(info.Env()).operations.find(number);
  if (found == addonOf(info.Env()).operations.end() || found->second->opening != opening_) return;
  opening_->writer.cancel(found->second->wait);
}

}  // namespace foliodb
