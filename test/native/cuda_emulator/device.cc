#include "cuda_emulator/device.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace kindling {
namespace cuda {
namespace emulator {
namespace {

thread_local int device = 0;
thread_local cudaError_t lastError = cudaSuccess;

long number(const char* name, long otherwise) {
  const char* const text = getenv(name);
  return text == nullptr || *text == 0 ? otherwise : strtol(text, nullptr, 10);
}

/// 80 for compute capability 8.0.
int capability() {
  static const int value = [] {
    const char* const text = getenv("KINDLING_EMULATOR_CAPABILITY");
    int major = 8, minor = 0;
    if (text != nullptr && sscanf(text, "%d.%d", &major, &minor) < 1) abort();
    return 10 * major + minor;
  }();
  return value;
}

struct Limits {
  int capability;
  int sharedPerBlock, sharedPerProcessor;  // KiB
  int threads, blocks;                     // on a multiprocessor
};
/// CUDA programming guide, "Technical specifications per compute capability".
constexpr Limits kLimits[] = {
    {75, 64, 64, 1024, 16},   {80, 163, 164, 2048, 32}, {86, 99, 100, 1536, 16},
    {89, 99, 100, 1536, 24},  {90, 227, 228, 2048, 32}, {100, 227, 228, 2048, 32},
    {120, 99, 100, 1536, 24},
};

const Limits& limits() {
  const Limits* found = &kLimits[0];
  for (const Limits& row : kLimits) {
    if (row.capability <= capability()) found = &row;
  }
  return *found;
}

enum class Driver { present, none, old };
Driver driver() {
  const char* const text = getenv("KINDLING_EMULATOR_DRIVER");
  if (text == nullptr) return Driver::present;
  return strcmp(text, "none") == 0  ? Driver::none
         : strcmp(text, "old") == 0 ? Driver::old
                                    : Driver::present;
}

bool exists(int which) { return which >= 0 && which < deviceCount(); }

}  // namespace

std::recursive_mutex& lock() {
  static std::recursive_mutex* const mutex = new std::recursive_mutex;  // outlives every thread
  return *mutex;
}

cudaError_t failed(cudaError_t error) {
  if (error != cudaSuccess && error != cudaErrorNotReady) lastError = error;
  return error;
}

int currentDevice() { return device; }
int deviceCount() {
  static const int count =
      static_cast<int>(std::min(8L, std::max(0L, number("KINDLING_EMULATOR_DEVICES", 1))));
  return count;
}
size_t sharedBytesPerBlock() { return static_cast<size_t>(limits().sharedPerBlock) << 10; }
int processorCount() {
  static const int count = static_cast<int>(number("KINDLING_EMULATOR_PROCESSORS", 8));
  return count;
}
int maxThreadsPerProcessor() { return limits().threads; }
int maxBlocksPerProcessor() { return limits().blocks; }

}  // namespace emulator
}  // namespace cuda
}  // namespace kindling

using namespace kindling::cuda::emulator;

cudaError_t cudaGetLastError() {
  const cudaError_t error = lastError;
  lastError = cudaSuccess;
  return error;
}
cudaError_t cudaPeekAtLastError() { return lastError; }

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  if (driver() != Driver::present) return failed(cudaErrorInsufficientDriver);
  if (deviceCount() == 0) return failed(cudaErrorNoDevice);
  *count = deviceCount();
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int which) {
  if (!exists(which)) return failed(cudaErrorInvalidDevice);
  device = which;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* which) {
  *which = device;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int which) {
  if (!exists(which)) return failed(cudaErrorInvalidDevice);
  snprintf(properties->name, sizeof properties->name, "Kindling emulator %d", which);
  size_t free = 0;
  return cudaMemGetInfo(&free, &properties->totalGlobalMem);
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int which) {
  if (!exists(which)) return failed(cudaErrorInvalidDevice);
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      *value = 1024;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = 48 << 10;
      return cudaSuccess;
    case cudaDevAttrWarpSize:
      *value = 32;
      return cudaSuccess;
    case cudaDevAttrMultiProcessorCount:
      *value = processorCount();
      return cudaSuccess;
    case cudaDevAttrL2CacheSize:
      *value = 4 << 20;
      return cudaSuccess;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      *value = limits().threads;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = capability() / 10;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = capability() % 10;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = limits().sharedPerProcessor << 10;
      return cudaSuccess;
    case cudaDevAttrMaxRegistersPerMultiprocessor:
      *value = 65536;
      return cudaSuccess;
    case cudaDevAttrCooperativeLaunch:
      *value = 1;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = limits().sharedPerBlock << 10;
      return cudaSuccess;
    case cudaDevAttrMaxBlocksPerMultiprocessor:
      *value = limits().blocks;
      return cudaSuccess;
    case cudaDevAttrClockRate:
    case cudaDevAttrMemoryClockRate:
    case cudaDevAttrGlobalMemoryBusWidth:
      *value = 0;  // the emulator has no speed
      return cudaSuccess;
  }
  return failed(cudaErrorInvalidValue);
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = driver() == Driver::none ? 0 : driver() == Driver::old ? 11000 : 13000;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}

cudaError_t cudaDeviceCanAccessPeer(int* can, int which, int peer) {
  if (!exists(which) || !exists(peer)) return failed(cudaErrorInvalidDevice);
  *can = which != peer;
  return cudaSuccess;
}

cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned) {
  static bool enabled[8][8] = {};
  Guard guard;
  if (!exists(peer) || peer == device) return failed(cudaErrorInvalidDevice);
  if (enabled[device][peer]) return failed(cudaErrorPeerAccessAlreadyEnabled);
  enabled[device][peer] = true;
  return cudaSuccess;
}
