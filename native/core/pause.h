#pragma once
// What a thread does while it waits for another that will not be long.

#include <thread>

namespace kindling {

/// Tells the CPU that this is a waiting loop: it saves power and leaves the core's units to the
/// other hardware thread.
inline void pauseCpu() {
#if defined(__x86_64__) || defined(_M_X64)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(_M_ARM64)
  __asm__ volatile("yield");
#endif
}

/// Lets another thread have the core.
inline void yieldCore() { std::this_thread::yield(); }

}  // namespace kindling
