#pragma once
// What is compiled once per ISA level: multiply-adds and nothing else.

#include <cstdint>

namespace kindling {

struct Level {
  /// Runs `steps` rounds of independent multiply-adds in registers; returns how many floating-point
  /// operations that were. `sink` receives a value that depends on all of them.
  double (*spinFma)(int64_t steps, float* sink);
};

namespace scalar {
extern const Level kLevel;
}
namespace avx2 {
extern const Level kLevel;
}
namespace avx512 {
extern const Level kLevel;
}

}  // namespace kindling
