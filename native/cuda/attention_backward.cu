// The way back through attention. The scores are computed again from the logarithms of the sums of
// powers (Dao et al., 2022); each result has one block that adds to it, so that nothing is atomic
// and the order of sums is fixed.

#include "core/op_call.h"
#include "core/op_info.h"
#include "cuda/attention_kernel.cuh"
#include "cuda/kernel_table.h"
#include "cuda/row_kernels.cuh"
#include "cuda/runtime.h"

namespace kindling {
namespace cuda {

/// means[outer, head, query] = grad · y, a warp for each.
__global__ void __launch_bounds__(kMostRowThreads)
    attentionMeansKernel(AttentionMatrix grad, AttentionMatrix y, int64_t heads, int64_t rows,
                         float* __restrict__ means) {
  for (RowWalk row(rows); row.isThere(); row.next()) {
    const int64_t head = row.index() / grad.rows, query = row.index() - head * grad.rows;
    const float* const g = grad.at(head / heads, head % heads) + query * grad.row;
    const float* const p = y.at(head / heads, head % heads) + query * y.row;
    RowSum<float> sum = {0};
    for (int i = static_cast<int>(threadIdx.x); i < grad.columns; i += 32) {
      sum.sum += g[i * grad.column] * p[i * y.column];
    }
    sum = joinWarp(sum);
    if (threadIdx.x == 0) means[row.index()] = sum.sum;
  }
}

/// What a pair of a query and a key has: its weight, and the gradient of its score.
struct AttentionPair {
  float weight, slope;
};
__device__ __forceinline__ AttentionPair attentionPair(float score, float weightGrad, float log,
                                                       float mean, float scale) {
  const float weight = powerOfDifference(score * scale, log);
  return {weight, weight * (weightGrad - mean) * scale};
}

/// Rows are queries, columns keys: the gradients of the queries.
template <class By, int kColumns>
class AttentionToQueries {
 public:
  static constexpr int kProducts = 2, kOutputs = 1;
  using Score = typename By::template Product<kAttentionSide>;
  using Out = typename By::template Product<kColumns>;

  __device__ __forceinline__ AttentionToQueries(const AttentionPlan& plan, int first, uint32_t head)
      : first_(first), head_(head) {
    const float* const logs = plan.logs.at(head / static_cast<uint32_t>(plan.heads),
                                           head % static_cast<uint32_t>(plan.heads));
#pragma unroll
    for (int i = 0; i < Score::kOwnRows; ++i) {
      const int query = first + warpRow() + Score::row(i);
      const bool isThere = query < plan.queries;
      log_[i] = isThere ? logs[query * plan.logs.row] : 0.0f;
      mean_[i] = isThere ? plan.means[static_cast<int64_t>(head) * plan.queries + query] : 0.0f;
    }
  }
  __device__ __forceinline__ int firstTile(const AttentionPlan&) const { return 0; }
  __device__ __forceinline__ int endTile(const AttentionPlan& plan) const {
    const int last =
        first_ + kAttentionSide < plan.queries ? first_ + kAttentionSide : plan.queries;
    return (plan.shown(last - 1) + kAttentionSide - 1) / kAttentionSide;
  }
  __device__ __forceinline__ void weigh(const AttentionPlan& plan, int firstKey, Score& scores,
                                        Score& slopes, Out (&)[1], float* weights) const {
#pragma unroll
    for (int i = 0; i < Score::kOwnRows; ++i) {
      const int row = warpRow() + Score::row(i), shown = plan.shown(first_ + row) - firstKey;
#pragma unroll
      for (int j = 0; j < Score::kOwnColumns; ++j) {
        const int column = Score::column(j);
        const AttentionPair pair =
            attentionPair(scores.value[i][j], slopes.value[i][j], log_[i], mean_[i], plan.scale);
        weights[weightAt(column, row)] = column < shown ? pair.slope : 0.0f;
      }
    }
  }
  __device__ __forceinline__ void finish(const AttentionPlan& plan, int firstColumn,
                                         const Out (&outs)[1]) const {
    float factors[Score::kOwnRows];
#pragma unroll
    for (int i = 0; i < Score::kOwnRows; ++i) factors[i] = 1;
    const int columns = plan.z[0].columns;
    storeProduct(outs[0], plan.out[0] + static_cast<int64_t>(head_) * plan.rows * columns, first_,
                 plan.rows, firstColumn, columns, factors);
  }

 private:
  const int first_;
  const uint32_t head_;
  float log_[Score::kOwnRows], mean_[Score::kOwnRows];
};

/// Rows are keys, columns queries: the gradients of the keys and of the values.
template <class By, int kColumns>
class AttentionToKeys {
 public:
  static constexpr int kProducts = 2, kOutputs = 2;
  using Score = typename By::template Product<kAttentionSide>;
  using Out = typename By::template Product<kColumns>;

