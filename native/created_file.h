// A file that a call has just made, and takes back if it fails in the end.
#pragma once

#include <cstdint>
#include <string>

#include "platform.h"

namespace foliodb {

/**
 * Removes the file at the end of its life, unless `keep` was called. It stays, too, if its path leads to another file by now,
 * or if it has another length than the call gave it: then somebody else is at work with it. Who has only opened it in the
 * meantime keeps a file without a name, as if it had come a moment later and the file had been removed under it.
 */
class CreatedFile {
 public:
  CreatedFile() = default;
  ~CreatedFile() { remove(); }
  CreatedFile(const CreatedFile&) = delete;
  CreatedFile& operator=(const CreatedFile&) = delete;

  /** `file` was made under `path` just now, and is empty. */
  void note(const std::string& path, const platform::File& file);
  /** The call has made it longer. */
  void grew(uint64_t size) { stat_.size = size; }
  bool is(uint64_t device, uint64_t inode) const;
  void keep() { path_.clear(); }
  /** Now, before the opening is closed and the system may give its number to another file. */
  void remove();

 private:
  /** Empty: there is nothing to remove. */
  std::string path_;
  platform::FileStat stat_;
};

}  // namespace foliodb
