#include "cuda/device_allocator.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "cuda/device_state.h"

namespace kindling {
namespace cuda {

namespace {

constexpr size_t kUnit = 512;  // keeps every access coalesced
constexpr size_t kSmallMost = size_t{1}
                              << 20;  // larger blocks come from segments of their own size class
constexpr size_t kSmallSegment = size_t{2} << 20;
constexpr size_t kMediumMost = size_t{10} << 20;
constexpr size_t kMediumSegment = size_t{20} << 20;
constexpr size_t kSegmentUnit = size_t{2} << 20;  // the device's own page

size_t roundUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

size_t segmentBytes(size_t bytes) {
  if (bytes <= kSmallMost) return kSmallSegment;
  return bytes < kMediumMost ? kMediumSegment : roundUp(bytes, kSegmentUnit);
}

bool isSet(const char* name) {
  const char* const value = getenv(name);
  return value && strcmp(value, "0") != 0 && *value;
}

/// For memory checkers, which cannot see into a block of a larger segment.
bool isUncached() {
  static const bool uncached = isSet("KINDLING_CUDA_NO_CACHE");
  return uncached;
}

/// For tests: memory is handed out full of NaN.
bool isPoisoned() {
  static const bool poisoned = isSet("KINDLING_CUDA_POISON");
  return poisoned;
}

std::set<MemoryBlock*, SmallerBlock>& freeBlocks(MemoryPool& pool, bool small) {
  return small ? pool.small : pool.large;
}

}  // namespace

void DeviceAllocator::count(int64_t bytes) {
  stats_.allocatedBytes += static_cast<uint64_t>(bytes);
  if (stats_.allocatedBytes > stats_.peakAllocatedBytes) {
    stats_.peakAllocatedBytes = stats_.allocatedBytes;
  }
}

MemoryBlock* DeviceAllocator::find(MemoryPool& pool, size_t bytes) {
  auto& blocks = freeBlocks(pool, bytes <= kSmallMost);
  MemoryBlock key = {};
  key.bytes = bytes;
  const auto found = blocks.lower_bound(&key);
  if (found == blocks.end()) return nullptr;
  MemoryBlock* const block = *found;
  blocks.erase(found);
  stats_.cachedBytes -= block->bytes;
  return block;
}

MemoryBlock* DeviceAllocator::newSegment(MemoryPool& pool, size_t bytes) {
  const size_t size = segmentBytes(bytes);
  void* data = nullptr;
  if (cudaMalloc(&data, size) != cudaSuccess) {
    cudaGetLastError();  // not to be found by whoever asks next
    releaseUnused();
    if (cudaMalloc(&data, size) != cudaSuccess) {
      cudaGetLastError();
      return nullptr;
    }
  }
  MemoryBlock* const block = new (std::nothrow) MemoryBlock{
      static_cast<char*>(data), size, &pool, nullptr, nullptr, false, bytes <= kSmallMost};
  if (!block) {
    cudaFree(data);
    return nullptr;
  }
  stats_.reservedBytes += size;
  pools_.insert(&pool);
  return block;
}

/// Leaves `bytes` in the block and makes a free one of the rest, where the rest is worth it.
void DeviceAllocator::split(MemoryBlock* block, size_t bytes) {
  const size_t rest = block->bytes - bytes;
  if (rest < kUnit || (!block->isSmall && rest <= kSmallMost)) return;
  MemoryBlock* const next = new (std::nothrow) MemoryBlock{
      block->data + bytes, rest, block->pool, block, block->after, true, block->isSmall};
  if (!next) return;
  if (block->after) block->after->before = next;
  block->after = next;
  block->bytes = bytes;
  freeBlocks(*block->pool, block->isSmall).insert(next);
  stats_.cachedBytes += rest;
}

/// `next` becomes part of `block`; neither is among the free blocks.
void DeviceAllocator::join(MemoryBlock* block, MemoryBlock* next) {
  block->bytes += next->bytes;
  block->after = next->after;
  if (next->after) next->after->before = block;
  delete next;
}

void* DeviceAllocator::allocateUncached(size_t bytes) {
  void* data = nullptr;
  if (cudaMalloc(&data, bytes ? bytes : 1) != cudaSuccess) {
    cudaGetLastError();
    return nullptr;
  }
  uncached_.emplace(data, bytes);
  stats_.reservedBytes += bytes;
  count(static_cast<int64_t>(bytes));
  ++stats_.allocations;
  return data;
}

void* DeviceAllocator::allocate(MemoryPool& pool, size_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (isUncached()) return allocateUncached(bytes);
  constexpr size_t kMost = size_t{1} << 60;
  if (bytes > kMost) return nullptr;
  const size_t size = roundUp(bytes ? bytes : 1, kUnit);
  MemoryBlock* block = find(pool, size);
  if (block)
    ++stats_.cacheHits;
  else
    block = newSegment(pool, size);
  if (!block) return nullptr;
  block->isFree = false;
  split(block, size);
  inUse_.emplace(block->data, block);
  count(static_cast<int64_t>(block->bytes));
  ++stats_.allocations;
  if (isPoisoned()) cudaMemsetAsync(block->data, 0xFF, block->bytes, pool.stream);
  return block->data;
}

void DeviceAllocator::deallocate(void* data) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto alone = uncached_.find(data);
  if (alone != uncached_.end()) {
    stats_.reservedBytes -= alone->second;
    count(-static_cast<int64_t>(alone->second));
    uncached_.erase(alone);
    synchronizeAll(*device_);
    cudaFree(data);
    return;
  }
  const auto found = inUse_.find(data);
  if (found == inUse_.end()) return;
  MemoryBlock* block = found->second;
  inUse_.erase(found);
  count(-static_cast<int64_t>(block->bytes));
  stats_.cachedBytes += block->bytes;
  auto& blocks = freeBlocks(*block->pool, block->isSmall);
  block->isFree = true;
  if (block->after && block->after->isFree) {
    blocks.erase(block->after);
    join(block, block->after);
  }
  if (block->before && block->before->isFree) {
    MemoryBlock* const before = block->before;
    blocks.erase(before);
    join(before, block);
    block = before;
  }
  blocks.insert(block);
}

void DeviceAllocator::releaseUnused() {
  synchronizeAll(*device_);
  for (MemoryPool* pool : pools_) {
    for (auto* blocks : {&pool->small, &pool->large}) {
      for (auto at = blocks->begin(); at != blocks->end();) {
        MemoryBlock* const block = *at;
        if (block->before || block->after) {
          ++at;
          continue;
        }
        at = blocks->erase(at);
        cudaFree(block->data);
        stats_.cachedBytes -= block->bytes;
        stats_.reservedBytes -= block->bytes;
        delete block;
      }
    }
  }
}

void DeviceAllocator::trim() {
  const std::lock_guard<std::mutex> lock(mutex_);
  releaseUnused();
}

MemoryStats DeviceAllocator::stats() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return stats_;
}

void DeviceAllocator::resetPeak() {
  const std::lock_guard<std::mutex> lock(mutex_);
  stats_.peakAllocatedBytes = stats_.allocatedBytes;
}

}  // namespace cuda
}  // namespace kindling
