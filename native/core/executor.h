#pragma once
// Runs programs one after the other on a thread of its own, so that the thread which submits them
// (JavaScript's) stays free. Programs of one device share an arena: only one runs at a time.

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/devices.h"
#include "core/program.h"
#include "core/storage.h"

namespace kindling {

/// One run that was submitted: a program, the memory it works on (held until it is done) and the
/// numbers of this run.
struct Run {
  uint32_t id = 0;
  std::shared_ptr<const Program> program;
  std::vector<StorageRef> storages;  // one for each binding
  std::vector<void*> data;
  std::vector<double> live;     // of all repetitions
  int64_t repeats = 0;          // 0: once, without an axis in front of arguments and results
  std::vector<double> seconds;  // where records are timed: of each, to be told when it has ended
};

class Executor {
 public:
  /// Told of every run that has ended, on the executor's thread. `status` is Status::cancelled for
  /// one that was cancelled before it began.
  using Done = void (*)(void* context, const Run& run, Status status, const char* message);

  /// `queue` is entered before a program of another device than the CPU runs.
  Executor(DeviceQueue& queue, Done done, void* context)
      : order_(queue), done_(done), context_(context) {}
  /// Cancels what has not begun, waits for what has; `done` is not called any more.
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  /// Queues a run. Its storages count as in use from here on (see Storage::writers).
  void submit(std::unique_ptr<Run> run);

  /// Cancels a run that has not begun; false where it has, or is unknown.
  bool cancel(uint32_t id);

  /// Returns when everything submitted so far has ended.
  void drain();

  /// Gives the arenas back; they come again with the next run.
  void trim();

 private:
  void work();
  Status perform(Run& run, std::string* message);
  Status repeat(Run& run, std::string* message);
  Status wait(const Run& run, std::string* message);
  Status ensureArena(const Program& program);
  void finish(const Run& run, Status status, const char* message);

  DeviceQueue& order_;
  const Done done_;
  void* const context_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable submitted_, drained_;
  std::deque<std::unique_ptr<Run>> queue_;
  std::vector<std::unique_ptr<Run>> cancelled_;
  bool running_ = false;
  bool stopping_ = false;
  std::mutex arenaMutex_;
  std::vector<StorageRef> arenas_;  // one for each device
  StorageRef arena_;                // of the program that runs
};

}  // namespace kindling
