// A thread of the addon's own that runs tasks in order. Not libuv's pool: four tasks that wait would keep the task they
// wait for from running, and a pool that waits would keep process.exit() and worker.terminate() from ending.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>

#include "platform.h"

namespace foliodb {

class Worker {
 public:
  Worker() = default;
  ~Worker() { stop(); }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /** The first call starts the thread. */
  platform::Status post(std::function<void()> task);
  /** Waits for the tasks posted so far and for the thread's end. Twice is fine. */
  void stop();

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable posted_;
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  platform::Thread thread_;
};

}  // namespace foliodb
