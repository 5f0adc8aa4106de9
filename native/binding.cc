// The addon as JavaScript sees it: src/mapping/addon.ts describes every function here. This is the only file with
// N-API. It checks every argument before it goes on (an offset outside a mapped window is an exception, never a crash),
// turns a Status into an exception, and carries what threads report to the event loop.
//
// Lifetimes. An Opening belongs to its FileObject; close(), garbage collection and the end of the environment all lead to Opening::end(),
// which joins its threads. An Operation (a wait or a commit under way) belongs to the Addon, lives on
// JavaScript's thread, and is named by a number in what threads report, so that a late report finds nothing instead of
// something freed. Mapped memory is shared by the Opening, the job that uses it, and its ArrayBuffer until that one is
// detached or collected: whichever ends last unmaps it.
#include <napi.h>

#include <cmath>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "commit.h"
#include "crc32c.h"
#include "opening.h"
#include "platform.h"

namespace foliodb {
namespace {

using platform::Status;

constexpr double kSafeIntegerMax = 9007199254740991.0;
/** Bytes of a window at the most: an external ArrayBuffer over 4 GiB aborts Node 20, and offsets under 2^31 stay small integers. */
constexpr uint64_t kWindowSizeMax = uint64_t{1} << 30;
/** What `prepare` and `map` count in. */
constexpr uint64_t kBlockSize = 4096;
/** Milliseconds of a wait without a limit: three years, so that a deadline in nanoseconds is in range. */
constexpr double kTimeoutMax = 1e11;

class FileObject;

/** A wait or a commit under way. */
struct Operation {
  std::shared_ptr<Opening> opening;
  Napi::FunctionReference callback;
  /** Of a commit. */
  std::shared_ptr<CommitJob> job;
  /** Of a wait. */
  LockWait wait;
  bool delivered = false;
};

/** What a thread tells the event loop. */
struct Report {
  uint64_t operation = 0;
  /** There is a grant to claim; otherwise the operation has ended. */
  bool claimable = false;
  bool granted = false;
  Status status;
};

/** The addon in one environment (the main thread, or a worker). */
struct Addon {
  Napi::FunctionReference systemError;
  Napi::FunctionReference storeError;
  Napi::FunctionReference fileClass;
  napi_threadsafe_function reports = nullptr;
  uint64_t operationLast = 0;
  std::unordered_map<uint64_t, std::unique_ptr<Operation>> operations;
  std::unordered_set<FileObject*> files;
};

Addon& addonOf(Napi::Env env) { return *env.GetInstanceData<Addon>(); }

// Errors ---------------------------------------------------------------------------------------------------------------

Napi::Value statusError(Napi::Env env, const Status& status, const std::string& path) {
  const Napi::Value named = path.empty() ? env.Undefined() : Napi::String::New(env, path);
  return addonOf(env).systemError.New(
      {Napi::String::New(env, platform::errorName(status.number)), Napi::Number::New(env, status.number),
       Napi::String::New(env, status.call), named, Napi::String::New(env, platform::errorText(status.number))});
}

void throwValue(Napi::Env env, Napi::Value error) {
  // An exception may be pending already if making the error failed; that one goes on.
  if (!env.IsExceptionPending()) napi_throw(env, error);
}

void throwStatus(Napi::Env env, const Status& status, const std::string& path) {
  throwValue(env, statusError(env, status, path));
}

void throwStoreError(Napi::Env env, const char* code, const char* message) {
  throwValue(env, addonOf(env).storeError.New({Napi::String::New(env, code), Napi::String::New(env, message)}));
}

/** Reads arguments one after the other. After the first that does not fit, an exception is pending and `bad` is true. */
class Arguments {
 public:
  explicit Arguments(const Napi::CallbackInfo& info) : info_(info), env_(info.Env()) {}

  bool bad() const { return bad_; }

  uint64_t integer(const char* name, double max = kSafeIntegerMax) {
    const Napi::Value value = info_[next_++];
    const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
    if (!(number >= 0 && number <= max) || number != std::floor(number)) {
      refuse(name, "an integer in range");
      return 0;
    }
    return static_cast<uint64_t>(number);
  }

  uint32_t word(const char* name) { return static_cast<uint32_t>(integer(name, 4294967295.0)); }

  bool flag(const char* name) {
    const Napi::Value value = info_[next_++];
    if (value.IsBoolean()) return value.As<Napi::Boolean>().Value();
    refuse(name, "a boolean");
    return false;
  }

  std::string path(const char* name) {
    const Napi::Value value = info_[next_++];
    std::string text = value.IsString() ? value.As<Napi::String>().Utf8Value() : std::string();
    if (text.empty() || text.find('\0') != std::string::npos) refuse(name, "a path without NUL");
    return text;
  }

  Napi::Uint8Array bytes(const char* name) { return bytesOf(info_[next_++], name); }

