#include "binding_commit.h"

#include "binding_addon.h"

namespace foliodb {

namespace {

const char* stepName(CommitStep step) {
  switch (step) {
    case CommitStep::none: return "";
    case CommitStep::flushLock: return "flush lock";
    case CommitStep::faultBeforeFlush1: return "fault before flush 1";
    case CommitStep::flush1: return "flush 1";
    case CommitStep::faultBeforeMeta: return "fault before meta";
    case CommitStep::flush2: return "flush 2";
    case CommitStep::faultAfterFlush2: return "fault after flush 2";
  }
  return "";
}

}  // namespace

Napi::Value outcomeValue(Napi::Env env, const CommitOutcome& outcome, const std::string& path) {
  // An object costs more than all else of a small commit on this side.
  if (outcome.failed == CommitStep::none) return env.Null();
  Napi::Object object = Napi::Object::New(env);
  object.Set("result", "failed");
  object.Set("step", stepName(outcome.failed));
  object.Set("poisoned", outcome.poisoned);
  object.Set("cause", outcome.cause.ok() ? env.Undefined() : statusError(env, outcome.cause, path));
  return object;
}

}  // namespace foliodb
