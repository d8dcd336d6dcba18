// The checked build's shadow of device and shared memory: for every word, which bytes are
// accessible and known, and who last wrote and read it. The compiler tells of every access
// (-fsanitize=thread); what is normally ThreadSanitizer's library is tsan_calls.cc.
//
// A thread's course is cut into segments at its barriers. Two accesses to a byte, one of them a
// write, are ordered if they are of the same thread, of the same block with a barrier between (of
// the same warp: __syncwarp), or with a grid barrier between. Otherwise they race.

#if defined(KINDLING_EMULATOR_CHECKED)

#include "cuda_emulator/shadow.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cuda_emulator/counting.h"
#include "cuda_emulator/device.h"
#include "cuda_emulator/report.h"
#include "cuda_emulator/watch.h"

extern "C" {
// The linker's: where the file with this code begins and ends in memory.
extern const char __ehdr_start __attribute__((visibility("hidden")));
extern const char _end __attribute__((visibility("hidden")));
}

namespace kindling {
namespace cuda {
namespace emulator {
namespace {

/// Who else has read since the last write.
enum Readers : uint8_t { oneThread, oneWarp, oneBlock, manyBlocks };

struct Cell {
  uint32_t writer, reader;         // segments; 0 is nobody
  int32_t writerCode, readerCode;  // from `codeBase`
  uint8_t writerBytes : 4, readerBytes : 4;
  uint8_t accessible : 4, known : 4;
  uint8_t readers : 2, writerIsAtomic : 1;
};

struct Region {
  const char* low;
  size_t bytes;
  Cell* cells;
  bool isShared;
};
std::vector<Region>& regions = *new std::vector<Region>;  // never destroyed, as the grid

struct Segment {
  uint32_t thread, block, blockSyncs, warpSyncs, gridSyncs;
};
std::vector<Segment>& segments =
    *new std::vector<Segment>;  // of the block, in a cooperative launch of all
uint32_t tableStart = 1;        // the number of segments[0]
uint32_t launchStart = 1;
constexpr uint32_t kMostSegments = 1u << 31;

const char* codeBase() { return reinterpret_cast<const char*>(&codeBase); }
int32_t offsetOf(const void* code) {
  return static_cast<int32_t>(static_cast<const char*>(code) - codeBase());
}
const void* codeAt(int32_t offset) { return codeBase() + offset; }

uint32_t nextSegment() { return tableStart + static_cast<uint32_t>(segments.size()); }

Cell* cellsOf(size_t bytes) {
  const size_t needed = bytes / 4 * sizeof(Cell);
  void* const memory = mmap(nullptr, needed, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    fprintf(stderr, "emulator: no addresses for the shadow of %zu bytes\n", bytes);
    abort();
  }
  return static_cast<Cell*>(memory);
}

const Region* regionOf(const void* data) {
  const char* const at = static_cast<const char*>(data);
  for (const Region& region : regions) {
    if (at >= region.low && at < region.low + region.bytes) return &region;
  }
  return nullptr;
}

/// Calls change(cell, mask of bytes) for the words under a range.
template <typename Change>
void forCells(const void* data, size_t bytes, const Change& change) {
  if (bytes == 0) return;
  const Region* const region = regionOf(data);
  if (region == nullptr) return;
  size_t at = static_cast<size_t>(static_cast<const char*>(data) - region->low);
  const size_t end = at + bytes;
  while (at < end) {
    const size_t word = at / 4, last = std::min(end, word * 4 + 4);
    const unsigned mask = (0xfu << (at & 3)) & (0xfu >> (word * 4 + 4 - last));
    change(region->cells[word], static_cast<uint8_t>(mask));
    at = last;
  }
}

bool isOrdered(uint32_t before, const Segment& now, uint32_t nowNumber) {
  if (before == nowNumber || before < launchStart) return true;
  if (before < tableStart) return false;  // another block, without a grid barrier
  const Segment& then = segments[before - tableStart];
  if (then.gridSyncs < now.gridSyncs) return true;
  if (then.block != now.block) return false;
  if (then.thread == now.thread || then.blockSyncs < now.blockSyncs) return true;
  return then.thread / kLanes == now.thread / kLanes && then.warpSyncs < now.warpSyncs;
}

/// All readers, of whom the last and how widely they are spread is known.
bool readersAreOrdered(const Cell& cell, const Segment& now, uint32_t nowNumber) {
  if (cell.reader < launchStart) return true;
  if (cell.readers == oneThread) return isOrdered(cell.reader, now, nowNumber);
  if (cell.reader < tableStart) return false;
  const Segment& then = segments[cell.reader - tableStart];
  if (then.gridSyncs < now.gridSyncs) return true;
  if (then.block != now.block || cell.readers == manyBlocks) return false;
  if (then.blockSyncs < now.blockSyncs) return true;
  return cell.readers == oneWarp && then.thread / kLanes == now.thread / kLanes &&
         then.warpSyncs < now.warpSyncs;
}

void noteReader(Cell& cell, const Segment& now, uint32_t nowNumber, uint8_t mask,
                const void* code) {
  uint8_t spread = oneThread;
  if (cell.reader >= launchStart && cell.reader != nowNumber) {
    if (cell.reader < tableStart) {
      spread = manyBlocks;
    } else {
      const Segment& then = segments[cell.reader - tableStart];
      if (then.gridSyncs == now.gridSyncs) {
        if (then.block != now.block) {
          spread = manyBlocks;
        } else if (then.blockSyncs == now.blockSyncs) {
          const bool sameWarp = then.thread / kLanes == now.thread / kLanes;
          const uint8_t own = then.thread == now.thread ? oneThread : sameWarp ? oneWarp : oneBlock;
          spread = std::max<uint8_t>(own, cell.readers);
        } else if (cell.readers == manyBlocks) {
          spread = manyBlocks;
        }
      }
    }
  } else if (cell.reader == nowNumber) {
    spread = cell.readers;
  }
  if (cell.reader < launchStart) cell.readerBytes = 0;
  cell.reader = nowNumber;
  cell.readers = spread;
  cell.readerBytes = (cell.readerBytes | mask) & 0xf;
  cell.readerCode = offsetOf(code);
}

const char* nameOf(const Region& region) { return region.isShared ? "shared" : "global"; }

/// "thread 5 of block 0".
struct ThreadText {
  explicit ThreadText(uint32_t number) {
    if (number >= tableStart) {
      const Segment& segment = segments[number - tableStart];
      snprintf(text, sizeof text, "thread %u of block %u", segment.thread, segment.block);
    } else {
      snprintf(text, sizeof text, "a thread of another block");
    }
  }
  char text[64];
};

void reportRace(const Region& region, const char* did, const void* code, const char* didBefore,
                uint32_t before, int32_t codeBefore) {
  char first[300];
  snprintf(first, sizeof first, "%s", describeCode(codeAt(codeBefore)));
  finding("race in %s memory: %s at %s, after it was %s by %s at %s without a barrier between",
          nameOf(region), did, describeCode(code), didBefore, ThreadText(before).text, first);
}

void checkCell(const Region& region, Cell& cell, uint8_t mask, Access access, const void* code) {
  const char* const did = access == Access::read    ? "read"
                          : access == Access::write ? "written"
                                                    : "changed atomically";
  if ((cell.accessible & mask) != mask) {
    finding("out of bounds: %s memory outside of every array is %s at %s", nameOf(region), did,
            describeCode(code));
  }
  if (access != Access::write && (cell.known & mask) != mask) {
    finding(
        "uninitialised: %s memory that nobody wrote, or that an asynchronous copy still has to "
        "write, is %s at %s",
        nameOf(region), did, describeCode(code));
  }
  const uint32_t number = currentThread->segment;
  const Segment& now = segments[number - tableStart];
  const bool bothAtomic = access == Access::atomic && cell.writerIsAtomic;
  if ((cell.writerBytes & mask) != 0 && !bothAtomic && !isOrdered(cell.writer, now, number)) {
    reportRace(region, did, code, cell.writerIsAtomic ? "changed atomically" : "written",
               cell.writer, cell.writerCode);
  }
  if (access == Access::read) {
    noteReader(cell, now, number, mask, code);
    return;
  }
  if ((cell.readerBytes & mask) != 0 && !readersAreOrdered(cell, now, number)) {
    reportRace(region, did, code, "read", cell.reader, cell.readerCode);
  }
  const bool joins = cell.writer == number;
  cell.writerBytes = (joins ? cell.writerBytes | mask : mask) & 0xf;
  cell.writer = number;
  cell.writerCode = offsetOf(code);
  cell.writerIsAtomic = access == Access::atomic;
  cell.known = (cell.known | mask) & 0xf;
}

/// What is neither device nor shared memory: a kernel may have its own variables and its arguments.
void checkOther(const char* at, unsigned bytes, Access access, const void* code) {
  const Fiber& fiber = runningFiber();
  if (at >= fiber.low && at < fiber.low + fiber.bytes) return;
  const char* const arguments = static_cast<const char*>(runningArguments());
  if (access == Access::read) {
    if (at >= arguments && at + bytes <= arguments + runningLaunch().argumentBytes) return;
    if (at >= &__ehdr_start && at < &_end) return;  // constants
  }
  finding("the device %s memory of the host at %s", access == Access::read ? "reads" : "writes",
          describeCode(code));
}

void forget(void* data, size_t bytes, uint8_t accessible) {
  forCells(data, bytes, [&](Cell& cell, uint8_t mask) {
    cell.accessible = (accessible ? cell.accessible | mask : cell.accessible & ~mask) & 0xf;
    cell.known = cell.known & ~mask & 0xf;
    cell.writerBytes = cell.writerBytes & ~mask & 0xf;
    cell.readerBytes = cell.readerBytes & ~mask & 0xf;
    // The block before in the same shared memory must leave no trace.
    if (cell.readerBytes == 0) {
      cell.reader = 0;
      cell.readers = oneThread;
    }
  });
}

void add(char* low, size_t bytes, bool isShared) {
  regions.push_back({low, bytes, cellsOf(bytes), isShared});
}

}  // namespace

void noteAccess(const void* data, unsigned bytes, Access access, const void* code) {
  if (!isRunning()) return;
  const char* const at = static_cast<const char*>(data);
  const Region* const region = regionOf(at);
  if (region == nullptr) return checkOther(at, bytes, access, code);
  if (region->isShared &&
      (at < currentThread->block->shared || at >= currentThread->block->shared + region->bytes)) {
    finding("shared memory of another block is used at %s", describeCode(code));
  }
  if (isCounting()) countAccess(at, bytes, region->isShared, code);
  forCells(data, bytes,
           [&](Cell& cell, uint8_t mask) { checkCell(*region, cell, mask, access, code); });
}

void noteAligned(const void* data, unsigned bytes, Access access, const void* code) {
  if (!isRunning()) return;
  if (reinterpret_cast<uintptr_t>(data) % bytes != 0) {
    finding("misaligned: %u bytes at an address that they do not divide are %s at %s", bytes,
            access == Access::read ? "read" : "written", describeCode(code));
  }
  noteAccess(data, bytes, access, code);
}

namespace watch {

void reserve(char* low, size_t bytes) { add(low, bytes, false); }
void reserveShared(char* low, size_t bytes) { add(low, bytes, true); }
void allocated(void* data, size_t bytes) { forget(data, bytes, 1); }
void released(void* data, size_t bytes) { forget(data, bytes, 0); }
void hostWrote(void* data, size_t bytes) {
  forCells(data, bytes, [](Cell& cell, uint8_t mask) {
    cell.known = (cell.known | mask) & 0xf;
    cell.writerBytes = cell.writerBytes & ~mask & 0xf;
  });
}

void moved(void* to, const void* from, size_t bytes) {
  std::vector<uint8_t> known;
  known.reserve(bytes);
  forCells(from, bytes, [&](Cell& cell, uint8_t mask) {
    for (int byte = 0; byte < 4; ++byte) {
      if (mask >> byte & 1) known.push_back(cell.known >> byte & 1);
    }
  });
  size_t at = 0;
  forCells(to, bytes, [&](Cell& cell, uint8_t mask) {
    for (int byte = 0; byte < 4; ++byte) {
      if ((mask >> byte & 1) == 0) continue;
      const unsigned bit = 1u << byte;
      cell.known = (known[at++] ? cell.known | bit : cell.known & ~bit) & 0xf;
    }
    cell.writerBytes = cell.writerBytes & ~mask & 0xf;
  });
}

bool hostMayRead(const void* data, size_t bytes) {
  size_t unknownBytes = 0;
  forCells(data, bytes, [&](Cell& cell, uint8_t mask) {
    unknownBytes += static_cast<size_t>(__builtin_popcount(mask & ~cell.known & 0xfu));
  });
  if (unknownBytes == 0) return true;
  finding("uninitialised: %zu of %zu bytes that are copied to the host were never written",
          unknownBytes, bytes);
  return false;
}

void newShared(void* data, size_t bytes) { forget(data, bytes, 1); }
void forgetShared(void* data, size_t bytes) { forget(data, bytes, 0); }
void unknown(void* data, size_t bytes) {
  forCells(data, bytes, [](Cell& cell, uint8_t mask) { cell.known = cell.known & ~mask & 0xf; });
}

void beginLaunch() {
  tableStart = nextSegment();
  segments.clear();
  if (tableStart > kMostSegments) {
    // Numbers run out: nobody has written or read anything.
    const auto reset = [](void* data, size_t bytes) {
      forCells(data, bytes, [](Cell& cell, uint8_t) { cell.writer = cell.reader = 0; });
    };
    forEachAllocation(reset);
    for (const Region& region : regions) {
      if (region.isShared) reset(const_cast<char*>(region.low), region.bytes);
    }
    tableStart = 1;
  }
  launchStart = tableStart;
}

void beginBlock() {
  if (runningLaunch().cooperative) return;
  tableStart = nextSegment();
  segments.clear();
}

void beginSegment(Thread& thread) {
  const Segment next = {thread.index, thread.block->linear, thread.block->syncs, thread.warp->syncs,
                        gridSyncs()};
  if (thread.segment >= tableStart) {
    const Segment& last = segments[thread.segment - tableStart];
    if (last.thread == next.thread && last.block == next.block &&
        last.blockSyncs == next.blockSyncs && last.warpSyncs == next.warpSyncs &&
        last.gridSyncs == next.gridSyncs) {
      return;
    }
  }
  thread.segment = nextSegment();
  segments.push_back(next);
}

void endBlock(Block& block) {
  if (isCounting()) countBlock(block);
}

void atomic(const void* data, unsigned bytes, const void* code) {
  noteAligned(data, bytes, Access::atomic, code);
}
void read(const void* data, unsigned bytes, const void* code) {
  noteAligned(data, bytes, Access::read, code);
}
void write(void* data, unsigned bytes, const void* code) {
  noteAligned(data, bytes, Access::write, code);
}

}  // namespace watch
}  // namespace emulator
}  // namespace cuda
}  // namespace kindling

#endif
