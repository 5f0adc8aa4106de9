// A file's commits: the coordination file they publish in, their plans, and waiting for them.
#include <algorithm>
#include <utility>

#include "binding_commit.h"
#include "binding_file.h"
#include "binding_operation.h"

namespace foliodb {

using platform::Status;

namespace {

/** Spans with less between them are flushed in one call: to pass over pages that are clean costs less than a call. */
constexpr uint64_t kSpanGap = uint64_t{1} << 20;

/** Puts spans in order, and makes one of those that lie close together. */
void mergeSpans(std::vector<Span>* spans) {
  std::sort(spans->begin(), spans->end(), [](const Span& a, const Span& b) { return a.from < b.from; });
  size_t count = 0;
  for (const Span& span : *spans) {
    if (count > 0 && span.from <= (*spans)[count - 1].to + kSpanGap) {
      (*spans)[count - 1].to = std::max((*spans)[count - 1].to, span.to);
    } else {
      (*spans)[count++] = span;
    }
  }
  spans->resize(count);
}

/** Both copies of a meta record. */
Span spanOf(double at, double copyAt, size_t length) {
  const uint64_t from = static_cast<uint64_t>(at);
  return Span{from, from + static_cast<uint64_t>(copyAt) + length};
}

}  // namespace

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
    if (platform::viewsNeedFlush()) plan->firstFlush.push_back(Span{runs[i] * bytes, runs[i] * bytes + length});
  }

  const double copyAt = number("metaCopyAt");
  if (!readRecord(arguments, number("metaAt"), copyAt, object.Get("meta"), &plan->meta)) return false;
  plan->secondFlush.push_back(spanOf(number("metaAt"), copyAt, plan->meta.bytes.size()));
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
    plan->firstFlush.push_back(spanOf(offset, copyAt, record.bytes.size()));
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
  mergeSpans(&plan->firstFlush);
  plan->views = opening_->takeViews();
  plan->shared = opening_->shared;
  return true;
}

Napi::Value FileObject::commitSync(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  CommitPlan plan;
  if (!readPlan(env, arguments, &plan)) return Napi::Value();
  return outcomeValue(env, runCommit(plan, *opening_), path_);
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
  const uint64_t number = beginOperation(env, std::move(operation));
  const napi_threadsafe_function reports = addon_->reports;
  const Status status = opening_->commits.post([reports, number, job, opening = opening_.get()] {
    job->run(*opening);
    report(reports, Report{number, false, true, Status{}});
  });
  if (!status.ok()) {
    endOperation(env, number);
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
  return outcomeValue(env, job_->wait(), path_);
}

}  // namespace foliodb
