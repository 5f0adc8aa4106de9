// Sections on Linux and macOS: a descriptor of a file, of a temporary file without a name, or of memory (memfd; on macOS a POSIX
// shared memory object whose name is removed at once). section_posix_names.cc has the names of sections,
// section_posix_handing.cc the ways to other processes, section_posix_views.cc the views.
#include "section_posix.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "created_file.h"

#if defined(__APPLE__)
#include <sys/random.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#endif

namespace foliodb::platform {
namespace {

/** How often opening and creating by turns is tried while others remove and create. */
constexpr int kOpenAttemptsMax = 100;

#if defined(__linux__)
constexpr unsigned kMemfdCloseOnExec = 1;
constexpr unsigned kMemfdAllowSealing = 2;
constexpr int kAddSeals = 1033;
constexpr int kSealSealShrinkGrow = 1 | 2 | 4;
#endif

Status createNew(const SectionRequest& request, File* file, CreatedFile* created) {
  const Status status = createFile(request.path.c_str(), request.mode, file);
  if (status.ok()) created->note(request.path, *file);
  return status;
}

Status openOrCreate(const SectionRequest& request, File* file, CreatedFile* created) {
  const char* const path = request.path.c_str();
  const Access access = request.protection == Protection::readwrite ? Access::readWrite : Access::read;
  if (request.disposition == Disposition::open) return openFile(path, access, true, file);
  if (request.disposition == Disposition::create) return createNew(request, file, created);
  Status status;
  for (int i = 0; i < kOpenAttemptsMax; i++) {
    status = openFile(path, access, true, file);
    if (status.number != ENOENT) return status;
    status = createNew(request, file, created);
    if (!isExisting(status)) return status;
  }
  return status;
}

/** Where a process locks a file while it makes it longer by ftruncate, which would shorten what another has just lengthened. */
constexpr uint64_t kGrowthLock = uint64_t{1} << 34;
constexpr int kGrowthAttemptsMax = 5000;
constexpr useconds_t kGrowthPauseMicroseconds = 1000;

/** Makes a file at least `size` long, and never shorter, whoever else is lengthening it. */
Status grow(const File& file, uint64_t size) {
#if defined(__linux__)
  // One byte at the end: the rest stays a hole, as ftruncate would leave it.
  const Status status = check(
      retry([&] { return ::fallocate(descriptor(file), 0, static_cast<off_t>(size - 1), 1); }), "fallocate");
  if (!isUnsupported(status)) return status;
#endif
  bool granted = false;
  for (int i = 0; i < kGrowthAttemptsMax && !granted; i++) {
    const Status locked = lock(file, kGrowthLock, 1, LockMode::exclusive, &granted);
    if (!locked.ok()) return locked;
    if (!granted) ::usleep(kGrowthPauseMicroseconds);
  }
  if (!granted) return failure(Fault::timedOut, "fcntl");
  FileStat stat;
  Status result = statFile(file, &stat);
  if (result.ok() && stat.size < size) result = setSize(file, size);
  const Status unlocked = unlock(file, kGrowthLock, 1);
  return result.ok() ? unlocked : result;
}

Outcome openBackingFile(const SectionRequest& request, Section* section, CreatedFile* created) {
  Status status = openOrCreate(request, &section->file, created);
  FileStat stat;
  if (status.ok()) status = statFile(section->file, &stat);
  if (!status.ok()) return outcome(status);
  if (stat.kind != Kind::regular) {
    return outcome(failure(stat.kind == Kind::directory ? Fault::isDirectory : Fault::invalid, "open"));
  }
  section->traits.size = request.size == 0 ? stat.size : request.size;
  if (section->traits.size == 0) return refused(Refusal::emptyFile);
  if (section->traits.size <= stat.size) return Outcome{};
  if (request.protection != Protection::readwrite) return refused(Refusal::notGrowable);
  // A growth that fails leaves the file as long as it was.
  status = grow(section->file, section->traits.size);
  if (status.ok()) created->grew(section->traits.size);
  return outcome(status);
}

Status openTemporary(const std::string& folder, unsigned mode, File* file) {
  Status status = createUnnamed(folder.c_str(), mode, file);
  if (!isUnsupported(status)) return status;
  std::string digits;
  status = randomHex(&digits);
  if (!status.ok()) return status;
  const std::string path = folder + "/foliodb-" + digits;
  status = createFile(path.c_str(), mode, file);
  return status.ok() ? removeName(path.c_str()) : status;
}

Status openMemory(Section* section) {
#if defined(__linux__)
  const unsigned flags = kMemfdCloseOnExec | kMemfdAllowSealing;
  Status status = opened(static_cast<int>(::syscall(SYS_memfd_create, "foliodb", flags)), "memfd_create", &section->file);
  // It begins as 0777: another user who was handed it for reading could open it anew for writing.
  if (status.ok()) status = check(::fchmod(descriptor(section->file), 0600), "fchmod");
  if (status.ok()) status = setSize(section->file, section->traits.size);
  // Fixed from here on, as a section of Windows is: nobody can take the memory from under a view. Not vital.
  if (status.ok()) ::fcntl(descriptor(section->file), kAddSeals, kSealSealShrinkGrow);
  return status;
#else
  std::string digits;
  Status status = randomHex(&digits);
  if (!status.ok()) return status;
  // At most 31 characters.
  const std::string name = "/foliodb-" + digits.substr(0, 20);
  status = opened(::shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600), "shm_open", &section->file);
  if (!status.ok()) return status;
  status = opened(::shm_open(name.c_str(), O_RDONLY, 0600), "shm_open", &section->reader);
  ::shm_unlink(name.c_str());
  if (status.ok()) status = check(::fcntl(descriptor(section->file), F_SETFD, FD_CLOEXEC), "fcntl");
  if (status.ok()) status = check(::fcntl(descriptor(section->reader), F_SETFD, FD_CLOEXEC), "fcntl");
  return status.ok() ? setSize(section->file, section->traits.size) : status;
#endif
}

/** A section as the request wants it, without a name. */
Outcome makeBacking(const SectionRequest& request, Section* section, CreatedFile* created) {
  if (request.backing == Backing::file) return openBackingFile(request, section, created);
  if (request.backing == Backing::memory) return outcome(openMemory(section));
  const Status status = openTemporary(request.path, request.mode, &section->file);
  return status.ok() ? outcome(setSize(section->file, request.size)) : outcome(status);
}

/** A descriptor for reading in place of one for writing, if that is all the section may. */
Status narrow(Section* section) {
  if (section->traits.protection == Protection::readwrite || section->traits.backing == Backing::file) return Status{};
  File narrowed;
  const Status status = openAgain(section->file, section->reader, false, &narrowed);
  if (status.ok()) section->file = std::move(narrowed);
  return status;
}

/** Of a name that was there. `protection` is what was asked for. */
Outcome openExisting(const std::string& name, bool machineWide, const NameRecord& record, Protection protection, File use,
                     Section* section) {
  section->traits = SectionTraits{record.backing, record.size, protection, record.path, name, machineWide,
                                  record.backing == Backing::memory ? kRecordSpace : 0};
  section->nameUse = std::move(use);
  const bool forWrite = protection == Protection::readwrite;
  if (forWrite && record.protection != Protection::readwrite) return outcome(Status{EACCES, "open"});
  return openNamed(record, section->nameUse, forWrite, &section->file);
}

/** Gives a section that has none its name; `taken` if somebody else was faster. */
Outcome giveName(const SectionRequest& request, Section* section, bool* taken) {
  NameRecord record;
  record.backing = request.backing;
  record.protection = request.protection;
  record.size = section->traits.size;
  if (request.backing == Backing::file) {
    FileStat stat;
    const Status status = statFile(section->file, &stat);
    if (!status.ok()) return outcome(status);
    record.device = stat.device;
    record.inode = stat.inode;
    record.path = request.path;
  }
  // Its owner has to open it for writing, now and to remove it when all its users have been killed.
  Outcome made = makeName(request.name, request.mode | S_IRUSR | S_IWUSR, record, &section->nameUse, taken);
  if (!made.ok() || *taken || request.backing == Backing::file) return made;
  section->traits.start = kRecordSpace;
  return openNamed(record, section->nameUse, request.protection == Protection::readwrite, &section->file);
}

}  // namespace

