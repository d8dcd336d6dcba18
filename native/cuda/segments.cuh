#pragma once
// Writes that meet at one place: which of several wins, and those to one place side by side, in
// their order. Shared by scatter, indexAdd and assignRows.

#include <cstdint>

#include "cuda/radix_sort.h"

namespace kindling {
namespace cuda {

__device__ __forceinline__ void atomicSum(float* to, float x) { atomicAdd(to, x); }
__device__ __forceinline__ void atomicSum(double* to, double x) { atomicAdd(to, x); }
__device__ __forceinline__ void atomicSum(int32_t* to, int32_t x) { atomicAdd(to, x); }
__device__ __forceinline__ void atomicSum(int64_t* to, int64_t x) {
  atomicAdd(reinterpret_cast<unsigned long long*>(to), static_cast<unsigned long long>(x));
}

/// Entries of an index (`positions`, in the order of the writes) sorted stably by the place that
/// each writes to. Places from `extent` on are those to be left out; they come last.
struct SortedWrites {
  DeviceScratch memory;
  const uint32_t* places = nullptr;
  const uint32_t* order = nullptr;  // numbers of the entries
};

/// Sorts `count` entries by their places, which the caller has put into buffers.keys[0] of
/// sortBuffers<uint32_t>(memory, 1, count), with their numbers in positions[0].
Status sortWrites(int64_t count, int64_t extent, SortedWrites* writes);

}  // namespace cuda
}  // namespace kindling
