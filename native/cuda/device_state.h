#pragma once
// What the files of the run time share: the devices, their streams, and what this thread works on.
// Nothing here is ever destroyed, so that no CUDA call happens while the process ends.

#include <atomic>
#include <mutex>
#include <vector>

#include "core/backend.h"
#include "cuda/device_allocator.h"
#include "cuda/pinned_memory.h"
#include "cuda/runtime.h"

namespace kindling {
namespace cuda {

constexpr int kMaxDevices = 64;

struct Device;

/// A queue's share of one device.
struct Stream {
  Device* device = nullptr;
  cudaStream_t stream = nullptr;
  cudaEvent_t crossing = nullptr;  // for the order between devices
  MemoryPool memory;
  IndexError* slot = nullptr;  // on the device
  IndexError* slotOnHost = nullptr;
  std::atomic<bool> slotIsUsed{false};  // since it was last looked at
  std::mutex synchronizing;
};

struct Device {
  int index = 0;
  DeviceCode code = 0;
  gpu::DeviceInfo info = {};
  DeviceAllocator allocator;
  PinnedMemory pinned;
  std::mutex mutex;  // of `streams` and `reaches`
  std::vector<Stream*> streams;
  bool reaches[kMaxDevices] = {};  // where access between devices was asked for
};

/// All that one JavaScript thread and its compiled steps do, in one order on each device.
struct Queue {
  std::mutex mutex;
  std::atomic<Stream*> streams[kMaxDevices] = {};
};

struct Capture;

/// What this thread works on.
struct Current {
  Queue* queue = nullptr;  // nullptr: the queue of threads that have none of their own
  Stream* stream = nullptr;
  int device = -1;
  const char* op = nullptr;
  Capture* capture = nullptr;
};
Current& current();

/// What a capture and then its graph keep for as long as it can be launched.
struct Capture {
  Stream* stream = nullptr;
  cudaStream_t recording = nullptr;
  bool failed = false;  // an op needs its results on the host
  std::vector<void*> memory, unused;
  std::vector<size_t> sizes;  // of `memory`
  std::vector<PinnedMemory::Buffer*> pinned;

  void* take(size_t bytes);
  void giveBack(void* data) { unused.push_back(data); }
  void releaseAll();
};

/// Makes a device current for this thread, with its stream of the thread's queue. nullptr and a
/// message where that fails.
Stream* enter(DeviceCode device);

Device& deviceOf(DeviceCode device);

struct Discovery {
  int count;
  int state;  // CudaState
};
/// Looks for devices, once.
const Discovery& discover();

bool isBlocking();
void setBlocking(bool on);
void setDeterministic(bool on);
void setAllowTf32(bool on);

Queue* takeQueue();
void giveQueueBack(Queue* queue);
void useQueue(Queue* queue);

/// Waits for a stream; fails with the bad index that a kernel has reported.
Status synchronize(Stream& stream);
void synchronizeAll(Device& device);

/// Enqueues a copy of the error slot, and looks at it once the stream was waited for.
Status fetchSlot(Stream& stream, IndexError* onHost, bool* fetched);
Status readSlot(Stream& stream, const IndexError& onHost);

// The functions of the backend table.
Status copyFromHost(DeviceCode device, void* destination, const void* source, size_t bytes);
Status copyToHost(DeviceCode device, void* destination, const void* source, size_t bytes);
Status copyFromDevice(DeviceCode device, void* destination, DeviceCode sourceDevice,
                      const void* source, size_t bytes);
Status beginRead(DeviceCode device, const void* source, size_t bytes, void** read);
Status finishRead(void* read, void* destination);
Status beginCapture(DeviceCode device);
Status endCapture(DeviceCode device, void** graph);
Status launchGraph(DeviceCode device, void* graph);
void destroyGraph(void* graph);

}  // namespace cuda
}  // namespace kindling
