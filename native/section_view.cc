#include "section_view.h"

#include <algorithm>
#include <atomic>
#include <utility>

namespace foliodb {

using platform::Outcome;
using platform::Status;

Outcome SectionView::map(std::shared_ptr<const platform::Section> section, uint64_t at, size_t length,
                         platform::ViewAccess access, void* wanted, std::shared_ptr<guard::FaultWord> mappingFaults,
                         std::shared_ptr<SectionView>* view) {
  void* base = nullptr;
  const Outcome mapped = platform::mapSection(*section, at, length, access, wanted, &base);
  if (!mapped.ok()) return mapped;
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

/** Retired views that the guard goes on watching. Its table is for more, but views come and go by the ten thousand. */
constexpr int kRetiredMax = 4096;
std::atomic<int> retiredCount{0};

bool SectionView::retire() {
  if (!platform::retireSection(range_.base, range_.length)) return false;
  const int before = guardSlot_;
  guardSlot_ = -1;
  // Watched anew before it is no longer watched as a view: a thread that still stores there must not end the process.
  if (retiredCount.fetch_add(1) < kRetiredMax && !guard::add(range_.base, range_.length, &faults_.view, &guardSlot_).ok()) {
    guardSlot_ = -1;
  }
  retired_ = true;
  if (before >= 0) guard::remove(before);
  section_.reset();
  return true;
}

SectionView::~SectionView() {
  if (retired_) retiredCount.fetch_sub(1);
  if (guardSlot_ >= 0) guard::remove(guardSlot_);
  // Fails only for addresses that were never mapped.
  if (range_.base != nullptr) platform::unmapSection(range_.base, range_.length);
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
