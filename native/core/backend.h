#pragma once
// The backend table: everything the core asks of a device. A backend fills one of these.

#include <cstddef>

#include "core/op_call.h"

namespace kindling {

struct Backend {
  const char* name;
  void* (*allocate)(size_t bytes);  // nullptr when memory or the user's limit is exhausted
  void (*deallocate)(void* data, size_t bytes);
  Status (*copyFromHost)(void* destination, const void* source, size_t bytes);
  Status (*copyToHost)(void* destination, const void* source, size_t bytes);
  Kernel kernels[kOpCount];  // nullptr where the backend has no kernel for an op
};

/// The CPU backend with the kernels of the ISA level in use (cpu_features.h).
const Backend& cpuBackend();

}  // namespace kindling
