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
  int64_t rows, tiles, blocks;
  int64_t rowOf(int64_t tile) const { return tile * rows / tiles; }
};

Cut cutOf(int64_t m, int64_t k, int64_t aRow) {
  // Rows a multiple of 4 KiB apart share the same few sets of the L1 cache, of eight ways.
  const bool collides = aRow * int64_t{sizeof(float)} % 4096 == 0;
  const int64_t tallest = collides ? lesser(kTileRows, 7) : kTileRows;
  return {m, ceilOf(m, tallest), k > 0 ? ceilOf(k, kMostSteps) : 1};
}

/// Asks for a share of what is read next.
void fetch(const float* next, int64_t size, int64_t share, int64_t shares) {
  constexpr int64_t kLine = 64 / sizeof(float);
  const int64_t lines = size / kLine;
  for (int64_t i = share * lines / shares; i < (share + 1) * lines / shares; ++i) {
    __builtin_prefetch(next + i * kLine, 0, 2);
  }
}

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
  parallelFor(ceilOf(n, kPanel), kThreadWork / (m * k * kPanel + 1) + 1, 1,
              [&](int64_t begin, int64_t end) {
                for (int64_t panel = begin; panel < end; ++panel) {
                  const int64_t column = panel * kPanel;
                  const int64_t width = lesser(kPanel, lanes - column);
                  const int vectors = static_cast<int>(width / kWidth);
                  const bool partial = n - column < width;
                  for (int64_t block = 0; block < cut.blocks; ++block) {
                    const int64_t first = block * k / cut.blocks;
                    TileCall call;
                    call.k = (block + 1) * k / cut.blocks - first;
                    call.rowStride = aRow;
                    call.rowStep = 1;
                    call.columns = packed + column * k + first * width;
                    call.columnStep = width;
                    call.ldc = ldc;
                    call.bias = bias && block == 0 ? bias + column : nullptr;
                    call.accumulate = accumulate || block > 0;
                    call.lastLanes = static_cast<int>(lesser(kWidth, n - column - width + kWidth));
                    for (int64_t tile = 0; tile < cut.tiles; ++tile) {
                      const int64_t row = cut.rowOf(tile), rows = cut.rowOf(tile + 1) - row;
                      if (panel + 1 < end) {
                        fetch(packed + (column + kPanel) * k, kPanel * k, block * cut.tiles + tile,
                              cut.blocks * cut.tiles);
                      }
                      call.rows = a + row * aRow + first;
                      call.c = c + row * ldc + column;
                      tileKernelFor(static_cast<int>(rows), vectors, false, partial)(call);
                    }
                  }
                }
              });
}

}  // namespace KINDLING_ISA
}  // namespace kindling
