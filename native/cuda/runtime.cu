// Devices, streams, and what this thread works on.

#include "cuda/runtime.h"

#include <cinttypes>
#include <cstdlib>
#include <cstring>
#include <new>
#include <unordered_map>

#include "core/op_info.h"
#include "cuda/api.h"
#include "cuda/device_state.h"

namespace kindling {
namespace cuda {

namespace {

// Found by discover(), which every way to a device goes through; never freed.
Device* devices[kMaxDevices];

std::atomic<bool> deterministicIsOn{false}, tf32IsAllowed{false}, blockingIsOn{false};

/// The queue of threads that were given none.
Queue& sharedQueue() {
  static Queue& queue = *new Queue;
  return queue;
}

int attribute(cudaDeviceAttr which, int device) {
  int value = 0;
  if (cudaDeviceGetAttribute(&value, which, device) != cudaSuccess) cudaGetLastError();
  return value;
}

gpu::DeviceInfo infoOf(int device) {
  gpu::DeviceInfo info = {};
  info.index = device;
  info.major = attribute(cudaDevAttrComputeCapabilityMajor, device);
  info.minor = attribute(cudaDevAttrComputeCapabilityMinor, device);
  info.multiProcessors = attribute(cudaDevAttrMultiProcessorCount, device);
  info.warpSize = attribute(cudaDevAttrWarpSize, device);
  info.sharedBytesPerBlock = attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  info.sharedBytesPerProcessor = attribute(cudaDevAttrMaxSharedMemoryPerMultiprocessor, device);
  info.registersPerProcessor = attribute(cudaDevAttrMaxRegistersPerMultiprocessor, device);
  info.threadsPerProcessor = attribute(cudaDevAttrMaxThreadsPerMultiProcessor, device);
  info.blocksPerProcessor = attribute(cudaDevAttrMaxBlocksPerMultiprocessor, device);
  info.cooperativeLaunch = attribute(cudaDevAttrCooperativeLaunch, device);
  info.l2Bytes = attribute(cudaDevAttrL2CacheSize, device);
  cudaDeviceProp properties;
  if (cudaGetDeviceProperties(&properties, device) == cudaSuccess) {
    snprintf(info.name, sizeof info.name, "%.127s", properties.name);
    info.totalBytes = static_cast<int64_t>(properties.totalGlobalMem);
  } else {
    cudaGetLastError();
  }
  return info;
}

CudaState stateOf(cudaError_t error) {
  if (error == cudaErrorNoDevice) return CudaState::noDevice;
  if (error != cudaErrorInsufficientDriver) return CudaState::failed;
  int driver = 0;
  cudaDriverGetVersion(&driver);
  return driver == 0 ? CudaState::noDriver : CudaState::driverTooOld;
}

Discovery look() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) {
    cudaGetLastError();
    fail(Status::deviceFailed, "%s (%s)", cudaGetErrorString(error), cudaGetErrorName(error));
    return {0, static_cast<int>(stateOf(error))};
  }
  if (count > kMaxDevices) count = kMaxDevices;
  for (int i = 0; i < count; ++i) {
    Device* const device = new (std::nothrow) Device;
    if (!device) {
      fail(Status::outOfMemory, "no memory for a device's state");
      return {0, static_cast<int>(CudaState::failed)};
    }
    device->index = i;
    device->code = i + 1;
    device->info = infoOf(i);
    device->allocator.bind(device);
    devices[i] = device;
  }
  return {count, static_cast<int>(count > 0 ? CudaState::ready : CudaState::noDevice)};
}

/// A queue's stream on a device; the device is current.
Stream* createStream(Device& device) {
  Stream* const stream = new (std::nothrow) Stream;
  if (!stream) {
    fail(Status::outOfMemory, "no memory for a stream's state");
    return nullptr;
  }
  stream->device = &device;
  void *slot = nullptr, *onHost = nullptr;
  cudaError_t error = cudaStreamCreateWithFlags(&stream->stream, cudaStreamNonBlocking);
  if (error == cudaSuccess) {
    error = cudaEventCreateWithFlags(&stream->crossing, cudaEventDisableTiming);
  }
  if (error == cudaSuccess) error = cudaMalloc(&slot, sizeof(IndexError));
  if (error == cudaSuccess)
    error = cudaHostAlloc(&onHost, sizeof(IndexError), cudaHostAllocDefault);
  if (error == cudaSuccess) error = cudaMemsetAsync(slot, 0, sizeof(IndexError), stream->stream);
  if (gpu::check(error, "setting up a stream") != Status::ok) {
    delete stream;
    return nullptr;
  }
  stream->slot = static_cast<IndexError*>(slot);
  stream->slotOnHost = static_cast<IndexError*>(onHost);
  stream->memory.stream = stream->stream;
  const std::lock_guard<std::mutex> lock(device.mutex);
  device.streams.push_back(stream);
  return stream;
}

Stream* streamOf(Queue& queue, Device& device) {
  std::atomic<Stream*>& place = queue.streams[device.index];
  if (Stream* const stream = place.load(std::memory_order_acquire)) return stream;
  const std::lock_guard<std::mutex> lock(queue.mutex);
  Stream* stream = place.load(std::memory_order_acquire);
  if (!stream) {
    stream = createStream(device);
    place.store(stream, std::memory_order_release);
  }
  return stream;
}

}  // namespace

