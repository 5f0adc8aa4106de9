// The arguments of a call from JavaScript, checked one after the other.
#pragma once

#include <napi.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <string>

#include "fair_lock.h"

namespace foliodb {

constexpr double kSafeIntegerMax = 9007199254740991.0;
/** Milliseconds of a wait without a limit: three years, so that a deadline in nanoseconds is in range. */
constexpr double kTimeoutMax = 1e11;

/** What a typed array shows. To be used at once: JavaScript that runs may take the memory away. */
template <typename T>
struct Elements {
  T* data = nullptr;
  size_t length = 0;
};

/** Reads arguments one after the other. After the first that does not fit, an exception is pending and `bad` is true. */
class Arguments {
 public:
  explicit Arguments(const Napi::CallbackInfo& info) : info_(info), env_(info.Env()) {}

  bool bad() const { return bad_; }

  uint64_t integer(const char* name, double max = kSafeIntegerMax) { return integerOf(info_[next_++], name, max); }

  uint64_t integerOf(const Napi::Value& value, const char* name, double max = kSafeIntegerMax) {
    // Fails for what is no number, which IsNumber would only ask a second time: this is on the path of every batch of
    // pages that a transaction takes.
    double number = -1;
    const bool isNumber = napi_get_value_double(env_, value, &number) == napi_ok;
    if (!isNumber || !(number >= 0 && number <= max) || number != std::floor(number)) {
      refuse(name, "an integer in range");
      return 0;
    }
    return static_cast<uint64_t>(number);
  }

  /** A size or an offset: an integer, or a bigint of 64 bits. */
  uint64_t wide(const char* name) {
    const Napi::Value value = info_[next_];
    if (!value.IsBigInt()) return integer(name);
    next_++;
    bool lossless = false;
    const uint64_t number = value.As<Napi::BigInt>().Uint64Value(&lossless);
    if (lossless) return number;
    refuse(name, "an integer in range");
    return 0;
  }

  uint32_t word(const char* name) { return static_cast<uint32_t>(integer(name, 4294967295.0)); }

  bool flag(const char* name) {
    bool isSet = false;
    if (napi_get_value_bool(env_, info_[next_++], &isSet) != napi_ok) refuse(name, "a boolean");
    return isSet;
  }

  std::string path(const char* name) {
    const Napi::Value value = info_[next_++];
    std::string text = value.IsString() ? value.As<Napi::String>().Utf8Value() : std::string();
    if (text.empty() || text.find('\0') != std::string::npos) refuse(name, "a path without NUL");
    return text;
  }

  /** May be empty. */
  std::string text(const char* name) {
    const Napi::Value value = info_[next_++];
    if (value.IsString()) return value.As<Napi::String>().Utf8Value();
    refuse(name, "a string");
    return std::string();
  }

  Elements<uint8_t> bytes(const char* name) { return bytesOf(info_[next_++], name); }

  Elements<uint8_t> bytesOf(const Napi::Value& value, const char* name) {
    return elementsOf<uint8_t>(value, napi_uint8_array, name, "a Uint8Array");
  }

  Elements<uint32_t> wordsOf(const Napi::Value& value, const char* name) {
    return elementsOf<uint32_t>(value, napi_uint32_array, name, "a Uint32Array");
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
    // Pending already where a getter threw.
    if (!bad_ && !env_.IsExceptionPending()) {
      Napi::TypeError::New(env_, std::string("addon: ") + name + " must be " + expected).ThrowAsJavaScriptException();
    }
    bad_ = true;
  }

 private:
  template <typename T>
  Elements<T> elementsOf(const Napi::Value& value, napi_typedarray_type type, const char* name, const char* expected) {
    // One call, which fails for what is no typed array; IsTypedArray and Napi::TypedArrayOf make three.
    napi_typedarray_type actual = napi_int8_array;
    size_t length = 0;
    void* data = nullptr;
    napi_value buffer = nullptr;
    const napi_status status = napi_get_typedarray_info(env_, value, &actual, &length, &data, &buffer, nullptr);
    // What has been transferred away looks empty.
    bool isDetached = false;
    if (length == 0 && status == napi_ok) napi_is_detached_arraybuffer(env_, buffer, &isDetached);
    if (status == napi_ok && actual == type && !isDetached) return Elements<T>{static_cast<T*>(data), length};
    refuse(name, expected);
    return Elements<T>{};
  }

  const Napi::CallbackInfo& info_;
  const Napi::Env env_;
  size_t next_ = 0;
  bool bad_ = false;
};

}  // namespace foliodb
