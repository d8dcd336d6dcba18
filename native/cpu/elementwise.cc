#include "cpu/elementwise_loop.h"
#include "cpu/fused_loop.h"
#include "cpu/kernel_table.h"
#include "cpu/past_caches.h"
#include "cpu/strided_loop.h"
#include "cpu/tile_copy.h"

namespace kindling {
namespace KINDLING_ISA {

namespace {

// Elements of a tile that is gathered into scratch memory: three inputs fit the first-level cache.
constexpr int64_t kScratchElements = 1024;
// Elements of a tile that is read in place: large enough to hide the walk, small enough to share.
constexpr int64_t kDirectElements = 4096;
// Rows shorter than this are not worth a call of the loop each: several are made one run.
constexpr int64_t kShortRow = 32;

KINDLING_INLINE const void* advance(const void* p, int64_t bytes) {
  return static_cast<const char*>(p) + bytes;
}

/// Whether the result is memory of its own and of a size that is written past the caches. What
/// takes longer than memory does not wait for plain stores, but would for a whole piece at once.
bool writesPastCaches(const OpCall& call, int inputs, int64_t grain) {
  const TensorView& out = call.outputs[0];
  if (grain < kCheapGrain || !goesPastCaches(out.size * elementBytes(out.dtype))) return false;
  for (int k = 0; k < inputs; ++k) {
    if (call.inputs[k].data == out.data) return false;  // its lines are in the cache already
  }
  return true;
}

/// Everything contiguous or a single element.
template <class Loop>
void runFlat(const OpCall& call, int inputs, const Loop& loop, uint32_t repeated, int64_t grain) {
  const TensorView& result = call.outputs[0];
  const auto run = [&](void* out, int64_t begin, int64_t count) {
    const void* in[kMaxElementwiseInputs];
    for (int k = 0; k < inputs; ++k) {
      const int64_t bytes = repeated >> k & 1 ? 0 : elementBytes(call.inputs[k].dtype);
      in[k] = advance(call.inputs[k].data, begin * bytes);
    }
    loop(out, in, repeated, count);
  };
  const bool pastCaches = writesPastCaches(call, inputs, grain);
  const auto range = [&](int64_t begin, int64_t end) {
    const int64_t bytes = elementBytes(result.dtype);
    char* const out = static_cast<char*>(result.data) + begin * bytes;
    if (!pastCaches) return run(out, begin, end - begin);
    streamPieces(out, end - begin, bytes, [&](void* piece, int64_t first, int64_t count) {
      run(piece, begin + first, count);
    });
  };
  parallelForPromptly(result.size, grain, 64, range);
}

/// One parallel range of the tiles of a strided loop, with the scratch memory it gathers into.
template <class Loop>
class StridedRange {
 public:
  StridedRange(const OpCall& call, const LoopPlan& plan, const Loop& loop, bool wholeRows)
      : call_(call), plan_(plan), loop_(loop), wholeRows_(wholeRows) {}

  void operator()(const Tile& tile) {
    repeated_ = 0;
    for (int k = 0; k < plan_.operands - 1; ++k) {
      if (wholeRows_) {
        prepareRun(k, tile);
      } else {
        prepareRows(k, tile);
      }
    }
    const int64_t bytes = elementBytes(call_.outputs[0].dtype);
    char* out = static_cast<char*>(call_.outputs[0].data) + tile.offsets[0] * bytes;
    if (wholeRows_) {
      loop_(out, in_, repeated_, tile.rows * tile.columns);
      return;
    }
    for (int64_t row = 0; row < tile.rows; ++row) {
      loop_(out, in_, repeated_, tile.columns);
      out += rowStride(plan_, 0) * bytes;
      for (int k = 0; k < plan_.operands - 1; ++k) in_[k] = advance(in_[k], rowBytes_[k]);
    }
  }

 private:
  const void* source(int k, const Tile& tile) const {
    const TensorView& view = call_.inputs[k];
    return advance(view.data, tile.offsets[k + 1] * elementBytes(view.dtype));
  }

  /// Input k as one run over all rows of the tile.
  void prepareRun(int k, const Tile& tile) {
    const int64_t row = rowStride(plan_, k + 1), column = columnStride(plan_, k + 1);
    if (column == 0 && row == 0) {
      repeated_ |= 1u << k;
      in_[k] = source(k, tile);
    } else if (column == 1 && row == tile.columns) {
      in_[k] = source(k, tile);
    } else {
      gather(k, tile);
    }
  }

