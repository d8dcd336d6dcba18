#include "cuda_emulator/collectives.h"

#include <cstring>

#include "cuda_emulator/report.h"
#include "cuda_emulator/schedule.h"
#include "cuda_emulator/watch.h"

namespace kindling {
namespace cuda {
namespace emulator {
namespace {

bool isSame(Place a, Place b) {
  return a.line == b.line && (a.file == b.file || strcmp(a.file, b.file) == 0);
}

void checkMeeting(const Warp& warp, const char* what, unsigned mask, Place place, unsigned bit) {
  if ((mask & bit) == 0) {
    finding("wrong mask: %s at %s names 0x%08x, without the lane that calls it", what,
            PlaceText(place).text, mask);
  }
  if (warp.arrived == 0) return;
  if (!isSame(warp.place, place) || strcmp(warp.what, what) != 0) {
    finding("a warp is divided: one lane is in %s at %s, another in %s at %s", warp.what,
            PlaceText(warp.place).text, what, PlaceText(place).text);
  }
  if (warp.mask != mask) {
    finding("wrong mask: lanes in %s at %s name 0x%08x and 0x%08x", what, PlaceText(place).text,
            warp.mask, mask);
  }
}

/// All lanes of `mask` meet. Each brings its part; when all are there, complete() is called once.
template <typename Bring, typename Complete>
WarpExchange& meet(const char* what, unsigned mask, Place place, const Bring& bring,
                   const Complete& complete) {
  Thread* const self = currentThread;
  Warp& warp = *self->warp;
  const unsigned bit = 1u << self->lane;
  checkMeeting(warp, what, mask, place, bit);
  WarpExchange& exchange = warp.exchange[warp.turn & 1];
  if (warp.arrived == 0) {
    warp.mask = mask;
    warp.what = what;
    warp.place = place;
  }
  bring(warp, exchange, self->lane);
  warp.arrived |= bit;
  if (warp.arrived != (mask & warp.existing)) {
    warp.waiting[self->lane] = self;
    park(what, place);
    return exchange;
  }
  exchange.took = warp.arrived;
  complete(warp, exchange);
  warp.arrived = 0;
  ++warp.turn;
  unsigned others = exchange.took & ~bit;
  const bool goesOn = completerGoesOn();
  for (unsigned lane = kLanes; lane-- > 0;) {
    if (others >> lane & 1) makeReady(warp.waiting[lane]);
  }
  if (goesOn) {
    watch::beginSegment(*self);
  } else {
    makeReady(self);
    park(what, place);
  }
  return exchange;
}

const auto nothing = [](Warp&, WarpExchange&) {};

float tf32(uint32_t bits) { return bitsAs<float>(bits & 0xffffe000u); }

struct FromBfloat16 {
  static float of(uint32_t bits) { return gpu::bfloat16ToFloat(static_cast<uint16_t>(bits)); }
};
struct FromHalf {
  static float of(uint32_t bits) { return gpu::halfToFloat(static_cast<uint16_t>(bits)); }
};

/// product = A · B of K columns and rows; both dense.
template <int K>
void multiply(const float (*a)[K], const float (*b)[8], float (*product)[8]) {
  for (int row = 0; row < 16; ++row) {
    float sums[8] = {};
    for (int k = 0; k < K; ++k) {
      for (int column = 0; column < 8; ++column) sums[column] += a[row][k] * b[k][column];
    }
    memcpy(product[row], sums, sizeof sums);
  }
}

void bringFragments(Warp& warp, unsigned lane, const uint32_t* a, const uint32_t* b) {
  memcpy(warp.a[lane], a, sizeof warp.a[lane]);
  memcpy(warp.b[lane], b, sizeof warp.b[lane]);
}

void addProduct(const WarpExchange& exchange, float* d) {
  const unsigned group = currentThread->lane / 4, column = currentThread->lane % 4 * 2;
  d[0] += exchange.product[group][column];
  d[1] += exchange.product[group][column + 1];
  d[2] += exchange.product[group + 8][column];
  d[3] += exchange.product[group + 8][column + 1];
}

template <typename From>
void mma16(const char* what, float* d, const uint32_t* a, const uint32_t* b, Place place) {
  const auto bring = [&](Warp& warp, WarpExchange&, unsigned lane) {
    bringFragments(warp, lane, a, b);
  };
  const auto complete = [](Warp& warp, WarpExchange& exchange) {
    float left[16][16], right[16][8];
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      const unsigned g = lane / 4, t = lane % 4;
      for (unsigned half = 0; half < 2; ++half) {
        const unsigned shift = 16 * half, k = 2 * t + half;
        left[g][k] = From::of(warp.a[lane][0] >> shift);
        left[g + 8][k] = From::of(warp.a[lane][1] >> shift);
        left[g][k + 8] = From::of(warp.a[lane][2] >> shift);
        left[g + 8][k + 8] = From::of(warp.a[lane][3] >> shift);
        right[k][g] = From::of(warp.b[lane][0] >> shift);
        right[k + 8][g] = From::of(warp.b[lane][1] >> shift);
      }
    }
    multiply<16>(left, right, exchange.product);
  };
  addProduct(meet(what, kAllLanes, place, bring, complete), d);
}

}  // namespace

int syncThreadsCount(int predicate, Place place) {
  Thread* const self = currentThread;
  Block& block = *self->block;
  if (block.waiting == 0) {
    block.place = place;
  } else if (!isSame(block.place, place)) {
    finding("divergent barrier: threads of a block are in __syncthreads at %s and at %s",
            PlaceText(block.place).text, PlaceText(place).text);
  }
  const unsigned turn = block.syncs & 1;
  block.votes += predicate != 0;
  if (++block.waiting < blockDim.x * blockDim.y * blockDim.z) {
    block.waiters.push_back(self);
    park("__syncthreads", place);
    return block.result[turn];
  }
  block.result[turn] = block.votes;
  block.votes = 0;
  block.waiting = 0;
  ++block.syncs;
  const bool goesOn = completerGoesOn();
  if (goesOn) {
    for (size_t i = block.waiters.size(); i-- > 0;) makeReady(block.waiters[i]);
    block.waiters.clear();
    watch::beginSegment(*self);
  } else {
    for (Thread* waiter : block.waiters) makeReady(waiter);
    block.waiters.clear();
    makeReady(self);
    park("__syncthreads", place);
  }
  return block.result[turn];
}

void syncThreads(Place place) { syncThreadsCount(0, place); }

void syncWarp(unsigned mask, Place place) {
  // The only one of a warp's collectives that orders memory.
  const auto complete = [](Warp& warp, WarpExchange&) { ++warp.syncs; };
  meet(
      "__syncwarp", mask, place, [](Warp&, WarpExchange&, unsigned) {}, complete);
}

unsigned ballot(unsigned mask, bool vote, Place place) {
  const auto bring = [&](Warp&, WarpExchange& exchange, unsigned lane) {
    exchange.values[lane] = vote;
  };
  const WarpExchange& exchange = meet("a vote", mask, place, bring, nothing);
  unsigned votes = 0;
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    if (exchange.took >> lane & 1) votes |= static_cast<unsigned>(exchange.values[lane]) << lane;
  }
  return votes;
}

uint64_t shuffle(Shuffle kind, unsigned mask, uint64_t bits, int argument, int width, Place place) {
  const auto bring = [&](Warp&, WarpExchange& exchange, unsigned lane) {
    exchange.values[lane] = bits;
  };
  const WarpExchange& exchange = meet("a shuffle", mask, place, bring, nothing);
  const int lane = static_cast<int>(currentThread->lane);
  const int first = lane & ~(width - 1), last = first + width - 1;
  int from = lane;
  switch (kind) {
    case Shuffle::index:
      from = first + (argument & (width - 1));
      break;
    case Shuffle::up:
      from = lane - argument < first ? lane : lane - argument;
      break;
    case Shuffle::down:
      from = lane + argument > last ? lane : lane + argument;
      break;
    case Shuffle::exclusive:
      from = (lane ^ argument) > last ? lane : lane ^ argument;
      break;
  }
  // What a lane that takes no part would give is undefined: as a number, NaN.
  return exchange.took >> from & 1 ? exchange.values[from] : ~uint64_t{0};
}

uint32_t toTf32(float value) {
  const uint32_t bits = bitsAs<uint32_t>(value);
  if ((bits & 0x7f800000u) == 0x7f800000u) return bits;
  return (bits + 0x1000u) & 0xffffe000u;
}

void mmaTf32Of(float* d, const uint32_t* a, const uint32_t* b, Place place) {
  const auto bring = [&](Warp& warp, WarpExchange&, unsigned lane) {
    bringFragments(warp, lane, a, b);
  };
  const auto complete = [](Warp& warp, WarpExchange& exchange) {
    float left[16][8], right[8][8];
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      const unsigned g = lane / 4, t = lane % 4;
      left[g][t] = tf32(warp.a[lane][0]);
      left[g + 8][t] = tf32(warp.a[lane][1]);
      left[g][t + 4] = tf32(warp.a[lane][2]);
      left[g + 8][t + 4] = tf32(warp.a[lane][3]);
      right[t][g] = tf32(warp.b[lane][0]);
      right[t + 4][g] = tf32(warp.b[lane][1]);
    }
    multiply<8>(left, right, exchange.product);
  };
  addProduct(meet("mma", kAllLanes, place, bring, complete), d);
}