Section::~Section() {
  if (nameUse.isOpen()) leaveName(nameUse);
}

Status randomHex(std::string* digits) {
  unsigned char bytes[16];
  if (::getentropy(bytes, sizeof bytes) == -1) return fail("getentropy");
  char text[33];
  for (size_t i = 0; i < sizeof bytes; i++) std::snprintf(text + 2 * i, 3, "%02x", bytes[i]);
  *digits = text;
  return Status{};
}

Status openAgain(const File& file, const File& reader, bool forWrite, File* again) {
#if defined(__linux__)
  (void)reader;
  char path[64];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor(file));
  return openFile(path, forWrite ? Access::readWrite : Access::read, true, again);
#else
  if (!forWrite && reader.isOpen()) {
    return opened(::fcntl(descriptor(reader), F_DUPFD_CLOEXEC, 0), "fcntl", again);
  }
  // The path of an open file; what it names now must still be that file.
  char path[1024];
  if (::fcntl(descriptor(file), F_GETPATH, path) == -1) return fail("fcntl");
  const Status status = openFile(path, forWrite ? Access::readWrite : Access::read, true, again);
  if (!status.ok()) return status;
  FileStat was, is;
  if (!statFile(file, &was).ok() || !statFile(*again, &is).ok() || was.device != is.device || was.inode != is.inode) {
    again->close();
    return Status{ESTALE, "open"};
  }
  return status;
