#pragma once
// What the shared library of the CUDA backend gives to the addon. Plain data and functions only; no
// exception, no C++ type, nothing to be freed by the other side. The addon refuses a library whose
// version, op table or record sizes differ from its own.

#include <cstdint>

#include "core/backend.h"

namespace kindling {

/// Counted up when the meaning of anything here or in backend.h changes.
constexpr uint32_t kCudaAbi = 2;

/// Why there is no device, in the order of what is looked for.
enum class CudaState : int32_t {
  ready = 0,
  noDriver = 1,      // libcuda is not there
  driverTooOld = 2,  // for the runtime that the library was built with
  noDevice = 3,      // the driver finds none, or CUDA_VISIBLE_DEVICES hides them
  failed = 4,        // anything else; the message has CUDA's words
};

struct CudaDeviceInfo {
  char name[128];
  int32_t major, minor;
  int32_t multiProcessors;
  int64_t totalBytes, freeBytes;
};

struct CudaApi {
  uint32_t abi;
  uint32_t opTableHash;
  uint32_t backendBytes;  // sizeof(Backend)
  uint32_t callBytes;     // sizeof(OpCall)

  /// Looks for devices, once in a process. `sink` receives the message of every failure on the
  /// thread that failed. `isEmulated` is 1 for the emulator of the tests.
  CudaState (*start)(void (*sink)(const char* message), int32_t* deviceCount);
  int32_t isEmulated;
  int32_t runtimeVersion;  // 13000 for CUDA 13.0
  int32_t (*driverVersion)();

  /// The table of a device; nullptr and a message if it cannot be set up.
  const Backend* (*backend)(int32_t device);
  Status (*describe)(int32_t device, CudaDeviceInfo* info);

  /// A queue keeps the order of one JavaScript thread's work and of its compiled steps; useQueue
  /// says which one this thread works on. Threads without one share one.
  void* (*takeQueue)();
  void (*giveQueueBack)(void* queue);
  void (*useQueue)(void* queue);

  /// Options of the process.
  void (*setDeterministic)(int32_t on);
  void (*setAllowTf32)(int32_t on);
  void (*setBlocking)(int32_t on);
};

extern "C" const CudaApi* kindlingCudaApi();
using CudaApiFunction = const CudaApi* (*)();
constexpr const char* kCudaApiSymbol = "kindlingCudaApi";

}  // namespace kindling
