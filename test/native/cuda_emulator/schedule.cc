#include "cuda_emulator/schedule.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>

#include "cuda_emulator/device.h"
#include "cuda_emulator/report.h"
#include "cuda_emulator/watch.h"

uint3 threadIdx;
uint3 blockIdx;
dim3 blockDim;
dim3 gridDim;

namespace kindling {
namespace cuda {
namespace emulator {

Thread* currentThread = nullptr;
uint64_t SharedArray::launchNumber = 0;
char* SharedArray::sharedBase = nullptr;

/// What the scheduler may see of shared arrays.
struct SharedState {
  static uint64_t& launch() { return SharedArray::launchNumber; }
  static char*& base() { return SharedArray::sharedBase; }
};

namespace {

constexpr size_t kMaxStaticShared = size_t{48} << 10;
constexpr size_t kSharedGap = 64;  // between arrays, so that a step outside meets none
constexpr size_t kArenaBytes = size_t{512} << 10;

struct Grid {
  const Launch* launch = nullptr;
  const void* tuple = nullptr;
  Fiber* main = nullptr;
  Fiber* running = nullptr;
  Block* block = nullptr;  // of the thread that runs
  bool gaveUp = false;

  unsigned threads = 0;  // in a block
  uint64_t blocks = 0;
  uint64_t begun = 0, finished = 0;  // blocks
  size_t starting = 0;               // of `active`
  uint64_t blockStart = 0, blockStep = 1;

  std::vector<std::unique_ptr<Block>> pool;
  std::vector<Block*> active;
  std::vector<Thread*> ready;  // the last is the next
  std::vector<Fiber*> idle, all;

  // The shared arrays met so far: offset and bytes. The first is the dynamic memory.
  std::vector<std::pair<size_t, size_t>> arrays;
  size_t staticShared = 0;

