// The addon in one environment, and the errors it throws there.
#pragma once

#include <napi.h>

#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "platform.h"
#include "section.h"

namespace foliodb {

class FileObject;
struct Operation;

/** The addon in one environment (the main thread, or a worker). */
struct Addon {
  Addon();
  ~Addon();

  Napi::FunctionReference systemError;
  Napi::FunctionReference storeError;
  Napi::FunctionReference fileClass;
  Napi::FunctionReference sectionClass;
  Napi::FunctionReference sectionViewClass;
  /** Sections of this environment, some of them gone. */
  std::vector<std::weak_ptr<platform::Section>> sections;
  /** Sections on their way to other processes, until the event loop is told that they are over, or the environment ends. */
  std::vector<std::unique_ptr<platform::Handing>> handings;
  napi_threadsafe_function reports = nullptr;
  uint64_t operationLast = 0;
  std::unordered_map<uint64_t, std::unique_ptr<Operation>> operations;
  std::unordered_set<FileObject*> files;
};

Addon& addonOf(Napi::Env env);

/** The SystemError for a status that is not ok. An empty path is left out. */
Napi::Value statusError(Napi::Env env, const platform::Status& status, const std::string& path);
void throwStatus(Napi::Env env, const platform::Status& status, const std::string& path);
void throwStoreError(Napi::Env env, const char* code, const char* message);

}  // namespace foliodb