Current& current() {
  static thread_local Current here;
  return here;
}

const Discovery& discover() {
  static const Discovery found = look();
  return found;
}

Device& deviceOf(DeviceCode device) { return *devices[device - 1]; }

Stream* enter(DeviceCode code) {
  Current& here = current();
  if (code < 1 || code > discover().count) {
    fail(Status::deviceFailed, "there is no device cuda:%d", code - 1);
    return nullptr;
  }
  Device& device = deviceOf(code);
  if (here.device != device.index) {
    if (gpu::check(cudaSetDevice(device.index), "selecting the device") != Status::ok) {
      return nullptr;
    }
    here.device = device.index;
    here.stream = nullptr;
  }
  if (!here.stream) here.stream = streamOf(here.queue ? *here.queue : sharedQueue(), device);
  return here.stream;
}

namespace {

struct Queues {
  std::mutex mutex;
  std::vector<Queue*> unused;
};

Queues& queues() {
  static Queues& all = *new Queues;
  return all;
}

}  // namespace

Queue* takeQueue() {
  Queues& all = queues();
  const std::lock_guard<std::mutex> lock(all.mutex);
  if (all.unused.empty()) return new (std::nothrow) Queue;
  Queue* const queue = all.unused.back();
  all.unused.pop_back();
  return queue;
}

void giveQueueBack(Queue* queue) {
  // Who takes it next is to find no error of this one.
  for (auto& place : queue->streams) {
    if (Stream* const stream = place.load(std::memory_order_acquire)) synchronize(*stream);
  }
  if (current().queue == queue) useQueue(nullptr);
  Queues& all = queues();
  const std::lock_guard<std::mutex> lock(all.mutex);
  all.unused.push_back(queue);
}

void useQueue(Queue* queue) {
  Current& here = current();
  if (here.queue == queue) return;
  here.queue = queue;
  here.stream = nullptr;
}

bool isBlocking() { return blockingIsOn.load(std::memory_order_relaxed); }
void setBlocking(bool on) { blockingIsOn.store(on, std::memory_order_relaxed); }
void setDeterministic(bool on) { deterministicIsOn.store(on, std::memory_order_relaxed); }
void setAllowTf32(bool on) { tf32IsAllowed.store(on, std::memory_order_relaxed); }

namespace gpu {

const DeviceInfo& deviceInfo() { return deviceOf(current().device + 1).info; }

cudaStream_t currentStream() {
  const Current& here = current();
  return here.capture ? here.capture->recording : here.stream->stream;
}

bool deterministic() { return deterministicIsOn.load(std::memory_order_relaxed); }
bool allowTf32() { return tf32IsAllowed.load(std::memory_order_relaxed); }

IndexError* errorSlot() {
  Stream& stream = *current().stream;
  stream.slotIsUsed.store(true, std::memory_order_release);
  return stream.slot;
}

Status check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return Status::ok;
  cudaGetLastError();  // not to be found by whoever asks next
  const Current& here = current();
  const Status status =
      error == cudaErrorMemoryAllocation ? Status::outOfMemory : Status::deviceFailed;
  return fail(status, "%s%s%s failed on cuda:%d: %s (%s)", here.op ? here.op : "",
              here.op ? ": " : "", what, here.device < 0 ? 0 : here.device,
              cudaGetErrorString(error), cudaGetErrorName(error));
}

Status checkLaunch(const char* kernel, cudaError_t error) {
  if (error == cudaSuccess) return Status::ok;
  char what[160];
  snprintf(what, sizeof what, "launching %s", kernel);
  return check(error, what);
}

