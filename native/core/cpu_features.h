#pragma once
// Which instruction set the kernels use. Detected once from cpuid and the operating system's state
// mask; KINDLING_ISA=scalar|avx2|avx512 lowers it, so that every level is tested on one machine.

namespace kindling {

enum class Isa : int { scalar = 0, avx2 = 1, avx512 = 2 };

/// The highest level that this CPU and operating system support.
Isa detectedIsa();

/// The level in use: KINDLING_ISA if set and supported, else detectedIsa(). Fixed at first call.
Isa activeIsa();

/// nullptr, or why KINDLING_ISA could not be obeyed (unknown name, or not supported by this CPU).
const char* isaProblem();

const char* isaName(Isa isa);

/// Physical cores this process may run on (affinity and SMT siblings taken into account), at
/// least 1.
int physicalCores();

/// Data cache sizes in bytes of one core, from the operating system; sensible defaults when
/// unknown.
struct CacheSizes {
  long l1, l2, l3;
};
CacheSizes cacheSizes();

}  // namespace kindling
