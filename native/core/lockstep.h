#pragma once
// A sequence of short steps, each a fixed number of parts: a step begins when all parts of the one
// before are done. For work whose steps are too short to be jobs of the thread pool.

#include <cstdint>

namespace kindling {

using StepFunction = void (*)(void* context, int64_t step, int part);

constexpr int kMostStepParts = 64;

/// Runs function(context, step, part) for the parts [0, parts) of the steps [0, steps) and returns
/// when all are done. A part stays with one thread, whose caches then hold what it reads at every
/// step; where that thread is late or missing another one does its part. parts: 1 to
/// kMostStepParts.
void parallelSteps(int parts, int64_t steps, StepFunction function, void* context);

}  // namespace kindling
