// A view of a section: mapped, under the guard, and unmapped at the end of its life, with a share of the section.
#pragma once

#include <memory>

#include "section.h"

namespace foliodb {

class SectionView {
 public:
  /** Arguments as for platform::mapSection. */
  static platform::Outcome map(std::shared_ptr<const platform::Section> section, uint64_t at, size_t length,
                               platform::ViewAccess access, void* wanted, std::shared_ptr<guard::FaultWord> mappingFaults,
                               std::shared_ptr<SectionView>* view);
  ~SectionView();
  // These three on JavaScript's thread.
  /** A flush on another thread begins and ends; until then the view stays as it is, closed or not. */
  void beginUse() { useCount_++; }
  void endUse() {
    if (--useCount_ == 0 && closed_) retire();
  }
  /**
   * JavaScript can't reach the memory any more: lets go of it and of the section. The addresses stay taken until the end of
   * this object's life, except on Windows.
   */
  void close() {
    closed_ = true;
    if (useCount_ == 0) retire();
  }
  SectionView(const SectionView&) = delete;
  SectionView& operator=(const SectionView&) = delete;

  uint8_t* base() const { return static_cast<uint8_t*>(range_.base); }
  size_t length() const { return range_.length; }
  /** What has faulted so far: kFaultLost and kFaultStore, which stay; and kFaultCutOff if that is so now. Not of a retired one. */
  int32_t faults() const { return faults_.view.load() | (platform::isCutOff(range_) ? platform::kFaultCutOff : 0); }
  /** The memory pages that bytes [at, at + length) of the view lie in. */
  platform::ViewRange pages(size_t at, size_t length) const;
  /** How many of these pages are in memory, of how many. */
  platform::Status countResident(size_t at, size_t length, uint64_t* resident, uint64_t* count) const;

 private:
  SectionView() = default;
  void retire();

  std::shared_ptr<const platform::Section> section_;
  platform::ViewRange range_;
  platform::ViewFaults faults_;
  int guardSlot_ = -1;
  int useCount_ = 0;
  bool closed_ = false;
};

}  // namespace foliodb
