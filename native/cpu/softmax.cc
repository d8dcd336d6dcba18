// Softmax over the last axis and the losses built on it: each row is read from memory once and
// stays in the first-level cache for the passes after that.

#include <cinttypes>
#include <cmath>

#include "core/status.h"
#include "cpu/kernel_table.h"
#include "cpu/lanes.h"
#include "cpu/parallel.h"
#include "cpu/past_caches.h"
#include "cpu/scratch.h"
#include "cpu/vec_math.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

// Elements below which a part of the rows is not worth a thread: an exponential costs about 1 ns.
constexpr int64_t kGrain = 8192;

Status noMemory(const char* op) { return fail(Status::outOfMemory, "%s: no scratch memory", op); }

struct Rows {
  int64_t count, width;
};

Rows rowsOf(const TensorView& view) {
  const int64_t width = view.rank > 0 ? view.shape[view.rank - 1] : 1;
  return {width > 0 ? view.size / width : 0, width};
}

/// Calls body(row) for every row, in parallel where there is enough to do.
template <typename Body>
void forRows(const Rows& rows, const Body& body, bool streams = false) {
  const int64_t grain = kGrain / (rows.width > 0 ? rows.width : 1) + 1;
  parallelForPromptly(rows.count, grain, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) body(row);
    if (streams) finishStreaming();
  });
}

/// How rows come from memory and go there.
struct RowFlow {
  int64_t next;     // elements to the row after this one, to be fetched while this one is summed
  bool pastCaches;  // where the result goes
};

KINDLING_INLINE float logOf(float x) { return logf(x); }
KINDLING_INLINE double logOf(double x) { return ::log(x); }

/// What softmax does with one row of n elements, for a vector type V.
template <class V>
struct Row {
  using T = typename V::Scalar;
  // Up to 256 elements are added one after the other in each vector lane.
  static constexpr int64_t kBlock = 256 * V::width;

  /// The largest element. NaN is passed over: it comes back in the sum of the powers.
  static KINDLING_INLINE T largest(const T* x, int64_t n) {
    const V least = V::set1(static_cast<T>(-INFINITY));
    V top = least;
    int64_t i = 0;
    for (; i + V::width <= n; i += V::width) top = maxRaw(V::load(x + i), top);
    if constexpr (V::width > 1) {
      if (i < n) {
        const int lanes = static_cast<int>(n - i);
        top = maxRaw(select(lanesBelow(lanes), V::loadPartial(x + i, lanes), least), top);
      }
    }
    return reduceMaxRaw(top);
  }

  template <bool keep>
  static KINDLING_INLINE T sumOfPowersInBlock(const T* x, int64_t n, V shift, T* powers) {
    V total = V::zero();
    int64_t i = 0;
    for (; i + V::width <= n; i += V::width) {
      const V e = exp(V::load(x + i) - shift);
      if (keep) e.store(powers + i);
      total = total + e;
    }
    if constexpr (V::width > 1) {
      if (i < n) {
        const int lanes = static_cast<int>(n - i);
        const V e = exp(V::loadPartial(x + i, lanes) - shift);
        if (keep) e.storePartial(powers + i, lanes);
        total = total + select(lanesBelow(lanes), e, V::zero());
      }
    }
    return reduceAdd(total);
  }

  /// The sum of exp(x - shift); stores the powers where `powers` is given.
  template <bool keep>
  static KINDLING_INLINE T sumOfPowers(const T* x, int64_t n, T shift, T* powers) {
    const V s = V::set1(shift);
    if (n <= kBlock) return sumOfPowersInBlock<keep>(x, n, s, powers);
    double total = 0;
    for (int64_t i = 0; i < n; i += kBlock) {
      const int64_t count = n - i < kBlock ? n - i : kBlock;
      total += static_cast<double>(
          sumOfPowersInBlock<keep>(x + i, count, s, keep ? powers + i : nullptr));
    }
    return static_cast<T>(total);
  }

  /// out = map(x, y), vector by vector; of whole lines where it goes past the caches.
  template <typename Map>
  static KINDLING_INLINE void transform(const T* x, const T* y, T* out, int64_t n, const Map& map,
                                        bool pastCaches = false) {
    int64_t i = 0;
    if (pastCaches) {
      for (; i < n; i += V::width) streamVector(map(V::load(x + i), V::load(y + i)), out + i);
      return;
    }
    for (; i + V::width <= n; i += V::width) map(V::load(x + i), V::load(y + i)).store(out + i);
    if (i < n) {
      const int lanes = static_cast<int>(n - i);
      map(V::loadPartial(x + i, lanes), V::loadPartial(y + i, lanes)).storePartial(out + i, lanes);
    }
  }

