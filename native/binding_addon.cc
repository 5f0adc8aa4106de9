#include "binding_addon.h"

#include "binding_operation.h"

namespace foliodb {

using platform::Status;

// Here, where an Operation is complete.
Addon::Addon() = default;
Addon::~Addon() = default;

Addon& addonOf(Napi::Env env) { return *env.GetInstanceData<Addon>(); }

Napi::Value statusError(Napi::Env env, const Status& status, const std::string& path) {
  const Napi::Value named = path.empty() ? env.Undefined() : Napi::String::New(env, path);
  return addonOf(env).systemError.New(
      {Napi::String::New(env, platform::errorName(status.number)), Napi::Number::New(env, status.number),
       Napi::String::New(env, status.call), named, Napi::String::New(env, platform::errorText(status.number))});
}

namespace {

void throwValue(Napi::Env env, Napi::Value error) {
  // An exception may be pending already if making the error failed; that one goes on.
  if (!env.IsExceptionPending()) napi_throw(env, error);
}

}  // namespace

void throwStatus(Napi::Env env, const Status& status, const std::string& path) {
  throwValue(env, statusError(env, status, path));
}

void throwStoreError(Napi::Env env, const char* code, const char* message) {
  throwValue(env, addonOf(env).storeError.New({Napi::String::New(env, code), Napi::String::New(env, message)}));
}

}  // namespace foliodb