  Napi::Uint8Array bytesOf(const Napi::Value& value, const char* name) {
    if (value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array) {
      return value.As<Napi::Uint8Array>();
    }
    refuse(name, "a Uint8Array");
    return Napi::Uint8Array();
  }

  LockWait::Clock::duration timeout(const char* name) {
    const Napi::Value value = info_[next_++];
    const double milliseconds = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
    if (!(milliseconds >= 0)) {
      refuse(name, "a number of milliseconds");
      return LockWait::Clock::duration::zero();
    }
    return std::chrono::microseconds(static_cast<int64_t>(std::min(milliseconds, kTimeoutMax) * 1000));
  }

  Napi::Function function(const char* name) {
    const Napi::Value value = info_[next_++];
    if (value.IsFunction()) return value.As<Napi::Function>();
    refuse(name, "a function");
    return Napi::Function();
  }

  Napi::Value value() { return info_[next_++]; }

  void refuse(const char* name, const char* expected) {
    if (!bad_) {
      Napi::TypeError::New(env_, std::string("addon: ") + name + " must be " + expected).ThrowAsJavaScriptException();
    }
    bad_ = true;
  }

 private:
  const Napi::CallbackInfo& info_;
  const Napi::Env env_;
  size_t next_ = 0;
  bool bad_ = false;
};

// Mapped memory as ArrayBuffers ----------------------------------------------------------------------------------------

/** The ArrayBuffer's share of its memory. Emptied when the buffer is detached. */
using Lease = std::shared_ptr<std::shared_ptr<void>>;

/** The one ArrayBuffer over mapped memory; empty, with an exception pending, if Node allows none. */
Napi::Value makeArrayBuffer(Napi::Env env, void* base, size_t length, const Lease& lease) {
  Lease* const hint = new Lease(lease);
  const auto finalize = [](napi_env, void*, void* raw) { delete static_cast<Lease*>(raw); };
  napi_value buffer = nullptr;
  const napi_status status = napi_create_external_arraybuffer(env, base, length, finalize, hint, &buffer);
  if (status == napi_ok) return Napi::Value(env, buffer);
  delete hint;
  if (status == napi_no_external_buffers_allowed) {
    throwStoreError(env, "ADDON", "this build of Node.js allows no memory of others in an ArrayBuffer, so files can't be mapped");
  } else {
    throwStatus(env, platform::failure(platform::Fault::noMemory, "arraybuffer"), "");
  }
  return Napi::Value();
}

// Commits --------------------------------------------------------------------------------------------------------------

const char* stepName(CommitStep step) {
  switch (step) {
    case CommitStep::none: return "";
    case CommitStep::flushLock: return "flush lock";
    case CommitStep::faultBeforeFlush1: return "fault before flush 1";
    case CommitStep::flush1: return "flush 1";
    case CommitStep::faultBeforeMeta: return "fault before meta";
    case CommitStep::flush2: return "flush 2";
    case CommitStep::faultAfterFlush2: return "fault after flush 2";
  }
  return "";
}

Napi::Value outcomeObject(Napi::Env env, const CommitOutcome& outcome, const std::string& path) {
  Napi::Object object = Napi::Object::New(env);
  if (outcome.failed == CommitStep::none) {
    object.Set("result", "committed");
    return object;
  }
  object.Set("result", "failed");
  object.Set("step", stepName(outcome.failed));
  object.Set("poisoned", outcome.poisoned);
  object.Set("cause", outcome.cause.ok() ? env.Undefined() : statusError(env, outcome.cause, path));
  return object;
}

// Files ----------------------------------------------------------------------------------------------------------------

class FileObject : public Napi::ObjectWrap<FileObject> {
 public:
  static Napi::Function define(Napi::Env env);
  /** A File over an opened descriptor. */
  static Napi::Value make(Napi::Env env, platform::File file, bool writable, const LockBytes& locks, std::string path);

  explicit FileObject(const Napi::CallbackInfo& info);
  ~FileObject() override;

  const std::shared_ptr<Opening>& opening() const { return opening_; }
  const std::string& path() const { return path_; }
  /** The environment ends: threads stop, and the addon is no longer to be told of this file. */
  void abandon() {
    if (opening_ != nullptr) opening_->end();
    addon_ = nullptr;
  }

 private:
  struct Adoption {
    std::shared_ptr<Opening> opening;
    std::string path;
  };
  struct Window {
    Napi::ObjectReference buffer;
    Lease lease;
  };

