// Normalization of groups to mean 0 and variance 1: batch, layer, group and instance normalization,
// and with no centre RMS normalization. A tensor is [outer, groups, inner]; a group's elements are
// those of one middle position.

#include "core/status.h"
#include "cpu/kernel_table.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "cpu/vec_math.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

// Elements below which a part of the groups is not worth a thread.
constexpr int64_t kGrain = 16384;
// Elements added up in vector lanes before their sum joins a double.
constexpr int64_t kBlock = 4096;

struct Groups {
  int64_t outer, count, inner;
  explicit Groups(const TensorView& view)
      : outer(view.shape[0]), count(view.shape[1]), inner(view.shape[2]) {}
  int64_t elements() const { return outer * inner; }
  int64_t offset(int64_t o, int64_t group) const { return (o * count + group) * inner; }
  int64_t grain() const { return elements() > 0 ? kGrain / elements() + 1 : count; }
};

/// Calls body(x, n) for the runs of memory that a group consists of.
template <typename Body>
KINDLING_INLINE void forRuns(const Groups& groups, int64_t group, const Body& body) {
  for (int64_t o = 0; o < groups.outer; ++o) body(groups.offset(o, group), groups.inner);
}

/// The sum of term(i, lanes) over n elements, in vectors; lanes beyond the end give 0.
template <class V, typename Term>
KINDLING_INLINE double sumOf(int64_t n, const Term& term) {
  double total = 0;
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t end = n - begin < kBlock ? n : begin + kBlock;
    V sum = V::zero();
    int64_t i = begin;
    for (; i + V::width <= end; i += V::width) sum = sum + term(i, V::width);
    if (i < end) sum = sum + term(i, static_cast<int>(end - i));
    total += static_cast<double>(reduceAdd(sum));
  }
  return total;
}

template <class V>
KINDLING_INLINE V loadLanes(const typename V::Scalar* p, int lanes) {
  return lanes == V::width ? V::load(p) : V::loadPartial(p, lanes);
}

template <class V>
KINDLING_INLINE V keepLanes(V x, int lanes) {
  if constexpr (V::width > 1) {
    // The lanes beyond the end are 0 only before something is subtracted from them.
    alignas(64) typename V::Scalar values[V::width];
    x.store(values);
    return lanes == V::width ? x : V::loadPartial(values, lanes);
  }
  return x;
}

template <class V>
struct Kernels {
  using T = typename V::Scalar;

  static void statistics(const Groups& groups, int64_t group, const T* x, bool centred,
                         double* mean, double* variance) {
    const double count = static_cast<double>(groups.elements());
    *mean = 0;
    if (centred) {
      forRuns(groups, group, [&](int64_t at, int64_t n) {
        *mean += sumOf<V>(n, [&](int64_t i, int lanes) { return loadLanes<V>(x + at + i, lanes); });
      });
      *mean /= count;
    }
    const V centre = V::set1(static_cast<T>(*mean));
    *variance = 0;
    forRuns(groups, group, [&](int64_t at, int64_t n) {
      *variance += sumOf<V>(n, [&](int64_t i, int lanes) {
        const V d = loadLanes<V>(x + at + i, lanes) - centre;
        const V square = d * d;
        return lanes == V::width ? square : keepLanes(square, lanes);
      });
    });
    *variance /= count;
  }

  static Status forward(const OpCall& call) {
    const Groups groups(call.outputs[0]);
    const Contiguous input(call.inputs[0]);
    if (!input.ok()) return fail(Status::outOfMemory, "normalize: no scratch memory");
    const T* x = input.as<T>();
    T* y = static_cast<T*>(call.outputs[0].data);
    T* means = static_cast<T*>(call.outputs[1].data);
    T* variances = static_cast<T*>(call.outputs[2].data);
    const bool centred = call.ints[0] != 0;
    const double eps = call.floats[0];
    parallelFor(groups.count, groups.grain(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t group = begin; group < end; ++group) {
        double mean, variance;
        statistics(groups, group, x, centred, &mean, &variance);
        means[group] = static_cast<T>(mean);
        variances[group] = static_cast<T>(variance);
        const V scale = V::set1(static_cast<T>(1.0 / __builtin_sqrt(variance + eps)));
        const V centre = V::set1(static_cast<T>(mean));
        forRuns(groups, group, [&](int64_t at, int64_t n) {
          int64_t i = at;
          for (; i + V::width <= at + n; i += V::width) {
            ((V::load(x + i) - centre) * scale).store(y + i);
          }
          if (i < at + n) {
            const int lanes = static_cast<int>(at + n - i);
            ((V::loadPartial(x + i, lanes) - centre) * scale).storePartial(y + i, lanes);
          }
        });
      }
    });
    return Status::ok;
  }

  /// dx = (g - mean(g) - y mean(g y)) / sqrt(variance + eps), without mean(g) where not centred.
  static Status backward(const OpCall& call) {
    const Groups groups(call.outputs[0]);
    const Contiguous grad(call.inputs[0]);
    const Contiguous output(call.inputs[1]);
    const Contiguous spread(call.inputs[2]);
    if (!grad.ok() || !output.ok() || !spread.ok()) {
      return fail(Status::outOfMemory, "normalizeBackward: no scratch memory");
    }
    const T* g = grad.as<T>();
    const T* y = output.as<T>();
    const T* variances = spread.as<T>();
    T* dx = static_cast<T*>(call.outputs[0].data);
    const bool centred = call.ints[0] != 0;
    const double eps = call.floats[0], count = static_cast<double>(groups.elements());
    parallelFor(groups.count, groups.grain(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t group = begin; group < end; ++group) {
        double total = 0, product = 0;
        forRuns(groups, group, [&](int64_t at, int64_t n) {
          if (centred) {
            total +=
                sumOf<V>(n, [&](int64_t i, int lanes) { return loadLanes<V>(g + at + i, lanes); });
          }
          product += sumOf<V>(n, [&](int64_t i, int lanes) {
            return loadLanes<V>(g + at + i, lanes) * loadLanes<V>(y + at + i, lanes);
          });
        });
        const double scale = 1.0 / __builtin_sqrt(static_cast<double>(variances[group]) + eps);
        const V s = V::set1(static_cast<T>(scale));
        const V mean = V::set1(static_cast<T>(total / count));
        const V slope = V::set1(static_cast<T>(product / count));
        forRuns(groups, group, [&](int64_t at, int64_t n) {
          for (int64_t i = at; i < at + n; i += V::width) {
            const int64_t left = at + n - i;
            const int lanes = left < V::width ? static_cast<int>(left) : V::width;
            const V value =
                (loadLanes<V>(g + i, lanes) - mean - loadLanes<V>(y + i, lanes) * slope) * s;
            if (lanes == V::width) {
              value.store(dx + i);
            } else {
              value.storePartial(dx + i, lanes);
            }
          }
        });
      }
    });
    return Status::ok;
  }
};

}  // namespace

void registerNormalization(Kernel* kernels) {
  kernels[static_cast<int>(Op::normalize)] = [](const OpCall& call) {
    return byFloat(call, Kernels<VecF>::forward, Kernels<VecD>::forward);
  };
  kernels[static_cast<int>(Op::normalizeBackward)] = [](const OpCall& call) {
    return byFloat(call, Kernels<VecF>::backward, Kernels<VecD>::backward);
  };
}

}  // namespace KINDLING_ISA
}  // namespace kindling
