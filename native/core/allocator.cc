#include "core/allocator.h"

#if defined(_WIN32)
#include <windows.h>
#else
#include <pthread.h>
#include <sys/mman.h>
#endif

#include <array>
#include <mutex>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define KINDLING_POISON(data, bytes) ASAN_POISON_MEMORY_REGION(data, bytes)
#define KINDLING_UNPOISON(data, bytes) ASAN_UNPOISON_MEMORY_REGION(data, bytes)
#else
#define KINDLING_POISON(data, bytes)
#define KINDLING_UNPOISON(data, bytes)
#endif

namespace kindling {

namespace {

// Size classes: multiples of 64 bytes up to 512, then eight to each doubling (at most 12.5 %
// waste).
constexpr size_t kLinearClasses = 8;
constexpr size_t kStepsPerDoubling = 8;
constexpr size_t kMaxBlock = size_t{1} << 47;
constexpr size_t kClasses = kLinearClasses + kStepsPerDoubling * 40;
constexpr size_t kSlab = size_t{1} << 20;
constexpr size_t kLargestInSlab = size_t{64} << 10;
constexpr size_t kHugePage = size_t{2} << 20;

size_t classOf(size_t bytes) {
  const size_t units = bytes == 0 ? 1 : (bytes + kAlignment - 1) / kAlignment;
  if (units <= kLinearClasses) return units - 1;
  const int doubling = 63 - __builtin_clzll(units - 1);  // units is in (2^doubling, 2^(doubling+1)]
  const size_t step = size_t{1} << (doubling - 3);
  const size_t steps = (units - (size_t{1} << doubling) + step - 1) / step;
  return kLinearClasses + static_cast<size_t>(doubling - 3) * kStepsPerDoubling + steps - 1;
}

size_t bytesOf(size_t sizeClass) {
  if (sizeClass < kLinearClasses) return (sizeClass + 1) * kAlignment;
  const size_t above = sizeClass - kLinearClasses;
  const size_t doubling = above / kStepsPerDoubling + 3;
  const size_t steps = above % kStepsPerDoubling + 1;
  return ((size_t{1} << doubling) + (steps << (doubling - 3))) * kAlignment;
}

#if defined(_WIN32)

void* mapPages(size_t bytes) {
  return VirtualAlloc(nullptr, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
}

void unmap(void* data, size_t) { VirtualFree(data, 0, MEM_RELEASE); }

void* mapBlock(size_t bytes) { return mapPages(bytes); }

#else

void* mapPages(size_t bytes) {
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return data == MAP_FAILED ? nullptr : data;
}

void unmap(void* data, size_t bytes) { munmap(data, bytes); }

/// Whole pages from the operating system; large ones aligned so that huge pages can back them.
void* mapBlock(size_t bytes) {
  if (bytes < kHugePage) return mapPages(bytes);
  char* raw = static_cast<char*>(mapPages(bytes + kHugePage));
  if (!raw) return nullptr;
  const size_t misaligned = reinterpret_cast<uintptr_t>(raw) % kHugePage;
  const size_t before = misaligned ? kHugePage - misaligned : 0;
  if (before) munmap(raw, before);
  if (kHugePage - before) munmap(raw + before + bytes, kHugePage - before);
#if defined(MADV_HUGEPAGE)
  madvise(raw + before, bytes, MADV_HUGEPAGE);
#endif
  return raw + before;
}

#endif

class Allocator {
 public:
  void* allocate(size_t bytes) {
    if (bytes > kMaxBlock) return nullptr;
    const size_t sizeClass = classOf(bytes);
    const size_t block = bytesOf(sizeClass);
    const std::lock_guard<std::mutex> lock(mutex_);
    void* data = popFree(sizeClass);
    if (data) {
      stats_.cachedBytes -= block;
      ++stats_.cacheHits;
    } else {
      data = fresh(block);
      if (!data) {
        trim();
        data = fresh(block);
      }
      if (!data) return nullptr;
    }
    ++stats_.allocations;
    stats_.allocatedBytes += block;
    if (stats_.allocatedBytes > stats_.peakAllocatedBytes) {
      stats_.peakAllocatedBytes = stats_.allocatedBytes;
    }
    KINDLING_UNPOISON(data, block);
    return data;
  }

  void deallocate(void* data, size_t bytes) {
    if (!data) return;
    const size_t sizeClass = classOf(bytes);
    const size_t block = bytesOf(sizeClass);
    const std::lock_guard<std::mutex> lock(mutex_);
    stats_.allocatedBytes -= block;
    stats_.cachedBytes += block;
    pushFree(sizeClass, data);
    KINDLING_POISON(static_cast<char*>(data) + sizeof(Free), block - sizeof(Free));
  }

  void trimCache() {
    const std::lock_guard<std::mutex> lock(mutex_);
    trim();
  }

  void setLimit(uint64_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    stats_.limitBytes = bytes;
  }

  MemoryStats stats() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return stats_;
  }

  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

  void resetPeak() {
    const std::lock_guard<std::mutex> lock(mutex_);
    stats_.peakAllocatedBytes = stats_.allocatedBytes;
  }

 private:
  struct Free {
    Free* next;
  };

  void* popFree(size_t sizeClass) {
    Free* block = free_[sizeClass];
    if (block) free_[sizeClass] = block->next;
    return block;
  }

  void pushFree(size_t sizeClass, void* data) {
    Free* block = static_cast<Free*>(data);
    block->next = free_[sizeClass];
    free_[sizeClass] = block;
  }

  bool mayReserve(size_t bytes) const {
    return stats_.limitBytes == 0 || stats_.reservedBytes + bytes <= stats_.limitBytes;
  }

  void* fresh(size_t block) {
    if (block > kLargestInSlab) {
      if (!mayReserve(block)) return nullptr;
      void* data = mapBlock(block);
      if (data) stats_.reservedBytes += block;
      return data;
    }
    if (slabLeft_ < block) {
      if (!mayReserve(kSlab)) return nullptr;
      slabNext_ = static_cast<char*>(mapPages(kSlab));
      slabLeft_ = slabNext_ ? kSlab : 0;
      if (!slabNext_) return nullptr;
      stats_.reservedBytes += kSlab;
    }
    void* data = slabNext_;
    slabNext_ += block;
    slabLeft_ -= block;
    return data;
  }

  /// Blocks of their own go back; slabs stay, they are small.
  void trim() {
    for (size_t sizeClass = classOf(kLargestInSlab) + 1; sizeClass < kClasses; ++sizeClass) {
      const size_t block = bytesOf(sizeClass);
      while (void* data = popFree(sizeClass)) {
        KINDLING_UNPOISON(data, block);
        unmap(data, block);
        stats_.cachedBytes -= block;
        stats_.reservedBytes -= block;
      }
    }
  }

  std::mutex mutex_;
  std::array<Free*, kClasses> free_{};
  char* slabNext_ = nullptr;
  size_t slabLeft_ = 0;
  MemoryStats stats_{};
};

Allocator& allocator();

Allocator& allocator() {
  // Never destroyed: tensors of static storage duration may outlive any order of destruction.
  static Allocator& shared = []() -> Allocator& {
    Allocator& created = *new Allocator;
#if !defined(_WIN32)
    // A child forked while another thread allocates must not inherit a lock that nobody will open.
    pthread_atfork([] { allocator().lock(); }, [] { allocator().unlock(); },
                   [] { allocator().unlock(); });
#endif
    return created;
  }();
  return shared;
}

}  // namespace

void* allocate(size_t bytes) { return allocator().allocate(bytes); }
void deallocate(void* data, size_t bytes) { allocator().deallocate(data, bytes); }
void trimCache() { allocator().trimCache(); }
void setMemoryLimit(uint64_t bytes) { allocator().setLimit(bytes); }
MemoryStats memoryStats() { return allocator().stats(); }
void resetPeak() { allocator().resetPeak(); }

}  // namespace kindling
