// A file's mapped windows.
#include <algorithm>
#include <utility>

#include "binding_file.h"
#include "view.h"

namespace foliodb {

using platform::Status;

Napi::Value FileObject::map(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  const uint64_t index = arguments.word("index");
  const uint64_t windowSize = arguments.integer("windowSize", static_cast<double>(kWindowSizeMax));
  const bool writable = arguments.flag("writable");
  const uint64_t length = arguments.integer("length", static_cast<double>(kWindowSizeMax));
  const bool whole = index == 0 && length == windowSize;
  if (!arguments.bad() && (length == 0 || length > windowSize)) arguments.refuse("length", "1 to the window size");
  if (!arguments.bad() && !whole && (windowSize | length) % platform::memoryPageSize() != 0) {
    arguments.refuse("windowSize and length", "multiples of the memory page size");
  }
  if (arguments.bad() || !isOpen(env)) return Napi::Value();
  Opening& opening = *opening_;
  if (opening.windowSize != 0 && opening.windowSize != windowSize) arguments.refuse("windowSize", "that of the other windows");
  const std::shared_ptr<View> before = index < opening.windows.size() ? opening.windows[index] : nullptr;
  if (before != nullptr && before->shown >= length) arguments.refuse("length", "greater than that of the ArrayBuffer there is");
  if (arguments.bad()) return Napi::Value();

  // Almost always the view goes on behind what is shown of it, and what was populated stays so.
  std::shared_ptr<View> view = before;
  const bool maps = before == nullptr || before->length() < length || before->writable() != writable;
  if (maps) {
    const Status status =
        View::map(opening.file, index * windowSize, length, windowSize, writable, opening.faults, &view);
    if (!status.ok()) {
      throwStatus(env, status, path_);
      return Napi::Value();
    }
  }
  const size_t shown = std::min<size_t>(length, view->length());
  const Lease lease = std::make_shared<std::shared_ptr<void>>(view);
  const Napi::Value buffer = makeArrayBuffer(env, view->base(), shown, lease);
  if (buffer.IsEmpty()) return buffer;
  view->shown = shown;
  if (opening.windows.size() <= index) opening.windows.resize(index + 1);
  // The shorter ArrayBuffer that was there goes on until the file is closed: somebody may be reading it.
  if (maps && platform::viewsNeedFlush() && before != nullptr) opening.superseded.push_back(before);
  opening.windows[index] = std::move(view);
  opening.windowSize = windowSize;
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
  const uint64_t end = opening.windows[index]->shown;
  if (at % kBlockSize != 0 || length % kBlockSize != 0 || length == 0 || length > end || at > end - length) {
    return arguments.refuse("at and length", "whole blocks inside the window");
  }
  check(info.Env(), prepareForStores(opening.file, *opening.windows[index], at, length));
}

}  // namespace foliodb
