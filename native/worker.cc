#include "worker.h"

#include <utility>

namespace foliodb {

platform::Status Worker::post(std::function<void()> task) {
  if (!thread_.isStarted()) {
    const platform::Status status = thread_.start([](void* self) { static_cast<Worker*>(self)->run(); }, this);
    if (!status.ok()) return status;
  }
  {
    const std::lock_guard<std::mutex> hold(mutex_);
    tasks_.push_back(std::move(task));
  }
  posted_.notify_one();
  return platform::Status{};
}

void Worker::stop() {
  {
    const std::lock_guard<std::mutex> hold(mutex_);
    stopping_ = true;
  }
  posted_.notify_one();
  thread_.join();
}

void Worker::run() {
  std::unique_lock<std::mutex> hold(mutex_);
  for (;;) {
    posted_.wait(hold, [this] { return stopping_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    hold.unlock();
    task();
    // What the task holds may be released with it, and must not be with the mutex held.
    task = nullptr;
    hold.lock();
  }
}

}  // namespace foliodb
