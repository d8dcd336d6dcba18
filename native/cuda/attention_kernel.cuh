#pragma once
// The one loop of attention, forward and back: a block's rows against all columns, piece by piece.
//
//   rows × columns   S = X1 Y1^T, and going back T = X2 Y2^T
//   weights          from S (and T), in registers, then in shared memory
//   rows × features  out[i] += weights[i] Z[i]

#include "core/tensor_view.h"
#include "cuda/attention_tile.cuh"
#include "cuda/runtime.h"

namespace kindling {
namespace cuda {

constexpr int kMostAttentionOutputs = 2;

struct AttentionPlan {
  AttentionMatrix x[2], y[2];
  AttentionMatrix z[kMostAttentionOutputs];
  float* out[kMostAttentionOutputs];  // contiguous, of z's columns
  // Of each query: the logarithm of its sum of powers, and the mean of its weights' gradients.
  AttentionMatrix logs;
  float* outLogs;
  const float* means;
  int64_t heads;
  int rows, columns, queries, keys;
  uint32_t rowTiles, chunks;  // of rows; of the results' columns
  float scale;
  bool causal, resident;  // whether all of x stays in shared memory
  int ahead;              // pieces on their way while one is used: 1, or 0 for want of shared memory

  /// How many keys a query sees.
  __device__ __forceinline__ int shown(int query) const {
    return causal && query + 1 < keys ? query + 1 : keys;
  }
};

/// Floats of shared memory: the pipeline's stages, the weights, and x where it stays.
struct AttentionShared {
  int stage, stages, weights, x[2];

  AttentionShared() = default;
  AttentionShared(const AttentionPlan& plan, int products, int outputs, int columns) {
    const auto pieces = [](int depth) {
      return (depth + kAttentionDepth - 1) / kAttentionDepth * kAttentionPiece;
    };
    const int plain = kAttentionDepth * (columns + 8);
    const int transposed = kAttentionPiece * (plan.resident ? 1 : 2);
    stage = plain > transposed ? plain : transposed;
    stages = plan.ahead + 1;
    weights = kAttentionSide * kAttentionRow * outputs;
    for (int i = 0; i < 2; ++i) {
      x[i] = plan.resident && i < products ? pieces(plan.x[i].columns) : 0;
    }
  }
  size_t bytes() const {
    return sizeof(float) * static_cast<size_t>(stages * stage + weights + x[0] + x[1]);
  }
};

/// `Body` has kProducts, kOutputs, the column tiles to go over (firstTile, endTile), weigh() for
/// the weights of 64 columns, and finish() for the results.
template <class Body, class By, int kColumns>
class AttentionBlock {
 public:
  using Score = typename By::template Product<kAttentionSide>;
  using Out = typename By::template Product<kColumns>;

  __device__ __forceinline__ AttentionBlock(const AttentionPlan& plan,
                                            const AttentionShared& shared, float* memory)
      : plan_(plan), stage_(shared.stage) {
    const uint32_t part = blockIdx.x / plan.rowTiles;
    // The last rows see most, so they go first.
    first_ =
        static_cast<int>(plan.rowTiles - 1 - (blockIdx.x - part * plan.rowTiles)) * kAttentionSide;
    head_ = part / plan.chunks;
    firstColumn_ = static_cast<int>(part - head_ * plan.chunks) * kColumns;
    outer_ = head_ / static_cast<uint32_t>(plan.heads);
    inOuter_ = head_ - outer_ * static_cast<uint32_t>(plan.heads);
    stages_ = memory;
    weights_ = memory + shared.stages * shared.stage;
    x_[0] = weights_ + shared.weights;
    x_[1] = x_[0] + shared.x[0];
    pieces_[0] = piecesOf(plan.x[0]);
    pieces_[1] = Body::kProducts > 1 ? piecesOf(plan.x[1]) : 0;
  }