  /// Input k as one run per row of the tile.
  void prepareRows(int k, const Tile& tile) {
    const int64_t bytes = elementBytes(call_.inputs[k].dtype);
    const int64_t column = columnStride(plan_, k + 1);
    if (column == 0 || column == 1) {
      repeated_ |= column == 0 ? 1u << k : 0;
      in_[k] = source(k, tile);
      rowBytes_[k] = rowStride(plan_, k + 1) * bytes;
    } else {
      gather(k, tile);
      rowBytes_[k] = tile.columns * bytes;
    }
  }

  void gather(int k, const Tile& tile) {
    const void* from = source(k, tile);
    in_[k] = scratch_[k];
    // A row vector that is added to every row, for one, need not be gathered for every tile.
    if (from == gathered_[k] && tile.rows == gatheredRows_ && tile.columns == gatheredColumns_) {
      return;
    }
    const int64_t row = rowStride(plan_, k + 1), column = columnStride(plan_, k + 1);
    withElement(call_.inputs[k].dtype, [&](auto element) {
      using T = decltype(element);
      copyTile(reinterpret_cast<T*>(scratch_[k]), tile.columns, 1, static_cast<const T*>(from), row,
               column, tile.rows, tile.columns);
    });
    gathered_[k] = from;
    if (gatheredRows_ == tile.rows && gatheredColumns_ == tile.columns) return;
    // What the other inputs hold was gathered for another tile size.
    for (int other = 0; other < plan_.operands - 1; ++other) {
      if (other != k) gathered_[other] = nullptr;
    }
    gatheredRows_ = tile.rows;
    gatheredColumns_ = tile.columns;
  }

  const OpCall& call_;
  const LoopPlan& plan_;
  const Loop& loop_;
  const bool wholeRows_;
  uint32_t repeated_ = 0;
  const void* in_[kMaxElementwiseInputs];
  int64_t rowBytes_[kMaxElementwiseInputs];
  const void* gathered_[kMaxElementwiseInputs] = {};
  int64_t gatheredRows_ = 0, gatheredColumns_ = 0;
  alignas(64) uint8_t scratch_[kMaxElementwiseInputs][kScratchElements * kMaxElementBytes];
};

template <class Loop>
void runStrided(const OpCall& call, int inputs, const Loop& loop, int64_t grain) {
  const TensorView* views[kMaxOperands] = {&call.outputs[0]};
  for (int k = 0; k < inputs; ++k) views[k + 1] = &call.inputs[k];
  LoopPlan plan;
  planLoop(&plan, views, inputs + 1);
  bool transposed = false;
  const bool gathers = plan.rank > 0 && arrangeAxes(&plan, &transposed);

  const int64_t columns = plan.rank > 0 ? plan.shape[plan.rank - 1] : 1;
  const bool wholeRows = columns < kShortRow && rowStride(plan, 0) == columns;
  const int64_t elements = wholeRows || gathers ? kScratchElements : kDirectElements;
  const int64_t widest = transposed ? 64 : elements;
  const int64_t tileColumns = columns < widest ? columns : widest;
  const TileGrid grid = makeGrid(plan, elements / tileColumns, tileColumns);
  parallelTiles(grid, grain, [&](int64_t begin, int64_t end) {
    StridedRange<Loop> range(call, plan, loop, wholeRows);
    walkTiles(grid, begin, end, [&](const Tile& tile) { range(tile); });
  });
}

template <class Loop>
Status runLoop(const OpCall& call, int inputs, const Loop& loop, int64_t grain) {
  const TensorView& out = call.outputs[0];
  if (out.size == 0) return Status::ok;
  uint32_t repeated = 0;
  for (int k = 0; k < inputs; ++k) {
    const TensorView& in = call.inputs[k];
    if (in.size == out.size && in.contiguous) continue;
    if (in.size != 1) {
      runStrided(call, inputs, loop, grain);
      return Status::ok;
    }
    repeated |= 1u << k;
  }
  runFlat(call, inputs, loop, repeated, grain);
  return Status::ok;
}

FloatLoop floatLoops[kOpCount];

}  // namespace

Status runElementwise(const OpCall& call, int inputs, RunLoop loop, int64_t grain) {
  return runLoop(call, inputs, loop, grain);
}

Status runFused(const OpCall& call, int inputs, const FusedLoop& loop, int64_t grain) {
  return runLoop(call, inputs, loop, grain);
}

void setFloatLoop(Op op, FloatLoop loop) { floatLoops[static_cast<int>(op)] = loop; }

FloatLoop floatLoop(int32_t op) { return op >= 0 && op < kOpCount ? floatLoops[op] : FloatLoop(); }

void registerElementwise(Kernel* kernels) {
  registerUnary(kernels);
  registerBinary(kernels);
  registerFused(kernels);
}

}  // namespace KINDLING_ISA
}  // namespace kindling
