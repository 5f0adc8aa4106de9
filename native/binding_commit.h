// How a commit ended, as JavaScript sees it.
#pragma once

#include <napi.h>

#include <string>

#include "commit.h"

namespace foliodb {

/** A NativeCommitOutcome of src/mapping/addon.ts. */
Napi::Value outcomeValue(Napi::Env env, const CommitOutcome& outcome, const std::string& path);

}  // namespace foliodb
