#include "created_file.h"

namespace foliodb {

void CreatedFile::note(const std::string& path, const platform::File& file) {
  if (platform::statFile(file, &stat_).ok()) path_ = path;
}

bool CreatedFile::is(uint64_t device, uint64_t inode) const {
  return !path_.empty() && stat_.device == device && stat_.inode == inode;
}

void CreatedFile::remove() {
  platform::FileStat found;
  const bool isOurs = !path_.empty() && platform::statPath(path_.c_str(), &found).ok() &&
                      is(found.device, found.inode) && found.size == stat_.size;
  // Whatever fails here: the call has an error of its own to tell.
  if (isOurs) platform::removeName(path_.c_str());
  path_.clear();
}

}  // namespace foliodb
