#include "core/allocator.h"

#include <cstring>
#include <thread>
#include <vector>

#include "doctest/doctest.h"

namespace kindling {
namespace {

struct Block {
  void* data;
  size_t bytes;
};

/// Restores "no limit" when a test ends, however it ends.
struct LimitGuard {
  ~LimitGuard() { setMemoryLimit(0); }
};

}  // namespace

TEST_SUITE_BEGIN("allocator");

TEST_CASE("blocks are aligned, distinct and as large as asked") {
  std::vector<Block> blocks;
  for (size_t bytes : {0, 1, 63, 64, 65, 511, 513, 4096, 65536, 65537, 1 << 20, 3 << 20}) {
    void* data = allocate(bytes);
    REQUIRE(data != nullptr);
    CHECK(reinterpret_cast<uintptr_t>(data) % kAlignment == 0);
    memset(data, static_cast<int>(blocks.size()), bytes);
    blocks.push_back({data, bytes});
  }
  for (size_t i = 0; i < blocks.size(); ++i) {
    const unsigned char* bytes = static_cast<const unsigned char*>(blocks[i].data);
    for (size_t j = 0; j < blocks[i].bytes; j += 61) CHECK(bytes[j] == i);
  }
  for (const Block& block : blocks) deallocate(block.data, block.bytes);
}

TEST_CASE("a freed block is used again, for any size of its class") {
  void* first = allocate(100000);
  deallocate(first, 100000);
  const uint64_t hits = memoryStats().cacheHits;
  void* second = allocate(99999);
  CHECK(second == first);
  CHECK(memoryStats().cacheHits == hits + 1);
  deallocate(second, 99999);
}

TEST_CASE("classes waste at most an eighth") {
  for (size_t bytes = 1024; bytes < (size_t{1} << 24); bytes = bytes * 9 / 8 + 1) {
    const uint64_t before = memoryStats().allocatedBytes;
    void* data = allocate(bytes);
    REQUIRE(data != nullptr);
    const uint64_t used = memoryStats().allocatedBytes - before;
    CHECK(used >= bytes);
    CHECK(used <= bytes + bytes / 8 + kAlignment);
    deallocate(data, bytes);
  }
}

TEST_CASE("statistics add up") {
  const MemoryStats before = memoryStats();
  void* a = allocate(5000);
  void* b = allocate(3000000);
  const MemoryStats during = memoryStats();
  CHECK(during.allocatedBytes >= before.allocatedBytes + 3005000);
  CHECK(during.allocations == before.allocations + 2);
  CHECK(during.reservedBytes >= during.allocatedBytes + during.cachedBytes);
  deallocate(a, 5000);
  deallocate(b, 3000000);
  const MemoryStats after = memoryStats();
  CHECK(after.allocatedBytes == before.allocatedBytes);
  CHECK(after.peakAllocatedBytes >= during.allocatedBytes);
  resetPeak();
  CHECK(memoryStats().peakAllocatedBytes == memoryStats().allocatedBytes);
}

TEST_CASE("trimming gives large blocks back") {
  void* data = allocate(size_t{32} << 20);
  const uint64_t reserved = memoryStats().reservedBytes;
  deallocate(data, size_t{32} << 20);
  CHECK(memoryStats().reservedBytes == reserved);
  trimCache();
  CHECK(memoryStats().reservedBytes <= reserved - (uint64_t{32} << 20));
}

TEST_CASE("a limit refuses, and everything goes on") {
  const LimitGuard guard;
  trimCache();
  setMemoryLimit(memoryStats().reservedBytes + (uint64_t{8} << 20));
  CHECK(allocate(size_t{16} << 20) == nullptr);
  // What is cached is given back before anything is refused.
  void* first = allocate(size_t{5} << 20);
  REQUIRE(first != nullptr);
  deallocate(first, size_t{5} << 20);
  void* second = allocate(size_t{7} << 20);
  REQUIRE(second != nullptr);
  CHECK(allocate(size_t{2} << 20) == nullptr);
  deallocate(second, size_t{7} << 20);
  setMemoryLimit(0);
  void* third = allocate(size_t{16} << 20);
  REQUIRE(third != nullptr);
  deallocate(third, size_t{16} << 20);
}

TEST_CASE("absurd sizes are refused") {
  CHECK(allocate(size_t{1} << 47) == nullptr);
  CHECK(allocate(SIZE_MAX) == nullptr);
  CHECK(allocate(SIZE_MAX - 63) == nullptr);
}

TEST_CASE("threads never share a block") {
  const auto work = [](unsigned seed) {
    std::vector<Block> held;
    unsigned state = seed;
    bool intact = true;
    for (int i = 0; i < 4000; ++i) {
      state = state * 1664525u + 1013904223u;
      if (held.size() > 20 || (!held.empty() && state >> 31)) {
        const Block block = held[state % held.size()];
        const unsigned char* bytes = static_cast<const unsigned char*>(block.data);
        for (size_t j = 0; j < block.bytes; j += 97) intact = intact && bytes[j] == seed;
        held[state % held.size()] = held.back();
        held.pop_back();
        deallocate(block.data, block.bytes);
      } else {
        const size_t bytes = 1 + state % 200000;
        void* data = allocate(bytes);
        if (!data) return false;
        memset(data, static_cast<int>(seed), bytes);
        held.push_back({data, bytes});
      }
    }
    for (const Block& block : held) deallocate(block.data, block.bytes);
    return intact;
  };
  const uint64_t before = memoryStats().allocatedBytes;
  bool intact[4] = {};
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 4; ++i) threads.emplace_back([&, i] { intact[i] = work(i + 1); });
  for (std::thread& thread : threads) thread.join();
  for (bool ok : intact) CHECK(ok);
  CHECK(memoryStats().allocatedBytes == before);
}

TEST_SUITE_END();

}  // namespace kindling
