#include "section_view.h"

#include <algorithm>
#include <atomic>
#include <utility>

namespace foliodb {

using platform::Outcome;
using platform::Status;

namespace {

/**
 * A process that reaches the system's limit of mappings is ended by V8 as soon as that wants memory, so views are refused before:
 * a quarter is left to all others. The guard may take a part of it (guard_posix.cc).
 */
constexpr uint64_t kMappingShareOfFour = 3;
/** Mappings of the process when they were counted last, and what has been mapped and unmapped since: each is one more at most. */
std::atomic<uint64_t> mappingCount{0};
std::atomic<uint64_t> mappingChanges{0};

/** Whether one more view may be mapped. Counting takes milliseconds, and is done as seldom as that can be told without. */
bool hasRoom() {
  uint64_t count = 0;
  uint64_t most = 0;
  static const bool isLimited = platform::countMappings(&count, &most).ok();
  if (!isLimited) return true;
  static const uint64_t limit = most / 4 * kMappingShareOfFour;
  if (mappingCount.load() + mappingChanges.load() < limit) return true;
  mappingChanges.store(0);
  if (!platform::countMappings(&count, &most).ok()) return true;
  mappingCount.store(count);
  return count < limit;
}

}  // namespace

Outcome SectionView::map(std::shared_ptr<const platform::Section> section, uint64_t at, size_t length,
                         platform::ViewAccess access, void* wanted, std::shared_ptr<guard::FaultWord> mappingFaults,
                         std::shared_ptr<SectionView>* view) {
  if (!hasRoom()) return Outcome{platform::failure(platform::Fault::noMemory, "mmap")};
  void* base = nullptr;
  const Outcome mapped = platform::mapSection(*section, at, length, access, wanted, &base);
  if (!mapped.ok()) return mapped;
  mappingChanges.fetch_add(1);
  // From here on the destructor unmaps.
  std::shared_ptr<SectionView> made(new SectionView());
  made->section_ = std::move(section);
  made->range_ = platform::ViewRange{made->section_.get(), access, base, at, length};
  made->faults_.mapping = std::move(mappingFaults);
  const Status status = platform::guardSection(made->range_, &made->faults_, &made->guardSlot_);
  if (!status.ok()) return Outcome{status, platform::Refusal::none};
  *view = std::move(made);
  return Outcome{};
}

void SectionView::retire() {
  platform::Retired retired = platform::Retired::takesStores;
  // Where there is no memory for that, the section stays: what is stored late reaches it, as before, and nothing else.
  if (!platform::retireSection(range_.base, range_.length, &retired).ok()) return;
  mappingChanges.fetch_add(1);
  const int before = guardSlot_;
  guardSlot_ = -1;
  // The mapping is not told of what faults from now on.
  if (retired == platform::Retired::faults && !guard::add(range_.base, range_.length, &faults_.view, &guardSlot_).ok()) {
    guardSlot_ = -1;
  }
  // Only now: a thread that still stores there must not end the process.
  if (before >= 0) guard::remove(before);
  if (retired == platform::Retired::unmapped) range_.base = nullptr;
  section_.reset();
}

SectionView::~SectionView() {
  if (guardSlot_ >= 0) guard::remove(guardSlot_);
  if (range_.base == nullptr) return;
  // Fails only for addresses that were never mapped, or if the system is out of mappings: then they stay taken.
  platform::unmapSection(range_.base, range_.length);
  mappingChanges.fetch_add(1);
}

platform::ViewRange SectionView::pages(size_t at, size_t length) const {
  const size_t pageSize = platform::memoryPageSize();
  const size_t from = at - at % pageSize;
  const size_t to = std::min(range_.length, (at + length + pageSize - 1) / pageSize * pageSize);
  platform::ViewRange range = range_;
  range.base = base() + from;
  range.at += from;
  range.length = to - from;
  return range;
}

/** Memory pages that one call for their residency covers. */
constexpr size_t kResidencyCount = 4096;

Status SectionView::countResident(size_t at, size_t length, uint64_t* resident, uint64_t* count) const {
  const size_t pageSize = platform::memoryPageSize();
  const platform::ViewRange range = pages(at, length);
  uint8_t* const base = static_cast<uint8_t*>(range.base);
  *resident = 0;
  *count = (range.length + pageSize - 1) / pageSize;
  unsigned char found[kResidencyCount];
  for (uint64_t done = 0; done < *count; done += kResidencyCount) {
    const size_t part = static_cast<size_t>(std::min<uint64_t>(kResidencyCount, *count - done));
    const Status status = platform::sectionResidency(base + done * pageSize, part * pageSize, found);
    if (!status.ok()) return status;
    *resident += static_cast<uint64_t>(std::count_if(found, found + part, [](unsigned char page) { return page & 1; }));
  }
  return Status{};
}

}  // namespace foliodb
