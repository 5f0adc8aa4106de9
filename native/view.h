// A mapped range of a file under the guard's protection, and the word that tells of a fault in it.
#pragma once

#include <algorithm>
#include <array>
#include <memory>

#include "guard.h"
#include "platform.h"

namespace foliodb {

/** Word 0 is nonzero once an access to a view of the file faulted. JavaScript sees it as an Int32Array. */
struct Faults {
  guard::FaultWord word{0};
  /** JavaScript's array is 8 bytes long. */
  int32_t unused = 0;
};

/** Unmapped at the end of its life: whoever may still touch the memory holds a share of it. */
class View {
 public:
  /** What is known of counting the file's pages in memory: `works` once a count was not 0, `useless` once one was wrong. */
  enum class Counting { unknown, works, useless };

  /**
   * Maps `wanted` bytes from `at`, or more, up to `most`, or fewer (platform::viewLength); what lies past the end of the file may
   * be mapped, but touching it is a fault.
   */
  static platform::Status map(const platform::File& file, uint64_t at, size_t wanted, size_t most, bool writable,
                              std::shared_ptr<Faults> faults, std::shared_ptr<View>* view);
  ~View();
  View(const View&) = delete;
  View& operator=(const View&) = delete;

  uint8_t* base() const { return base_; }
  uint64_t at() const { return at_; }
  size_t length() const { return length_; }
  bool writable() const { return writable_; }

  // On JavaScript's thread.
  /** Bytes that the longest ArrayBuffer over it shows. */
  size_t shown = 0;

  // For prepareForStores, there, too.
  Counting counting = Counting::unknown;
  /** A range whose pages were all in memory when they were asked for, and whether asking for more than is wanted pays. */
  size_t knownFrom = 0;
  size_t knownTo = 0;
  bool askMore = true;
  /** Whether the memory page at a byte offset was made ready lately, so that it is in memory unless there is little of it. */
  bool isRecent(size_t at) const { return std::find(recent_.begin(), recent_.end(), at) != recent_.end(); }
  void noteRecent(size_t at) {
    recent_[nextRecent_] = at;
    nextRecent_ = (nextRecent_ + 1) % recent_.size();
  }

 private:
  View() = default;

  uint8_t* base_ = nullptr;
  uint64_t at_ = 0;
  size_t length_ = 0;
  bool writable_ = false;
  int guardSlot_ = -1;
  std::shared_ptr<Faults> faults_;
  /** Small commits take the same few pages again and again. No page lies at an offset that is odd. */
  std::array<size_t, 64> recent_ = filledWith(1);
  size_t nextRecent_ = 0;

  static std::array<size_t, 64> filledWith(size_t value) {
    std::array<size_t, 64> all;
    all.fill(value);
    return all;
  }
};

/**
 * Makes [at, at + length) of a writable view ready for stores. Pages whose content is not in memory are overwritten
 * with zeros first, for a store would read them from the device; then all are populated, so that a full disk is an error here
 * and no fault later. The old content may be lost. Offsets are multiples of 4 KiB. One of the few functions here that
 * make several system calls: it is on the path of every batch of pages a transaction takes.
 */
platform::Status prepareForStores(const platform::File& file, View& view, size_t at, size_t length);

}  // namespace foliodb