  Napi::Value getWritable(const Napi::CallbackInfo& info);
  Napi::Value getFaults(const Napi::CallbackInfo& info);
  Napi::Value getDevice(const Napi::CallbackInfo& info);
  Napi::Value getInode(const Napi::CallbackInfo& info);
  Napi::Value isNamed(const Napi::CallbackInfo& info);
  Napi::Value size(const Napi::CallbackInfo& info);
  void setSize(const Napi::CallbackInfo& info);
  void allocate(const Napi::CallbackInfo& info);
  Napi::Value read(const Napi::CallbackInfo& info);
  void write(const Napi::CallbackInfo& info);
  void link(const Napi::CallbackInfo& info);
  void flush(const Napi::CallbackInfo& info);
  void dropCache(const Napi::CallbackInfo& info);
  Napi::Value map(const Napi::CallbackInfo& info);
  void prepare(const Napi::CallbackInfo& info);
  Napi::Value lock(const Napi::CallbackInfo& info);
  void unlock(const Napi::CallbackInfo& info);
  Napi::Value lockedByOther(const Napi::CallbackInfo& info);
  Napi::Value waitLock(const Napi::CallbackInfo& info);
  Napi::Value waitLockAsync(const Napi::CallbackInfo& info);
  void cancelWait(const Napi::CallbackInfo& info);
  void attach(const Napi::CallbackInfo& info);
  Napi::Value commitSync(const Napi::CallbackInfo& info);
  void commit(const Napi::CallbackInfo& info);
  Napi::Value waitCommit(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);

  /** False, with an exception pending, once the file is closed. */
  bool isOpen(Napi::Env env) const;
  /** Throws for a status that is not ok. */
  void check(Napi::Env env, const Status& status) const {
    if (!status.ok()) throwStatus(env, status, path_);
  }
  bool readPlan(Napi::Env env, Arguments& arguments, CommitPlan* plan);
  bool readRecord(Arguments& arguments, double at, double copyAt, const Napi::Value& bytes, CommitPlan::Record* record);

  Addon* addon_ = nullptr;
  std::shared_ptr<Opening> opening_;
  std::string path_;
  std::vector<Window> windows_;
  Napi::ObjectReference faults_;
  /** The newest commit on the opening's thread. */
  std::shared_ptr<CommitJob> job_;
};

Napi::Function FileObject::define(Napi::Env env) {
  return DefineClass(env, "File",
                     {
                         InstanceAccessor<&FileObject::getWritable>("writable"),
                         InstanceAccessor<&FileObject::getFaults>("faults"),
                         InstanceAccessor<&FileObject::getDevice>("device"),
                         InstanceAccessor<&FileObject::getInode>("inode"),
                         InstanceMethod<&FileObject::isNamed>("isNamed"),
                         InstanceMethod<&FileObject::size>("size"),
                         InstanceMethod<&FileObject::setSize>("setSize"),
                         InstanceMethod<&FileObject::allocate>("allocate"),
                         InstanceMethod<&FileObject::read>("read"),
                         InstanceMethod<&FileObject::write>("write"),
                         InstanceMethod<&FileObject::link>("link"),
                         InstanceMethod<&FileObject::flush>("flush"),
                         InstanceMethod<&FileObject::dropCache>("dropCache"),
                         InstanceMethod<&FileObject::map>("map"),
                         InstanceMethod<&FileObject::prepare>("prepare"),
                         InstanceMethod<&FileObject::lock>("lock"),
                         InstanceMethod<&FileObject::unlock>("unlock"),
                         InstanceMethod<&FileObject::lockedByOther>("lockedByOther"),
                         InstanceMethod<&FileObject::waitLock>("waitLock"),
                         InstanceMethod<&FileObject::waitLockAsync>("waitLockAsync"),
                         InstanceMethod<&FileObject::cancelWait>("cancelWait"),
                         InstanceMethod<&FileObject::attach>("attach"),
                         InstanceMethod<&FileObject::commitSync>("commitSync"),
                         InstanceMethod<&FileObject::commit>("commit"),
                         InstanceMethod<&FileObject::waitCommit>("waitCommit"),
                         InstanceMethod<&FileObject::close>("close"),
                     });
}

Napi::Value FileObject::make(Napi::Env env, platform::File file, bool writable, const LockBytes& locks,
                             std::string path) {
  platform::FileStat stat;
  Status status = platform::statFile(file, &stat);
  if (status.ok() && stat.kind != platform::Kind::regular) {
    const bool directory = stat.kind == platform::Kind::directory;
    status = platform::failure(directory ? platform::Fault::isDirectory : platform::Fault::invalid, "open");
  }
  if (!status.ok()) {
    throwStatus(env, status, path);
    return Napi::Value();
  }
  Adoption adoption{std::make_shared<Opening>(std::move(file), stat, writable, locks), std::move(path)};
  return addonOf(env).fileClass.New({Napi::External<Adoption>::New(env, &adoption)});
}

FileObject::FileObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<FileObject>(info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsExternal()) {
    Napi::TypeError::New(env, "addon: files are made by openFile and its like").ThrowAsJavaScriptException();
    return;
  }
  Adoption* const adoption = info[0].As<Napi::External<Adoption>>().Data();
  opening_ = std::move(adoption->opening);
  path_ = std::move(adoption->path);
  addon_ = &addonOf(env);
  addon_->files.insert(this);
  const Lease lease = std::make_shared<std::shared_ptr<void>>(opening_->faults);
  const Napi::Value buffer = makeArrayBuffer(env, opening_->faults.get(), sizeof(Faults), lease);
  if (buffer.IsEmpty()) return;
  const size_t length = sizeof(Faults) / sizeof(int32_t);
  faults_ = Napi::Persistent(Napi::Int32Array::New(env, length, buffer.As<Napi::ArrayBuffer>(), 0).As<Napi::Object>());
}

FileObject::~FileObject() {
  // Forgotten, or the environment ends. ArrayBuffers that are still in use keep their memory.
  if (opening_ != nullptr) opening_->end();
  if (addon_ != nullptr) addon_->files.erase(this);
}

bool FileObject::isOpen(Napi::Env env) const {
  if (opening_ != nullptr && opening_->file.isOpen()) return true;
  Napi::Error::New(env, "addon: the file is closed").ThrowAsJavaScriptException();
  return false;
}

Napi::Value FileObject::getWritable(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), opening_->writable);
}

