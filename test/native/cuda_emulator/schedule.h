#pragma once
// Runs a grid: blocks one after another (all at once in a cooperative launch), a block's threads as
// fibers. A thread without company costs a function call; only when it first waits for another does
// it keep its stack, and the next thread starts on a new one.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cuda_emulator/collectives.h"
#include "cuda_emulator/fiber.h"
#include "cuda_emulator/launch.h"

namespace kindling {
namespace cuda {
namespace emulator {

constexpr unsigned kLanes = 32;
constexpr unsigned kMaxBlockThreads = 1024;
constexpr size_t kMaxSharedBytes = size_t{232} << 10;

struct Thread;
struct Block;

struct AsyncCopy {
  void* to;
  const void* from;
  unsigned bytes;
  bool valid;
  unsigned group;
  const void* code;
};

/// What all lanes of a warp bring to a collective. Two of each, since a lane may already be at the
/// next one while others have not yet looked at this one.
struct WarpExchange {
  uint64_t values[kLanes];
  uint32_t rows[kLanes][4];
  float product[16][8];
  unsigned took;  // the lanes that took part
};

struct Warp {
  uint64_t block = 0;  // the block it was last reset for
  unsigned existing = 0;
  unsigned arrived = 0;
  unsigned mask = 0;
  const char* what = nullptr;
  Place place = {nullptr, 0};
  unsigned turn = 0;  // which exchange is in use
  unsigned syncs = 0;
  WarpExchange exchange[2];
  uint32_t a[kLanes][4], b[kLanes][2];
  Thread* waiting[kLanes];
};

struct Thread {
  Fiber* fiber = nullptr;
  Block* block = nullptr;
  Warp* warp = nullptr;
  unsigned lane = 0;
  unsigned index = 0;  // in its block
  uint3 id = {};
  const char* waitsIn = nullptr;  // what for, while it waits
  Place waitsAt = {nullptr, 0};
  unsigned asyncGroup = 0;  // of the copies to come
  std::vector<AsyncCopy> copies;
  uint32_t segment = 0;  // what lies between two synchronizations (checked build)
};

struct Block {
  uint64_t number = 0;  // counts all blocks ever run
  uint3 id = {};
  unsigned linear = 0;
  unsigned started = 0, returned = 0;
  // The block's barrier.
  unsigned waiting = 0;
  int votes = 0;       // of the barrier that fills
  int result[2] = {};  // of the last two barriers
  unsigned syncs = 0;
  Place place = {nullptr, 0};
  std::vector<Thread*> waiters;
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  char* shared = nullptr;
  unsigned threadStart = 0, threadStep = 1;  // the order, see Order
};

/// Runs all of a grid; false if something was found.
bool runGrid(const Launch& launch, const void* tuple);

/// Forward, reverse or random from a seed; by KINDLING_EMULATOR_ORDER, or as a test sets it.
struct Order {
  enum Kind { forward, reverse, random } kind = forward;
  uint64_t seed = 0;
};
void setOrder(Order order);
/// Counts what the emulator did, for its own tests.
struct Counters {
  uint64_t launches, switches, fibers;
};
Counters counters();

// For the collectives: the thread that runs, and waiting.
extern __attribute__((visibility("hidden"))) Thread* currentThread;
/// Leaves the current thread, which is on some list of waiting threads, until makeReady() is
/// called.
void park(const char* what, Place place);
void makeReady(Thread* thread);
/// Whether the thread that completes a collective goes on before those that it wakes.
bool completerGoesOn();
void checkArrival(Warp& warp, const char* what, unsigned mask, Place place);

/// Whether this thread of the host runs a kernel.
bool isRunning();
const Launch& runningLaunch();
const void* runningArguments();
/// How often all blocks of a cooperative launch have met.
unsigned gridSyncs();
/// The stack that is in use.
const Fiber& runningFiber();
[[noreturn]] void giveUpLaunch();

}  // namespace emulator
}  // namespace cuda
}  // namespace kindling
