#pragma once
// What the recurrent layers share: the order of the rows, their blocks, the walk over the steps.

#include <cstdint>
#include <cstring>

#include "core/cpu_features.h"
#include "core/op_call.h"
#include "core/op_info.h"
#include "core/status.h"
#include "cpu/gemm.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "cpu/vec_math.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

inline Status noMemory(const OpCall& call) {
  return fail(Status::outOfMemory, "%s: no scratch memory", opInfo(call.op).name);
}

/// The rows of a batch from the longest to the shortest: at every step the active ones come first,
/// in whatever order they were given.
class RowOrder {
 public:
  RowOrder(const TensorView& lengths, int64_t steps)
      : rows_(lengths.size),
        steps_(steps),
        memory_(static_cast<size_t>(2 * rows_ + steps + 1) * sizeof(int64_t)) {
    if (!memory_.ok()) return;
    sorted_ = memory_.as<int64_t>();
    lengths_ = sorted_ + rows_;
    const int32_t* from = static_cast<const int32_t*>(lengths.data);
    for (int64_t row = 0; row < rows_; ++row) lengths_[row] = from[row * lengths.strides[0]];
    for (int64_t row = 1; row < rows_; ++row) isSorted_ &= lengths_[row] <= lengths_[row - 1];
    sort(lengths_ + rows_);
  }

  bool ok() const { return memory_.ok(); }
  /// Whether the rows come in this order already.
  bool isSorted() const { return isSorted_; }
  /// The row at a position, and the length of a row.
  int64_t row(int64_t position) const { return sorted_[position]; }
  int64_t length(int64_t row) const { return lengths_[row]; }

  /// How many of the positions [begin, end) are active at time t: the first ones.
  int64_t active(int64_t t, int64_t begin, int64_t end) const {
    while (end > begin && lengths_[sorted_[end - 1]] <= t) --end;
    return end - begin;
  }

 private:
  /// By counting; rows of one length keep their order. `next` has room for a number per length.
  void sort(int64_t* next) {
    memset(next, 0, static_cast<size_t>(steps_ + 1) * sizeof(int64_t));
    for (int64_t row = 0; row < rows_; ++row) ++next[lengths_[row]];
    int64_t position = 0;
    for (int64_t length = steps_; length >= 0; --length) {
      const int64_t count = next[length];
      next[length] = position;
      position += count;
    }
    for (int64_t row = 0; row < rows_; ++row) sorted_[next[lengths_[row]]++] = row;
  }

  const int64_t rows_, steps_;
  const Scratch memory_;
  int64_t *sorted_ = nullptr, *lengths_ = nullptr;
  bool isSorted_ = true;
};

/// The dimensions of a layer's run over a padded batch. A row takes part in the steps below its
/// length; elsewhere its state stays and its output is 0.
struct Sequence {
  int64_t steps, rows, width;
  bool reverse;

  Sequence(const TensorView& y, bool isReverse)
      : steps(y.shape[0]), rows(y.shape[1]), width(y.shape[2]), reverse(isReverse) {}

  /// The time of the k-th step.
  int64_t time(int64_t k) const { return reverse ? steps - 1 - k : k; }
  /// The time at which a row starts: where its previous state is the initial one.
  int64_t firstTime(int64_t length) const { return reverse ? length - 1 : 0; }
  int64_t timeBefore(int64_t t) const { return reverse ? t + 1 : t - 1; }
};

/// Calls body(begin, end) for blocks of rows, which go through all steps on their own: no step
/// waits for a thread, and what a row gives does not depend on the number of threads. Returns
/// whether all calls returned true. `work`: multiply-adds of one row; `weights`: elements that a
/// step reads.
template <typename Body>
bool forBlocks(int64_t rows, int64_t work, int64_t weights, const Body& body) {
  // Fewer rows make the products inefficient, more leave threads idle. Each block reads the weights
  // at every step: where they come from the L3 cache more rows must share that.
  constexpr int64_t kFewRows = 8;
  const int64_t blockRows = weights * int64_t{sizeof(float)} > cacheSizes().l2 ? 32 : 16;
  constexpr int64_t kWorthThreads = 1 << 18;
  const int64_t half = (rows + 1) / 2;
  const int64_t size = half >= blockRows ? blockRows : half < kFewRows ? kFewRows : half;
  const int64_t blocks = (rows + size - 1) / size;
  struct Context {
    const Body* body;
    int64_t rows, size;
    bool ok;
  };
  Context context = {&body, rows, size, true};
  const PartFunction run = [](void* opaque, int block) {
    Context& c = *static_cast<Context*>(opaque);
    const int64_t begin = block * c.size;
    const int64_t end = begin + c.size < c.rows ? begin + c.size : c.rows;
    if (!(*c.body)(begin, end)) __atomic_store_n(&c.ok, false, __ATOMIC_RELAXED);
  };
  if (blocks > 1 && rows * work >= kWorthThreads) {
    parallelParts(static_cast<int>(blocks), run, &context);
  } else {
    for (int64_t block = 0; block < blocks; ++block) run(&context, static_cast<int>(block));
  }
  return context.ok;
}

/// Calls body(i, lanes) over `width` elements, full vectors first.
template <typename Body>
KINDLING_INLINE void forLanes(int64_t width, const Body& body) {
  int64_t i = 0;
  for (; i + VecF::width <= width; i += VecF::width) body(i, VecF::width);
  if (i < width) body(i, static_cast<int>(width - i));
}

KINDLING_INLINE VecF get(const float* p, int lanes) {
  return lanes == VecF::width ? VecF::load(p) : VecF::loadPartial(p, lanes);
}
KINDLING_INLINE void put(VecF x, float* p, int lanes) {
  if (lanes == VecF::width) {
    x.store(p);
  } else {
    x.storePartial(p, lanes);
  }
}

KINDLING_INLINE float* floatsAt(const TensorView& view, int64_t offset = 0) {
  return static_cast<float*>(view.data) + offset;
}

KINDLING_INLINE void copyFloats(float* to, const float* from, int64_t count) {
  memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
}
KINDLING_INLINE void clearFloats(float* to, int64_t count) {
  memset(to, 0, static_cast<size_t>(count) * sizeof(float));
}

/// A weight matrix, packed once for the products of all steps.
class StepWeight {
 public:
  StepWeight(const TensorView& weight, bool transposed, bool isWanted)
      : rows_(weight.shape[transposed ? 1 : 0]),
        columns_(weight.shape[transposed ? 0 : 1]),
        memory_(isWanted ? static_cast<size_t>(packedElements(rows_, columns_)) * sizeof(float)
                         : 0) {
    if (!isWanted || !memory_.ok()) return;
    packOperand(rows_, columns_, floatsAt(weight), weight.strides[transposed ? 1 : 0],
                weight.strides[transposed ? 0 : 1], memory_.as<float>());
  }

  bool ok() const { return memory_.ok(); }

  /// out[count, columns] = states[count, rows] times the matrix + bias, or added to out.
  void multiply(int64_t count, const float* states, const float* bias, bool accumulate,
                float* out) const {
    gemmPacked(count, columns_, rows_, states, rows_, memory_.as<float>(), out, columns_, bias,
               accumulate);
  }

 private:
  const int64_t rows_, columns_;
  const Scratch memory_;
};

}  // namespace
}  // namespace KINDLING_ISA
}  // namespace kindling
