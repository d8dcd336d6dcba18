#pragma once
// The caching allocator of one device. cudaMalloc and cudaFree wait for the device, so memory is
// taken in segments, cut into blocks and kept. A block belongs to the stream it was first given to:
// work on a stream happens in the order it was called, so a block may be handed out again the
// moment it was given back, while kernels that use it are still under way.

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <set>
#include <unordered_map>

#include "core/memory_stats.h"
#include "cuda/gpu.h"

namespace kindling {
namespace cuda {

struct Device;
struct MemoryPool;

struct MemoryBlock {
  char* data;
  size_t bytes;
  MemoryPool* pool;
  MemoryBlock* before;  // neighbours in the same segment
  MemoryBlock* after;
  bool isFree;
  bool isSmall;
};

struct SmallerBlock {
  bool operator()(const MemoryBlock* a, const MemoryBlock* b) const {
    return a->bytes != b->bytes ? a->bytes < b->bytes : a->data < b->data;
  }
};

/// The free blocks of one stream.
struct MemoryPool {
  std::set<MemoryBlock*, SmallerBlock> small, large;
  cudaStream_t stream = nullptr;
};

class DeviceAllocator {
 public:
  explicit DeviceAllocator() = default;
  void bind(Device* device) { device_ = device; }

  /// nullptr when the device has no more, even after everything unused was given back.
  void* allocate(MemoryPool& pool, size_t bytes);
  void deallocate(void* data);

  MemoryStats stats();
  void resetPeak();
  /// Gives segments that are free as a whole back to the device, after waiting for its streams.
  void trim();

 private:
  MemoryBlock* find(MemoryPool& pool, size_t bytes);
  MemoryBlock* newSegment(MemoryPool& pool, size_t bytes);
  void split(MemoryBlock* block, size_t bytes);
  void join(MemoryBlock* block, MemoryBlock* next);
  void releaseUnused();
  void* allocateUncached(size_t bytes);
  void count(int64_t bytes);

  Device* device_ = nullptr;
  std::mutex mutex_;
  std::unordered_map<void*, MemoryBlock*> inUse_;
  std::unordered_map<void*, size_t> uncached_;
  std::set<MemoryPool*> pools_;
  MemoryStats stats_ = {};
};

}  // namespace cuda
}  // namespace kindling
