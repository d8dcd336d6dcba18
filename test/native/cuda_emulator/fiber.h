#pragma once
// Fibers: many stacks on one OS thread, switched by hand.

#include <cstddef>

namespace kindling {
namespace cuda {
namespace emulator {

/// A stack to run a fiber on, or (without memory of its own) the place of the OS thread's stack.
struct Fiber {
  char* low = nullptr;
  size_t bytes = 0;
  void* top = nullptr;    // where the stack starts
  void* saved = nullptr;  // where it stands while it does not run
  void* fake = nullptr;   // AddressSanitizer's
};

/// New stacks, with a guard page below each.
Fiber* newFiber();

/// Leaves `from`, whose state is kept, and runs `entry` on `to` from the start. It never returns.
void startFiber(Fiber* from, Fiber* to, void (*entry)());

/// Leaves `from`, whose state is kept, and goes on where `to` was left.
void switchFiber(Fiber* from, Fiber* to);

/// The same for good: `from` will only be started anew.
void leaveFiber(Fiber* from, Fiber* to);

/// To be called first thing in `entry`, see startFiber().
void enteredFiber();

/// After a fiber was left for good in the middle of its work.
void forgetFiber(Fiber* fiber);

}  // namespace emulator
}  // namespace cuda
}  // namespace kindling
