#pragma once
// Launches: the arguments are kept with the work that waits in a stream.

#include <tuple>
#include <type_traits>
#include <utility>

#include "cuda_emulator/host_api.h"

namespace kindling {
namespace cuda {
namespace emulator {

/// Calls a kernel, in one thread of the grid, with the arguments at `tuple`.
using Invoke = void (*)(const void* kernel, const void* tuple);

template <typename... Parameters, size_t... I>
inline void invokeWith(const void* kernel, const std::tuple<Parameters...>& values,
                       std::index_sequence<I...>) {
  reinterpret_cast<void (*)(Parameters...)>(const_cast<void*>(kernel))(std::get<I>(values)...);
}

template <typename... Parameters>
inline void invoke(const void* kernel, const void* tuple) {
  invokeWith(kernel, *static_cast<const std::tuple<Parameters...>*>(tuple),
             std::index_sequence_for<Parameters...>());
}

struct Launch {
  const void* kernel;
  Invoke invoke;
  dim3 grid, block;
  size_t sharedBytes;
  bool cooperative;
  bool optedIn;  // to more shared memory than 48 KiB
  size_t argumentBytes;
};

/// Puts a launch and a copy of its arguments into a stream.
cudaError_t enqueueLaunch(const Launch& launch, cudaStream_t stream, const void* tuple);

template <typename... Parameters>
cudaError_t launchKernel(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t sharedBytes,
                         cudaStream_t stream, bool cooperative, Parameters... parameters) {
  static_assert((std::is_trivially_copyable<Parameters>::value && ...),
                "arguments travel to the device as bytes");
  const std::tuple<Parameters...> values(parameters...);
  static_assert(alignof(std::tuple<Parameters...>) <= 16, "arguments are aligned to 16 bytes");
  const Launch launch = {reinterpret_cast<const void*>(kernel),
                         &invoke<Parameters...>,
                         grid,
                         block,
                         sharedBytes,
                         cooperative,
                         false,
                         sizeof values};
  return enqueueLaunch(launch, stream, &values);
}

/// For an allocator that cuts pieces from larger memory: from here on, in the order of the stream,
/// `bytes` at `data` are a piece with unknown contents, and the rest of the block is outside.
void markAllocated(cudaStream_t stream, void* data, size_t bytes, size_t blockBytes);
void markFreed(cudaStream_t stream, void* data, size_t blockBytes);

}  // namespace emulator
}  // namespace cuda
}  // namespace kindling