void mmaBf16Of(float* d, const uint32_t* a, const uint32_t* b, Place place) {
  mma16<FromBfloat16>("mma", d, a, b, place);
}

void mmaF16Of(float* d, const uint32_t* a, const uint32_t* b, Place place) {
  mma16<FromHalf>("mma", d, a, b, place);
}

void ldmatrixOf(uint32_t* r, const void* shared, bool transposed, Place place) {
  if (reinterpret_cast<uintptr_t>(shared) % 16 != 0) finding("misaligned ldmatrix");
  watch::read(shared, 16, __builtin_return_address(0));
  const auto bring = [&](Warp&, WarpExchange& exchange, unsigned lane) {
    memcpy(exchange.rows[lane], shared, 16);
  };
  const WarpExchange& exchange = meet("ldmatrix", kAllLanes, place, bring, nothing);
  const unsigned g = currentThread->lane / 4, t = currentThread->lane % 4;
  const auto element = [&](unsigned matrix, unsigned row, unsigned column) {
    return exchange.rows[matrix * 8 + row][column / 2] >> (column % 2 * 16) & 0xffffu;
  };
  for (unsigned matrix = 0; matrix < 4; ++matrix) {
    r[matrix] = transposed ? element(matrix, 2 * t, g) | element(matrix, 2 * t + 1, g) << 16
                           : exchange.rows[matrix * 8 + g][t];
  }
}