#endif
}

Outcome createSection(const SectionRequest& request, Section* section, bool* existed) {
  *existed = false;
  // Gone again if this fails, or if somebody else was faster with the name: then that one's file is the mapping's.
  CreatedFile created;
  for (int i = 0; i < kOpenAttemptsMax; i++) {
    if (!request.name.empty()) {
      File use;
      NameRecord record;
      const Outcome joined = joinName(request.name, &use, &record);
      if (!joined.ok()) return joined;
      if (use.isOpen()) {
        *existed = true;
        if (created.is(record.device, record.inode)) created.keep();
        created.remove();
        return openExisting(request.name, request.machineWide, record, request.protection, std::move(use), section);
      }
    }
    section->traits = SectionTraits{request.backing, request.size, request.protection, request.path, "", false, 0};
    if (request.backing == Backing::memory && !request.name.empty()) {
      section->traits.path.clear();
    } else if (!section->file.isOpen()) {
      const Outcome made = makeBacking(request, section, &created);
      if (!made.ok()) return made;
    }
    if (request.name.empty()) {
      created.keep();
      return outcome(narrow(section));
    }
    bool taken = false;
    const Outcome named = giveName(request, section, &taken);
    if (!named.ok()) return named;
    if (!taken) {
      created.keep();
      section->traits.name = request.name;
      section->traits.machineWide = request.machineWide;
      return Outcome{};
    }
  }
  return outcome(failure(Fault::timedOut, "link"));
}

Outcome openSection(const std::string& name, bool machineWide, bool forWrite, Section* section) {
  File use;
  NameRecord record;
  const Outcome joined = joinName(name, &use, &record);
  if (!joined.ok()) return joined;
  if (!use.isOpen()) return refused(Refusal::noSuchName);
  const Protection protection = forWrite ? Protection::readwrite : Protection::readonly;
  return openExisting(name, machineWide, record, protection, std::move(use), section);
}

}  // namespace foliodb::platform
