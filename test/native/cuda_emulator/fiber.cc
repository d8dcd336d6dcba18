#include "cuda_emulator/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace kindling {
namespace cuda {
namespace emulator {
namespace {

constexpr size_t kStackBytes = size_t{256} << 10;

#if defined(__SANITIZE_ADDRESS__)
// What the fiber that is entered must know of the one that was left.
Fiber* leftFiber = nullptr;
Fiber* enteredNow = nullptr;

void leave(Fiber* from, Fiber* to, bool forGood = false) {
  leftFiber = from;
  enteredNow = to;
  __sanitizer_start_switch_fiber(forGood ? nullptr : &from->fake, to->low, to->bytes);
}
void enter(Fiber* fiber) {
  const void* low = nullptr;
  size_t bytes = 0;
  __sanitizer_finish_switch_fiber(fiber->fake, &low, &bytes);
  // The stack of the OS thread is learnt here.
  if (leftFiber->top == nullptr) {
    leftFiber->low = static_cast<char*>(const_cast<void*>(low));
    leftFiber->bytes = bytes;
  }
}
#else
void leave(Fiber*, Fiber*, bool = false) {}
void enter(Fiber*) {}
#endif

}  // namespace

#if defined(__x86_64__)

extern "C" void kindlingEmulatorSwitch(void** saved, void* to);

// Keeps what a function call must keep; the rest is on the stack that is left.
asm(R"(
.text
.p2align 4
.globl kindlingEmulatorSwitch
.hidden kindlingEmulatorSwitch
.type kindlingEmulatorSwitch, @function
kindlingEmulatorSwitch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size kindlingEmulatorSwitch, .-kindlingEmulatorSwitch
)");

void startFiber(Fiber* from, Fiber* to, void (*entry)()) {
  // As the switch leaves a stack: six registers, where to go on, and what a call would have pushed.
  void** frame = static_cast<void**>(to->top) - 8;
  for (int i = 0; i < 6; ++i) frame[i] = nullptr;
  frame[6] = reinterpret_cast<void*>(entry);
  frame[7] = nullptr;
  to->fake = nullptr;
  leave(from, to);
  kindlingEmulatorSwitch(&from->saved, frame);
  enter(from);
}

void switchFiber(Fiber* from, Fiber* to) {
  leave(from, to);
  kindlingEmulatorSwitch(&from->saved, to->saved);
  enter(from);
}

void leaveFiber(Fiber* from, Fiber* to) {
  leave(from, to, true);
  kindlingEmulatorSwitch(&from->saved, to->saved);
}

#else

namespace {
ucontext_t* contextOf(Fiber* fiber) {
  if (fiber->saved == nullptr) fiber->saved = new ucontext_t;
  return static_cast<ucontext_t*>(fiber->saved);
}
}  // namespace

void startFiber(Fiber* from, Fiber* to, void (*entry)()) {
  ucontext_t* const context = contextOf(to);
  getcontext(context);
  context->uc_stack.ss_sp = to->low;
  context->uc_stack.ss_size = static_cast<size_t>(static_cast<char*>(to->top) - to->low);
  context->uc_link = nullptr;
  makecontext(context, entry, 0);
  to->fake = nullptr;
  leave(from, to);
  swapcontext(contextOf(from), context);
  enter(from);
}

void switchFiber(Fiber* from, Fiber* to) {
  leave(from, to);
  swapcontext(contextOf(from), contextOf(to));
  enter(from);
}

void leaveFiber(Fiber* from, Fiber* to) {
  leave(from, to, true);
  setcontext(contextOf(to));
}

#endif

void enteredFiber() {
#if defined(__SANITIZE_ADDRESS__)
  enter(enteredNow);
#endif
}

Fiber* newFiber() {
  static size_t count = 0;
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* const memory = mmap(nullptr, kStackBytes + page, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    fprintf(stderr, "emulator: no memory for the stack of a thread\n");
    abort();
  }
  mprotect(memory, page, PROT_NONE);
  Fiber* const fiber = new Fiber;
  fiber->low = static_cast<char*>(memory) + page;
  fiber->bytes = kStackBytes;
  // Each starts elsewhere in its page; otherwise all would compete for the same lines of the cache.
  fiber->top = fiber->low + kStackBytes - (count++ * 5 % 31) * 128;
  return fiber;
}

void forgetFiber(Fiber* fiber) {
#if defined(__SANITIZE_ADDRESS__)
  ASAN_UNPOISON_MEMORY_REGION(fiber->low, fiber->bytes);
#else
  (void)fiber;
#endif
}

}  // namespace emulator
}  // namespace cuda
}  // namespace kindling