void asyncCopy(void* shared, const void* global, unsigned bytes, bool valid) {
  if (reinterpret_cast<uintptr_t>(shared) % bytes != 0 ||
      (valid && reinterpret_cast<uintptr_t>(global) % bytes != 0)) {
    finding("misaligned asynchronous copy of %u bytes", bytes);
  }
  const void* const code = __builtin_return_address(0);
  if (valid) watch::read(global, bytes, code);
  watch::write(shared, bytes, code);
  // Until the wait nobody knows what is there.
  watch::unknown(shared, bytes);
  memset(shared, 0xff, bytes);
  Thread& self = *currentThread;
  self.copies.push_back({shared, global, bytes, valid, self.asyncGroup, code});
}

void asyncCommit() { ++currentThread->asyncGroup; }

void asyncWait(int pending) {
  Thread& self = *currentThread;
  size_t done = 0;
  for (; done < self.copies.size(); ++done) {
    const AsyncCopy& copy = self.copies[done];
    if (copy.group + static_cast<unsigned>(pending) >= self.asyncGroup) break;
    if (copy.valid) {
      memcpy(copy.to, copy.from, copy.bytes);
    } else {
      memset(copy.to, 0, copy.bytes);
    }
    watch::write(copy.to, copy.bytes, copy.code);
  }
  self.copies.erase(self.copies.begin(), self.copies.begin() + static_cast<std::ptrdiff_t>(done));
}

}  // namespace emulator
}  // namespace cuda
}  // namespace kindling
