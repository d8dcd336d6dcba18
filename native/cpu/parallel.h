#pragma once
// parallelFor for kernels: everything here has internal linkage, because it is included by objects
// compiled for one instruction set (see docs/architecture.md, "One object per ISA level").

#include <cstdint>

#include "core/thread_pool.h"

namespace kindling {
namespace {

/// Splits [0, n) into at most numThreads() ranges of at least `grain` and calls body(begin, end)
/// for each, in parallel. Range boundaries are multiples of `multiple` (but for the last).
template <typename Body>
inline void parallelFor(int64_t n, int64_t grain, int64_t multiple, const Body& body) {
  const int64_t most = grain > 0 ? n / grain : n;
  int64_t parts = numThreads();
  if (parts > most) parts = most;
  if (parts <= 1) {
    if (n > 0) body(int64_t{0}, n);
    return;
  }
  struct Context {
    const Body* body;
    int64_t n, step;
  };
  int64_t step = (n + parts - 1) / parts;
  step = (step + multiple - 1) / multiple * multiple;
  Context context{&body, n, step};
  parallelParts(
      static_cast<int>((n + step - 1) / step),
      [](void* opaque, int part) {
        const Context& c = *static_cast<const Context*>(opaque);
        const int64_t begin = part * c.step;
        const int64_t end = begin + c.step < c.n ? begin + c.step : c.n;
        (*c.body)(begin, end);
      },
      &context);
}

/// parallelFor for what gives the same bits in whatever parts: while the workers are awake, a
/// quarter of the grain is worth handing over. Not less: what a part reads was often written on
/// another core.
template <typename Body>
inline void parallelForPromptly(int64_t n, int64_t grain, int64_t multiple, const Body& body) {
  const int64_t smaller = grain / 4 + 1;
  const bool inBetween = n < 2 * grain && n >= 2 * smaller;
  parallelFor(n, inBetween && promptThreads() > 1 ? smaller : grain, multiple, body);
}

}  // namespace
}  // namespace kindling
