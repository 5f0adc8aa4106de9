// A file's commits: the coordination file they publish in, their plans, and waiting for them.
#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "binding_commit.h"
#include "binding_file.h"
#include "binding_operation.h"

namespace foliodb {

using platform::Status;

namespace {

constexpr double kPageSizeMax = 65536;
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
Span spanOf(uint64_t at, uint64_t copyAt, size_t length) { return Span{at, at + copyAt + length}; }

/** A meta record that is to be stored again. */
struct Rewrite {
  uint64_t at = 0;
  Napi::Value record;
};

std::vector<Rewrite> readRewrites(Arguments& arguments) {
  const Napi::Value value = arguments.value();
  std::vector<Rewrite> rewrites;
  uint32_t count = 0;
  if (napi_get_array_length(value.Env(), value, &count) != napi_ok) arguments.refuse("rewrites", "an array");
  for (uint32_t i = 0; i < count && !arguments.bad(); i++) {
    const Napi::Value element = value.As<Napi::Array>().Get(i);
    if (element.IsObject()) {
      const Napi::Object rewrite = element.As<Napi::Object>();
      const uint64_t at = arguments.integerOf(rewrite.Get("at"), "at");
      rewrites.push_back(Rewrite{at, rewrite.Get("record")});
    } else {
      arguments.refuse("a rewrite", "an object");
    }
  }
  return rewrites;
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

bool FileObject::readRecord(Arguments& arguments, uint64_t at, uint64_t copyAt, const Napi::Value& bytes,
                            CommitPlan::Record* record) {
  const Elements<uint8_t> source = arguments.bytesOf(bytes, "record");
  if (arguments.bad()) return false;
  if (source.length > 0 && source.length <= copyAt) {
    record->first = opening_->span(at, source.length);
    record->copy = opening_->span(at + copyAt, source.length);
  }
  if (record->first == nullptr || record->copy == nullptr) {
    arguments.refuse("a meta record", "inside the windows mapped for writing, and its copy behind it");
    return false;
  }
  record->bytes.assign(source.data, source.data + source.length);
  return true;
}

bool FileObject::readPlan(Napi::Env env, Arguments& arguments, CommitPlan* plan) {
  const uint64_t pageSize = arguments.integer("pageSize", kPageSizeMax);
  const Napi::Value runsValue = arguments.value();
  plan->checksumSeed = arguments.word("checksumSeed");
  const uint64_t metaAt = arguments.integer("metaAt");
  const Napi::Value meta = arguments.value();
  const uint64_t copyAt = arguments.integer("metaCopyAt", static_cast<double>(kWindowSizeMax));
  const std::vector<Rewrite> rewrites = readRewrites(arguments);
  plan->publishIndex = static_cast<int32_t>(arguments.integer("publishIndex", INT32_MAX));
  plan->unlockWriter = arguments.flag("unlockWriter");
  // From here on no JavaScript runs: a getter of a rewrite's could close the file, or take memory away.
  if (arguments.bad() || !isOpen(env)) return false;
  if (job_ != nullptr && !job_->isDone()) {
    arguments.refuse("a commit", "the only one under way");
    return false;
  }
  if (opening_->shared.view == nullptr) {
    arguments.refuse("file", "attached to its coordination file");
    return false;
  }

  const Elements<uint32_t> runs = arguments.wordsOf(runsValue, "runs");
  if (pageSize < kBlockSize || runs.length % 2 != 0) arguments.refuse("runs", "pairs, of pages of 4 KiB at least");
  if (arguments.bad()) return false;
  plan->runs.reserve(runs.length / 2);
  for (size_t i = 0; i < runs.length; i += 2) {
    const uint64_t from = runs.data[i] * pageSize;
    const uint64_t length = runs.data[i + 1] * pageSize;
    uint8_t* const at = opening_->span(from, length);
    if (at == nullptr || length == 0) {
      arguments.refuse("a run", "inside one window mapped for writing");
      return false;
    }
    plan->runs.push_back(CommitPlan::Run{at, static_cast<size_t>(length)});
    if (platform::viewsNeedFlush()) plan->firstFlush.push_back(Span{from, from + length});
  }

  if (!readRecord(arguments, metaAt, copyAt, meta, &plan->meta)) return false;
  plan->secondFlush.push_back(spanOf(metaAt, copyAt, plan->meta.bytes.size()));
  for (const Rewrite& rewrite : rewrites) {
    CommitPlan::Record record;
    if (!readRecord(arguments, rewrite.at, copyAt, rewrite.record, &record)) return false;
    plan->firstFlush.push_back(spanOf(rewrite.at, copyAt, record.bytes.size()));
    plan->rewrites.push_back(std::move(record));
  }
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
  const Napi::Function callback = arguments.function("callback");
  CommitPlan plan;
  if (!readPlan(env, arguments, &plan)) return;
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
