// The memory of the emulated devices: one range of addresses each, in which every allocation has
// its own pages and unmapped ones after it.

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

#include "cuda_emulator/device.h"
#include "cuda_emulator/report.h"
#include "cuda_emulator/watch.h"

namespace kindling {
namespace cuda {
namespace emulator {
namespace {

constexpr size_t kRangeBytes = size_t{16} << 30;
constexpr size_t kPage = 4096;

struct Range {
  char* low = nullptr;
  size_t used = 0;  // beyond it nothing was ever allocated
  size_t allocated = 0;
  std::map<size_t, size_t> free;  // offset and bytes, below `used`
};
// Never destroyed: a process may end while a kernel runs on another thread.
std::vector<Range>& ranges = *new std::vector<Range>;
std::map<const char*, size_t>& allocations = *new std::map<const char*, size_t>;  // bytes asked for
std::map<const char*, size_t>& pinned = *new std::map<const char*, size_t>;

size_t limit() {
  static const size_t bytes = [] {
    const char* const text = getenv("KINDLING_EMULATOR_MEMORY");
    return text == nullptr || *text == 0 ? size_t{4} << 30 : strtoull(text, nullptr, 10);
  }();
  return bytes;
}

bool& protects() {
  static bool on = [] {
    const char* const text = getenv("KINDLING_EMULATOR_PROTECT");
    return text != nullptr && strcmp(text, "1") == 0;
  }();
  return on;
}

#if !defined(__SANITIZE_ADDRESS__)
struct sigaction before;

/// A kernel that steps outside fails like one on a device; the host is told what it did.
void onFault(int signal, siginfo_t* info, void*) {
  if (isRunning()) {
    finding("a fault at address %p, which is no memory of the device", info->si_addr);
  }
  if (isDeviceMemory(info->si_addr)) {
    char text[128];
    const int n = snprintf(text, sizeof text, "emulator: the host touched device memory at %p\n",
                           info->si_addr);
    if (n > 0 && write(2, text, static_cast<size_t>(n)) < 0) _exit(1);
  }
  sigaction(signal, &before, nullptr);
}

/// Again and again, since a test framework may put its own handler back.
void watchFaults() {
  struct sigaction action = {};
  if (sigaction(SIGSEGV, nullptr, &action) == 0 && action.sa_sigaction == onFault) return;
  action = {};
  action.sa_sigaction = onFault;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGSEGV, &action, &before);
}
#else
void watchFaults() {}
#endif

Range& rangeOf(int device) {
  if (ranges.empty()) {
    ranges.resize(static_cast<size_t>(deviceCount()));
    for (Range& range : ranges) {
      void* const low =
          mmap(nullptr, kRangeBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (low == MAP_FAILED) {
        fprintf(stderr, "emulator: no addresses for the memory of a device\n");
        abort();
      }
      range.low = static_cast<char*>(low);
      watch::reserve(range.low, kRangeBytes);
    }
  }
  return ranges[static_cast<size_t>(device)];
}

const Range* rangeWith(const void* data) {
  const char* const at = static_cast<const char*>(data);
  for (const Range& range : ranges) {
    if (range.low != nullptr && at >= range.low && at < range.low + kRangeBytes) return &range;
  }
  return nullptr;
}

/// With a page after it that is never mapped.
size_t pagesOf(size_t bytes) { return (bytes + 64 + kPage - 1) / kPage * kPage + kPage; }

char* takePages(Range& range, size_t bytes) {
  for (auto it = range.free.begin(); it != range.free.end(); ++it) {
    if (it->second < bytes) continue;
    const size_t offset = it->first, rest = it->second - bytes;
    range.free.erase(it);
    if (rest > 0) range.free[offset + bytes] = rest;
    return range.low + offset;
  }
  if (range.used + bytes > kRangeBytes) return nullptr;
  range.used += bytes;
  return range.low + range.used - bytes;
}

void returnPages(Range& range, size_t offset, size_t bytes) {
  auto it = range.free.emplace(offset, bytes).first;
  const auto next = std::next(it);
  if (next != range.free.end() && it->first + it->second == next->first) {
    it->second += next->second;
    range.free.erase(next);
  }
  if (it != range.free.begin()) {
    const auto previous = std::prev(it);
    if (previous->first + previous->second == it->first) {
      previous->second += it->second;
      range.free.erase(it);
    }
  }
}

int accessDepth = 0;

void protectAll(int protection) {
  for (const auto& allocation : allocations) {
    mprotect(const_cast<char*>(allocation.first), pagesOf(allocation.second) - kPage, protection);
  }
}

}  // namespace

char* watch::newArena(size_t bytes) {
  void* const memory = mmap(nullptr, bytes + kPage, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    fprintf(stderr, "emulator: no memory for the shared memory of a block\n");
    abort();
  }
  mprotect(static_cast<char*>(memory) + bytes, kPage, PROT_NONE);
  watch::reserveShared(static_cast<char*>(memory), bytes);
  return static_cast<char*>(memory);
}

bool isDeviceMemory(const void* data) { return rangeWith(data) != nullptr; }

int deviceOfMemory(const void* data) {
  const Range* const range = rangeWith(data);
  return range == nullptr ? -1 : static_cast<int>(range - ranges.data());
}

bool isAllocated(const void* data, size_t bytes) {
  const char* const at = static_cast<const char*>(data);
  auto it = allocations.upper_bound(at);
  if (it == allocations.begin()) return false;
  --it;
  return at + bytes <= it->first + it->second;
}

void forEachAllocation(void (*visit)(void* data, size_t bytes)) {
  for (const auto& allocation : allocations) {
    visit(const_cast<char*>(allocation.first), allocation.second);
  }
}

bool isPinned(const void* data) {
  const char* const at = static_cast<const char*>(data);
  auto it = pinned.upper_bound(at);
  if (it == pinned.begin()) return false;
  --it;
  return at < it->first + it->second;
}

void setProtection(bool on) {
  protects() = on;
  if (accessDepth == 0) protectAll(on ? PROT_NONE : PROT_READ | PROT_WRITE);
}

DeviceAccess::DeviceAccess() {
  if (accessDepth++ > 0) return;
  watchFaults();
  if (protects()) protectAll(PROT_READ | PROT_WRITE);
}
DeviceAccess::~DeviceAccess() {
  if (--accessDepth == 0 && protects()) protectAll(PROT_NONE);
}

}  // namespace emulator
}  // namespace cuda
}  // namespace kindling

