// In place of the backend where only the emulator itself is tested.

#include "cuda/gpu.h"

namespace kindling {
namespace cuda {
namespace gpu {

cudaStream_t currentStream() { return nullptr; }

Status checkLaunch(const char* kernel, cudaError_t error) {
  return error == cudaSuccess
             ? Status::ok
             : fail(Status::deviceFailed, "%s: %s", kernel, cudaGetErrorString(error));
}

}  // namespace gpu
}  // namespace cuda
}  // namespace kindling
