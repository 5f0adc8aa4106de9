#include "view.h"

#include <algorithm>

namespace foliodb {

using platform::Status;

Status View::map(const platform::File& file, uint64_t at, size_t wanted, size_t most, bool writable,
                 std::shared_ptr<Faults> faults, std::shared_ptr<View>* view) {
  void* base = nullptr;
  size_t length = 0;
  Status status = platform::viewLength(file, at, wanted, most, &length);
  if (status.ok()) status = platform::mapView(file, at, length, writable, &base);
  if (!status.ok() && length > wanted) {
    // So many addresses in a row are not to be had.
    length = wanted;
    status = platform::mapView(file, at, length, writable, &base);
  }
  if (!status.ok()) return status;
  // From here on the destructor unmaps.
  std::shared_ptr<View> made(new View());
  made->base_ = static_cast<uint8_t*>(base);
  made->at_ = at;
  made->length_ = length;
  made->writable_ = writable;
  made->faults_ = std::move(faults);
  status = guard::add(base, length, &made->faults_->word, &made->guardSlot_);
  if (status.ok()) *view = std::move(made);
  return status;
}

View::~View() {
  if (guardSlot_ >= 0) guard::remove(guardSlot_);
  // Fails only for addresses that were never mapped.
  if (base_ != nullptr) platform::unmapView(base_, length_);
}

namespace {

/**
 * Linux keeps what one write brings as one large page of its cache, and a store through a mapping makes all of that dirty:
 * a later commit of one page would write the whole of it. Small transactions therefore write page by page; to the large,
 * where that would cost more than all else, two at once are a compromise. (A commit of four scattered pages took 146 us in
 * pages of 4 KiB, 231 in those of 16, 257 in those of 64; making a page of a bulk load ready and flushing it 9.9 us, 4.9 and
 * 3.3. In those of 8 in place of 16, one put into 1,000,000 entries writes 48 KiB in place of 71 and takes 4 % less, and
 * 100,000 puts at once take 7 % more.)
 */
constexpr size_t kZerosSize = 8 * 1024;
constexpr size_t kPieceSize = 4 * 1024;
constexpr size_t kSmallSize = 16 * kPieceSize;
alignas(4096) const uint8_t kZeros[kZerosSize] = {};

Status writeZeros(const platform::File& file, uint64_t at, size_t length) {
  const size_t size = length <= kSmallSize ? kPieceSize : kZerosSize;
  // Pieces end where their multiples are, for a large page of the cache begins there.
  for (size_t done = 0; done < length;) {
    const size_t piece = std::min(size - static_cast<size_t>((at + done) % size), length - done);
    const Status status = platform::writeAt(file, at + done, kZeros, piece);
    if (!status.ok()) return status;
    done += piece;
  }
  return Status{};
}

/** A write past its end would lengthen a file that somebody has truncated, and hide it. */
Status checkSize(const platform::File& file, uint64_t end) {
  platform::FileStat stat;
  const Status status = platform::statFile(file, &stat);
  if (!status.ok()) return status;
  return stat.size < end ? platform::failure(platform::Fault::io, "prepare") : Status{};
}

/** Memory pages that one call for their residency covers. */
constexpr size_t kResidencyCount = 1024;

/** Asks for each page of [from, to), overwrites those that are not in memory, and counts those that are. */
Status overwriteSome(const platform::File& file, const View& view, size_t from, size_t to, uint64_t* resident) {
  const size_t pageSize = platform::memoryPageSize();
  unsigned char pages[kResidencyCount];
  bool sizeChecked = false;
  // Where memory pages are larger than 4 KiB, the range may begin and end inside one: only the part asked for is written.
  for (size_t start = from - from % pageSize; start < to; start += kResidencyCount * pageSize) {
    const size_t end = std::min(to, start + kResidencyCount * pageSize);
    const size_t count = (end - start + pageSize - 1) / pageSize;
    Status status = platform::residency(view.base() + start, count * pageSize, pages);
    if (!status.ok()) return status;
    for (size_t i = 0; i < count;) {
      if ((pages[i] & 1) != 0) {
        ++*resident;
        i++;
        continue;
      }
      const size_t first = i;
      while (i < count && (pages[i] & 1) == 0) i++;
      if (!sizeChecked) {
        status = checkSize(file, view.at() + to);
        if (!status.ok()) return status;
        sizeChecked = true;
      }
      const size_t runFrom = std::max(from, start + first * pageSize);
      const size_t runTo = std::min(to, start + i * pageSize);
      status = writeZeros(file, view.at() + runFrom, runTo - runFrom);
      if (!status.ok()) return status;
    }
  }
  return Status{};
}

/**
 * Overwrites those pages of [from, to) that are not in memory. Almost always all are (freed a moment ago) or none is (new,
 * or freed long ago), and a count tells both for a third of what asking for each page costs.
 */
Status overwriteAbsent(const platform::File& file, View& view, size_t from, size_t to) {
  using Counting = View::Counting;
  const size_t pageSize = platform::memoryPageSize();
  const uint64_t pageCount = (to - 1) / pageSize - from / pageSize + 1;
  uint64_t counted = 0;
  if (view.counting != Counting::useless) {
    const Status status = platform::residentCount(file, view.at() + from, to - from, &counted);
    if (!status.ok()) view.counting = Counting::useless;
    else if (counted != 0) view.counting = Counting::works;
    if (counted == pageCount) return Status{};
    if (counted == 0 && view.counting == Counting::works) {
      const Status sizeStatus = checkSize(file, view.at() + to);
      return sizeStatus.ok() ? writeZeros(file, view.at() + from, to - from) : sizeStatus;
    }
  }
  uint64_t resident = 0;
  const Status status = overwriteSome(file, view, from, to, &resident);
  // overlayfs counts the pages of its own file, which has none, and maps another's. (Or a page came just now: then this
  // window's pages are asked for one by one, which is slower and nothing else.)
  if (counted == 0 && resident != 0) view.counting = Counting::useless;
  return status;
}

/** Pages of a range that is looked up, and noted, page by page. */
constexpr size_t kRecentCount = 8;

/** Memory pages whose residency is asked for at once, from those wanted on: the next are often wanted soon. */
constexpr size_t kAskedCount = 64;

/**
 * Whether the memory pages of [from, to) are known to be in memory: they were made ready lately, or were among others that
 * all were. A page that has left memory meanwhile is only read in by the populating.
 */
bool isKnown(const platform::File& file, View& view, size_t from, size_t to) {
  const size_t pageSize = platform::memoryPageSize();
  bool recent = true;
  for (size_t page = from; recent && page < to; page += pageSize) recent = view.isRecent(page);
  if (recent || (from >= view.knownFrom && to <= view.knownTo)) return true;
  if (view.counting == View::Counting::useless || !view.askMore) return false;
  const size_t end = std::min(from + kAskedCount * pageSize, view.length());
  uint64_t counted = 0;
  const Status status = platform::residentCount(file, view.at() + from, end - from, &counted);
  view.askMore = status.ok() && counted * pageSize >= end - from;
  if (!view.askMore) return false;
  view.knownFrom = from;
  view.knownTo = end;
  return true;
}

}  // namespace

Status prepareForStores(const platform::File& file, View& view, size_t at, size_t length) {
  const size_t pageSize = platform::memoryPageSize();
  const size_t end = at + length;
  const size_t from = at - at % pageSize;
  const size_t to = (end + pageSize - 1) / pageSize * pageSize;
  // Asking the system costs as much as all else.
  const bool few = to - from <= kRecentCount * pageSize;
  const bool known = few && isKnown(file, view, from, to);
  Status status;
  if (!known) status = overwriteAbsent(file, view, at, end);
  // Where nobody can tell what is in memory, there is no populating either, and all is overwritten below.
  if (!status.ok() && !platform::isUnsupported(status)) return status;
  status = platform::populate(view.base() + from, std::min(to, view.length()) - from);
  if (status.ok()) {
    for (size_t page = from; few && !known && page < to; page += pageSize) view.noteRecent(page);
    return status;
  }
  // Either the kernel has no populating, or it says only that some page could not be had. A write gets the blocks, or
  // tells the reason.
  const bool unsupported = platform::isUnsupported(status);
  status = checkSize(file, view.at() + end);
  if (!status.ok()) return status;
  status = writeZeros(file, view.at() + at, length);
  if (unsupported || platform::isSpaceExhausted(status)) return status;
  return platform::failure(platform::Fault::io, "madvise");
}

}  // namespace foliodb
