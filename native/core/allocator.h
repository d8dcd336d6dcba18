#pragma once
// The caching allocator of the CPU backend. Blocks are 64-byte aligned, come in size classes and
// are kept for reuse, because a fresh page costs more than the arithmetic of a small op.
// Thread-safe; shared by all environments (worker_threads) of the process.

#include <cstddef>
#include <cstdint>

#include "core/memory_stats.h"

namespace kindling {

constexpr size_t kAlignment = 64;

/// nullptr when the operating system refuses, or when `reservedBytes` would pass the limit even
/// after the cache was given back. Zero bytes give a valid, distinct block. Contents are undefined.
void* allocate(size_t bytes);

/// `bytes` is what allocate() was asked for.
void deallocate(void* data, size_t bytes);

/// Gives cached memory back to the operating system where whole blocks or slabs are free.
void trimCache();

/// Upper bound on reservedBytes; 0 removes it. Memory already in use is never taken away.
void setMemoryLimit(uint64_t bytes);

MemoryStats memoryStats();
void resetPeak();

}  // namespace kindling
