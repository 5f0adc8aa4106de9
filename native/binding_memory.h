// Mapped memory as ArrayBuffers.
#pragma once

#include <napi.h>

#include <memory>

namespace foliodb {

/** The ArrayBuffer's share of its memory. Emptied when the buffer is detached. */
using Lease = std::shared_ptr<std::shared_ptr<void>>;

/** An ArrayBuffer over mapped memory; empty, with an exception pending, if Node allows none. */
Napi::Value makeArrayBuffer(Napi::Env env, void* base, size_t length, const Lease& lease);

}  // namespace foliodb
