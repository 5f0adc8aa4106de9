// Names of sections. A name is a file "foliodb.NAME" in the folder of POSIX shared memory (/dev/shm; on macOS, whose shared
// memory objects can't be locked, the user's own temporary folder). It begins with a record; memory follows it in the same
// file, a named file is found by the path in the record.
//
// Whoever uses the name has an opening of the record with a shared lock on its byte 0 (a lock of the open file description,
// so that the kernel ends it with its holder, however that ends). Rules, and what would go wrong without them:
//
// 1. A record gets its name when it is complete and locked: nobody ever finds half a record, or one without a user.
// 2. A user is: has locked the record shared, and found *afterwards* that the name still means it. Before the lock was had,
//    the last user may have removed the name, and another may have made a new one.
// 3. Only who has locked a record exclusively, and found that the name still means it, removes the name. So no name is removed
//    that has a user, and none that means another record by now.
// 4. Who leaves gives up the shared lock first and only then tries for the exclusive one: of two that leave at the same time
//    the second succeeds. (Turning one lock into the other, each would be refused for the other's sake.) An opener that comes
//    in between finds nobody, as if it had come a moment later.
// 5. A record that nobody has locked is left over by processes that were killed: as if it did not exist.
//
// process.exit() runs no finalizers: what names the process uses is noted here, and they are left when it ends.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

#include "section_posix.h"

