// Softmax over the last axis and the losses built on it: each row is read from memory once and
// stays in the first-level cache for the passes after that.

#include <cinttypes>
#include <cmath>

#include "core/status.h"
#include "cpu/kernel_table.h"
#include "cpu/lanes.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "cpu/vec_math.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

// Elements below which a part of the rows is not worth a thread: an exponential costs about 1 ns.
constexpr int64_t kGrain = 8192;

Status noMemory(const char* op) { return fail(Status::outOfMemory, "%s: no scratch memory", op); }

// Up to 256 elements are added one after the other in each vector lane.
constexpr int64_t kBlock = 256 * VecF::width;

/// The largest element. NaN is passed over: it comes back in the sum of the powers.
KINDLING_INLINE float rowMax(const float* x, int64_t n) {
  const VecF least = VecF::set1(-INFINITY);
  VecF top = least;
  int64_t i = 0;
  for (; i + VecF::width <= n; i += VecF::width) top = maxRaw(VecF::load(x + i), top);
  if (i < n) {
    const int lanes = static_cast<int>(n - i);
    top = maxRaw(select(lanesBelow(lanes), VecF::loadPartial(x + i, lanes), least), top);
  }
  return reduceMaxRaw(top);
}

/// The sum of exp(x - shift); stores the powers where `powers` is given.
template <bool keep>
KINDLING_INLINE float sumOfPowers(const float* x, int64_t n, VecF shift, float* powers) {
  VecF total = VecF::zero();
  int64_t i = 0;
  for (; i + VecF::width <= n; i += VecF::width) {
    const VecF e = exp(VecF::load(x + i) - shift);
    if (keep) e.store(powers + i);
    total = total + e;
  }
  if (i < n) {
    const int lanes = static_cast<int>(n - i);
    const VecF e = exp(VecF::loadPartial(x + i, lanes) - shift);
    if (keep) e.storePartial(powers + i, lanes);
    total = total + select(lanesBelow(lanes), e, VecF::zero());
  }
  return reduceAdd(total);
}

template <bool keep>
KINDLING_INLINE float sumOfPowers(const float* x, int64_t n, float shift, float* powers) {
  const VecF s = VecF::set1(shift);
  if (n <= kBlock) return sumOfPowers<keep>(x, n, s, powers);
  double total = 0;
  for (int64_t i = 0; i < n; i += kBlock) {
    const int64_t count = n - i < kBlock ? n - i : kBlock;
    total += static_cast<double>(sumOfPowers<keep>(x + i, count, s, keep ? powers + i : nullptr));
  }
  return static_cast<float>(total);
}

/// out = f(x) for a row; Map::apply takes and gives a vector.
template <typename Map>
KINDLING_INLINE void mapRow(const float* x, const float* y, float* out, int64_t n, const Map& map) {
  int64_t i = 0;
  for (; i + VecF::width <= n; i += VecF::width) {
    map(VecF::load(x + i), VecF::load(y + i)).store(out + i);
  }
  if (i < n) {
    const int lanes = static_cast<int>(n - i);
    map(VecF::loadPartial(x + i, lanes), VecF::loadPartial(y + i, lanes))
        .storePartial(out + i, lanes);
  }
}

template <typename Map>
KINDLING_INLINE float sumBlock(const float* x, const float* y, int64_t n, const Map& map) {
  VecF total = VecF::zero();
  int64_t i = 0;
  for (; i + VecF::width <= n; i += VecF::width) {
    total = total + map(VecF::load(x + i), VecF::load(y + i));
  }
  // Lanes beyond the row are 0 in both, and both maps used here give 0 for them.
  if (i < n) {
    const int lanes = static_cast<int>(n - i);
    total = total + map(VecF::loadPartial(x + i, lanes), VecF::loadPartial(y + i, lanes));
  }
  return reduceAdd(total);
}

/// The sum of f(x, y) over a row.
template <typename Map>
KINDLING_INLINE float sumRow(const float* x, const float* y, int64_t n, const Map& map) {
  if (n <= kBlock) return sumBlock(x, y, n, map);
  double total = 0;
  for (int64_t i = 0; i < n; i += kBlock) {
    total += static_cast<double>(sumBlock(x + i, y + i, n - i < kBlock ? n - i : kBlock, map));
  }
  return static_cast<float>(total);
}

struct Rows {
  int64_t count, width;
};

Rows rowsOf(const TensorView& view) {
  const int64_t width = view.rank > 0 ? view.shape[view.rank - 1] : 1;
  return {width > 0 ? view.size / width : 0, width};
}

/// Calls body(row) for every row, in parallel where there is enough to do.
template <typename Body>
void forRows(const Rows& rows, const Body& body) {
  const int64_t grain = kGrain / (rows.width > 0 ? rows.width : 1) + 1;
  parallelFor(rows.count, grain, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) body(row);
  });
}

void softmaxRow(const float* x, float* y, int64_t n) {
  const float total = sumOfPowers<true>(x, n, rowMax(x, n), y);
  const VecF scale = VecF::set1(1.0f / total);
  mapRow(y, y, y, n, [&](VecF v, VecF) { return v * scale; });
}