  __device__ __forceinline__ void run() {
    Body body(plan_, first_, head_);
#pragma unroll
    for (int i = 0; i < Body::kOutputs; ++i) clear(outs_[i]);
    if (plan_.resident) copyRows();
    const int begin = body.firstTile(plan_), end = body.endTile(plan_);
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    constexpr int ahead = 1;  // there is room for two stages, and none in the registers for this
#else
    const int ahead = plan_.ahead;
#endif
    if (ahead > 0 && begin < end) start(begin, 0, 0);
    gpu::cpAsyncCommit();
    int stage = 0;
    for (int tile = begin; tile < end; ++tile) {
      clear(scores_);
      if (Body::kProducts > 1) clear(slopes_);
      for (int piece = 0; piece < pieces(); ++piece) {
        if (ahead > 0) gpu::cpAsyncWait<0>();
        __syncthreads();
        if (piece + ahead < pieces()) {
          start(tile, piece + ahead, stage ^ ahead);
        } else if (tile + 1 < end) {
          start(tile + 1, 0, stage ^ ahead);
        }
        gpu::cpAsyncCommit();
        if (ahead == 0) {
          gpu::cpAsyncWait<0>();
          __syncthreads();
        }
        if (piece == pieces_[0] + pieces_[1]) {
          body.weigh(plan_, tile * kAttentionSide, scores_, slopes_, outs_, weights_);
          __syncwarp();
        }
        use(piece, stages_ + stage * stage_);
        stage ^= ahead;
      }
    }
    gpu::cpAsyncWait<0>();
    body.finish(plan_, firstColumn_, outs_);
  }

 private:
  static constexpr int kHalves = kAttentionSide / kAttentionDepth;

  static __device__ __forceinline__ int piecesOf(const AttentionMatrix& x) {
    return (x.columns + kAttentionDepth - 1) / kAttentionDepth;
  }
  __device__ __forceinline__ int pieces() const {
    return pieces_[0] + pieces_[1] + kHalves * Body::kOutputs;
  }
  __device__ __forceinline__ const float* dataOf(const AttentionMatrix& of) const {
    return of.at(outer_, inOuter_);
  }

  __device__ __forceinline__ void copyRows() {
#pragma unroll
    for (int i = 0; i < Body::kProducts; ++i) {
      for (int piece = 0; piece < pieces_[i]; ++piece) {
        copyTransposed(x_[i] + piece * kAttentionPiece, plan_.x[i], dataOf(plan_.x[i]), first_,
                       piece * kAttentionDepth);
      }
    }
  }

  /// Starts the copy of a piece of a step's operands.
  __device__ __forceinline__ void start(int tile, int piece, int stage) {
    float* const to = stages_ + stage * stage_;
    const int column = tile * kAttentionSide;
#pragma unroll
    for (int i = 0; i < Body::kProducts; ++i) {
      if (piece >= 0 && piece < pieces_[i]) {
        const int depth = piece * kAttentionDepth;
        copyTransposed(to, plan_.y[i], dataOf(plan_.y[i]), column, depth);
        if (!plan_.resident) {
          copyTransposed(to + kAttentionPiece, plan_.x[i], dataOf(plan_.x[i]), first_, depth);
        }
      }
      piece -= pieces_[i];
    }
#pragma unroll
    for (int i = 0; i < Body::kOutputs; ++i) {
      if (piece >= 0 && piece < kHalves) {
        copyPlain<kColumns>(to, plan_.z[i], dataOf(plan_.z[i]), column + piece * kAttentionDepth,
                            firstColumn_);
      }
      piece -= kHalves;
    }
  }

  template <class Product>
  __device__ __forceinline__ void score(Product& product, int i, int piece, const float* y) {
    const float* const x = plan_.resident ? x_[i] + piece * kAttentionPiece : y + kAttentionPiece;
    const int left = plan_.x[i].columns - piece * kAttentionDepth;
    const int depth = left < kAttentionDepth ? (left + 7) / 8 * 8 : kAttentionDepth;
    product.multiply(
        depth, [&](int k, int row) { return x + k * kAttentionRow + row; },
        [&](int k, int column) { return y + k * kAttentionRow + column; });
  }

  __device__ __forceinline__ void use(int piece, const float* data) {
    if (piece < pieces_[0]) {
      score(scores_, 0, piece, data);
      return;
    }
    piece -= pieces_[0];
    if (Body::kProducts > 1) {
      if (piece < pieces_[1]) {
        score(slopes_, 1, piece, data);
        return;
      }
      piece -= pieces_[1];
    }
#pragma unroll
    for (int i = 0; i < Body::kOutputs; ++i) {
      if (piece >= 0 && piece < kHalves) {
        const float* const weights = weights_ + i * kAttentionSide * kAttentionRow;
        const int from = piece * kAttentionDepth;
        outs_[i].multiply(
            kAttentionDepth, [&](int k, int row) { return weights + weightAt(from + k, row); },
            [&](int k, int column) { return data + k * (kColumns + 8) + column; });
      }
      piece -= kHalves;
    }
  }

