#pragma once
// The devices besides the CPU. Their backend is a shared library of its own, loaded when it is
// first asked for and never unloaded; without it, or without a device, everything else works.

#include <atomic>
#include <mutex>

#include "core/backend.h"
#include "cuda/api.h"

namespace kindling {

/// What became of loading the library.
enum class LoadState : int32_t {
  ready = 0,
  noDriver = 1,  // these four as CudaState
  driverTooOld = 2,
  noDevice = 3,
  failed = 4,
  notLoaded = 5,     // nobody has asked yet
  noLibrary = 6,     // the file is not there or cannot be loaded
  otherVersion = 7,  // the file is of another version of this package
};

struct DeviceReport {
  LoadState state;
  int32_t deviceCount;
  int32_t driverVersion, runtimeVersion;  // as CUDA counts: 13000 for 13.0; 0 where unknown
  bool isEmulated;
  const char* message;  // the system's or CUDA's own words
};

/// Loads the library at `path`, once in a process; later calls tell what came of it. Only a library
/// that could not be loaded is tried again.
DeviceReport openDevices(const char* path);

/// What openDevices() found, without loading anything.
DeviceReport deviceReport();

/// The functions of the library; nullptr until openDevices() has succeeded.
const CudaApi* deviceApi();

/// nullptr and a message where there is no such device.
const Backend* findBackend(DeviceCode device);

/// The order of work of one environment. Its thread and that of its compiled steps enter it before
/// they touch a device.
class DeviceQueue {
 public:
  DeviceQueue() = default;
  ~DeviceQueue();
  DeviceQueue(const DeviceQueue&) = delete;
  DeviceQueue& operator=(const DeviceQueue&) = delete;

  void enter();

 private:
  std::mutex mutex_;
  std::atomic<void*> queue_{nullptr};
};

}  // namespace kindling
