// A radix sort from the lowest digit up. Each pass: the digits of every tile are counted, the
// counts of a digit summed over the tiles, and the items moved. Within a tile each warp takes a run
// of items and finds, by ballots, which of its lanes hold the same digit, so that equal digits keep
// their order without atomics whose order matters.

#include "cuda/radix_sort.h"

#include "cuda/indexing.cuh"

namespace kindling {
namespace cuda {

constexpr int kDigitBits = 8, kDigits = 1 << kDigitBits;
constexpr uint32_t kSortWarps = kBlockThreads / 32;
constexpr uint32_t kWarpItems = 512;  // in rounds of 32
constexpr uint32_t kTileItems = kSortWarps * kWarpItems;

struct RadixPlan {
  int64_t rows, count, tiles;  // tiles of a row
  int shift;
};

template <typename Key>
__device__ __forceinline__ uint32_t digitOf(Key key, int shift) {
  return static_cast<uint32_t>(key >> shift) & (kDigits - 1);
}

/// counts[row][digit][tile]
template <typename Key>
__global__ void __launch_bounds__(kBlockThreads)
    countDigitsKernel(RadixPlan plan, const Key* keys, uint32_t* counts) {
  GPU_SHARED(uint32_t, count, [kDigits]);
  for (int64_t item = blockIdx.x; item < plan.rows * plan.tiles; item += gridDim.x) {
    const int64_t row = item / plan.tiles, tile = item - row * plan.tiles;
    count[threadIdx.x] = 0;
    __syncthreads();
    const int64_t begin = tile * kTileItems;
    const int64_t end = begin + kTileItems < plan.count ? begin + kTileItems : plan.count;
    for (int64_t i = begin + threadIdx.x; i < end; i += kBlockThreads) {
      atomicAdd(&count[digitOf(keys[row * plan.count + i], plan.shift)], 1u);
    }
    __syncthreads();
    counts[(row * kDigits + threadIdx.x) * plan.tiles + tile] = count[threadIdx.x];
    __syncthreads();
  }
}

/// Counts over tiles become sums before each tile; totals[row][digit] of all tiles. A warp for each
/// digit.
__global__ void __launch_bounds__(kBlockThreads)
    sumTilesKernel(uint32_t* counts, uint32_t* totals, int64_t lines, int64_t tiles) {
  const uint32_t lane = threadIdx.x % 32;
  for (int64_t line = static_cast<int64_t>(blockIdx.x) * kSortWarps + threadIdx.x / 32;
       line < lines; line += static_cast<int64_t>(gridDim.x) * kSortWarps) {
    uint32_t carry = 0;
    for (int64_t first = 0; first < tiles; first += 32) {
      const bool exists = first + lane < tiles;
      uint32_t* const place = counts + line * tiles + first + lane;
      const uint32_t value = exists ? *place : 0;
      uint32_t sum = value;
      for (int offset = 1; offset < 32; offset *= 2) {
        const uint32_t other = __shfl_up_sync(0xffffffffu, sum, offset);
        if (static_cast<int>(lane) >= offset) sum += other;
      }
      if (exists) *place = carry + sum - value;
      carry += __shfl_sync(0xffffffffu, sum, 31);
    }
    if (lane == 0) totals[line] = carry;
  }
}

/// The lanes of this warp whose digit is the same.
__device__ __forceinline__ uint32_t lanesWithDigit(uint32_t digit, bool exists) {
  uint32_t same = __ballot_sync(0xffffffffu, exists);
#pragma unroll
  for (int bit = 0; bit < kDigitBits; ++bit) {
    const bool isSet = digit >> bit & 1;
    const uint32_t set = __ballot_sync(0xffffffffu, isSet);
    same &= isSet ? set : ~set;
  }
  return same;
}

template <typename Key>
__global__ void __launch_bounds__(kBlockThreads)
    moveItemsKernel(RadixPlan plan, const Key* keys, const uint32_t* positions,
                    const uint32_t* counts, const uint32_t* totals, Key* keysOut,
                    uint32_t* positionsOut) {
  GPU_SHARED(uint32_t, next, [kSortWarps][kDigits]);  // where each warp puts its next item
  GPU_SHARED(uint32_t, warpSums, [kSortWarps]);
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (int64_t item = blockIdx.x; item < plan.rows * plan.tiles; item += gridDim.x) {
    const int64_t row = item / plan.tiles, tile = item - row * plan.tiles;
    const int64_t start = row * plan.count;
    const int64_t begin = tile * kTileItems + warp * kWarpItems;
    const int64_t stop = begin + kWarpItems < plan.count ? begin + kWarpItems : plan.count;
    // The digits of each warp's run.
    for (uint32_t digit = lane; digit < kDigits; digit += 32) next[warp][digit] = 0;
    __syncwarp();
    for (int64_t i = begin + lane; i < stop; i += 32) {
      atomicAdd(&next[warp][digitOf(keys[start + i], plan.shift)], 1u);
    }
    // Where each digit begins in the row: thread d knows digit d.
    const uint32_t total = totals[row * kDigits + threadIdx.x];
    uint32_t sum = total;
    for (int offset = 1; offset < 32; offset *= 2) {
      const uint32_t other = __shfl_up_sync(0xffffffffu, sum, offset);
      if (static_cast<int>(lane) >= offset) sum += other;
    }
    if (lane == 31) warpSums[warp] = sum;
    __syncthreads();
    uint32_t place = sum - total + counts[(row * kDigits + threadIdx.x) * plan.tiles + tile];
    for (uint32_t w = 0; w < warp; ++w) place += warpSums[w];
    for (uint32_t w = 0; w < kSortWarps; ++w) {
      const uint32_t ofWarp = next[w][threadIdx.x];
      next[w][threadIdx.x] = place;
      place += ofWarp;
    }
    __syncthreads();
    for (int64_t first = begin; first < stop; first += 32) {
      const int64_t i = first + lane;
      const bool exists = i < stop;
      const Key key = exists ? keys[start + i] : Key(0);
      const uint32_t digit = digitOf(key, plan.shift);
      const uint32_t same = lanesWithDigit(digit, exists);
      const uint32_t before = static_cast<uint32_t>(__popc(same & ((1u << lane) - 1)));
      uint32_t target = 0;
      if (exists) target = next[warp][digit] + before;
      __syncwarp();
      if (exists) {
        if (before == 0) next[warp][digit] = target + static_cast<uint32_t>(__popc(same));
        keysOut[start + target] = key;
        positionsOut[start + target] = positions[start + i];
      }
      __syncwarp();
    }
    __syncthreads();
  }
}

template <typename Key>
Status radixSort(const SortBuffers<Key>& buffers, int64_t rows, int64_t count, int bits,
                 int* result) {
  *result = 0;
  if (rows == 0 || count == 0) return Status::ok;
  RadixPlan plan{rows, count, ceilDivide(count, kTileItems), 0};
  const int64_t lines = rows * kDigits;
  const DeviceScratch scratch(static_cast<size_t>(lines * (plan.tiles + 1)) * sizeof(uint32_t));
  if (!scratch) return fail(Status::outOfMemory, "no device memory to sort");
  uint32_t* const counts = scratch.as<uint32_t>();
  uint32_t* const totals = counts + lines * plan.tiles;
  const dim3 grid = gridFor(rows * plan.tiles, 1), block(kBlockThreads);
  for (; plan.shift < bits; plan.shift += kDigitBits) {
    const int from = *result, to = 1 - from;
    const Key* const keys = buffers.keys[from];
    Status status = launch(countDigitsKernel<Key>, grid, block, 0, plan, keys, counts);
    if (status != Status::ok) return status;
    status = launch(sumTilesKernel, gridFor(lines, kSortWarps), block, 0, counts, totals, lines,
                    plan.tiles);
    if (status != Status::ok) return status;
    status = launch(moveItemsKernel<Key>, grid, block, 0, plan, keys, buffers.positions[from],
                    counts, totals, buffers.keys[to], buffers.positions[to]);
    if (status != Status::ok) return status;
    *result = to;
  }
  return Status::ok;
}

template Status radixSort<uint32_t>(const SortBuffers<uint32_t>&, int64_t, int64_t, int, int*);
template Status radixSort<uint64_t>(const SortBuffers<uint64_t>&, int64_t, int64_t, int, int*);

}  // namespace cuda
}  // namespace kindling