Napi::Value FileObject::getFaults(const Napi::CallbackInfo&) { return faults_.Value(); }

Napi::Value FileObject::getDevice(const Napi::CallbackInfo& info) {
  return Napi::BigInt::New(info.Env(), opening_->identity.device);
}

Napi::Value FileObject::getInode(const Napi::CallbackInfo& info) {
  return Napi::BigInt::New(info.Env(), opening_->identity.inode);
}

Napi::Value FileObject::isNamed(const Napi::CallbackInfo& info) {
  platform::FileStat named;
  const bool same = platform::statPath(path_.c_str(), &named).ok() && named.device == opening_->identity.device &&
                    named.inode == opening_->identity.inode;
  return Napi::Boolean::New(info.Env(), same);
}

Napi::Value FileObject::size(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!isOpen(env)) return Napi::Value();
  platform::FileStat stat;
  check(env, platform::statFile(opening_->file, &stat));
  return Napi::Number::New(env, static_cast<double>(stat.size));
}

void FileObject::setSize(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const uint64_t size = arguments.integer("size");
  if (arguments.bad() || !isOpen(info.Env())) return;
  check(info.Env(), platform::setSize(opening_->file, size));
}

void FileObject::allocate(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const uint64_t from = arguments.integer("from");
  const uint64_t to = arguments.integer("to");
  if (!arguments.bad() && to <= from) arguments.refuse("to", "greater than from");
  if (arguments.bad() || !isOpen(info.Env())) return;
  check(info.Env(), platform::allocate(opening_->file, from, to));
}

Napi::Value FileObject::read(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  const uint64_t at = arguments.integer("at");
  Napi::Uint8Array target = arguments.bytes("target");
  if (arguments.bad() || !isOpen(env)) return Napi::Value();
  size_t got = 0;
  check(env, platform::readAt(opening_->file, at, target.Data(), target.ByteLength(), &got));
  return Napi::Number::New(env, static_cast<double>(got));
}

void FileObject::write(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const uint64_t at = arguments.integer("at");
  const Napi::Uint8Array source = arguments.bytes("source");
  if (arguments.bad() || !isOpen(info.Env())) return;
  check(info.Env(), platform::writeAt(opening_->file, at, source.Data(), source.ByteLength()));
}

void FileObject::link(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::string path = arguments.path("path");
  if (arguments.bad() || !isOpen(info.Env())) return;
  const Status status = platform::linkUnnamed(opening_->file, path.c_str());
  if (!status.ok()) throwStatus(info.Env(), status, path);
}

void FileObject::flush(const Napi::CallbackInfo& info) {
  if (!isOpen(info.Env())) return;
  check(info.Env(), opening_->flush(opening_->windows, platform::Flush::durable));
}

void FileObject::dropCache(const Napi::CallbackInfo& info) {
  if (!isOpen(info.Env())) return;
  // Pages that a view still refers to would stay.
  for (const std::shared_ptr<View>& view : opening_->windows) {
    if (view == nullptr) continue;
    const Status status = platform::forgetView(view->base(), view->length());
    if (!status.ok()) return throwStatus(info.Env(), status, path_);
  }
  check(info.Env(), platform::dropCache(opening_->file));
}