  const AttentionPlan& plan_;
  const int stage_;
  int first_, firstColumn_, pieces_[2];
  uint32_t head_, outer_, inOuter_;
  float *stages_, *weights_, *x_[2];
  Score scores_, slopes_;
  Out outs_[Body::kOutputs];
};

/// Writes a product's rows, times a factor for each, to a contiguous [rows, columns].
template <class Product>
__device__ __forceinline__ void storeProduct(const Product& product, float* to, int firstRow,
                                             int rows, int firstColumn, int columns,
                                             const float (&factors)[Product::kOwnRows]) {
#pragma unroll
  for (int i = 0; i < Product::kOwnRows; ++i) {
    const int row = firstRow + warpRow() + Product::row(i);
    if (row >= rows) continue;
#pragma unroll
    for (int j = 0; j < Product::kOwnColumns; ++j) {
      const int column = firstColumn + Product::column(j);
      if (column < columns) {
        to[static_cast<int64_t>(row) * columns + column] = product.value[i][j] * factors[i];
      }
    }
  }
}

template <class Body, class By, int kColumns>
__global__ void __launch_bounds__(kAttentionThreads, 2)
    attentionKernel(AttentionPlan plan, AttentionShared shared) {
  GPU_DYNAMIC_SHARED(memory);
  AttentionBlock<Body, By, kColumns> block(plan, shared, reinterpret_cast<float*>(memory));
  block.run();
}

// --- Host ---

inline AttentionMatrix attentionMatrix(const TensorView& view) {
  AttentionMatrix m;
  m.data = static_cast<const float*>(view.data);
  m.outer = view.strides[0];
  m.head = view.strides[1];
  m.row = view.strides[2];
  m.column = view.strides[3];
  m.rows = static_cast<int>(view.shape[2]);
  m.columns = static_cast<int>(view.shape[3]);
  m.vector = m.column == 1 && m.columns % 4 == 0 && m.row % 4 == 0 && m.head % 4 == 0 &&
             m.outer % 4 == 0 && isAlignedForFour<float>(m.data);
  return m;
}

/// Launches a block for each 64 rows and each kColumns columns of the results, of every matrix.
template <class Body, class By, int kColumns>
Status launchAttention(AttentionPlan plan, int64_t matrices) {
  int columns = 1;
  for (int i = 0; i < Body::kOutputs; ++i) {
    if (plan.z[i].columns > columns) columns = plan.z[i].columns;
  }
  plan.chunks = static_cast<uint32_t>(ceilDivide(columns, kColumns));
  plan.rowTiles = static_cast<uint32_t>(ceilDivide(plan.rows, kAttentionSide));
  const int64_t blocks = int64_t{plan.chunks} * plan.rowTiles * matrices;
  if (blocks > INT32_MAX) return fail(Status::unsupported, "attention: too many blocks");
  // The fastest that the device's shared memory has room for. The last takes 54 KiB at most, of the
  // 64 that compute capability 7.5 has.
  constexpr struct {
    bool resident;
    int ahead;
  } kWays[] = {{true, 1}, {false, 1}, {false, 0}};
  const size_t room = static_cast<size_t>(gpu::deviceInfo().sharedBytesPerBlock);
  AttentionShared shared = {};
  for (const auto& way : kWays) {
    plan.resident = way.resident;
    plan.ahead = way.ahead;
    shared = AttentionShared(plan, Body::kProducts, Body::kOutputs, kColumns);
    if (shared.bytes() <= room) break;
  }
  const auto kernel = attentionKernel<Body, By, kColumns>;
  const Status status =
      gpu::allowSharedBytes(reinterpret_cast<const void*>(kernel), shared.bytes());
  if (status != Status::ok) return status;
  return launch(kernel, dim3(static_cast<unsigned>(blocks)), dim3(kAttentionThreads),
                shared.bytes(), plan, shared);
}

/// Where the user allows TF32 and the device has it.
inline bool usesTensorCores() { return gpu::allowTf32() && gpu::deviceInfo().major >= 8; }

}  // namespace cuda
}  // namespace kindling
