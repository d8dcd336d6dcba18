#pragma once
// The compiled steps of one environment, and the thread that runs them. What has ended is told to
// JavaScript on its own thread, in order.

#include <node_api.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/executor.h"

namespace kindling {

class Environment;

class Programs {
 public:
  /// What runs on a device is done in the order of `queue`.
  explicit Programs(DeviceQueue& queue) : queue_(queue) {}
  ~Programs();
  Programs(const Programs&) = delete;
  Programs& operator=(const Programs&) = delete;

  /// 0 and a message where the numbers are not a program.
  uint32_t create(DeviceCode device, const double* words, size_t count);
  void release(uint32_t id) { programs_.erase(id); }
  std::shared_ptr<const Program> find(uint32_t id) const;

  /// Has `callback(run, status, message, seconds of each record?)` called for every run that has
  /// ended.
  bool listen(napi_env env, napi_value callback);
  bool submit(napi_env env, std::unique_ptr<Run> run);
  bool cancel(uint32_t run) { return executor_ && executor_->cancel(run); }
  void drain() {
    if (executor_) executor_->drain();
  }
  void trim() {
    if (executor_) executor_->trim();
  }

 private:
  struct Ended {
    uint32_t run;
    Status status;
    std::string message;
    std::vector<double> seconds;
  };

  static void onDone(void* context, const Run& run, Status status, const char* message);
  static void deliver(napi_env env, napi_value callback, void* context, void* data);
  void deliverAll(napi_env env, napi_value callback);

  DeviceQueue& queue_;
  std::unordered_map<uint32_t, std::shared_ptr<const Program>> programs_;
  uint32_t nextProgram_ = 1;
  napi_threadsafe_function told_ = nullptr;
  bool isClosed_ = false;  // set and read by the executor's thread, or when that has ended
  uint32_t underWay_ = 0;  // while there are any, the process stays alive
  std::mutex endedMutex_;
  std::vector<Ended> ended_;
  std::unique_ptr<Executor> executor_;  // last: its thread uses what is above
};

/// createProgram, releaseProgram, onRunDone, launch, cancelRun, drain.
void exportPrograms(napi_env env, napi_value exports, Environment* environment);

}  // namespace kindling
