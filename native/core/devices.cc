#include "core/devices.h"

#include <dlfcn.h>

#include <string>

#include "core/op_info.h"

namespace kindling {

namespace {

struct Devices {
  std::mutex mutex;
  std::atomic<const CudaApi*> api{nullptr};
  DeviceReport report = {LoadState::notLoaded, 0, 0, 0, false, ""};
  std::string message;
};

Devices& devices() {
  static Devices& all = *new Devices;
  return all;
}

DeviceReport failedReport(Devices& all, LoadState state, std::string message) {
  all.message = std::move(message);
  all.report = {state, 0, 0, 0, false, all.message.c_str()};
  return all.report;
}

const char* orEmpty(const char* text) { return text ? text : ""; }

DeviceReport load(Devices& all, const char* path) {
  void* const library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) return failedReport(all, LoadState::noLibrary, orEmpty(dlerror()));
  const auto open = reinterpret_cast<CudaApiFunction>(dlsym(library, kCudaApiSymbol));
  if (!open) return failedReport(all, LoadState::otherVersion, orEmpty(dlerror()));
  const CudaApi* const api = open();
  if (api->abi != kCudaAbi || api->opTableHash != opTableHash() ||
      api->backendBytes != sizeof(Backend) || api->callBytes != sizeof(OpCall)) {
    return failedReport(all, LoadState::otherVersion,
                        std::string(path) + " is of another version of kindling");
  }
  takeMessage("");
  int32_t count = 0;
  const CudaState state = api->start(takeMessage, &count);
  all.message = lastErrorMessage();
  all.report = {static_cast<LoadState>(state), count,
                api->driverVersion(),          api->runtimeVersion,
                api->isEmulated != 0,          all.message.c_str()};
  if (state == CudaState::ready) all.api.store(api, std::memory_order_release);
  return all.report;
}

}  // namespace

DeviceReport openDevices(const char* path) {
  Devices& all = devices();
  const std::lock_guard<std::mutex> lock(all.mutex);
  const LoadState state = all.report.state;
  const bool tryAgain = state == LoadState::notLoaded || state == LoadState::noLibrary ||
                        state == LoadState::otherVersion;
  return tryAgain ? load(all, path) : all.report;
}

DeviceReport deviceReport() {
  Devices& all = devices();
  const std::lock_guard<std::mutex> lock(all.mutex);
  return all.report;
}

const CudaApi* deviceApi() { return devices().api.load(std::memory_order_acquire); }

const Backend* findBackend(DeviceCode device) {
  if (device == kCpu) return &cpuBackend();
  const CudaApi* const api = deviceApi();
  if (api && device > 0) return api->backend(device - 1);
  fail(Status::deviceFailed, "there is no device %d", device);
  return nullptr;
}

void DeviceQueue::enter() {
  const CudaApi* const api = deviceApi();
  if (!api) return;
  void* queue = queue_.load(std::memory_order_acquire);
  if (!queue) {
    const std::lock_guard<std::mutex> lock(mutex_);
    queue = queue_.load(std::memory_order_acquire);
    if (!queue) queue_.store(queue = api->takeQueue(), std::memory_order_release);
  }
  api->useQueue(queue);
}

DeviceQueue::~DeviceQueue() {
  if (void* const queue = queue_.load(std::memory_order_acquire)) {
    deviceApi()->giveQueueBack(queue);
  }
}

}  // namespace kindling
