// A file's making, content and end.
#include "binding_file.h"

#include <utility>

namespace foliodb {

using platform::Status;

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
                         InstanceMethod<&FileObject::narrowLock>("narrowLock"),
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
  const Elements<uint8_t> target = arguments.bytes("target");
  if (arguments.bad() || !isOpen(env)) return Napi::Value();
  size_t got = 0;
  check(env, platform::readAt(opening_->file, at, target.data, target.length, &got));
  return Napi::Number::New(env, static_cast<double>(got));
}

void FileObject::write(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const uint64_t at = arguments.integer("at");
  const Elements<uint8_t> source = arguments.bytes("source");
  if (arguments.bad() || !isOpen(info.Env())) return;
  check(info.Env(), platform::writeAt(opening_->file, at, source.data, source.length));
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
  check(info.Env(), opening_->flush(opening_->takeViews(), {Span{}}, platform::Flush::durable));
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

}  // namespace foliodb
