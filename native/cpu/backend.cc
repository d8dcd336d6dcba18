// The CPU backend: the core's allocator, plain copies, and the kernel table of the ISA level in
// use.

#include "core/backend.h"

#include <cstring>

#include "core/allocator.h"
#include "core/cpu_features.h"
#include "cpu/portable/portable.h"
#include "cpu/random.h"

namespace kindling {

#define KINDLING_DECLARE(isa)        \
  namespace isa {                    \
  void fillKernels(Kernel* kernels); \
  }
KINDLING_ISA_LEVELS(KINDLING_DECLARE)
#undef KINDLING_DECLARE

namespace {

void* allocateOnHost(DeviceCode, size_t bytes) { return allocate(bytes); }
void deallocateOnHost(DeviceCode, void* data, size_t bytes) { deallocate(data, bytes); }

Status copyBytes(DeviceCode, void* destination, const void* source, size_t bytes) {
  if (bytes) memcpy(destination, source, bytes);
  return Status::ok;
}

Backend makeBackend() {
  Backend backend = {};
  backend.name = "cpu";
  backend.device = kCpu;
  backend.allocate = allocateOnHost;
  backend.deallocate = deallocateOnHost;
  backend.copyFromHost = copyBytes;
  backend.copyToHost = copyBytes;
#define KINDLING_FILL(isa) \
  if (activeIsa() == Isa::isa) isa::fillKernels(backend.kernels);
  KINDLING_ISA_LEVELS(KINDLING_FILL)
#undef KINDLING_FILL
  // The same numbers at every level.
  backend.kernels[static_cast<int>(Op::randomUniform)] = randomUniform;
  backend.kernels[static_cast<int>(Op::randomNormal)] = randomNormal;
  backend.kernels[static_cast<int>(Op::randomBernoulli)] = randomBernoulli;
  registerGather(backend.kernels);
  registerScan(backend.kernels);
  registerSort(backend.kernels);
  return backend;
}

}  // namespace

const Backend& cpuBackend() {
  static const Backend backend = makeBackend();
  return backend;
}

}  // namespace kindling
