#pragma once
// The backend table: everything the core asks of a device. A backend fills one of these for each of
// its devices.

#include <cstddef>
#include <cstdint>

#include "core/memory_stats.h"
#include "core/op_call.h"

namespace kindling {

/// Where a tensor is: 0 for the CPU, 1 + n for cuda:n. lib/tensor/device.ts has the same numbers.
using DeviceCode = int32_t;
constexpr DeviceCode kCpu = 0;

struct Backend {
  const char* name;  // "cpu", "cuda:0"
  DeviceCode device;

  void* (*allocate)(DeviceCode device, size_t bytes);  // nullptr when memory or the user's limit is
                                                       // exhausted
  void (*deallocate)(DeviceCode device, void* data, size_t bytes);
  /// The host memory may be reused when this returns.
  Status (*copyFromHost)(DeviceCode device, void* destination, const void* source, size_t bytes);
  /// The host memory is filled when this returns; everything before it on the device has ended.
  Status (*copyToHost)(DeviceCode device, void* destination, const void* source, size_t bytes);

  Kernel kernels[kOpCount];  // nullptr where the backend has no kernel for an op

  // What follows is nullptr where kernels run on the calling thread and read the host's memory.

  /// Calls the kernel with the device made current.
  Status (*run)(DeviceCode device, Kernel kernel, const OpCall& call);
  /// Whether records that follow each other may run in one launch, and runs some that all join the
  /// first, as if one after the other.
  bool (*joins)(const OpCall& first, const OpCall& next);
  Status (*runTogether)(DeviceCode device, const OpCall* const* calls, int count);
  /// From another device of the same library.
  Status (*copyFromDevice)(DeviceCode device, void* destination, DeviceCode sourceDevice,
                           const void* source, size_t bytes);
  Status (*copyWithin)(DeviceCode device, void* destination, const void* source, size_t bytes);
  /// Waits for all work of the current queue; tells of a bad index that a kernel has met.
  Status (*synchronize)(DeviceCode device);

  /// Starts to copy `bytes` to the host; finishRead waits, copies to `destination` and frees
  /// `read`. finishRead may be called by any thread; without a destination it only frees.
  Status (*beginRead)(DeviceCode device, const void* source, size_t bytes, void** read);
  Status (*finishRead)(void* read, void* destination);

  void (*memoryStats)(DeviceCode device, MemoryStats* stats);
  void (*resetPeak)(DeviceCode device);
  void (*emptyCache)(DeviceCode device);

  /// Between these two what kernels launch is kept instead of being run. `graph` is one from before
  /// to be changed, or nullptr; Status::unsupported where the ops cannot be kept, and `graph` is
  /// then nullptr.
  Status (*beginCapture)(DeviceCode device);
  Status (*endCapture)(DeviceCode device, void** graph);
  Status (*launchGraph)(DeviceCode device, void* graph);
  void (*destroyGraph)(void* graph);
};

/// The CPU backend with the kernels of the ISA level in use (cpu_features.h).
const Backend& cpuBackend();

}  // namespace kindling
