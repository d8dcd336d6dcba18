// The backend table of each device, and the functions that the addon finds in the shared library.

#include <cstdlib>
#include <cstring>
#include <mutex>

#include "core/op_info.h"
#include "cuda/api.h"
#include "cuda/device_state.h"
#include "cuda/kernel_table.h"
#include "cuda/optimizers.h"

namespace kindling {
namespace cuda {

namespace {

void* allocate(DeviceCode device, size_t bytes) {
  Stream* const stream = enter(device);
  return stream ? stream->device->allocator.allocate(stream->memory, bytes) : nullptr;
}

void deallocate(DeviceCode device, void* data, size_t) {
  deviceOf(device).allocator.deallocate(data);
}

Status copyWithin(DeviceCode device, void* destination, const void* source, size_t bytes) {
  return enter(device) ? gpu::copyOnDevice(destination, source, bytes) : Status::deviceFailed;
}

/// Runs `body`, which launches an op's kernels.
template <typename Body>
Status runAs(DeviceCode device, Op op, const Body& body) {
  Stream* const stream = enter(device);
  if (!stream) return Status::deviceFailed;
  Current& here = current();
  here.op = opInfo(op).name;
  Status status = body();
  if (status == Status::ok && isBlocking() && !here.capture) status = synchronize(*stream);
  here.op = nullptr;
  return status;
}

Status run(DeviceCode device, Kernel kernel, const OpCall& call) {
  return runAs(device, call.op, [&] { return kernel(call); });
}

Status runTogether(DeviceCode device, const OpCall* const* calls, int count) {
  return runAs(device, calls[0]->op, [&] { return stepTogether(calls, count); });
}

Status synchronizeDevice(DeviceCode device) {
  Stream* const stream = enter(device);
  return stream ? synchronize(*stream) : Status::deviceFailed;
}

void memoryStats(DeviceCode device, MemoryStats* stats) {
  *stats = deviceOf(device).allocator.stats();
}

void resetPeak(DeviceCode device) { deviceOf(device).allocator.resetPeak(); }

void emptyCache(DeviceCode device) {
  if (enter(device)) deviceOf(device).allocator.trim();
}

struct Table {
  Backend backend;
  char name[24];
};

void fill(Table& table, DeviceCode device) {
  snprintf(table.name, sizeof table.name, "cuda:%d", device - 1);
  Backend& backend = table.backend;
  backend = {};
  backend.name = table.name;
  backend.device = device;
  backend.allocate = allocate;
  backend.deallocate = deallocate;
  backend.copyFromHost = copyFromHost;
  backend.copyToHost = copyToHost;
  backend.run = run;
  backend.joins = stepsJoin;
  backend.runTogether = runTogether;
  backend.copyFromDevice = copyFromDevice;
  backend.copyWithin = copyWithin;
  backend.synchronize = synchronizeDevice;
  backend.beginRead = beginRead;
  backend.finishRead = finishRead;
  backend.memoryStats = memoryStats;
  backend.resetPeak = resetPeak;
  backend.emptyCache = emptyCache;
  backend.beginCapture = beginCapture;
  backend.endCapture = endCapture;
  backend.launchGraph = launchGraph;
  backend.destroyGraph = destroyGraph;
#define KINDLING_CUDA_FAMILY(name, file) register##name(backend.kernels);
#include "cuda/families.def"
#undef KINDLING_CUDA_FAMILY
}

const Backend* backendOf(int32_t index) {
  static std::mutex& mutex = *new std::mutex;
  static Table* const tables = new Table[kMaxDevices]();
  const DeviceCode device = index + 1;
  if (index < 0 || !enter(device)) return nullptr;
  const std::lock_guard<std::mutex> lock(mutex);
  Table& table = tables[index];
  if (!table.backend.name) fill(table, device);
  return &table.backend;
}

CudaState start(void (*sink)(const char* message), int32_t* count) {
  setMessageSink(sink);
  const char* const blocking = getenv("KINDLING_CUDA_BLOCKING");
  if (blocking && strcmp(blocking, "1") == 0) setBlocking(true);
  const Discovery& found = discover();
  *count = found.count;
  return static_cast<CudaState>(found.state);
}

int32_t driverVersion() {
  int version = 0;
  if (cudaDriverGetVersion(&version) != cudaSuccess) cudaGetLastError();
  return version;
}

Status describe(int32_t device, CudaDeviceInfo* info) {
  Stream* const stream = enter(device + 1);
  if (!stream) return Status::deviceFailed;
  const gpu::DeviceInfo& known = stream->device->info;
  memcpy(info->name, known.name, sizeof info->name);
  info->major = known.major;
  info->minor = known.minor;
  info->multiProcessors = known.multiProcessors;
  size_t left = 0, total = 0;
  const Status status = gpu::check(cudaMemGetInfo(&left, &total), "asking for free memory");
  info->totalBytes = static_cast<int64_t>(total);
  info->freeBytes = static_cast<int64_t>(left);
  return status;
}

CudaApi makeApi() {
  CudaApi api = {};
  api.abi = kCudaAbi;
  api.opTableHash = opTableHash();
  api.backendBytes = sizeof(Backend);
  api.callBytes = sizeof(OpCall);
  api.start = start;
#ifdef KINDLING_CUDA_EMULATOR
  api.isEmulated = 1;
#endif
  int version = 0;
  cudaRuntimeGetVersion(&version);
  api.runtimeVersion = version;
  api.driverVersion = driverVersion;
  api.backend = backendOf;
  api.describe = describe;
  api.takeQueue = []() -> void* { return takeQueue(); };
  api.giveQueueBack = [](void* queue) { giveQueueBack(static_cast<Queue*>(queue)); };
  api.useQueue = [](void* queue) { useQueue(static_cast<Queue*>(queue)); };
  api.setDeterministic = [](int32_t on) { setDeterministic(on != 0); };
  api.setAllowTf32 = [](int32_t on) { setAllowTf32(on != 0); };
  api.setBlocking = [](int32_t on) { setBlocking(on != 0); };
  return api;
}

}  // namespace
}  // namespace cuda

extern "C" __attribute__((visibility("default"))) const CudaApi* kindlingCudaApi() {
  static const CudaApi api = cuda::makeApi();
  return &api;
}

}  // namespace kindling