Napi::Value FileObject::map(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  const uint64_t index = arguments.word("index");
  const uint64_t length = arguments.integer("length", static_cast<double>(kWindowSizeMax));
  const bool writable = arguments.flag("writable");
  if (!arguments.bad() && length == 0) arguments.refuse("length", "greater than 0");
  if (!arguments.bad() && index != 0 && length % platform::memoryPageSize() != 0) {
    arguments.refuse("length", "a multiple of the memory page size");
  }
  if (arguments.bad() || !isOpen(env)) return Napi::Value();
  Opening& opening = *opening_;
  if (opening.windowSize != 0 && opening.windowSize != length) arguments.refuse("length", "that of the other windows");
  if (index < opening.windows.size() && opening.windows[index] != nullptr) arguments.refuse("index", "new");
  if (arguments.bad()) return Napi::Value();

  std::shared_ptr<View> view;
  const Status status = View::map(opening.file, index * length, length, writable, opening.faults, &view);
  if (!status.ok()) {
    throwStatus(env, status, path_);
    return Napi::Value();
  }
  const Lease lease = std::make_shared<std::shared_ptr<void>>(view);
  const Napi::Value buffer = makeArrayBuffer(env, view->base(), length, lease);
  if (buffer.IsEmpty()) return buffer;
  if (opening.windows.size() <= index) opening.windows.resize(index + 1);
  opening.windows[index] = std::move(view);
  opening.windowSize = length;
  windows_.push_back(Window{Napi::Persistent(buffer.As<Napi::Object>()), lease});
  return buffer;
}

void FileObject::prepare(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const uint64_t index = arguments.word("index");
  const uint64_t at = arguments.integer("at");
  const uint64_t length = arguments.integer("length");
  if (arguments.bad() || !isOpen(info.Env())) return;
  const Opening& opening = *opening_;
  if (index >= opening.windows.size() || opening.windows[index] == nullptr || !opening.windows[index]->writable()) {
    return arguments.refuse("index", "that of a writable window");
  }
  if (at % kBlockSize != 0 || length % kBlockSize != 0 || length == 0 || length > opening.windowSize ||
      at > opening.windowSize - length) {
    return arguments.refuse("at and length", "whole blocks inside the window");
  }
  check(info.Env(), prepareForStores(opening.file, *opening.windows[index], at, length));
}

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

/** Gives an operation a number and keeps the event loop alive for it. */
uint64_t begin(Napi::Env env, std::unique_ptr<Operation> operation) {
  Addon& addon = addonOf(env);
  if (addon.operations.empty()) napi_ref_threadsafe_function(env, addon.reports);
  const uint64_t number = ++addon.operationLast;
  addon.operations.emplace(number, std::move(operation));
  return number;
}

void end(Napi::Env env, uint64_t number) {
  Addon& addon = addonOf(env);
  if (addon.operations.erase(number) == 0) return;
  if (addon.operations.empty()) napi_unref_threadsafe_function(env, addon.reports);
}

