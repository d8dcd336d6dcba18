#pragma once
// Who watches memory: AddressSanitizer, the checked build's shadow (shadow.cc), or nobody. The run
// time says what happens to memory; each build does with it what it can.

#include <cstddef>

#include "cuda_emulator/schedule.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace kindling {
namespace cuda {
namespace emulator {
namespace watch {

#if defined(KINDLING_EMULATOR_CHECKED)
constexpr bool kIsChecked = true;
#else
constexpr bool kIsChecked = false;
#endif

// Device memory.
void reserve(char* low, size_t bytes);
/// Becomes accessible, with unknown contents / inaccessible.
void allocated(void* data, size_t bytes);
void released(void* data, size_t bytes);
/// The host or the copy engine wrote, moved, or reads the bytes.
void hostWrote(void* data, size_t bytes);
void moved(void* to, const void* from, size_t bytes);
bool hostMayRead(const void* data, size_t bytes);

// Shared memory.
char* newArena(size_t bytes);
void reserveShared(char* low, size_t bytes);
void newShared(void* data, size_t bytes);
void forgetShared(void* data, size_t bytes);

// The course of a launch.
void beginLaunch();
void beginBlock();
void endBlock(Block& block);
void beginSegment(Thread& thread);

// What the run time does to memory for a kernel: atomics, asynchronous copies, ldmatrix.
/// The contents are unknown from now on.
void unknown(void* data, size_t bytes);
void atomic(const void* data, unsigned bytes, const void* code);
void read(const void* data, unsigned bytes, const void* code);
void write(void* data, unsigned bytes, const void* code);

#if !defined(KINDLING_EMULATOR_CHECKED)
#if defined(__SANITIZE_ADDRESS__)
inline void reserve(char*, size_t) {}  // has no access; its shadow would be gigabytes
inline void reserveShared(char* low, size_t bytes) { ASAN_POISON_MEMORY_REGION(low, bytes); }
inline void allocated(void* data, size_t bytes) { ASAN_UNPOISON_MEMORY_REGION(data, bytes); }
inline void released(void* data, size_t bytes) { ASAN_POISON_MEMORY_REGION(data, bytes); }
inline void newShared(void* data, size_t bytes) { ASAN_UNPOISON_MEMORY_REGION(data, bytes); }
inline void forgetShared(void* data, size_t bytes) { ASAN_POISON_MEMORY_REGION(data, bytes); }
#else
inline void reserve(char*, size_t) {}
inline void reserveShared(char*, size_t) {}
inline void allocated(void*, size_t) {}
inline void released(void*, size_t) {}
inline void newShared(void*, size_t) {}
inline void forgetShared(void*, size_t) {}
#endif
inline void hostWrote(void*, size_t) {}
inline void moved(void*, const void*, size_t) {}
inline bool hostMayRead(const void*, size_t) { return true; }
inline void beginLaunch() {}
inline void beginBlock() {}
inline void endBlock(Block&) {}
inline void beginSegment(Thread&) {}
inline void unknown(void*, size_t) {}
inline void atomic(const void*, unsigned, const void*) {}
inline void read(const void*, unsigned, const void*) {}
inline void write(void*, unsigned, const void*) {}
#endif

}  // namespace watch
}  // namespace emulator
}  // namespace cuda
}  // namespace kindling
