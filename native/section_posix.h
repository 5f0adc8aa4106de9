// What the POSIX files of sections share.
#pragma once

#include <string>

#include "platform_posix.h"
#include "section.h"

namespace foliodb::platform {

inline Outcome refused(Refusal refusal, const std::string& path = {}) { return Outcome{Status{}, refusal, path}; }
inline Outcome outcome(const Status& status) { return Outcome{status, Refusal::none}; }

/**
 * Opens once more what a descriptor has open, with an offset, locks and an access mode of its own. `reader` is where systems
 * without /proc find the file for reading: an opening made beforehand, or not open.
 */
Status openAgain(const File& file, const File& reader, bool forWrite, File* again);

/** What a name says of its section. */
struct NameRecord {
  Backing backing = Backing::memory;
  Protection protection = Protection::readonly;
  uint64_t size = 0;
  /** Of the file; memory lies behind the record itself. */
  uint64_t device = 0;
  uint64_t inode = 0;
  std::string path;
};

/** Where memory begins behind its record: a multiple of every system's memory page. */
constexpr uint64_t kRecordSpace = 65536;

/** Becomes a user of a name. `use` stays closed if there is no such name, or nobody alive who uses it. */
Outcome joinName(const std::string& name, File* use, NameRecord* record);
/**
 * Makes a name with its record, and becomes its first user. `taken` is set, and nothing made, if somebody was faster. For memory
 * the file of the record is as long as record and memory.
 */
Outcome makeName(const std::string& name, unsigned mode, const NameRecord& record, File* use, bool* taken);
/** Ends the use, before the opening is closed; the last user of all removes the name. */
void leaveName(const File& use);
/** Opens what the user of a name found there. */
Outcome openNamed(const NameRecord& record, const File& use, bool forWrite, File* file);
/** For a section that came from another process: becomes a user of its name if that still means this file. */
void rejoinName(const SectionTraits& traits, const File& file, File* use);

}  // namespace foliodb::platform
