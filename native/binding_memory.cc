#include "binding_memory.h"

#include "binding_addon.h"

namespace foliodb {

Napi::Value makeArrayBuffer(Napi::Env env, void* base, size_t length, const Lease& lease) {
  Lease* const hint = new Lease(lease);
  const auto finalize = [](napi_env, void*, void* raw) { delete static_cast<Lease*>(raw); };
  napi_value buffer = nullptr;
  const napi_status status = napi_create_external_arraybuffer(env, base, length, finalize, hint, &buffer);
  if (status == napi_ok) return Napi::Value(env, buffer);
  delete hint;
  if (status == napi_no_external_buffers_allowed) {
    throwStoreError(env, "ADDON",
                    "this host of JavaScript (such as Electron) refuses ArrayBuffers over mapped memory, so no file can be "
                    "opened: use foliodb in a process of Node.js itself");
  } else {
    throwStatus(env, platform::failure(platform::Fault::noMemory, "arraybuffer"), "");
  }
  return Napi::Value();
}

}  // namespace foliodb