/** From any thread. Fails only while the environment ends, when nobody listens. */
void report(napi_threadsafe_function reports, const Report& what) {
  Report* const sent = new Report(what);
  if (napi_call_threadsafe_function(reports, sent, napi_tsfn_nonblocking) != napi_ok) delete sent;
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
  const uint64_t number = begin(env, std::move(owned));
  const napi_threadsafe_function reports = addon_->reports;
  operation->wait.notify = [reports, number] { report(reports, Report{number, true, false, Status{}}); };
  // The thread must not own the opening, whose end joins the thread; the operation, which does, outlives the task.
  const Status status = opening_->waits.post([reports, number, operation, opening = opening_.get()] {
    bool granted = false;
    const Status served = opening->writer.serve(operation->wait, &granted);
    report(reports, Report{number, false, granted, served});
  });
  if (!status.ok()) {
    end(env, number);
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

void FileObject::attach(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  const Napi::Value other = arguments.value();
  const uint64_t offsets[] = {arguments.integer("poisonAt"), arguments.integer("durableAt"),
                              arguments.integer("newestAt")};
  const bool isFile = other.IsObject() && other.As<Napi::Object>().InstanceOf(addon_->fileClass.Value());
  if (!arguments.bad() && !isFile) arguments.refuse("coordination", "a File");
  if (arguments.bad() || !isOpen(env)) return;
  const FileObject* const coordination = Unwrap(other.As<Napi::Object>());
  if (coordination == nullptr) return;
  const Opening::Views& views = coordination->opening_->windows;
  if (views.empty() || views[0] == nullptr || !views[0]->writable()) {
    return arguments.refuse("coordination", "mapped for writing");
  }
  for (const uint64_t at : offsets) {
    if (at % sizeof(int32_t) != 0 || at + sizeof(int32_t) > views[0]->length()) {
      return arguments.refuse("offsets", "words inside the coordination file");
    }
  }
  const auto word = [&](int i) { return reinterpret_cast<SharedWord*>(views[0]->base() + offsets[i]); };
  opening_->shared = SharedWords{views[0], word(0), word(1), word(2)};
}

bool FileObject::readRecord(Arguments& arguments, double at, double copyAt, const Napi::Value& bytes,
                            CommitPlan::Record* record) {
  const Napi::Uint8Array source = arguments.bytesOf(bytes, "record");
  if (arguments.bad()) return false;
  const size_t length = source.ByteLength();
  const bool inRange = at >= 0 && at <= kSafeIntegerMax && copyAt >= static_cast<double>(length) &&
                       copyAt <= static_cast<double>(kWindowSizeMax) && length > 0;
  if (inRange) {
    record->first = opening_->span(static_cast<uint64_t>(at), length);
    record->copy = opening_->span(static_cast<uint64_t>(at + copyAt), length);
  }
  if (record->first == nullptr || record->copy == nullptr) {
    arguments.refuse("a meta record", "inside the windows mapped for writing, and its copy behind it");
    return false;
  }
  record->bytes.assign(source.Data(), source.Data() + length);
  return true;
}

bool FileObject::readPlan(Napi::Env env, Arguments& arguments, CommitPlan* plan) {
  if (!isOpen(env)) return false;
  const Napi::Value value = arguments.value();
  if (!value.IsObject()) {
    arguments.refuse("plan", "an object");
    return false;
  }
  const Napi::Object object = value.As<Napi::Object>();
  const auto number = [&](const char* name) {
    const Napi::Value field = object.Get(name);
    return field.IsNumber() ? field.As<Napi::Number>().DoubleValue() : -1.0;
  };
  if (job_ != nullptr && !job_->isDone()) {
    arguments.refuse("a commit", "the only one under way");
    return false;
  }
  if (opening_->shared.view == nullptr) {
    arguments.refuse("file", "attached to its coordination file");
    return false;
  }

  const double pageSize = number("pageSize");
  const double runsLength = number("runsLength");
  const Napi::Value runsValue = object.Get("runs");
  if (!runsValue.IsTypedArray() || runsValue.As<Napi::TypedArray>().TypedArrayType() != napi_uint32_array ||
      !(pageSize >= kBlockSize && pageSize <= 65536) || !(runsLength >= 0)) {
    arguments.refuse("runs", "a Uint32Array of pages, with runsLength and pageSize");
    return false;
  }
  const Napi::Uint32Array runs = runsValue.As<Napi::Uint32Array>();
  const size_t count = static_cast<size_t>(runsLength);
  if (count > runs.ElementLength() || count % 2 != 0) {
    arguments.refuse("runsLength", "an even number within runs");
    return false;
  }
  const uint64_t bytes = static_cast<uint64_t>(pageSize);
  plan->runs.reserve(count / 2);
  for (size_t i = 0; i < count; i += 2) {
    const uint64_t length = runs[i + 1] * bytes;
    uint8_t* const at = opening_->span(runs[i] * bytes, length);
    if (at == nullptr || length == 0) {
      arguments.refuse("a run", "inside one window mapped for writing");
      return false;
    }
    plan->runs.push_back(CommitPlan::Run{at, static_cast<size_t>(length)});
  }

  const double copyAt = number("metaCopyAt");
  if (!readRecord(arguments, number("metaAt"), copyAt, object.Get("meta"), &plan->meta)) return false;
  const Napi::Value rewrites = object.Get("rewrites");
  const uint32_t rewriteCount = rewrites.IsArray() ? rewrites.As<Napi::Array>().Length() : 0;
  for (uint32_t i = 0; i < rewriteCount; i++) {
    const Napi::Value rewrite = rewrites.As<Napi::Array>().Get(i);
    if (!rewrite.IsObject()) {
      arguments.refuse("a rewrite", "an object");
      return false;
    }
    const Napi::Value at = rewrite.As<Napi::Object>().Get("at");
    const double offset = at.IsNumber() ? at.As<Napi::Number>().DoubleValue() : -1;
    CommitPlan::Record record;
    if (!readRecord(arguments, offset, copyAt, rewrite.As<Napi::Object>().Get("record"), &record)) return false;
    plan->rewrites.push_back(std::move(record));
  }

  const double seed = number("checksumSeed");
  const double publishIndex = number("publishIndex");
  if (!(seed >= 0 && seed <= 4294967295.0) || !(publishIndex >= 0 && publishIndex <= 2147483647.0)) {
    arguments.refuse("checksumSeed and publishIndex", "a u32 and an index");
    return false;
  }
  plan->checksumSeed = static_cast<uint32_t>(seed);
  plan->publishIndex = static_cast<int32_t>(publishIndex);
  plan->unlockWriter = object.Get("unlockWriter").ToBoolean().Value();
  plan->views = opening_->windows;
  plan->shared = opening_->shared;
  return true;
}

Napi::Value FileObject::commitSync(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  CommitPlan plan;
  if (!readPlan(env, arguments, &plan)) return Napi::Value();
  return outcomeObject(env, runCommit(plan, *opening_), path_);
}

void FileObject::commit(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  CommitPlan plan;
  if (!readPlan(env, arguments, &plan)) return;
  const Napi::Function callback = arguments.function("callback");
  if (arguments.bad()) return;
  auto operation = std::make_unique<Operation>();
  operation->opening = opening_;
  operation->callback = Napi::Persistent(callback);
  operation->job = std::make_shared<CommitJob>(std::move(plan));
  const std::shared_ptr<CommitJob> job = operation->job;
  const uint64_t number = begin(env, std::move(operation));
  const napi_threadsafe_function reports = addon_->reports;
  const Status status = opening_->commits.post([reports, number, job, opening = opening_.get()] {
    job->run(*opening);
    report(reports, Report{number, false, true, Status{}});
  });
  if (!status.ok()) {
    end(env, number);
    return throwStatus(env, status, path_);
  }
  job_ = job;
}

Napi::Value FileObject::waitCommit(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (job_ == nullptr) {
    Napi::Error::New(env, "addon: no commit was started").ThrowAsJavaScriptException();
    return Napi::Value();
  }
  return outcomeObject(env, job_->wait(), path_);
}

void FileObject::close(const Napi::CallbackInfo& info) {
  if (opening_ == nullptr) return;
  // Detached first: from then on JavaScript can't reach the memory. A job under way keeps its own share of it.
  for (Window& window : windows_) {
    napi_detach_arraybuffer(info.Env(), window.buffer.Value());
    window.lease->reset();
  }
  windows_.clear();
  opening_->end();
}

// Reports --------------------------------------------------------------------------------------------------------------

/** Errors of operations name no path: the file may be closed by now. */
const char* const kNoPath = "";

void onReport(napi_env rawEnv, napi_value, void*, void* raw) {
  const std::unique_ptr<Report> what(static_cast<Report*>(raw));
  // The environment ends: nobody listens.
  if (rawEnv == nullptr) return;
  const Napi::Env env(rawEnv);
  const Napi::HandleScope scope(env);
  Addon& addon = addonOf(env);
  const auto found = addon.operations.find(what->operation);
  if (found == addon.operations.end()) return;
  Operation& operation = *found->second;
  if (what->claimable) {
    if (!operation.opening->writer.claim(operation.wait)) return;
    // The thread reports the end, too; the caller need not wait for it.
    operation.delivered = true;
    operation.callback.Call({env.Undefined(), Napi::Boolean::New(env, true)});
    return;
  }
  // Ended before the callback, which may begin another operation.
  const std::unique_ptr<Operation> ended = std::move(found->second);
  end(env, what->operation);
  if (ended->delivered) return;
  if (ended->job != nullptr) {
    ended->callback.Call({outcomeObject(env, ended->job->wait(), kNoPath)});
    return;
  }
  const Napi::Value error = what->status.ok() ? env.Undefined() : statusError(env, what->status, kNoPath);
  ended->callback.Call({error, Napi::Boolean::New(env, what->granted)});
}

/** Runs when no more JavaScript will: before the memory of the environment goes. */
void onEnvironmentEnd(void* raw) {
  Addon& addon = *static_cast<Addon*>(raw);
  // Joins every thread: a commit is bounded by the disk, a wait ends at once.
  for (FileObject* const file : addon.files) file->abandon();
  addon.files.clear();
  addon.operations.clear();
  napi_release_threadsafe_function(addon.reports, napi_tsfn_abort);
}

// Functions of the addon -----------------------------------------------------------------------------------------------

void initialize(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const Napi::Function systemError = arguments.function("SystemError");
  const Napi::Function storeError = arguments.function("StoreError");
  if (arguments.bad()) return;
  Addon& addon = addonOf(info.Env());
  addon.systemError = Napi::Persistent(systemError);
  addon.storeError = Napi::Persistent(storeError);
}

Napi::Value openFile(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  std::string path = arguments.path("path");
  const bool mustWrite = arguments.flag("mustWrite");
  const bool followLinks = arguments.flag("followLinks");
  const Napi::Value bytes = arguments.value();
  LockBytes locks;
  if (bytes.IsArray()) {
    const Napi::Array array = bytes.As<Napi::Array>();
    uint64_t* const fields[] = {&locks.writer, &locks.flush, &locks.waiting};
    for (uint32_t i = 0; i < 3; i++) {
      const Napi::Value value = array.Get(i);
      if (!value.IsNumber()) arguments.refuse("lockBytes", "three numbers");
      else *fields[i] = value.As<Napi::Number>().Uint32Value();
    }
  }
  if (arguments.bad()) return Napi::Value();
  platform::File file;
  bool writable = true;
  Status status = platform::openFile(path.c_str(), platform::Access::readWrite, followLinks, &file);
  // Even a reader opens for writing where it may: on overlayfs a file opened for reading stays what it was before its
  // first writer came.
  if (!mustWrite && platform::isWriteRefused(status)) {
    writable = false;
    status = platform::openFile(path.c_str(), platform::Access::read, followLinks, &file);
  }
  if (!status.ok()) {
    throwStatus(env, status, path);
    return Napi::Value();
  }
  return FileObject::make(env, std::move(file), writable, locks, std::move(path));
}

Napi::Value createNamed(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  std::string path = arguments.path("path");
  const unsigned mode = arguments.word("mode");
  if (arguments.bad()) return Napi::Value();
  platform::File file;
  const Status status = platform::createFile(path.c_str(), mode, &file);
  if (!status.ok()) {
    throwStatus(env, status, path);
    return Napi::Value();
  }
  return FileObject::make(env, std::move(file), true, LockBytes{}, std::move(path));
}

Napi::Value createUnnamed(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  std::string directory = arguments.path("directory");
  const unsigned mode = arguments.word("mode");
  if (arguments.bad()) return Napi::Value();
  platform::File file;
  const Status status = platform::createUnnamed(directory.c_str(), mode, &file);
  if (platform::isUnsupported(status)) return env.Undefined();
  if (!status.ok()) {
    throwStatus(env, status, directory);
    return Napi::Value();
  }
  return FileObject::make(env, std::move(file), true, LockBytes{}, std::move(directory));
}

/** A function of two paths. */
template <Status (*call)(const char*, const char*)>
void onPaths(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::string from = arguments.path("from");
  const std::string to = arguments.path("to");
  if (arguments.bad()) return;
  const Status status = call(from.c_str(), to.c_str());
  if (!status.ok()) throwStatus(info.Env(), status, to);
}

template <Status (*call)(const char*)>
void onPath(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::string path = arguments.path("path");
  if (arguments.bad()) return;
  const Status status = call(path.c_str());
  if (!status.ok()) throwStatus(info.Env(), status, path);
}

Napi::Value bootId(const Napi::CallbackInfo& info) {
  Napi::Uint8Array id = Napi::Uint8Array::New(info.Env(), 16);
  const Status status = platform::bootId(id.Data());
  if (!status.ok()) throwStatus(info.Env(), status, "");
  return id;
}

template <uint32_t (*checksum)(const void*, size_t, uint32_t)>
Napi::Value checksumOf(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const Napi::Uint8Array bytes = arguments.bytes("bytes");
  const uint64_t from = arguments.integer("from");
  const uint64_t to = arguments.integer("to");
  const uint32_t seed = arguments.word("seed");
  if (!arguments.bad() && (from > to || to > bytes.ByteLength())) arguments.refuse("from and to", "inside the bytes");
  if (arguments.bad()) return Napi::Value();
  return Napi::Number::New(info.Env(), checksum(bytes.Data() + from, to - from, seed));
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  Addon* const addon = new Addon();
  env.SetInstanceData(addon);
  addon->fileClass = Napi::Persistent(FileObject::define(env));

  const napi_value name = Napi::String::New(env, "foliodb");
  napi_status status = napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, nullptr,
                                                       onReport, &addon->reports);
  // It keeps the event loop alive only while an operation is under way.
  if (status == napi_ok) status = napi_unref_threadsafe_function(env, addon->reports);
  // Hooks run last in, first out: threads must end before the function they call does, so this one is added after it.
  if (status == napi_ok) status = napi_add_env_cleanup_hook(env, onEnvironmentEnd, addon);
  if (status != napi_ok) {
    Napi::Error::New(env, "addon: no thread-safe function").ThrowAsJavaScriptException();
    return exports;
  }

  exports.Set("initialize", Napi::Function::New<initialize>(env, "initialize"));
  exports.Set("openFile", Napi::Function::New<openFile>(env, "openFile"));
  exports.Set("createNamed", Napi::Function::New<createNamed>(env, "createNamed"));
  exports.Set("createUnnamed", Napi::Function::New<createUnnamed>(env, "createUnnamed"));
  exports.Set("linkName", Napi::Function::New<onPaths<platform::linkName>>(env, "linkName"));
  exports.Set("renameOver", Napi::Function::New<onPaths<platform::renameOver>>(env, "renameOver"));
  exports.Set("renameNoReplace", Napi::Function::New<onPaths<platform::renameNoReplace>>(env, "renameNoReplace"));
  exports.Set("removeName", Napi::Function::New<onPath<platform::removeName>>(env, "removeName"));
  exports.Set("flushDirectory", Napi::Function::New<onPath<platform::flushDirectory>>(env, "flushDirectory"));
  exports.Set("bootId", Napi::Function::New<bootId>(env, "bootId"));
  exports.Set("crc32c", Napi::Function::New<checksumOf<crc32c>>(env, "crc32c"));
  exports.Set("crc32cByTable", Napi::Function::New<checksumOf<crc32cByTable>>(env, "crc32cByTable"));
  exports.Set("crc32cIsAccelerated", crc32cIsAccelerated());
  return exports;
}

}  // namespace

NODE_API_MODULE(foliodb, initialise)

}  // namespace foliodb
