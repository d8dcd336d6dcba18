#pragma once
// The emulated devices: their properties and their memory.

#include <cstddef>
#include <mutex>

#include "cuda_emulator/host_api.h"

namespace kindling {
namespace cuda {
namespace emulator {

/// Every call of the host's interface holds this, also while kernels run.
std::recursive_mutex& lock();
struct Guard {
  std::lock_guard<std::recursive_mutex> hold{lock()};
};

/// Remembers an error for cudaGetLastError().
cudaError_t failed(cudaError_t error);
int currentDevice();
int deviceCount();
size_t sharedBytesPerBlock();
int processorCount();
int maxThreadsPerProcessor();
int maxBlocksPerProcessor();

bool isDeviceMemory(const void* data);
/// Whether all bytes lie in one allocation.
bool isAllocated(const void* data, size_t bytes);
void forEachAllocation(void (*visit)(void* data, size_t bytes));
bool isPinned(const void* data);
int deviceOfMemory(const void* data);

/// Keeps the host away from device memory but while work of a stream is done; at the start as
/// KINDLING_EMULATOR_PROTECT=1 says.
void setProtection(bool on);

/// While work of a stream is done.
struct DeviceAccess {
  DeviceAccess();
  ~DeviceAccess();
};

}  // namespace emulator
}  // namespace cuda
}  // namespace kindling
