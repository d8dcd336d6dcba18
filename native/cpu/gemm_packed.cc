// Products with a right operand that was packed beforehand, as the steps of a recurrent layer have
// them: few rows, the same large matrix each time. Panel by panel, and while one is multiplied the
// next comes from the L3 cache.

#include "cpu/gemm.h"
#include "cpu/gemm_microkernel.h"
#include "cpu/gemm_pack.h"
#include "cpu/parallel.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

constexpr int kWidth = GemmVec::width;
constexpr int64_t kPanel = kTileVectors * kWidth;
constexpr int64_t kMostSteps = 256;       // of k at once: a panel's part and the rows stay in L1
constexpr int64_t kThreadWork = 1 << 18;  // multiply-adds

int64_t ceilOf(int64_t x, int64_t y) { return (x + y - 1) / y; }
int64_t lesser(int64_t x, int64_t y) { return x < y ? x : y; }

/// A product's cut; neither sums nor their order depend on the number of threads.
struct Cut {
  int64_t tiles, tileRows, larger;  // the first `larger` tiles have one row more
  int64_t blocks;
};

Cut cutOf(int64_t m, int64_t k, int64_t aRow) {
  // Rows a multiple of 4 KiB apart share the same few sets of the L1 cache, of eight ways.
  const bool collides = aRow * int64_t{sizeof(float)} % 4096 == 0;
  const int64_t tiles = ceilOf(m, collides ? lesser(kTileRows, 7) : kTileRows);
  return {tiles, m / tiles, m % tiles, k > 0 ? ceilOf(k, kMostSteps) : 1};
}

/// Asks for what is read next, a few lines with each tile.
struct Fetch {
  static constexpr int64_t kLine = 64 / sizeof(float);
  const float* next;
  int64_t left, share;  // elements

  void some() {
    const int64_t now = lesser(share, left);
    for (int64_t i = 0; i < now; i += kLine) __builtin_prefetch(next + i, 0, 2);
    next += now;
    left -= now;
  }
};

/// A panel's product: block of k by block, tile by tile. `call` knows where the panel and its
/// columns of the result begin, and what is the same for all tiles.
struct PanelProduct {
  const Cut* cut;
  int64_t k;
  const float* a;
  int64_t aRow;
  TileKernel kernels[2];  // by whether a tile has the row more
  bool accumulate;

  void run(TileCall call, Fetch fetch) const {
    float* const c = call.c;
    const float *const panel = call.columns, *const bias = call.bias;
    for (int64_t block = 0; block < cut->blocks; ++block) {
      const int64_t first = block * k / cut->blocks;
      call.k = (block + 1) * k / cut->blocks - first;
      call.columns = panel + first * call.columnStep;
      call.bias = block == 0 ? bias : nullptr;
      call.accumulate = accumulate || block > 0;
      call.rows = a + first;
      call.c = c;
      for (int64_t tile = 0; tile < cut->tiles; ++tile) {
        const bool more = tile < cut->larger;
        fetch.some();
        kernels[more](call);
        call.rows += (cut->tileRows + more) * aRow;
        call.c += (cut->tileRows + more) * call.ldc;
      }
    }
  }
};

}  // namespace

int64_t packedElements(int64_t k, int64_t n) { return k * ceilOf(n, kWidth) * kWidth; }

void packOperand(int64_t k, int64_t n, const float* b, int64_t bRow, int64_t bCol, float* to) {
  const int64_t lanes = ceilOf(n, kWidth) * kWidth;
  for (int64_t column = 0; column < n; column += kPanel) {
    const GemmOperand<float> from = {b + column * bCol, bCol, bRow};
    packPanel(to + column * k, lesser(kPanel, lanes - column), from, lesser(kPanel, n - column), k);
  }
}

void gemmPacked(int64_t m, int64_t n, int64_t k, const float* a, int64_t aRow, const float* packed,
                float* c, int64_t ldc, const float* bias, bool accumulate) {
  if (m <= 0 || n <= 0) return;
  const Cut cut = cutOf(m, k, aRow);
  const int64_t lanes = ceilOf(n, kWidth) * kWidth;
  const int64_t share = ceilOf(kPanel * k, cut.blocks * cut.tiles * Fetch::kLine) * Fetch::kLine;
  parallelFor(
      ceilOf(n, kPanel), kThreadWork / (m * k * kPanel + 1) + 1, 1,
      [&](int64_t begin, int64_t end) {
        for (int64_t panel = begin; panel < end; ++panel) {
          const int64_t column = panel * kPanel, width = lesser(kPanel, lanes - column);
          PanelProduct product = {&cut, k, a, aRow, {}, accumulate};
          for (int more = 0; more < 2; ++more) {
            product.kernels[more] =
                tileKernelFor(static_cast<int>(cut.tileRows) + more,
                              static_cast<int>(width / kWidth), false, n - column < width);
          }
          TileCall call;
          call.rowStride = aRow;
          call.rowStep = 1;
          call.columns = packed + column * k;
          call.columnStep = width;
          call.c = c + column;
          call.ldc = ldc;
          call.bias = bias ? bias + column : nullptr;
          call.lastLanes = static_cast<int>(lesser(kWidth, n - column - width + kWidth));
          product.run(call, {call.columns + width * k, panel + 1 < end ? kPanel * k : 0, share});
        }
      });
}

}  // namespace KINDLING_ISA
}  // namespace kindling
