// Views of sections: their memory as an ArrayBuffer, flushing, advice.
#include <string>
#include <utility>

#include "binding_addon.h"
#include "binding_memory.h"
#include "binding_section.h"

namespace foliodb {

using platform::Status;

namespace {

/**
 * What the collector is told a view weighs. Mapped memory is not counted, so without this a program that forgets its views
 * would reach the system's limit of mappings (65,530 on Linux) long before anything is collected.
 */
constexpr int64_t kViewWeight = 16 * 1024;

/** A flush on a thread of the pool, like fs.fdatasync. */
class FlushWork final : public Napi::AsyncWorker {
 public:
  FlushWork(const Napi::Function& callback, std::shared_ptr<SectionView> view, size_t at, size_t length, bool durable,
            std::string path)
      : Napi::AsyncWorker(callback, "foliodb.flush"),
        view_(std::move(view)),
        at_(at),
        length_(length),
        durable_(durable),
        path_(std::move(path)) {
    view_->beginUse();
  }
  // On JavaScript's thread, like the constructor, and whether the work was done or not.
  ~FlushWork() override { view_->endUse(); }

 protected:
  void Execute() override {
    status_ = platform::flushSection(view_->pages(at_, length_), durable_);
    faults_ = view_->faults();
  }
  void OnOK() override {
    const Napi::Env env = Env();
    // What faulted before the flush was done is told, too: the view may be closed by now.
    const Napi::Value error = status_.ok() ? env.Undefined() : statusError(env, status_, path_);
    Callback().Call({error, Napi::Number::New(env, faults_)});
  }

 private:
  const std::shared_ptr<SectionView> view_;
  const size_t at_;
  const size_t length_;
  const bool durable_;
  const std::string path_;
  Status status_;
  int32_t faults_ = 0;
};

/**
 * A detached ArrayBuffer is not the end of its memory: a thread of Node's that was told to store into it does so by an address.
 * For that thread Node keeps the JavaScript object alive (fs.read), or V8's backing store (crypto.randomFill), so the view has
 * to outlive both. The backing store has a lease of its own; this is the object's.
 */
void keepWhileAlive(Napi::Env env, napi_value buffer, const std::shared_ptr<SectionView>& view) {
  using Share = std::shared_ptr<SectionView>;
  auto* const share = new Share(view);
  const auto onCollected = [](napi_env, void* data, void*) { delete static_cast<Share*>(data); };
  if (napi_add_finalizer(env, buffer, share, onCollected, nullptr, nullptr) != napi_ok) delete share;
}

}  // namespace

Napi::Function SectionViewObject::define(Napi::Env env) {
  return DefineClass(env, "SectionView",
                     {
                         InstanceMethod<&SectionViewObject::base>("base"),
                         InstanceMethod<&SectionViewObject::takeBuffer>("takeBuffer"),
                         InstanceMethod<&SectionViewObject::faults>("faults"),
                         InstanceMethod<&SectionViewObject::flush>("flush"),
                         InstanceMethod<&SectionViewObject::flushAsync>("flushAsync"),
                         InstanceMethod<&SectionViewObject::advise>("advise"),
                         InstanceMethod<&SectionViewObject::resident>("resident"),
                         InstanceMethod<&SectionViewObject::close>("close"),
                     });
}

SectionViewObject::SectionViewObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<SectionViewObject>(info) {
  if (!info[0].IsExternal()) {
    Napi::TypeError::New(info.Env(), "addon: views are made by map").ThrowAsJavaScriptException();
    return;
  }
  Adoption* const adoption = info[0].As<Napi::External<Adoption>>().Data();
  view_ = std::move(adoption->view);
  path_ = std::move(adoption->path);
  skip_ = adoption->skip;
  weigh(kViewWeight);
}

SectionViewObject::~SectionViewObject() {
  // Forgotten. An ArrayBuffer that is still in use keeps the memory.
  if (view_ != nullptr) weigh(-kViewWeight);
}

void SectionViewObject::weigh(int64_t change) { Napi::MemoryManagement::AdjustExternalMemory(Env(), change); }

bool SectionViewObject::isOpen(Napi::Env env) const {
  if (view_ != nullptr) return true;
  Napi::Error::New(env, "addon: the view is closed").ThrowAsJavaScriptException();
  return false;
}

bool SectionViewObject::readRange(Napi::Env env, Arguments& arguments, size_t* at, size_t* length) const {
  if (!isOpen(env)) return false;
  const uint64_t from = arguments.integer("at");
  const uint64_t count = arguments.integer("length");
  if (!arguments.bad() && (count == 0 || count > view_->length() || from > view_->length() - count)) {
    arguments.refuse("at and length", "inside the view");
  }
  *at = static_cast<size_t>(from);
  *length = static_cast<size_t>(count);
  return !arguments.bad();
}

Napi::Value SectionViewObject::base(const Napi::CallbackInfo& info) {
  if (!isOpen(info.Env())) return Napi::Value();
  return Napi::BigInt::New(info.Env(), static_cast<uint64_t>(reinterpret_cast<uintptr_t>(view_->base())));
}

Napi::Value SectionViewObject::takeBuffer(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!isOpen(env)) return Napi::Value();
  // A second one over the same memory would end the process.
  if (hasBuffer_) {
    Napi::Error::New(env, "addon: the view has its buffer").ThrowAsJavaScriptException();
    return Napi::Value();
  }
  const Lease ofStore = std::make_shared<std::shared_ptr<void>>(view_);
  const Napi::Value buffer = makeArrayBuffer(env, view_->base() + skip_, view_->length() - skip_, ofStore);
  if (buffer.IsEmpty()) return buffer;
  hasBuffer_ = true;
  keepWhileAlive(env, buffer, view_);
  return buffer;
}

