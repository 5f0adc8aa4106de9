#include "binding_operation.h"

#include "binding_addon.h"
#include "binding_commit.h"
#include "binding_section.h"

namespace foliodb {

namespace {

/** Errors of operations name no path: the file may be closed by now. */
const char* const kNoPath = "";

}  // namespace

uint64_t beginOperation(Napi::Env env, std::unique_ptr<Operation> operation) {
  Addon& addon = addonOf(env);
  if (addon.operations.empty()) napi_ref_threadsafe_function(env, addon.reports);
  const uint64_t number = ++addon.operationLast;
  addon.operations.emplace(number, std::move(operation));
  return number;
}

void endOperation(Napi::Env env, uint64_t number) {
  Addon& addon = addonOf(env);
  if (addon.operations.erase(number) == 0) return;
  if (addon.operations.empty()) napi_unref_threadsafe_function(env, addon.reports);
}

void report(napi_threadsafe_function reports, const Report& what) {
  Report* const sent = new Report(what);
  if (napi_call_threadsafe_function(reports, sent, napi_tsfn_nonblocking) != napi_ok) delete sent;
}

void onReport(napi_env rawEnv, napi_value, void*, void* raw) {
  const std::unique_ptr<Report> what(static_cast<Report*>(raw));
  // The environment ends: nobody listens.
  if (rawEnv == nullptr) return;
  const Napi::Env env(rawEnv);
  const Napi::HandleScope scope(env);
  Addon& addon = addonOf(env);
  if (what->operation == kHandingEnded) return endHandings(addon);
  const auto found = addon.operations.find(what->operation);
  if (found == addon.operations.end()) return;
  Operation& operation = *found->second;
  if (what->claimable) {
    if (!operation.opening->writer.claim(operation.wait)) return;
    // The thread reports the end, too; the caller need not wait for it.
    operation.delivered = true;
    operation.callback.Call({env.Undefined(), Napi::Boolean::New(env, true)});
    return;
  }
  // Ended before the callback, which may begin another operation.
  const std::unique_ptr<Operation> ended = std::move(found->second);
  endOperation(env, what->operation);
  if (ended->delivered) return;
  if (ended->job != nullptr) {
    ended->callback.Call({outcomeValue(env, ended->job->wait(), kNoPath)});
    return;
  }
  const Napi::Value error = what->status.ok() ? env.Undefined() : statusError(env, what->status, kNoPath);
  ended->callback.Call({error, Napi::Boolean::New(env, what->granted)});
}

}  // namespace foliodb