using namespace kindling::cuda::emulator;

cudaError_t cudaMalloc(void** data, size_t bytes) {
  Guard guard;
  *data = nullptr;
  if (bytes == 0) return cudaSuccess;
  Range& range = rangeOf(currentDevice());
  if (range.allocated + bytes > limit()) return failed(cudaErrorMemoryAllocation);
  char* const memory = takePages(range, pagesOf(bytes));
  if (memory == nullptr || mprotect(memory, pagesOf(bytes) - kPage, PROT_READ | PROT_WRITE) != 0) {
    return failed(cudaErrorMemoryAllocation);
  }
  range.allocated += bytes;
  watch::released(memory, pagesOf(bytes) - kPage);
  watch::allocated(memory, bytes);
  memset(memory, 0xff, bytes);
  allocations[memory] = bytes;
  if (accessDepth == 0 && protects()) mprotect(memory, pagesOf(bytes) - kPage, PROT_NONE);
  *data = memory;
  return cudaSuccess;
}

cudaError_t cudaFree(void* data) {
  Guard guard;
  if (data == nullptr) return cudaSuccess;
  cudaDeviceSynchronize();
  const auto it = allocations.find(static_cast<char*>(data));
  if (it == allocations.end()) return failed(cudaErrorInvalidValue);
  Range& range = rangeOf(deviceOfMemory(data));
  const size_t bytes = it->second, pages = pagesOf(bytes);
  watch::released(data, bytes);
  // Gives the memory back and keeps the addresses without access.
  mmap(data, pages, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  returnPages(range, static_cast<size_t>(static_cast<char*>(data) - range.low), pages);
  range.allocated -= bytes;
  allocations.erase(it);
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  Guard guard;
  *total = limit();
  *free = limit() - rangeOf(currentDevice()).allocated;
  return cudaSuccess;
}

cudaError_t cudaHostAlloc(void** data, size_t bytes, unsigned) {
  Guard guard;
  *data = nullptr;
  if (posix_memalign(data, kPage, bytes == 0 ? 1 : bytes) != 0) {
    return failed(cudaErrorMemoryAllocation);
  }
  memset(*data, 0xff, bytes);
  pinned[static_cast<char*>(*data)] = bytes;
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void* data) {
  Guard guard;
  if (data == nullptr) return cudaSuccess;
  cudaDeviceSynchronize();
  if (pinned.erase(static_cast<char*>(data)) == 0) return failed(cudaErrorInvalidValue);
  free(data);
  return cudaSuccess;
}
