// A file's mapped windows.
#include <utility>

#include "binding_file.h"
#include "view.h"

namespace foliodb {

using platform::Status;

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

}  // namespace foliodb