  std::vector<Thread*> atGridBarrier;
  unsigned* gridCounter = nullptr;
  unsigned gridExpected = 0;
  unsigned gridSyncs = 0;
};
Grid& grid = *new Grid;  // never destroyed: a process may end while a kernel runs
Order order;
bool orderIsSet = false;
uint64_t randomState = 1;
Counters counts = {};
thread_local bool runsHere = false;
uint64_t blockCount = 0;

uint64_t randomNumber() {
  randomState += 0x9e3779b97f4a7c15u;
  uint64_t x = randomState;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

void readOrder() {
  orderIsSet = true;
  const char* const text = getenv("KINDLING_EMULATOR_ORDER");
  if (text == nullptr || strcmp(text, "forward") == 0) return;
  if (strcmp(text, "reverse") == 0) {
    order.kind = Order::reverse;
  } else if (strncmp(text, "random:", 7) == 0) {
    order.kind = Order::random;
    order.seed = randomState = strtoull(text + 7, nullptr, 10);
  } else {
    fprintf(stderr, "KINDLING_EMULATOR_ORDER is forward, reverse or random:SEED, not %s\n", text);
    abort();
  }
}

/// The i-th of n things is start + i · step modulo n.
template <typename T>
void chooseOrder(T n, T* start, T* step) {
  *start = 0;
  *step = 1;
  if (order.kind == Order::reverse) {
    *start = n - 1;
    *step = n - 1;
  } else if (order.kind == Order::random) {
    *start = static_cast<T>(randomNumber() % n);
    do {
      *step = static_cast<T>(randomNumber() % n);
    } while (std::gcd(*step, n) != 1);
  }
}

Fiber* takeFiber() {
  if (grid.idle.empty()) {
    grid.all.push_back(newFiber());
    ++counts.fibers;
    return grid.all.back();
  }
  Fiber* const fiber = grid.idle.back();
  grid.idle.pop_back();
  return fiber;
}

/// As random as what a block before may have left: NaN.
void poisonShared(Block& block, std::pair<size_t, size_t> array) {
  watch::newShared(block.shared + array.first, array.second);
  memset(block.shared + array.first, 0xff, array.second);
}

void beginBlock(Block& block) {
  uint64_t linear = grid.begun++;
  if (order.kind != Order::forward) {
    linear = (grid.blockStart + linear * grid.blockStep) % grid.blocks;
  }
  const dim3& size = grid.launch->grid;
  block.number = ++blockCount;
  block.linear = static_cast<unsigned>(linear);
  block.id.x = static_cast<unsigned>(linear % size.x);
  block.id.y = static_cast<unsigned>(linear / size.x % size.y);
  block.id.z = static_cast<unsigned>(linear / size.x / size.y);
  block.started = block.returned = block.waiting = 0;
  block.votes = 0;
  block.waiters.clear();
  chooseOrder(grid.threads, &block.threadStart, &block.threadStep);
  for (const auto& array : grid.arrays) poisonShared(block, array);
  watch::beginBlock();
}

void enterBlock(Block& block) {
  grid.block = &block;
  blockIdx = block.id;
  SharedState::base() = block.shared;
}

void enterThread(Thread* thread) {
  currentThread = thread;
  threadIdx = thread->id;
  if (thread->block != grid.block) enterBlock(*thread->block);
}

/// The next thread that did not begin yet; nullptr if all did.
Thread* takeUnstarted() {
  for (;;) {
    if (grid.starting == grid.active.size()) return nullptr;
    Block& block = *grid.active[grid.starting];
    if (block.started == grid.threads) {
      ++grid.starting;
      continue;
    }
    unsigned index = block.started++;
    if (order.kind != Order::forward) {
      index = static_cast<unsigned>(
          (block.threadStart + static_cast<uint64_t>(index) * block.threadStep) % grid.threads);
    }
    Thread& thread = block.threads[index];
    thread.block = &block;
    thread.index = index;
    thread.lane = index % kLanes;
    thread.warp = &block.warps[index / kLanes];
    const dim3& size = grid.launch->block;
    if (size.y == 1 && size.z == 1) {
      thread.id = {index, 0, 0};
    } else {
      thread.id = {index % size.x, index / size.x % size.y, index / size.x / size.y};
    }
    thread.waitsIn = nullptr;
    thread.asyncGroup = 0;
    thread.copies.clear();
    Warp& warp = *thread.warp;
    if (warp.block != block.number) {
      warp.block = block.number;
      warp.arrived = 0;
      const unsigned first = index - thread.lane;
      const unsigned lanes = std::min(kLanes, grid.threads - first);
      warp.existing = lanes == kLanes ? kAllLanes : (1u << lanes) - 1;
    }
    watch::beginSegment(thread);
    return &thread;
  }
}

Thread* takeReady() {
  if (order.kind == Order::random) {
    std::swap(grid.ready[randomNumber() % grid.ready.size()], grid.ready.back());
  }
  Thread* const thread = grid.ready.back();
  grid.ready.pop_back();
  return thread;
}

bool prefersReady() {
  if (grid.ready.empty()) return false;
  return order.kind != Order::random || randomNumber() % 2 == 0;
}

[[noreturn]] void leaveForGood(Fiber* to) {
  Fiber* const from = grid.running;
  grid.running = to;
  ++counts.switches;
  leaveFiber(from, to);
  abort();
}

/// Who waits where, in one line.
void reportDeadlock() {
  char text[1200] = "";
  size_t used = 0;
  uint64_t waiting = 0, returned = 0, groups = 0;
  std::vector<const Thread*> seen;
  for (const Block* block : grid.active) {
    returned += block->returned;
    for (const Thread& thread : block->threads) {
      if (thread.waitsIn == nullptr || thread.block != block) continue;
      ++waiting;
      const auto same = [&](const Thread* other) {
        return other->waitsIn == thread.waitsIn && other->waitsAt.line == thread.waitsAt.line;
      };
      if (std::any_of(seen.begin(), seen.end(), same)) continue;
      seen.push_back(&thread);
      uint64_t count = 0;
      for (const Block* b : grid.active) {
        for (const Thread& t : b->threads) {
          count += t.waitsIn == thread.waitsIn && t.waitsAt.line == thread.waitsAt.line;
        }
      }
      if (++groups > 8) continue;
      const int n = snprintf(text + used, sizeof text - used, "%s%llu wait in %s at %s",
                             groups > 1 ? ", " : "", static_cast<unsigned long long>(count),
                             thread.waitsIn, PlaceText(thread.waitsAt).text);
      if (n > 0) used = std::min(sizeof text - 1, used + static_cast<size_t>(n));
    }
  }
  finding("deadlock: of %llu threads %s, and %llu returned",
          static_cast<unsigned long long>(waiting + returned), text,
          static_cast<unsigned long long>(returned));
}

/// The work of a fiber: threads that did not begin, one after another, until others are to go on.
__attribute__((no_sanitize("address"))) void runThreads() {
  enteredFiber();
  for (;;) {
    if (prefersReady()) {
      Thread* const next = takeReady();
      grid.idle.push_back(grid.running);
      enterThread(next);
      leaveForGood(next->fiber);
    }
    Thread* const thread = takeUnstarted();
    if (thread == nullptr) {
      if (!grid.ready.empty()) continue;
      if (grid.finished == grid.blocks) {
        grid.idle.push_back(grid.running);
        leaveForGood(grid.main);
      }
      reportDeadlock();
    }
    thread->fiber = grid.running;
    enterThread(thread);
    grid.launch->invoke(grid.launch->kernel, grid.tuple);
    Block& block = *thread->block;
    if (++block.returned == grid.threads) {
      ++grid.finished;
      watch::endBlock(block);
      if (grid.begun < grid.blocks) {  // never in a cooperative launch, where all have begun
        beginBlock(block);
        grid.starting = 0;
        enterBlock(block);
      }
    }
  }
}

void prepareBlock(Block& block) {
  if (block.threads.size() < grid.threads) {
    block.threads.resize(grid.threads);
    block.warps.resize((grid.threads + kLanes - 1) / kLanes);
  }
  if (block.shared == nullptr) block.shared = watch::newArena(kArenaBytes);
}

}  // namespace

void setOrder(Order next) {
  order = next;
  orderIsSet = true;
  randomState = next.seed;
}
Counters counters() { return counts; }

bool isRunning() { return runsHere; }
const Launch& runningLaunch() { return *grid.launch; }
const void* runningArguments() { return grid.tuple; }
unsigned gridSyncs() { return grid.gridSyncs; }
const Fiber& runningFiber() { return *grid.running; }
bool completerGoesOn() { return order.kind == Order::forward; }
void makeReady(Thread* thread) { grid.ready.push_back(thread); }

void giveUpLaunch() {
  grid.gaveUp = true;
  leaveForGood(grid.main);
}

void park(const char* what, Place place) {
  Thread* const self = currentThread;
  self->waitsIn = what;
  self->waitsAt = place;
  Fiber* const from = grid.running;
  if (!prefersReady() && grid.starting < grid.active.size() &&
      (grid.starting + 1 < grid.active.size() ||
       grid.active[grid.starting]->started < grid.threads)) {
    grid.running = takeFiber();
    ++counts.switches;
    startFiber(from, grid.running, runThreads);
  } else if (!grid.ready.empty()) {
    Thread* const next = takeReady();
    enterThread(next);
    if (next != self) {
      grid.running = next->fiber;
      ++counts.switches;
      switchFiber(from, grid.running);
    }
  } else {
    reportDeadlock();
  }
  self->waitsIn = nullptr;
  watch::beginSegment(*self);
}

void gridBarrierOf(unsigned* counter, Place place) {
  if (!grid.launch->cooperative) finding("a grid barrier in a launch that is not cooperative");
  watch::atomic(counter, sizeof *counter, __builtin_return_address(0));
  if (grid.atGridBarrier.empty()) {
    if (grid.gridCounter == nullptr) {
      if (*counter != 0) finding("the counter of a grid barrier was not 0 before the launch");
      grid.gridCounter = counter;
    }
    if (counter != grid.gridCounter || *counter != grid.gridExpected) {
      finding("the counter of a grid barrier was changed");
    }
  } else if (counter != grid.gridCounter) {
    finding("threads meet in grid barriers with different counters");
  }
  grid.atGridBarrier.push_back(currentThread);
  if (grid.atGridBarrier.size() < grid.blocks * grid.threads) {
    park("a grid barrier", place);
    return;
  }
  grid.gridExpected += static_cast<unsigned>(grid.blocks);
  *counter = grid.gridExpected;
  ++grid.gridSyncs;
  for (size_t i = grid.atGridBarrier.size(); i-- > 0;) {
    if (grid.atGridBarrier[i] != currentThread) makeReady(grid.atGridBarrier[i]);
  }
  grid.atGridBarrier.clear();
  watch::beginSegment(*currentThread);
}

void* SharedArray::place(size_t bytes, const char* name) {
  const size_t used = grid.arrays.back().first + grid.arrays.back().second;
  const size_t offset = (used + kSharedGap + 15) & ~size_t{15};
  grid.staticShared += (bytes + 15) & ~size_t{15};
  if (grid.staticShared > kMaxStaticShared) {
    finding("static shared memory beyond 48 KiB, with the array %s", name);
  }
  const size_t limit = grid.launch->optedIn ? sharedBytesPerBlock() : kMaxStaticShared;
  if (grid.staticShared + grid.launch->sharedBytes > limit) {
    finding("%zu bytes of static and dynamic shared memory, more than %zu",
            grid.staticShared + grid.launch->sharedBytes, limit);
  }
  if (offset + bytes + kSharedGap > kArenaBytes) finding("no shared memory for %s", name);
  grid.arrays.emplace_back(offset, bytes);
  launch_ = launchNumber;
  offset_ = offset;
  for (Block* block : grid.active) poisonShared(*block, grid.arrays.back());
  return sharedBase + offset;
}

unsigned char* dynamicShared() { return reinterpret_cast<unsigned char*>(grid.block->shared); }

bool runGrid(const Launch& launch, const void* tuple) {
  if (!orderIsSet) readOrder();
  ++counts.launches;
  ++SharedState::launch();
  grid.launch = &launch;
  grid.tuple = tuple;
  grid.threads = launch.block.x * launch.block.y * launch.block.z;
  grid.blocks = static_cast<uint64_t>(launch.grid.x) * launch.grid.y * launch.grid.z;
  grid.begun = grid.finished = 0;
  grid.starting = 0;
  grid.gaveUp = false;
  grid.staticShared = 0;
  grid.arrays.assign(1, {0, launch.sharedBytes});
  grid.gridCounter = nullptr;
  grid.gridExpected = 0;
  grid.gridSyncs = 0;
  grid.block = nullptr;
  blockDim = launch.block;
  gridDim = launch.grid;
  chooseOrder(grid.blocks, &grid.blockStart, &grid.blockStep);
  watch::beginLaunch();

  Fiber main;
  grid.main = &main;
  runsHere = true;
  const size_t active = launch.cooperative ? grid.blocks : 1;
  while (grid.pool.size() < active) grid.pool.push_back(std::make_unique<Block>());
  for (size_t i = 0; i < active; ++i) {
    prepareBlock(*grid.pool[i]);
    grid.active.push_back(grid.pool[i].get());
    watch::forgetShared(grid.pool[i]->shared, kArenaBytes);
    beginBlock(*grid.pool[i]);
  }
  grid.running = takeFiber();
  startFiber(&main, grid.running, runThreads);

  grid.active.clear();
  grid.ready.clear();
  grid.atGridBarrier.clear();
  if (grid.gaveUp) {
    for (Fiber* fiber : grid.all) forgetFiber(fiber);
    grid.idle = grid.all;
    for (const auto& block : grid.pool) {
      for (Thread& thread : block->threads) thread.waitsIn = nullptr;
    }
  }
  runsHere = false;
  return !grid.gaveUp;
}

}  // namespace emulator
}  // namespace cuda
}  // namespace kindling
