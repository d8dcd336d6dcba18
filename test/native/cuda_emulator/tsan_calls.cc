// The calls that -fsanitize=thread inserts before every access to memory, in place of the library
// that normally takes them.

#if defined(KINDLING_EMULATOR_CHECKED)

#include <cstddef>
#include <cstdint>

#include "cuda_emulator/shadow.h"

using kindling::cuda::emulator::Access;
using kindling::cuda::emulator::noteAccess;
using kindling::cuda::emulator::noteAligned;

#define KINDLING_CODE __builtin_return_address(0)

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

#define KINDLING_TSAN(bytes)                                                                   \
  void __tsan_read##bytes(void* at) { noteAligned(at, bytes, Access::read, KINDLING_CODE); }   \
  void __tsan_write##bytes(void* at) { noteAligned(at, bytes, Access::write, KINDLING_CODE); } \
  void __tsan_unaligned_read##bytes(void* at) {                                                \
    noteAccess(at, bytes, Access::read, KINDLING_CODE);                                        \
  }                                                                                            \
  void __tsan_unaligned_write##bytes(void* at) {                                               \
    noteAccess(at, bytes, Access::write, KINDLING_CODE);                                       \
  }                                                                                            \
  void __tsan_volatile_read##bytes(void* at) {                                                 \
    noteAligned(at, bytes, Access::read, KINDLING_CODE);                                       \
  }                                                                                            \
  void __tsan_volatile_write##bytes(void* at) {                                                \
    noteAligned(at, bytes, Access::write, KINDLING_CODE);                                      \
  }
KINDLING_TSAN(1)
KINDLING_TSAN(2)
KINDLING_TSAN(4)
KINDLING_TSAN(8)
KINDLING_TSAN(16)
#undef KINDLING_TSAN

// Whole structs. The short vectors of CUDA move in one instruction.
void __tsan_read_range(void* at, size_t bytes) {
  noteAccess(at, static_cast<unsigned>(bytes), Access::read, KINDLING_CODE);
}
void __tsan_write_range(void* at, size_t bytes) {
  noteAccess(at, static_cast<unsigned>(bytes), Access::write, KINDLING_CODE);
}

// The host's atomics in the same files are as they would be without the option.
#define KINDLING_TSAN_OPERATION(bits, name, builtin)                                             \
  uint##bits##_t __tsan_atomic##bits##_##name(volatile uint##bits##_t* at, uint##bits##_t value, \
                                              int) {                                             \
    return builtin(at, value, __ATOMIC_SEQ_CST);                                                 \
  }
#define KINDLING_TSAN_ATOMIC(bits)                                                             \
  uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t* at, int) {          \
    return __atomic_load_n(at, __ATOMIC_SEQ_CST);                                              \
  }                                                                                            \
  void __tsan_atomic##bits##_store(volatile uint##bits##_t* at, uint##bits##_t value, int) {   \
    __atomic_store_n(at, value, __ATOMIC_SEQ_CST);                                             \
  }                                                                                            \
  KINDLING_TSAN_OPERATION(bits, exchange, __atomic_exchange_n)                                 \
  KINDLING_TSAN_OPERATION(bits, fetch_add, __atomic_fetch_add)                                 \
  KINDLING_TSAN_OPERATION(bits, fetch_sub, __atomic_fetch_sub)                                 \
  KINDLING_TSAN_OPERATION(bits, fetch_and, __atomic_fetch_and)                                 \
  KINDLING_TSAN_OPERATION(bits, fetch_or, __atomic_fetch_or)                                   \
  KINDLING_TSAN_OPERATION(bits, fetch_xor, __atomic_fetch_xor)                                 \
  int __tsan_atomic##bits##_compare_exchange_strong(                                           \
      volatile uint##bits##_t* at, uint##bits##_t* expected, uint##bits##_t value, int, int) { \
    return __atomic_compare_exchange_n(at, expected, value, false, __ATOMIC_SEQ_CST,           \
                                       __ATOMIC_SEQ_CST);                                      \
  }                                                                                            \
  int __tsan_atomic##bits##_compare_exchange_weak(                                             \
      volatile uint##bits##_t* at, uint##bits##_t* expected, uint##bits##_t value, int, int) { \
    return __atomic_compare_exchange_n(at, expected, value, false, __ATOMIC_SEQ_CST,           \
                                       __ATOMIC_SEQ_CST);                                      \
  }
KINDLING_TSAN_ATOMIC(8)
KINDLING_TSAN_ATOMIC(16)
KINDLING_TSAN_ATOMIC(32)
KINDLING_TSAN_ATOMIC(64)
#undef KINDLING_TSAN_ATOMIC
#undef KINDLING_TSAN_OPERATION

void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
void __tsan_atomic_signal_fence(int) { __atomic_signal_fence(__ATOMIC_SEQ_CST); }

}  // extern "C"

#endif
