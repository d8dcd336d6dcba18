#pragma once
// What the threads of a block do together: barriers, shuffles, votes, shared memory, asynchronous
// copies and the tensor core. A thread waits here until those it names have arrived at the same
// line; if they never do, the launch fails with a message instead of hanging.

#include <cstddef>
#include <cstdint>

#include "cuda_emulator/intrinsics.h"

namespace kindling {
namespace cuda {
namespace emulator {

constexpr unsigned kAllLanes = 0xffffffffu;

/// A line of source.
struct Place {
  const char* file;
  int line;
};

void syncThreads(Place place);
int syncThreadsCount(int predicate, Place place);
void syncWarp(unsigned mask, Place place);
/// The votes of the lanes in `mask`, as bits.
unsigned ballot(unsigned mask, bool vote, Place place);

enum class Shuffle { index, up, down, exclusive };
/// The bits that another lane brought.
uint64_t shuffle(Shuffle kind, unsigned mask, uint64_t bits, int argument, int width, Place place);

/// A GPU_SHARED array: one address for each block, the same for all its threads.
class SharedArray {
 public:
  void* get(size_t bytes, const char* name) {
    return launch_ == currentLaunch() ? at(offset_) : place(bytes, name);
  }

 private:
  static uint64_t currentLaunch() { return launchNumber; }
  static void* at(size_t offset) { return sharedBase + offset; }
  void* place(size_t bytes, const char* name);

  friend struct SharedState;
  __attribute__((visibility("hidden"))) static uint64_t launchNumber;
  __attribute__((visibility("hidden"))) static char* sharedBase;
  uint64_t launch_ = 0;
  size_t offset_ = 0;
};
unsigned char* dynamicShared();

/// Copies at the wait, so that a missing wait shows.
void asyncCopy(void* shared, const void* global, unsigned bytes, bool valid);
void asyncCommit();
void asyncWait(int pending);

uint32_t toTf32(float value);
void mmaTf32Of(float* d, const uint32_t* a, const uint32_t* b, Place place);
void mmaBf16Of(float* d, const uint32_t* a, const uint32_t* b, Place place);
void mmaF16Of(float* d, const uint32_t* a, const uint32_t* b, Place place);
void ldmatrixOf(uint32_t* r, const void* shared, bool transposed, Place place);

#define KINDLING_EMULATED_HERE const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void mmaTf32(float d[4], const uint32_t a[4], const uint32_t b[2], KINDLING_EMULATED_HERE) {
  mmaTf32Of(d, a, b, {file, line});
}
inline void mmaBf16(float d[4], const uint32_t a[4], const uint32_t b[2], KINDLING_EMULATED_HERE) {
  mmaBf16Of(d, a, b, {file, line});
}
inline void mmaF16(float d[4], const uint32_t a[4], const uint32_t b[2], KINDLING_EMULATED_HERE) {
  mmaF16Of(d, a, b, {file, line});
}
inline void ldmatrixX4(uint32_t r[4], const void* shared, KINDLING_EMULATED_HERE) {
  ldmatrixOf(r, shared, false, {file, line});
}
inline void ldmatrixX4Trans(uint32_t r[4], const void* shared, KINDLING_EMULATED_HERE) {
  ldmatrixOf(r, shared, true, {file, line});
}

template <typename T>
inline T shuffleOf(Shuffle kind, unsigned mask, T value, int argument, int width, Place place) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "shuffles move 4 or 8 bytes");
  using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  return bitsAs<T>(
      static_cast<Bits>(shuffle(kind, mask, bitsAs<Bits>(value), argument, width, place)));
}

void gridBarrierOf(unsigned* counter, Place place);

}  // namespace emulator

namespace gpu {

inline void gridBarrier(unsigned* counter, KINDLING_EMULATED_HERE) {
  emulator::gridBarrierOf(counter, {file, line});
}

}  // namespace gpu
}  // namespace cuda
}  // namespace kindling

#define GPU_SHARED(type, name, ...)                            \
  typedef type name##SharedType __VA_ARGS__;                   \
  static ::kindling::cuda::emulator::SharedArray name##Shared; \
  name##SharedType& name =                                     \
      *static_cast<name##SharedType*>(name##Shared.get(sizeof(name##SharedType), #name))
#define GPU_DYNAMIC_SHARED(name) \
  unsigned char* const name = ::kindling::cuda::emulator::dynamicShared()

inline void __syncthreads(KINDLING_EMULATED_HERE) {
  kindling::cuda::emulator::syncThreads({file, line});
}
inline int __syncthreads_count(int predicate, KINDLING_EMULATED_HERE) {
  return kindling::cuda::emulator::syncThreadsCount(predicate, {file, line});
}
inline int __syncthreads_or(int predicate, KINDLING_EMULATED_HERE) {
  return kindling::cuda::emulator::syncThreadsCount(predicate, {file, line}) != 0;
}
inline int __syncthreads_and(int predicate, KINDLING_EMULATED_HERE) {
  return kindling::cuda::emulator::syncThreadsCount(predicate == 0, {file, line}) == 0;
}
inline void __syncwarp(unsigned mask = kindling::cuda::emulator::kAllLanes,
                       KINDLING_EMULATED_HERE) {
  kindling::cuda::emulator::syncWarp(mask, {file, line});
}
inline unsigned __ballot_sync(unsigned mask, int vote, KINDLING_EMULATED_HERE) {
  return kindling::cuda::emulator::ballot(mask, vote != 0, {file, line});
}
inline int __any_sync(unsigned mask, int vote, KINDLING_EMULATED_HERE) {
  return kindling::cuda::emulator::ballot(mask, vote != 0, {file, line}) != 0;
}
inline int __all_sync(unsigned mask, int vote, KINDLING_EMULATED_HERE) {
  return kindling::cuda::emulator::ballot(mask, vote == 0, {file, line}) == 0;
}
template <typename T>
inline T __shfl_sync(unsigned mask, T value, int lane, int width = 32, KINDLING_EMULATED_HERE) {
  using namespace kindling::cuda::emulator;
  return shuffleOf(Shuffle::index, mask, value, lane, width, {file, line});
}
template <typename T>
inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                        KINDLING_EMULATED_HERE) {
  using namespace kindling::cuda::emulator;
  return shuffleOf(Shuffle::up, mask, value, static_cast<int>(delta), width, {file, line});
}
template <typename T>
inline T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                          KINDLING_EMULATED_HERE) {
  using namespace kindling::cuda::emulator;
  return shuffleOf(Shuffle::down, mask, value, static_cast<int>(delta), width, {file, line});
}
template <typename T>
inline T __shfl_xor_sync(unsigned mask, T value, int other, int width = 32,
                         KINDLING_EMULATED_HERE) {
  using namespace kindling::cuda::emulator;
  return shuffleOf(Shuffle::exclusive, mask, value, other, width, {file, line});
}
// Memory is always coherent here; what a missing barrier would break, the checked build sees.
inline void __threadfence() {}
inline void __threadfence_block() {}
#undef KINDLING_EMULATED_HERE