namespace foliodb::platform {
namespace {

/** Waiting for a process that is removing a name: microseconds of work, unless it is stopped in the middle. */
constexpr int kJoinAttemptsMax = 20000;
constexpr useconds_t kJoinPauseMicroseconds = 250;

constexpr char kMagic[16] = "foliodb section";
constexpr uint32_t kRecordVersion = 1;
constexpr size_t kRecordPathMax = 4096;

/** As it lies in the file; only processes of this machine read it. */
struct RawRecord {
  char magic[16];
  uint32_t version;
  uint32_t backing;
  uint32_t protection;
  uint32_t pathLength;
  uint64_t size;
  uint64_t device;
  uint64_t inode;
  char path[kRecordPathMax];
};
static_assert(sizeof(RawRecord) <= kRecordSpace);

Status nameFolder(std::string* folder) {
#if defined(__APPLE__)
  char path[1024];
  const size_t length = ::confstr(_CS_DARWIN_USER_TEMP_DIR, path, sizeof path);
  if (length == 0 || length > sizeof path) return fail("confstr");
  *folder = path;
#else
  *folder = "/dev/shm/";
#endif
  return Status{};
}

/** Paths of the names this process uses, by descriptor. Never destroyed: threads may still be at work when the process ends. */
struct Uses {
  std::mutex mutex;
  std::map<int, std::string> paths;
};

Uses& uses() {
  static Uses* const all = new Uses();
  return *all;
}

bool isSame(const std::string& path, const File& file) {
  FileStat named, open;
  return statPath(path.c_str(), &named).ok() && statFile(file, &open).ok() && named.device == open.device &&
         named.inode == open.inode;
}

/** Rule 4. Whatever fails here: closing the descriptor ends the use, and the next opener removes the name. */
void leavePath(const std::string& path, const File& use) {
  bool granted = false;
  if (!unlock(use, 0, 1).ok() || !lock(use, 0, 1, LockMode::exclusive, &granted).ok() || !granted) return;
  if (isSame(path, use)) removeName(path.c_str());
}

void leaveAll() {
  const std::lock_guard<std::mutex> hold(uses().mutex);
  for (const auto& [number, path] : uses().paths) {
    const File use(number);
    leavePath(path, use);
  }
  uses().paths.clear();
}

void noteUse(const std::string& path, const File& use) {
  static const int registered = std::atexit(leaveAll);
  (void)registered;
  const std::lock_guard<std::mutex> hold(uses().mutex);
  uses().paths[descriptor(use)] = path;
}

bool readRecord(const File& file, NameRecord* record) {
  RawRecord raw;
  size_t got = 0;
  if (!readAt(file, 0, &raw, sizeof raw, &got).ok() || got != sizeof raw) return false;
  if (std::memcmp(raw.magic, kMagic, sizeof kMagic) != 0 || raw.version != kRecordVersion) return false;
  if (raw.size == 0 || raw.size > INT64_MAX - kRecordSpace) return false;
  if (raw.pathLength > kRecordPathMax || raw.backing > static_cast<uint32_t>(Backing::memory) ||
      raw.protection > static_cast<uint32_t>(Protection::writecopy)) {
    return false;
  }
  FileStat stat;
  const bool isMemory = raw.backing == static_cast<uint32_t>(Backing::memory);
  if (isMemory && (!statFile(file, &stat).ok() || stat.size < kRecordSpace + raw.size)) return false;
  record->backing = static_cast<Backing>(raw.backing);
  record->protection = static_cast<Protection>(raw.protection);
  record->size = raw.size;
  record->device = raw.device;
  record->inode = raw.inode;
  record->path.assign(raw.path, raw.pathLength);
  return true;
}

/** One look at a name. `again`: somebody is just removing it. */
Outcome tryToJoin(const std::string& path, File* use, NameRecord* record, bool* again) {
  File file;
  Status status = openFile(path.c_str(), Access::readWrite, false, &file);
  const bool mayWrite = status.ok();
  // Another user's, for reading.
  if (isWriteRefused(status)) status = openFile(path.c_str(), Access::read, false, &file);
  if (status.number == ENOENT) return Outcome{};
  // A symbolic link, a folder, a socket.
  const bool isNoFile = status.number == ELOOP || status.number == EISDIR || status.number == ENXIO;
  if (isNoFile || (status.ok() && !readRecord(file, record))) return refused(Refusal::foreignName, path);
  if (!status.ok()) return Outcome{status, Refusal::none, path};

  int64_t holder = -1;
  status = lockedByOther(file, 0, 1, LockMode::exclusive, &holder);
  if (!status.ok()) return outcome(status);
  bool granted = false;
  if (holder != -1) {
    status = lock(file, 0, 1, LockMode::shared, &granted);
    if (!status.ok()) return outcome(status);
    if (granted && isSame(path, file)) *use = std::move(file);
    else *again = true;
    return Outcome{};
  }
  // Rule 5. A name that we may only read is another user's to remove: for us it does not exist.
  if (!mayWrite) return Outcome{};
  status = lock(file, 0, 1, LockMode::exclusive, &granted);
  if (!status.ok()) return outcome(status);
  if (granted && isSame(path, file)) status = removeName(path.c_str());
  *again = true;
  return outcome(status);
}

/** A record's file before it has its name: without any where the system allows it, else under one that nobody knows. */
struct Unpublished {
  File file;
  std::string path;
};

Status createUnpublished(const std::string& folder, unsigned mode, Unpublished* made) {
  Status status = createUnnamed(folder.c_str(), mode, &made->file);
  if (!isUnsupported(status)) return status;
  std::string digits;
  status = randomHex(&digits);
  if (!status.ok()) return status;
  made->path = folder + "foliodb-new." + digits;
  return createFile(made->path.c_str(), mode, &made->file);
}

Status writeRecord(const File& file, const NameRecord& record) {
  if (record.path.size() > kRecordPathMax) return Status{ENAMETOOLONG, "open"};
  RawRecord raw = {};
  std::memcpy(raw.magic, kMagic, sizeof kMagic);
  raw.version = kRecordVersion;
  raw.backing = static_cast<uint32_t>(record.backing);
  raw.protection = static_cast<uint32_t>(record.protection);
  raw.pathLength = static_cast<uint32_t>(record.path.size());
  raw.size = record.size;
  raw.device = record.device;
  raw.inode = record.inode;
  std::memcpy(raw.path, record.path.data(), record.path.size());
  const Status status = setSize(file, kRecordSpace + (record.backing == Backing::memory ? record.size : 0));
  return status.ok() ? writeAt(file, 0, &raw, sizeof raw) : status;
}

}  // namespace

Outcome joinName(const std::string& name, File* use, NameRecord* record) {
  std::string path;
  const Status status = nameFolder(&path);
  if (!status.ok()) return outcome(status);
  path += "foliodb." + name;
  for (int i = 0; i < kJoinAttemptsMax; i++) {
    bool again = false;
    const Outcome joined = tryToJoin(path, use, record, &again);
    if (use->isOpen()) noteUse(path, *use);
    if (!joined.ok() || !again) return joined;
    if (i > 2) ::usleep(kJoinPauseMicroseconds);
  }
  return outcome(failure(Fault::timedOut, "fcntl"));
}

Outcome makeName(const std::string& name, unsigned mode, const NameRecord& record, File* use, bool* taken) {
  *taken = false;
  std::string folder;
  Status status = nameFolder(&folder);
  if (!status.ok()) return outcome(status);
  const std::string path = folder + "foliodb." + name;
  Unpublished made;
  status = createUnpublished(folder, mode, &made);
  if (!status.ok()) return outcome(status);
  status = writeRecord(made.file, record);
  bool granted = false;
  if (status.ok()) status = lock(made.file, 0, 1, LockMode::shared, &granted);
  // Rule 1: complete, locked, and only now named.
  if (status.ok()) {
    status = made.path.empty() ? linkUnnamed(made.file, path.c_str()) : renameNoReplace(made.path.c_str(), path.c_str());
  }
  if (status.ok()) {
    *use = std::move(made.file);
    noteUse(path, *use);
    return Outcome{};
  }
  if (!made.path.empty()) removeName(made.path.c_str());
  if (!isExisting(status)) return outcome(status);
  // Taken by one who lives, or left over by a user whose names we may not remove: nobody else could ever have it then.
  File other;
  int64_t holder = -1;
  const bool isForeign = openFile(path.c_str(), Access::readWrite, false, &other).number == EACCES;
  if (isForeign && (!openFile(path.c_str(), Access::read, false, &other).ok() ||
                    !lockedByOther(other, 0, 1, LockMode::exclusive, &holder).ok() || holder == -1)) {
    return outcome(Status{EACCES, "link"});
  }
  *taken = true;
  return Outcome{};
}

void leaveName(const File& use) {
  std::string path;
  {
    const std::lock_guard<std::mutex> hold(uses().mutex);
    const auto found = uses().paths.find(descriptor(use));
    if (found == uses().paths.end()) return;
    path = std::move(found->second);
    uses().paths.erase(found);
  }
  leavePath(path, use);
}

Outcome openNamed(const NameRecord& record, const File& use, bool forWrite, File* file) {
  if (record.backing == Backing::memory) return outcome(openAgain(use, File(), forWrite, file));
  const Status status = openFile(record.path.c_str(), forWrite ? Access::readWrite : Access::read, true, file);
  if (status.number == ENOENT) return refused(Refusal::movedFile, record.path);
  FileStat stat;
  if (!status.ok()) return outcome(status);
  const Status found = statFile(*file, &stat);
  if (!found.ok()) return outcome(found);
  return stat.device == record.device && stat.inode == record.inode ? Outcome{} : refused(Refusal::movedFile, record.path);
}

void rejoinName(const SectionTraits& traits, const File& file, File* use) {
  if (traits.name.empty()) return;
  File joined;
  NameRecord record;
  FileStat stat, named;
  if (!joinName(traits.name, &joined, &record).ok() || !joined.isOpen()) return;
  bool same = statFile(file, &stat).ok() && statFile(joined, &named).ok();
  if (same && record.backing == Backing::memory) same = stat.device == named.device && stat.inode == named.inode;
  else if (same) same = stat.device == record.device && stat.inode == record.inode;
  // A name that means something else by now is given back as it was found.
  if (same) *use = std::move(joined);
  else leaveName(joined);
}

}  // namespace foliodb::platform