void logSoftmaxRow(const float* x, float* y, int64_t n) {
  const float top = rowMax(x, n);
  const VecF shift = VecF::set1(top);
  const VecF normalizer = VecF::set1(logf(sumOfPowers<false>(x, n, top, nullptr)));
  mapRow(x, x, y, n, [&](VecF v, VecF) { return v - shift - normalizer; });
}

template <void (*kernel)(const float*, float*, int64_t)>
Status forward(const OpCall& call) {
  const Contiguous x(call.inputs[0]);
  if (!x.ok()) return noMemory("softmax");
  const Rows rows = rowsOf(call.outputs[0]);
  float* out = static_cast<float*>(call.outputs[0].data);
  forRows(rows, [&](int64_t row) {
    kernel(x.floats() + row * rows.width, out + row * rows.width, rows.width);
  });
  return Status::ok;
}

void softmaxBackwardRow(const float* g, const float* y, float* out, int64_t n) {
  const VecF dot = VecF::set1(sumRow(g, y, n, [](VecF a, VecF b) { return a * b; }));
  mapRow(g, y, out, n, [&](VecF a, VecF b) { return b * (a - dot); });
}

void logSoftmaxBackwardRow(const float* g, const float* y, float* out, int64_t n) {
  const VecF total = VecF::set1(sumRow(g, y, n, [](VecF a, VecF) { return a; }));
  mapRow(g, y, out, n, [&](VecF a, VecF b) { return fnma(exp(b), total, a); });
}

template <void (*kernel)(const float*, const float*, float*, int64_t)>
Status backward(const OpCall& call) {
  const Contiguous g(call.inputs[0]);
  const Contiguous y(call.inputs[1]);
  if (!g.ok() || !y.ok()) return noMemory("softmaxBackward");
  const Rows rows = rowsOf(call.outputs[0]);
  float* out = static_cast<float*>(call.outputs[0].data);
  forRows(rows, [&](int64_t row) {
    const int64_t at = row * rows.width;
    kernel(g.floats() + at, y.floats() + at, out + at, rows.width);
  });
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

Status crossEntropy(const OpCall& call) {
  const TensorView& labels = call.inputs[1];
  const Rows rows = {call.inputs[0].shape[0], call.inputs[0].shape[1]};
  const Status valid = checkLabels("crossEntropy", labels, rows.width);
  if (valid != Status::ok) return valid;
  const Contiguous logits(call.inputs[0]);
  if (!logits.ok()) return noMemory("crossEntropy");
  const int32_t* label = static_cast<const int32_t*>(labels.data);
  float* loss = static_cast<float*>(call.outputs[0].data);
  forRows(rows, [&](int64_t row) {
    const float* x = logits.floats() + row * rows.width;
    const float top = rowMax(x, rows.width);
    const float total = sumOfPowers<false>(x, rows.width, top, nullptr);
    loss[row] = logf(total) - (x[label[row * labels.strides[0]]] - top);
  });
  return Status::ok;
}

Status crossEntropyBackward(const OpCall& call) {
  const TensorView& labels = call.inputs[1];
  const TensorView& grad = call.inputs[2];
  const Rows rows = {call.inputs[0].shape[0], call.inputs[0].shape[1]};
  const Status valid = checkLabels("crossEntropyBackward", labels, rows.width);
  if (valid != Status::ok) return valid;
  const Contiguous logits(call.inputs[0]);
  if (!logits.ok()) return noMemory("crossEntropyBackward");
  const int32_t* label = static_cast<const int32_t*>(labels.data);
  const float* g = static_cast<const float*>(grad.data);
  float* out = static_cast<float*>(call.outputs[0].data);
  forRows(rows, [&](int64_t row) {
    const float* x = logits.floats() + row * rows.width;
    float* y = out + row * rows.width;
    const float seed = g[row * grad.strides[0]];
    const float total = sumOfPowers<true>(x, rows.width, rowMax(x, rows.width), y);
    const VecF scale = VecF::set1(seed / total);
    mapRow(y, y, y, rows.width, [&](VecF v, VecF) { return v * scale; });
    y[label[row * labels.strides[0]]] -= seed;
  });
  return Status::ok;
}

}  // namespace

void registerSoftmax(Kernel* kernels) {
  kernels[static_cast<int>(Op::softmax)] = forward<softmaxRow>;
  kernels[static_cast<int>(Op::logSoftmax)] = forward<logSoftmaxRow>;
  kernels[static_cast<int>(Op::softmaxBackward)] = backward<softmaxBackwardRow>;
  kernels[static_cast<int>(Op::logSoftmaxBackward)] = backward<logSoftmaxBackwardRow>;
  kernels[static_cast<int>(Op::crossEntropy)] = crossEntropy;
  kernels[static_cast<int>(Op::crossEntropyBackward)] = crossEntropyBackward;
}

}  // namespace KINDLING_ISA
}  // namespace kindling
