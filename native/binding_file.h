// The File of src/mapping/addon.ts: one opening of a file, as JavaScript holds it.
#pragma once

#include <napi.h>

#include <memory>
#include <string>
#include <vector>

#include "binding_addon.h"
#include "binding_arguments.h"
#include "binding_memory.h"
#include "commit.h"
#include "opening.h"
#include "platform.h"

namespace foliodb {

/** Bytes of a window at the most: an external ArrayBuffer over 4 GiB aborts Node 20, and offsets under 2^31 stay small integers. */
constexpr uint64_t kWindowSizeMax = uint64_t{1} << 30;
/** What `prepare` and `map` count in. */
constexpr uint64_t kBlockSize = 4096;

class FileObject : public Napi::ObjectWrap<FileObject> {
 public:
  static Napi::Function define(Napi::Env env);
  /** A File over an opened descriptor. */
  static Napi::Value make(Napi::Env env, platform::File file, bool writable, const LockBytes& locks, std::string path);

  explicit FileObject(const Napi::CallbackInfo& info);
  ~FileObject() override;

  const std::shared_ptr<Opening>& opening() const { return opening_; }
  const std::string& path() const { return path_; }
  /** The environment ends: threads stop, and the addon is no longer to be told of this file. */
  void abandon() {
    if (opening_ != nullptr) opening_->end();
    addon_ = nullptr;
  }

 private:
  struct Adoption {
    std::shared_ptr<Opening> opening;
    std::string path;
  };
  struct Window {
    Napi::ObjectReference buffer;
    Lease lease;
  };

  Napi::Value getWritable(const Napi::CallbackInfo& info);
  Napi::Value getFaults(const Napi::CallbackInfo& info);
  Napi::Value getDevice(const Napi::CallbackInfo& info);
  Napi::Value getInode(const Napi::CallbackInfo& info);
  Napi::Value isNamed(const Napi::CallbackInfo& info);
  Napi::Value size(const Napi::CallbackInfo& info);
  void setSize(const Napi::CallbackInfo& info);
  void allocate(const Napi::CallbackInfo& info);
  Napi::Value read(const Napi::CallbackInfo& info);
  void write(const Napi::CallbackInfo& info);
  void link(const Napi::CallbackInfo& info);
  void flush(const Napi::CallbackInfo& info);
  void dropCache(const Napi::CallbackInfo& info);
  Napi::Value map(const Napi::CallbackInfo& info);
  void prepare(const Napi::CallbackInfo& info);
  Napi::Value lock(const Napi::CallbackInfo& info);
  void unlock(const Napi::CallbackInfo& info);
  void narrowLock(const Napi::CallbackInfo& info);
  Napi::Value lockedByOther(const Napi::CallbackInfo& info);
  Napi::Value waitLock(const Napi::CallbackInfo& info);
  Napi::Value waitLockAsync(const Napi::CallbackInfo& info);
  void cancelWait(const Napi::CallbackInfo& info);
  void attach(const Napi::CallbackInfo& info);
  Napi::Value commitSync(const Napi::CallbackInfo& info);
  void commit(const Napi::CallbackInfo& info);
  Napi::Value waitCommit(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);

  /** False, with an exception pending, once the file is closed. */
  bool isOpen(Napi::Env env) const;
  /** Throws for a status that is not ok. */
  void check(Napi::Env env, const platform::Status& status) const {
    if (!status.ok()) throwStatus(env, status, path_);
  }
  /** Reads the arguments of a NativeCommitPlan. */
  bool readPlan(Napi::Env env, Arguments& arguments, CommitPlan* plan);
  bool readRecord(Arguments& arguments, uint64_t at, uint64_t copyAt, const Napi::Value& bytes,
                  CommitPlan::Record* record);

  Addon* addon_ = nullptr;
  std::shared_ptr<Opening> opening_;
  std::string path_;
  std::vector<Window> windows_;
  Napi::ObjectReference faults_;
  /** The newest commit on the opening's thread. */
  std::shared_ptr<CommitJob> job_;
};

}  // namespace foliodb
