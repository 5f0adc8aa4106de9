// Waits and commits under way, and how their threads tell the event loop. An operation lives on JavaScript's thread and
// is named by a number in what threads report, so that a late report finds nothing instead of something freed.
#pragma once

#include <napi.h>

#include <memory>

#include "commit.h"
#include "fair_lock.h"
#include "opening.h"
#include "platform.h"

namespace foliodb {

/** A wait or a commit under way. */
struct Operation {
  std::shared_ptr<Opening> opening;
  Napi::FunctionReference callback;
  /** Of a commit. */
  std::shared_ptr<CommitJob> job;
  /** Of a wait. */
  LockWait wait;
  bool delivered = false;
};

/** In place of an operation's number: a hand-over of a section has ended, and nothing waits for it. */
constexpr uint64_t kHandingEnded = 0;

/** What a thread tells the event loop. */
struct Report {
  uint64_t operation = 0;
  /** There is a grant to claim; otherwise the operation has ended. */
  bool claimable = false;
  bool granted = false;
  platform::Status status;
};

/** Gives an operation a number and keeps the event loop alive for it. */
uint64_t beginOperation(Napi::Env env, std::unique_ptr<Operation> operation);
void endOperation(Napi::Env env, uint64_t number);

/** From any thread. Fails only while the environment ends, when nobody listens. */
void report(napi_threadsafe_function reports, const Report& what);
/** The thread-safe function's side of `report`: on JavaScript's thread, in a turn of the event loop. */
void onReport(napi_env rawEnv, napi_value, void*, void* raw);

}  // namespace foliodb
