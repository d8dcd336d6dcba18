// Attention: softmax(q k^T scale) v with online softmax (Milakov and Gimelshein, 2018; Dao et al.,
// 2022): scores never leave the chip.

#include "core/op_call.h"
#include "cuda/attention_kernel.cuh"
#include "cuda/kernel_table.h"
#include "cuda/runtime.h"

namespace kindling {
namespace cuda {

/// Rows are queries, columns keys.
template <class By, int kColumns>
class AttentionForward {
 public:
  static constexpr int kProducts = 1, kOutputs = 1;
  using Score = typename By::template Product<kAttentionSide>;
  using Out = typename By::template Product<kColumns>;

  __device__ __forceinline__ AttentionForward(const AttentionPlan&, int first, uint32_t head)
      : first_(first), head_(head) {
#pragma unroll
    for (int i = 0; i < Score::kOwnRows; ++i) {
      top_[i] = -INFINITY;
      sum_[i] = 0;
    }
  }
  __device__ __forceinline__ int firstTile(const AttentionPlan&) const { return 0; }
  __device__ __forceinline__ int endTile(const AttentionPlan& plan) const {
    const int last =
        first_ + kAttentionSide < plan.queries ? first_ + kAttentionSide : plan.queries;
    return (plan.shown(last - 1) + kAttentionSide - 1) / kAttentionSide;
  }

  /// The scores of 64 keys become powers relative to the largest score so far; what was summed up
  /// relative to an earlier one is scaled.
  __device__ __forceinline__ void weigh(const AttentionPlan& plan, int firstKey, Score& scores,
                                        Score&, Out (&outs)[1], float* weights) {
#pragma unroll
    for (int i = 0; i < Score::kOwnRows; ++i) {
      const int row = warpRow() + Score::row(i), shown = plan.shown(first_ + row) - firstKey;
      float top = top_[i];
#pragma unroll
      for (int j = 0; j < Score::kOwnColumns; ++j) {
        scores.value[i][j] *= plan.scale;
        if (Score::column(j) < shown && scores.value[i][j] > top) top = scores.value[i][j];
      }
      top = rowMax<Score>(top);
      // Where nothing finite was seen there are no differences to take.
      const float shift = top == -INFINITY ? 0.0f : top;
      float sum = 0;
#pragma unroll
      for (int j = 0; j < Score::kOwnColumns; ++j) {
        const int column = Score::column(j);
        const float power = column < shown ? powerOfDifference(scores.value[i][j], shift) : 0.0f;
        sum += power;
        weights[weightAt(column, row)] = power;
      }
      const float factor = powerOfDifference(top_[i], shift);
      sum_[i] = sum_[i] * factor + rowSum<Score>(sum);
      top_[i] = top;
#pragma unroll
      for (int j = 0; j < Out::kOwnColumns; ++j) outs[0].value[i][j] *= factor;
    }
  }

  __device__ __forceinline__ void finish(const AttentionPlan& plan, int firstColumn,
                                         const Out (&outs)[1]) const {
    float factors[Score::kOwnRows];
#pragma unroll
    for (int i = 0; i < Score::kOwnRows; ++i) {
      factors[i] = plan.keys > 0 ? 1.0f / sum_[i] : 0.0f;
      const int row = first_ + warpRow() + Score::row(i);
      if (firstColumn == 0 && laneIndex() % Score::kRowLanes == 0 && row < plan.queries) {
        plan.outLogs[static_cast<int64_t>(head_) * plan.queries + row] =
            plan.keys > 0 ? top_[i] + logf(sum_[i]) : 0.0f;
      }
    }
    const int columns = plan.z[0].columns;
    float* const out = plan.out[0] + static_cast<int64_t>(head_) * plan.queries * columns;
    storeProduct(outs[0], out, first_, plan.queries, firstColumn, columns, factors);
  }

 private:
  const int first_;
  const uint32_t head_;
  float top_[Score::kOwnRows], sum_[Score::kOwnRows];
};

namespace {

template <class By, int kColumns>
Status launchForward(const AttentionPlan& plan, int64_t matrices) {
  return launchAttention<AttentionForward<By, kColumns>, By, kColumns>(plan, matrices);
}

Status attention(const OpCall& call) {
  const TensorView &q = call.inputs[0], &k = call.inputs[1], &v = call.inputs[2];
  AttentionPlan plan = {};
  plan.x[0] = attentionMatrix(q);
  plan.y[0] = attentionMatrix(k);
  plan.z[0] = attentionMatrix(v);
  plan.out[0] = static_cast<float*>(call.outputs[0].data);
  plan.outLogs = static_cast<float*>(call.outputs[1].data);
  plan.heads = q.shape[1];
  plan.rows = plan.queries = static_cast<int>(q.shape[2]);
  plan.columns = plan.keys = static_cast<int>(v.shape[2]);
  plan.scale = static_cast<float>(call.floats[0]);
  plan.causal = call.ints[0] != 0;
  const int64_t matrices = q.shape[0] * q.shape[1];
  const bool isWide = v.shape[3] > 64;
  if (usesTensorCores()) {
    return isWide ? launchForward<ByTensor, 128>(plan, matrices)
                  : launchForward<ByTensor, 64>(plan, matrices);
  }
  return isWide ? launchForward<BySimt, 128>(plan, matrices)
                : launchForward<BySimt, 64>(plan, matrices);
}

}  // namespace

void registerAttention(Kernel* kernels) { kernels[static_cast<int>(Op::attention)] = attention; }

}  // namespace cuda
}  // namespace kindling
