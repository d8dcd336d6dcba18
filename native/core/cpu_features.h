#pragma once
// Which instruction set the kernels use. On x86-64 detected once from cpuid and the operating
// system's state mask; KINDLING_ISA lowers it, so that every level is tested on one machine.

#include <cstdint>

namespace kindling {

/// The levels that the kernels are compiled for on this architecture, the lowest first:
/// CMakeLists.txt has the same. X(name) for each.
#if defined(__x86_64__) || defined(_M_X64)
#define KINDLING_ISA_LEVELS(X) X(scalar) X(avx2) X(avx512)
#elif defined(__aarch64__) || defined(_M_ARM64)
#define KINDLING_ISA_LEVELS(X) X(scalar) X(neon)
#else
#define KINDLING_ISA_LEVELS(X) X(scalar)
#endif

#define KINDLING_ISA_ENUMERATOR(name) name,
enum class Isa : int { KINDLING_ISA_LEVELS(KINDLING_ISA_ENUMERATOR) };
#undef KINDLING_ISA_ENUMERATOR

/// The highest level that this CPU and operating system support.
Isa detectedIsa();

/// The level in use: KINDLING_ISA if set and supported, else detectedIsa(). Fixed at first call.
Isa activeIsa();

/// nullptr, or why KINDLING_ISA could not be obeyed (unknown name, or not supported by this CPU).
const char* isaProblem();

const char* isaName(Isa isa);

/// Whether the avx512 kernels may use AVX512-BF16 (vdpbf16ps). `allowed`: for tests, which also
/// want the results of CPUs without it.
bool hasBrainDots();
void allowBrainDots(bool allowed);

/// Physical cores this process may run on (affinity and SMT siblings taken into account), at
/// least 1.
int physicalCores();

/// Data cache sizes in bytes of one core, from the operating system; sensible defaults when
/// unknown.
struct CacheSizes {
  long l1, l2, l3;
};
CacheSizes cacheSizes();

/// Bytes from which a result is written past the caches: a quarter of the last cache, which it
/// would share with its operands. `bytes`: for tests, which would otherwise need large ones; 0: as
/// usual.
int64_t largeResultBytes();
void setLargeResultBytes(int64_t bytes);

}  // namespace kindling