  __device__ __forceinline__ AttentionToKeys(const AttentionPlan& plan, int first, uint32_t head)
      : first_(first),
        head_(head),
        logs_(plan.logs.at(head / static_cast<uint32_t>(plan.heads),
                           head % static_cast<uint32_t>(plan.heads))),
        means_(plan.means + static_cast<int64_t>(head) * plan.queries) {}
  /// Where keys are hidden from earlier queries, those are left out.
  __device__ __forceinline__ int firstTile(const AttentionPlan& plan) const {
    return plan.causal ? first_ / kAttentionSide : 0;
  }
  __device__ __forceinline__ int endTile(const AttentionPlan& plan) const {
    return (plan.queries + kAttentionSide - 1) / kAttentionSide;
  }
  __device__ __forceinline__ void weigh(const AttentionPlan& plan, int firstQuery, Score& scores,
                                        Score& slopes, Out (&)[2], float* weights) const {
#pragma unroll
    for (int j = 0; j < Score::kOwnColumns; ++j) {
      const int column = Score::column(j), query = firstQuery + column;
      const bool isThere = query < plan.queries;
      const float log = isThere ? logs_[query * plan.logs.row] : 0.0f;
      const float mean = isThere ? means_[query] : 0.0f;
      const int shown = isThere ? plan.shown(query) : 0;
#pragma unroll
      for (int i = 0; i < Score::kOwnRows; ++i) {
        const int row = warpRow() + Score::row(i);
        const AttentionPair pair =
            attentionPair(scores.value[i][j], slopes.value[i][j], log, mean, plan.scale);
        const bool isShown = first_ + row < shown;
        weights[weightAt(column, row)] = isShown ? pair.slope : 0.0f;
        weights[kAttentionSide * kAttentionRow + weightAt(column, row)] =
            isShown ? pair.weight : 0.0f;
      }
    }
  }
  __device__ __forceinline__ void finish(const AttentionPlan& plan, int firstColumn,
                                         const Out (&outs)[2]) const {
    float factors[Score::kOwnRows];
#pragma unroll
    for (int i = 0; i < Score::kOwnRows; ++i) factors[i] = 1;
#pragma unroll
    for (int i = 0; i < kOutputs; ++i) {
      const int columns = plan.z[i].columns;
      storeProduct(outs[i], plan.out[i] + static_cast<int64_t>(head_) * plan.rows * columns, first_,
                   plan.rows, firstColumn, columns, factors);
    }
  }

 private:
  const int first_;
  const uint32_t head_;
  const float* const logs_;
  const float* const means_;
};

namespace {

template <class By>
Status toQueries(const AttentionPlan& plan, int64_t matrices) {
  return plan.z[0].columns > 64
             ? launchAttention<AttentionToQueries<By, 128>, By, 128>(plan, matrices)
             : launchAttention<AttentionToQueries<By, 64>, By, 64>(plan, matrices);
}

template <class By>
Status toKeys(const AttentionPlan& plan, int64_t matrices) {
  return launchAttention<AttentionToKeys<By, 64>, By, 64>(plan, matrices);
}

Status attentionBackward(const OpCall& call) {
  const TensorView& grad = call.inputs[0];
  const TensorView &q = call.inputs[1], &k = call.inputs[2], &v = call.inputs[3];
  const int64_t matrices = q.shape[0] * q.shape[1], queries = matrices * q.shape[2];
  const DeviceScratch means(static_cast<size_t>(queries > 0 ? queries : 1) * sizeof(float));
  if (!means) return fail(Status::outOfMemory, "attentionBackward: no scratch memory");
  AttentionPlan plan = {};
  plan.logs = attentionMatrix(call.inputs[5]);
  plan.means = means.as<float>();
  plan.heads = q.shape[1];
  plan.queries = static_cast<int>(q.shape[2]);
  plan.keys = static_cast<int>(v.shape[2]);
  plan.scale = static_cast<float>(call.floats[0]);
  plan.causal = call.ints[0] != 0;
  const AttentionMatrix grads = attentionMatrix(grad), keys = attentionMatrix(k),
                        asked = attentionMatrix(q), values = attentionMatrix(v);
  const RowLaunch size(queries, 32);
  Status status = launch(attentionMeansKernel, size.grid, size.block, 0, grads,
                         attentionMatrix(call.inputs[4]), plan.heads, queries, means.as<float>());
  if (status != Status::ok) return status;

  AttentionPlan toQ = plan;
  toQ.x[0] = asked;
  toQ.y[0] = toQ.z[0] = keys;
  toQ.x[1] = grads;
  toQ.y[1] = values;
  toQ.out[0] = static_cast<float*>(call.outputs[0].data);
  toQ.rows = plan.queries;
  toQ.columns = plan.keys;
  status =
      usesTensorCores() ? toQueries<ByTensor>(toQ, matrices) : toQueries<BySimt>(toQ, matrices);
  if (status != Status::ok) return status;

  AttentionPlan toK = plan;
  toK.x[0] = keys;
  toK.y[0] = toK.z[0] = asked;
  toK.x[1] = values;
  toK.y[1] = toK.z[1] = grads;
  toK.out[0] = static_cast<float*>(call.outputs[1].data);
  toK.out[1] = static_cast<float*>(call.outputs[2].data);
  toK.rows = plan.keys;
  toK.columns = plan.queries;
  return usesTensorCores() ? toKeys<ByTensor>(toK, matrices) : toKeys<BySimt>(toK, matrices);
}

}  // namespace

void registerAttentionBackward(Kernel* kernels) {
  kernels[static_cast<int>(Op::attentionBackward)] = attentionBackward;
}

}  // namespace cuda
}  // namespace kindling