  template <typename Map>
  static KINDLING_INLINE T sumBlock(const T* x, const T* y, int64_t n, const Map& map,
                                    int64_t next) {
    constexpr int64_t kChains = 4, kLine = 64 / sizeof(T);
    constexpr int64_t kStep = kChains * V::width;
    V parts[kChains];
    for (V& part : parts) part = V::zero();
    int64_t i = 0;
    for (; i + kStep <= n; i += kStep) {
#pragma GCC unroll 4
      for (int64_t ahead = i; ahead < i + kStep; ahead += kLine) {
        __builtin_prefetch(x + next + ahead, 0, 2);
        __builtin_prefetch(y + next + ahead, 0, 2);
      }
#pragma GCC unroll 4
      for (int c = 0; c < kChains; ++c) {
        const int64_t at = i + c * V::width;
        parts[c] = parts[c] + map(V::load(x + at), V::load(y + at));
      }
    }
    V total = (parts[0] + parts[1]) + (parts[2] + parts[3]);
    for (; i + V::width <= n; i += V::width) {
      total = total + map(V::load(x + i), V::load(y + i));
    }
    // Lanes beyond the row are 0 in both, and both maps used here give 0 for them.
    if (i < n) {
      const int lanes = static_cast<int>(n - i);
      total = total + map(V::loadPartial(x + i, lanes), V::loadPartial(y + i, lanes));
    }
    return reduceAdd(total);
  }

  /// The sum of map(x, y) over a row. What is `next` elements further is fetched meanwhile.
  template <typename Map>
  static KINDLING_INLINE T sum(const T* x, const T* y, int64_t n, const Map& map, int64_t next) {
    if (n <= kBlock) return sumBlock(x, y, n, map, next);
    double total = 0;
    for (int64_t i = 0; i < n; i += kBlock) {
      const int64_t count = n - i < kBlock ? n - i : kBlock;
      total += static_cast<double>(sumBlock(x + i, y + i, count, map, next));
    }
    return static_cast<T>(total);
  }

  /// y = exp(x - max) * factor / the sum of these.
  static KINDLING_INLINE void normalized(const T* x, T* y, int64_t n, T factor) {
    const T total = sumOfPowers<true>(x, n, largest(x, n), y);
    const V scale = V::set1(factor / total);
    transform(y, y, y, n, [&](V v, V) { return v * scale; });
  }

  static void softmax(const T* x, T* y, int64_t n) { normalized(x, y, n, T(1)); }

  static void logSoftmax(const T* x, T* y, int64_t n) {
    const T top = largest(x, n);
    const V shift = V::set1(top);
    const V normalizer = V::set1(logOf(sumOfPowers<false>(x, n, top, nullptr)));
    transform(x, x, y, n, [&](V v, V) { return v - shift - normalizer; });
  }

  static void softmaxBackward(const T* g, const T* y, T* out, int64_t n, const RowFlow& flow) {
    const V dot = V::set1(sum(
        g, y, n, [](V a, V b) { return a * b; }, flow.next));
    transform(
        g, y, out, n, [&](V a, V b) { return b * (a - dot); }, flow.pastCaches);
  }

  static void logSoftmaxBackward(const T* g, const T* y, T* out, int64_t n, const RowFlow& flow) {
    const V total = V::set1(sum(
        g, y, n, [](V a, V) { return a; }, flow.next));
    transform(
        g, y, out, n, [&](V a, V b) { return fnma(exp(b), total, a); }, flow.pastCaches);
  }
};

template <class V, void (*kernel)(const typename V::Scalar*, typename V::Scalar*, int64_t)>
Status forward(const OpCall& call) {
  using T = typename V::Scalar;
  const Contiguous x(call.inputs[0]);
  if (!x.ok()) return noMemory("softmax");
  const Rows rows = rowsOf(call.outputs[0]);
  T* out = static_cast<T*>(call.outputs[0].data);
  forRows(rows, [&](int64_t row) {
    kernel(x.as<T>() + row * rows.width, out + row * rows.width, rows.width);
  });
  return Status::ok;
}

template <class V, void (*kernel)(const typename V::Scalar*, const typename V::Scalar*,
                                  typename V::Scalar*, int64_t, const RowFlow&)>
