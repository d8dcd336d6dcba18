#pragma once
// Kernels with one mistake each, of the kinds that a GPU hides, and the same without it.

#include <cstdint>

#include "cuda/gpu.h"

namespace kindling {
namespace cuda {
namespace planted {

constexpr int kThreads = 128;

/// Sums of blocks of kThreads numbers. Wrong: no barrier between writing and reading the tile.
template <bool Right>
__global__ void reduceWithoutBarrier(float* sums, const float* x);

/// Copies n numbers. Wrong: `i <= n`.
template <bool Right>
__global__ void copyTooMany(float* y, const float* x, int n);

/// Moves numbers to the right through shared memory. Wrong: one step beyond the array.
template <bool Right>
__global__ void shiftBeyondShared(float* y, const float* x);

/// Sums a tile of which the last quarter has no numbers. Wrong: it is not set to 0.
template <bool Right>
__global__ void sumUnwrittenShared(float* y, const float* x, int n);

/// Copies four numbers at once. Wrong: from an address that only four bytes divide.
template <bool Right>
__global__ void copyMisaligned(float* y, const float* x);

/// Reads of what was never written. Wrong: the kernel takes `unwritten` for zeros.
template <bool Right>
__global__ void readUnwrittenGlobal(float* y, float* unwritten);

/// Wrong: only half of the block comes to the barrier.
template <bool Right>
__global__ void barrierOfSome(float* y, const float* x);

/// Wrong: threads without work return before the barrier.
template <bool Right>
__global__ void barrierAfterReturn(float* y, const float* x, int n);

/// Wrong: half of the block waits at one barrier and half at another.
template <bool Right>
__global__ void twoBarriers(float* y, const float* x);

/// Reverses tiles one after another. Wrong: the next tile is written while this one is read.
template <bool Right>
__global__ void reuseWithoutBarrier(float* y, const float* x, int tiles);

/// Wrong: the asynchronous copy is not waited for.
template <bool Right>
__global__ void copyWithoutWait(float* y, const float* x);

/// Two copies under way. Wrong: the wait lets one too many go on.
template <bool Right>
__global__ void waitForTooFew(float* y, const float* x);

/// Wrong: the mask names lanes that do not come.
template <bool Right>
__global__ void shuffleOfHalf(float* y, const float* x);

/// Wrong: the mask leaves out lanes that come.
template <bool Right>
__global__ void shuffleWithWrongMask(float* y, const float* x);

/// Exchanges through shared memory within a warp. Wrong: a shuffle is taken for a fence.
template <bool Right>
__global__ void shuffleAsFence(float* y, const float* x);

/// Counts. Wrong: not atomically, so that blocks lose each other's.
template <bool Right>
__global__ void countInGlobal(int* count);

/// Blocks exchange through global memory. Wrong: no barrier of the grid.
template <bool Right>
__global__ void exchangeBetweenBlocks(float* y, float* between, unsigned* counter);

/// Adds `bias`, which must be in the memory of the device.
__global__ void addBias(float* y, const float* x, const float* bias);

/// Takes more static shared memory than there is.
__global__ void tooMuchShared(float* y);

/// Adds 1.
__global__ void addOne(float* y, const float* x);

/// y = x read along rows of 32 or, for the counters, along columns.
__global__ void readRows(float* y, const float* x);
__global__ void readColumns(float* y, const float* x);

}  // namespace planted
}  // namespace cuda
}  // namespace kindling
