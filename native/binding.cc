// The addon as JavaScript sees it: src/mapping/addon.ts describes every function here. Only the files named binding* know
// N-API. They check every argument before they go on (an offset outside a mapped window is an exception, never a crash),
// turn a Status into an exception, and carry what threads report to the event loop. This one has the functions of the
// addon and its beginning and end in an environment; binding_file* has the File.
//
// Lifetimes. An Opening belongs to its FileObject; close(), garbage collection and the end of the environment all lead to
// Opening::end(), which joins its threads. An Operation (a wait or a commit under way) belongs to the Addon. Mapped memory
// is shared by the Opening, the job that uses it, and its ArrayBuffer until that one is detached or collected: whichever
// ends last unmaps it.
#include <napi.h>

#include <string>
#include <utility>

#include "binding_addon.h"
#include "binding_arguments.h"
#include "binding_file.h"
#include "binding_operation.h"
#include "binding_section.h"
#include "crc32c.h"
#include "opening.h"
#include "platform.h"

namespace foliodb {

namespace {

using platform::Status;

/** Runs when no more JavaScript will: before the memory of the environment goes. */
void onEnvironmentEnd(void* raw) {
  Addon& addon = *static_cast<Addon*>(raw);
  // Joins every thread: a commit is bounded by the disk, every wait ends at once.
  for (FileObject* const file : addon.files) file->abandon();
  addon.files.clear();
  addon.operations.clear();
  addon.handings.clear();
  endSections(addon);
  napi_release_threadsafe_function(addon.reports, napi_tsfn_abort);
}

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
  const std::string path = arguments.path("path");
  const unsigned mode = arguments.word("mode");
  if (arguments.bad()) return Napi::Value();
  platform::File file;
  const Status status = platform::createFile(path.c_str(), mode, &file);
  if (!status.ok()) {
    throwStatus(env, status, path);
    return Napi::Value();
  }
  const Napi::Value made = FileObject::make(env, std::move(file), true, LockBytes{}, path);
  // The caller has nothing to undo when there is an exception.
  if (made.IsEmpty()) platform::removeName(path.c_str());
  return made;
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
  const Elements<uint8_t> bytes = arguments.bytes("bytes");
  const uint64_t from = arguments.integer("from");
  const uint64_t to = arguments.integer("to");
  const uint32_t seed = arguments.word("seed");
  if (!arguments.bad() && (from > to || to > bytes.length)) arguments.refuse("from and to", "inside the bytes");
  if (arguments.bad()) return Napi::Value();
  return Napi::Number::New(info.Env(), checksum(bytes.data + from, to - from, seed));
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

  defineSections(env, exports);
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