Status allowSharedBytes(const void* kernel, size_t bytes) {
  constexpr size_t kAlwaysAllowed = size_t{48} << 10;
  if (bytes <= kAlwaysAllowed) return Status::ok;
  static std::mutex& mutex = *new std::mutex;
  static auto* const allowed = new std::unordered_map<const void*, size_t>[kMaxDevices];
  const std::lock_guard<std::mutex> lock(mutex);
  size_t& already = allowed[current().device][kernel];
  if (bytes <= already) return Status::ok;
  const Status status =
      check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(bytes)),
            "asking for shared memory");
  if (status == Status::ok) already = bytes;
  return status;
}

}  // namespace gpu

Status fetchSlot(Stream& stream, IndexError* onHost, bool* fetched) {
  *fetched = stream.slotIsUsed.exchange(false, std::memory_order_acq_rel);
  if (!*fetched) return Status::ok;
  return gpu::check(cudaMemcpyAsync(onHost, stream.slot, sizeof(IndexError), cudaMemcpyDeviceToHost,
                                    stream.stream),
                    "reading the error slot");
}

namespace {

/// The words of the CPU's kernels.
Status indexError(const IndexError& e) {
  const char* const op = opInfo(static_cast<Op>(e.op)).name;
  const auto at = [&](const char* what, char close) {
    return fail(Status::indexOutOfRange,
                "%s: %s %" PRId64 " at position %" PRId64 " is outside [0, %" PRId64 "%c", op, what,
                e.value, e.position, e.extent, close);
  };
  switch (static_cast<IndexKind>(e.kind)) {
    case IndexKind::label:
      return at("label", ')');
    case IndexKind::inputLength:
      return at("input length", ']');
    case IndexKind::targetLength:
      return at("target length", ']');
    case IndexKind::length:
      return fail(Status::indexOutOfRange,
                  "%s: length %" PRId64 " of row %" PRId64 " is outside [0, %" PRId64 "]", op,
                  e.value, e.position, e.extent);
    case IndexKind::zeroDivisor:
      return fail(Status::badArgument, "an integer cannot be divided by 0");
    case IndexKind::trueCount:
      return fail(Status::badShape, "%s: %" PRId64 " elements are true, not %" PRId64, op, e.value,
                  e.extent);
    case IndexKind::planePosition:
      return fail(Status::indexOutOfRange, "%s: a position is outside its plane", op);
    case IndexKind::targetLabel:
      return fail(Status::indexOutOfRange,
                  "%s: label %" PRId64 " at position %" PRId64 " of target %" PRId64
                  " is the blank or outside [0, %" PRId64 ")",
                  op, e.value, e.position, e.row, e.extent);
    case IndexKind::index:
      break;
  }
  return at("index", ')');
}

}  // namespace

Status readSlot(Stream& stream, const IndexError& error) {
  if (!error.isSet) return Status::ok;
  const Status cleared =
      gpu::check(cudaMemsetAsync(stream.slot, 0, sizeof(IndexError), stream.stream),
                 "clearing the error slot");
  if (cleared != Status::ok) return cleared;
  if (error.op < 0 || error.op >= kOpCount) {
    return fail(Status::deviceFailed, "the error slot holds no error of a kernel");
  }
  return indexError(error);
}

Status synchronize(Stream& stream) {
  const std::lock_guard<std::mutex> lock(stream.synchronizing);
  bool fetched = false;
  Status status = fetchSlot(stream, stream.slotOnHost, &fetched);
  if (status == Status::ok) {
    status = gpu::check(cudaStreamSynchronize(stream.stream), "waiting for the device");
  }
  return status == Status::ok && fetched ? readSlot(stream, *stream.slotOnHost) : status;
}

void synchronizeAll(Device& device) {
  const std::lock_guard<std::mutex> lock(device.mutex);
  for (Stream* stream : device.streams) cudaStreamSynchronize(stream->stream);
}

DeviceScratch::DeviceScratch(size_t bytes) : bytes_(bytes) {
  Current& here = current();
  data_ = here.capture ? here.capture->take(bytes)
                       : here.stream->device->allocator.allocate(here.stream->memory, bytes);
}

DeviceScratch::~DeviceScratch() {
  if (!data_) return;
  Current& here = current();
  if (here.capture)
    here.capture->giveBack(data_);
  else
    here.stream->device->allocator.deallocate(data_);
}

}  // namespace cuda
}  // namespace kindling
