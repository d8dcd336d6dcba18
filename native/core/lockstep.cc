#include "core/lockstep.h"

#include <atomic>

#include "core/pause.h"
#include "core/thread_pool.h"

namespace kindling {

namespace {

// A part whose thread has come is left to it for this many pauses (a few microseconds).
constexpr int kPatience = 200;
// From then on other threads may have the core.
constexpr int kSpinsBeforeYield = 10000;

/// How far a part has come, on a cache line of its own.
struct alignas(64) Progress {
  std::atomic<int64_t> claimed{0};  // steps begun
  std::atomic<int64_t> done{0};
  std::atomic<bool> present{false};  // its thread has come
};

struct Sequence {
  int parts;
  int64_t steps;
  StepFunction function;
  void* context;
  Progress progress[kMostStepParts];

  /// All parts of the steps before `step` must be done.
  void tryPart(int64_t step, int part) {
    Progress& p = progress[part];
    int64_t expected = step;
    if (p.claimed.load(std::memory_order_relaxed) != step) return;
    if (!p.claimed.compare_exchange_strong(expected, step + 1, std::memory_order_acq_rel)) return;
    function(context, step, part);
    p.done.store(step + 1, std::memory_order_release);
  }

  /// Returns when the part is done with the step, by its own thread or by this one.
  void awaitPart(int64_t step, int part) {
    Progress& p = progress[part];
    for (int spins = 0; p.done.load(std::memory_order_acquire) <= step; ++spins) {
      if (spins >= kPatience || !p.present.load(std::memory_order_relaxed)) tryPart(step, part);
      if (spins < kSpinsBeforeYield) {
        pauseCpu();
      } else {
        yieldCore();
      }
    }
  }

  void goThrough(int own) {
    progress[own].present.store(true, std::memory_order_relaxed);
    // A thread that comes late finds steps that others have done in its place. Of the last of them
    // only its own part is known to be done.
    const int64_t done = progress[own].done.load(std::memory_order_acquire);
    for (int64_t step = done > 0 ? done - 1 : 0; step < steps; ++step) {
      tryPart(step, own);
      for (int part = 0; part < parts; ++part) awaitPart(step, part);
    }
  }
};

}  // namespace

void parallelSteps(int parts, int64_t steps, StepFunction function, void* context) {
  if (parts == 1) {
    for (int64_t step = 0; step < steps; ++step) function(context, step, 0);
    return;
  }
  Sequence sequence;
  sequence.parts = parts;
  sequence.steps = steps;
  sequence.function = function;
  sequence.context = context;
  parallelParts(
      parts, [](void* opaque, int part) { static_cast<Sequence*>(opaque)->goThrough(part); },
      &sequence);
}

}  // namespace kindling
