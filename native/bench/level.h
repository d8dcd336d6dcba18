#pragma once
// What is compiled once per ISA level: multiply-adds and nothing else.

#include <cstdint>

#include "core/cpu_features.h"

namespace kindling {

struct Level {
  /// Runs `steps` rounds of independent multiply-adds in registers; returns how many floating-point
  /// operations that were. `sink` receives a value that depends on all of them.
  double (*spinFma)(int64_t steps, float* sink);
};

#define KINDLING_DECLARE(isa) \
  namespace isa {             \
  extern const Level kLevel;  \
  }
KINDLING_ISA_LEVELS(KINDLING_DECLARE)
#undef KINDLING_DECLARE

}  // namespace kindling
