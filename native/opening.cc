#include "opening.h"

#include <algorithm>
#include <mutex>
#include <unordered_set>

namespace foliodb {

using platform::Status;

namespace {

/**
 * Every opening of the process. Node ends an environment in order when its event loop runs dry and when a worker
 * stops, but not on process.exit() in the main thread: there the C library's exit handlers are the last chance to let
 * a commit come to its end instead of being cut off like a killed process's.
 */
struct Openings {
  std::mutex mutex;
  std::unordered_set<Opening*> all;
};

/** Never destroyed: openings may outlive the destruction of statics. */
Openings& openings() {
  static Openings* const only = [] {
    platform::atProcessEnd([] {
      const std::lock_guard<std::mutex> hold(openings().mutex);
      for (Opening* const opening : openings().all) opening->endThreads();
    });
    return new Openings();
  }();
  return *only;
}

}  // namespace

Opening::Opening(platform::File opened, const platform::FileStat& stat, bool mayWrite, const LockBytes& bytes)
    : file(std::move(opened)),
      identity(stat),
      writable(mayWrite),
      locks(bytes),
      writer(file, bytes.writer, bytes.waiting),
      faults(std::make_shared<Faults>()) {
  Openings& known = openings();
  const std::lock_guard<std::mutex> hold(known.mutex);
  known.all.insert(this);
}

Opening::~Opening() {
  {
    Openings& known = openings();
    const std::lock_guard<std::mutex> hold(known.mutex);
    known.all.erase(this);
  }
  end();
}

Status Opening::flush(const Views& views, const std::vector<Span>& spans, platform::Flush kind) const {
  if (platform::viewsNeedFlush()) {
    for (const std::shared_ptr<View>& view : views) {
      if (view == nullptr || !view->writable()) continue;
      const uint64_t end = view->at() + view->length();
      for (const Span& span : spans) {
        const uint64_t from = std::max(span.from, view->at());
        const uint64_t to = std::min(span.to, end);
        if (from >= to) continue;
        const Status status = platform::flushView(view->base() + (from - view->at()), static_cast<size_t>(to - from));
        if (!status.ok()) return status;
      }
    }
  }
  return platform::flushFile(file, kind);
}

void Opening::endThreads() {
  stopping = true;
  writer.stop();
  waits.stop();
  commits.stop();
}

void Opening::end() {
  endThreads();
  windows.clear();
  superseded.clear();
  shared = SharedWords{};
  if (!file.isOpen()) return;
  // Closing releases the locks, too, unless a child process still has the descriptor for the moment before it execs.
  platform::unlockAll(file);
  file.close();
}

}  // namespace foliodb