Status backward(const OpCall& call) {
  using T = typename V::Scalar;
  const Contiguous g(call.inputs[0]);
  const Contiguous y(call.inputs[1]);
  if (!g.ok() || !y.ok()) return noMemory("softmaxBackward");
  const Rows rows = rowsOf(call.outputs[0]);
  T* out = static_cast<T*>(call.outputs[0].data);
  const int64_t bytes = rows.width * int64_t{sizeof(T)};
  const bool pastCaches = goesPastCaches(rows.count * bytes) && isWholeLines(out, bytes);
  const auto compute = [&](int64_t row) {
    const int64_t at = row * rows.width;
    const RowFlow flow = {row + 1 < rows.count ? rows.width : 0, pastCaches};
    kernel(g.as<T>() + at, y.as<T>() + at, out + at, rows.width, flow);
  };
  forRows(rows, compute, pastCaches);
  return Status::ok;
}

/// All labels are checked before anything is written.
Status checkLabels(const char* op, const TensorView& labels, int64_t classes) {
  const int32_t* data = static_cast<const int32_t*>(labels.data);
  for (int64_t i = 0; i < labels.size; ++i) {
    const int32_t label = data[i * labels.strides[0]];
    if (label < 0 || label >= classes) {
      return fail(Status::indexOutOfRange,
                  "%s: label %d at position %" PRId64 " is outside [0, %" PRId64 ")", op, label, i,
                  classes);
    }
  }
  return Status::ok;
}

template <class V>
Status crossEntropy(const OpCall& call) {
  using T = typename V::Scalar;
  const TensorView& labels = call.inputs[1];
  const Rows rows = {call.inputs[0].shape[0], call.inputs[0].shape[1]};
  const Status valid = checkLabels("crossEntropy", labels, rows.width);
  if (valid != Status::ok) return valid;
  const Contiguous logits(call.inputs[0]);
  if (!logits.ok()) return noMemory("crossEntropy");
  const int32_t* label = static_cast<const int32_t*>(labels.data);
  T* loss = static_cast<T*>(call.outputs[0].data);
  forRows(rows, [&](int64_t row) {
    const T* x = logits.as<T>() + row * rows.width;
    const T top = Row<V>::largest(x, rows.width);
    const T total = Row<V>::template sumOfPowers<false>(x, rows.width, top, nullptr);
    loss[row] = logOf(total) - (x[label[row * labels.strides[0]]] - top);
  });
  return Status::ok;
}

template <class V>
Status crossEntropyBackward(const OpCall& call) {
  using T = typename V::Scalar;
  const TensorView& labels = call.inputs[1];
  const TensorView& grad = call.inputs[2];
  const Rows rows = {call.inputs[0].shape[0], call.inputs[0].shape[1]};
  const Status valid = checkLabels("crossEntropyBackward", labels, rows.width);
  if (valid != Status::ok) return valid;
  const Contiguous logits(call.inputs[0]);
  if (!logits.ok()) return noMemory("crossEntropyBackward");
  const int32_t* label = static_cast<const int32_t*>(labels.data);
  const T* g = static_cast<const T*>(grad.data);
  T* out = static_cast<T*>(call.outputs[0].data);
  forRows(rows, [&](int64_t row) {
    T* y = out + row * rows.width;
    const T seed = g[row * grad.strides[0]];
    Row<V>::normalized(logits.as<T>() + row * rows.width, y, rows.width, seed);
    y[label[row * labels.strides[0]]] -= seed;
  });
  return Status::ok;
}

/// The float32 and the float64 form of a kernel under one op.
template <Kernel float32, Kernel float64>
Status either(const OpCall& call) {
  return byFloat(call, float32, float64);
}

}  // namespace

void registerSoftmax(Kernel* kernels) {
  using F = Row<VecF>;
  using D = Row<VecD>;
  const auto set = [&](Op op, Kernel kernel) { kernels[static_cast<int>(op)] = kernel; };
  set(Op::softmax, either<forward<VecF, F::softmax>, forward<VecD, D::softmax>>);
  set(Op::logSoftmax, either<forward<VecF, F::logSoftmax>, forward<VecD, D::logSoftmax>>);
  set(Op::softmaxBackward,
      either<backward<VecF, F::softmaxBackward>, backward<VecD, D::softmaxBackward>>);
  set(Op::logSoftmaxBackward,
      either<backward<VecF, F::logSoftmaxBackward>, backward<VecD, D::logSoftmaxBackward>>);
  set(Op::crossEntropy, either<crossEntropy<VecF>, crossEntropy<VecD>>);
  set(Op::crossEntropyBackward, either<crossEntropyBackward<VecF>, crossEntropyBackward<VecD>>);
}

}  // namespace KINDLING_ISA
}  // namespace kindling