Napi::Value SectionViewObject::faults(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), view_ == nullptr ? 0 : view_->faults());
}

void SectionViewObject::flush(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  size_t at = 0;
  size_t length = 0;
  if (!readRange(info.Env(), arguments, &at, &length)) return;
  const bool durable = arguments.flag("durable");
  if (arguments.bad()) return;
  const Status status = platform::flushSection(view_->pages(at, length), durable);
  if (!status.ok()) throwStatus(info.Env(), status, path_);
}

void SectionViewObject::flushAsync(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  size_t at = 0;
  size_t length = 0;
  if (!readRange(info.Env(), arguments, &at, &length)) return;
  const bool durable = arguments.flag("durable");
  const Napi::Function callback = arguments.function("callback");
  if (arguments.bad()) return;
  // It deletes itself when it is done.
  (new FlushWork(callback, view_, at, length, durable, path_))->Queue();
}

void SectionViewObject::advise(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  size_t at = 0;
  size_t length = 0;
  if (!readRange(info.Env(), arguments, &at, &length)) return;
  const uint64_t advice = arguments.integer("advice", static_cast<double>(platform::Advice::discard));
  if (arguments.bad()) return;
  const Status status = platform::adviseSection(view_->pages(at, length), static_cast<platform::Advice>(advice));
  // Advice that a system doesn't know changes nothing.
  if (!status.ok() && !platform::isUnsupported(status)) throwStatus(info.Env(), status, path_);
}

Napi::Value SectionViewObject::resident(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  size_t at = 0;
  size_t length = 0;
  if (!readRange(env, arguments, &at, &length)) return Napi::Value();
  uint64_t resident = 0;
  uint64_t count = 0;
  const Status status = view_->countResident(at, length, &resident, &count);
  if (!status.ok()) {
    throwStatus(env, status, path_);
    return Napi::Value();
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("residentCount", static_cast<double>(resident));
  result.Set("pageCount", static_cast<double>(count));
  return result;
}

void SectionViewObject::close(const Napi::CallbackInfo& info) {
  if (view_ == nullptr) return;
  if (hasBuffer_) {
    void* start = nullptr;
    size_t length = 0;
    const bool isThere = info[0].IsArrayBuffer() &&
                         napi_get_arraybuffer_info(info.Env(), info[0], &start, &length) == napi_ok &&
                         start == view_->base() + skip_;
    // Detached first: from then on JavaScript can't reach the memory. Where the program has moved it to another ArrayBuffer, it
    // stays as it is until that one is collected.
    if (isThere && napi_detach_arraybuffer(info.Env(), info[0]) == napi_ok) view_->close();
  }
  view_.reset();
  weigh(-kViewWeight);
}

}  // namespace foliodb
