#pragma once
// What an allocator holds. Plain data.

#include <cstdint>

namespace kindling {

struct MemoryStats {
  uint64_t allocatedBytes;      // in use, in size-class bytes
  uint64_t peakAllocatedBytes;  // since start or resetPeak()
  uint64_t cachedBytes;         // free, kept for reuse
  uint64_t reservedBytes;       // taken from the system: in use + cached + remainders of slabs
  uint64_t limitBytes;          // 0: no limit
  uint64_t allocations;         // calls of allocate() that succeeded
  uint64_t cacheHits;           // of these, served from the cache
};

}  // namespace kindling
