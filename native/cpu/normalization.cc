// Normalization of groups to mean 0 and variance 1: batch, layer, group and instance normalization,
// and with no centre RMS normalization.

#include "cpu/normalization.h"

#include "core/op_info.h"
#include "core/status.h"
#include "cpu/kernel_table.h"
#include "cpu/scratch.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

Status noMemory(const OpCall& call) {
  return fail(Status::outOfMemory, "%s: no scratch memory", opInfo(call.op).name);
}

/// Forward. Inputs: x, then with parameters weight and bias. Outputs: y, means, variances.
template <class V>
class Forward {
 public:
  using T = typename V::Scalar;

  Forward(const OpCall& call, bool isAffine)
      : call_(call),
        groups_(call.outputs[0]),
        input_(call.inputs[0]),
        weight_(call.inputs[isAffine ? 1 : 0]),
        bias_(call.inputs[isAffine ? 2 : 0]),
        isAffine_(isAffine),
        byPosition_(isAffine && call.ints[1] != 0) {}

  Status run() {
    if (!input_.ok() || !weight_.ok() || !bias_.ok()) return noMemory(call_);
    groups_.forTogether([&](int64_t first, int count) {
      double means[kTogether][1], variances[kTogether][1];
      statistics(first, count, means, variances);
      for (int g = 0; g < count; ++g) {
        static_cast<T*>(call_.outputs[1].data)[first + g] = static_cast<T>(means[g][0]);
        static_cast<T*>(call_.outputs[2].data)[first + g] = static_cast<T>(variances[g][0]);
      }
      write(first, count, means, variances);
    });
    return Status::ok;
  }

 private:
  void statistics(int64_t first, int count, double (*means)[1], double (*variances)[1]) const {
    const T* x = input_.template as<T>();
    const double elements = static_cast<double>(groups_.elements());
    for (int g = 0; g < count; ++g) means[g][0] = 0;
    if (call_.ints[0] != 0) {
      const auto termOf = [=](int) {
        return [=](int64_t i, int lanes, V* terms) { terms[0] = loadLanes<V>(x + i, lanes); };
      };
      sumGroups<V, 1>(groups_, first, count, termOf, means);
      for (int g = 0; g < count; ++g) means[g][0] /= elements;
    }
    const auto termOf = [=](int g) {
      const V centre = splat<V>(means[g][0]);
      return [=](int64_t i, int lanes, V* terms) {
        const V d = loadLanes<V>(x + i, lanes) - centre;
        terms[0] = keepLanes(d * d, lanes);
      };
    };
    if (groups_.areRows()) {
      // While this row's squares are added up, the next row and the lines of the result come.
      const int64_t at = first * groups_.inner;
      const LinesAhead<T, 2> ahead = {
          {x + groups_.toNext(first), static_cast<const T*>(call_.outputs[0].data)}};
      sumRun<V, 1>(at, at + groups_.inner, termOf(0), variances[0], ahead);
    } else {
      sumGroups<V, 1>(groups_, first, count, termOf, variances);
    }
    for (int g = 0; g < count; ++g) variances[g][0] /= elements;
  }

  void write(int64_t first, int count, const double (*means)[1],
             const double (*variances)[1]) const {
    const T* x = input_.template as<T>();
    const T* weight = weight_.template as<T>();
    const T* bias = bias_.template as<T>();
    T* y = static_cast<T*>(call_.outputs[0].data);
    V centres[kTogether], scales[kTogether], shifts[kTogether];
    const bool ofGroups = isAffine_ && !byPosition_;
    for (int g = 0; g < count; ++g) {
      const double scale = 1.0 / __builtin_sqrt(variances[g][0] + call_.floats[0]);
      centres[g] = splat<V>(means[g][0]);
      scales[g] = splat<V>(ofGroups ? scale * static_cast<double>(weight[first + g]) : scale);
      shifts[g] = ofGroups ? V::set1(bias[first + g]) : V::zero();
    }
    for (int64_t o = 0; o < groups_.outer; ++o) {
      for (int g = 0; g < count; ++g) {
        const int64_t at = groups_.offset(o, first + g);
        const V centre = centres[g], scale = scales[g], shift = shifts[g];
        if (byPosition_) {
          forLanes<V>(0, groups_.inner, [&](int64_t i, int lanes) {
            const V unit = (loadLanes<V>(x + at + i, lanes) - centre) * scale;
            const V scaled =
                fma(unit, loadLanes<V>(weight + i, lanes), loadLanes<V>(bias + i, lanes));
            storeLanes(scaled, y + at + i, lanes);
          });
        } else {
          forLanes<V>(at, at + groups_.inner, [&](int64_t i, int lanes) {
            storeLanes(fma(loadLanes<V>(x + i, lanes) - centre, scale, shift), y + i, lanes);
          });
        }
      }
    }
  }

  const OpCall& call_;
  const Groups groups_;
  const Contiguous input_, weight_, bias_;
  const bool isAffine_, byPosition_;
};

/// From the output y, without parameters:
/// dx = (g - mean(g) - y mean(g y)) / sqrt(variance + eps), without mean(g) where not centred.
template <class V>
Status backward(const OpCall& call) {
  using T = typename V::Scalar;
  const Groups groups(call.outputs[0]);
  const Contiguous grad(call.inputs[0]), output(call.inputs[1]), spread(call.inputs[2]);
  if (!grad.ok() || !output.ok() || !spread.ok()) return noMemory(call);
  const T* g = grad.as<T>();
  const T* y = output.as<T>();
  const T* variances = spread.as<T>();
  T* dx = static_cast<T*>(call.outputs[0].data);
  const double elements = static_cast<double>(groups.elements());
  groups.forTogether([&](int64_t first, int count) {
    double totals[kTogether][2];
    const auto termOf = [=](int) {
      return [=](int64_t i, int lanes, V* terms) {
        terms[0] = loadLanes<V>(g + i, lanes);
        terms[1] = terms[0] * loadLanes<V>(y + i, lanes);
      };
    };
    sumGroups<V, 2>(groups, first, count, termOf, totals);
    for (int64_t o = 0; o < groups.outer; ++o) {
      for (int k = 0; k < count; ++k) {
        const double variance = static_cast<double>(variances[first + k]);
        const V scale = splat<V>(1.0 / __builtin_sqrt(variance + call.floats[0]));
        const V mean = splat<V>(call.ints[0] != 0 ? totals[k][0] / elements : 0);
        const V slope = splat<V>(totals[k][1] / elements);
        const int64_t at = groups.offset(o, first + k);
        forLanes<V>(at, at + groups.inner, [&](int64_t i, int lanes) {
          const V rest = loadLanes<V>(g + i, lanes) - mean;
          storeLanes(fnma(loadLanes<V>(y + i, lanes), slope, rest) * scale, dx + i, lanes);
        });
      }
    }
  });
  return Status::ok;
}

/// With parameters, from the input x. Inputs: grad, x, weight, means, variances. Outputs: the
/// gradients of x, weight and bias.
template <class V>
class AffineBackward {
 public:
  using T = typename V::Scalar;

  explicit AffineBackward(const OpCall& call)
      : call_(call),
        groups_(call.outputs[0]),
        grad_(call.inputs[0]),
        input_(call.inputs[1]),
        weight_(call.inputs[2]),
        means_(call.inputs[3]),
        variances_(call.inputs[4]) {}

  Status run() {
    if (!grad_.ok() || !input_.ok() || !weight_.ok() || !means_.ok() || !variances_.ok()) {
      return noMemory(call_);
    }
    if (call_.ints[1] != 0) return rows();
    groups_.forTogether([&](int64_t first, int count) { together(first, count); });
    return Status::ok;
  }

 private:
  T* output(int i) const { return static_cast<T*>(call_.outputs[i].data); }
  double mean(int64_t group) const { return static_cast<double>(means_.template as<T>()[group]); }
  /// 1 / sqrt(variance + eps)
  double scale(int64_t group) const {
    const double variance = static_cast<double>(variances_.template as<T>()[group]);
    return 1.0 / __builtin_sqrt(variance + call_.floats[0]);
  }

  /// What dx is made of: dx = g * scale - (x - centre) * slope - shift.
  struct Line {
    V centre, scale, slope, shift;

    /// From the sums of g and of g (x - mean); g has its weight in it, or `weight` is it.
    Line(const AffineBackward& of, int64_t group, double weight, const double* totals) {
      const double elements = static_cast<double>(of.groups_.elements());
      const double s = of.scale(group);
      centre = splat<V>(of.mean(group));
      scale = splat<V>(s * weight);
      slope = splat<V>(s * s * s * weight * (totals[1] / elements));
      shift = splat<V>(of.call_.ints[0] != 0 ? s * weight * (totals[0] / elements) : 0);
    }
    KINDLING_INLINE V at(V g, V x) const {
      return fnma(x - centre, slope, fma(g, scale, V::zero() - shift));
    }
  };

  void together(int64_t first, int count) const {
    const T* g = grad_.template as<T>();
    const T* x = input_.template as<T>();
    T* dx = output(0);
    double totals[kTogether][2];
    const auto termOf = [&](int k) {
      const V centre = splat<V>(mean(first + k));
      return [=](int64_t i, int lanes, V* terms) {
        terms[0] = loadLanes<V>(g + i, lanes);
        terms[1] = terms[0] * (loadLanes<V>(x + i, lanes) - centre);
      };
    };
    sumGroups<V, 2>(groups_, first, count, termOf, totals);
    for (int k = 0; k < count; ++k) {
      output(1)[first + k] = static_cast<T>(totals[k][1] * scale(first + k));
      output(2)[first + k] = static_cast<T>(totals[k][0]);
    }
    for (int64_t o = 0; o < groups_.outer; ++o) {
      for (int k = 0; k < count; ++k) {
        const double weight = static_cast<double>(weight_.template as<T>()[first + k]);
        const Line line(*this, first + k, weight, totals[k]);
        const int64_t at = groups_.offset(o, first + k);
        forLanes<V>(at, at + groups_.inner, [&](int64_t i, int lanes) {
          storeLanes(line.at(loadLanes<V>(g + i, lanes), loadLanes<V>(x + i, lanes)), dx + i,
                     lanes);
        });
      }
    }
  }

  /// Groups that are rows, and parameters along them. The sums over rows are made for blocks of
  /// rows, whose number depends on the shape alone, and then added up.
  Status rows() const {
    constexpr int64_t kMostBlocks = 64, kFewRows = 16;
    const int64_t n = groups_.inner;
    int64_t size = (groups_.count + kMostBlocks - 1) / kMostBlocks;
    if (size < kFewRows) size = kFewRows;
    const int64_t blocks = (groups_.count + size - 1) / size;
    const Scratch memory(static_cast<size_t>(blocks * 2 * n) * sizeof(T));
    if (!memory.ok()) return noMemory(call_);
    T* sums = memory.as<T>();
    parallelFor(blocks, kGrain / (size * n + 1) + 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t block = begin; block < end; ++block) {
        T* const own = sums + block * 2 * n;
        __builtin_memset(own, 0, static_cast<size_t>(2 * n) * sizeof(T));
        const int64_t last = (block + 1) * size;
        for (int64_t row = block * size; row < last && row < groups_.count; ++row) {
          rowBack(row, own, own + n);
        }
      }
    });
    parallelFor(2 * n, kGrain / (blocks + 1) + 1, 64, [&](int64_t begin, int64_t end) {
      for (int64_t j = begin; j < end; ++j) {
        double total = 0;
        for (int64_t block = 0; block < blocks; ++block) {
          total += static_cast<double>(sums[block * 2 * n + j]);
        }
        (j < n ? output(1)[j] : output(2)[j - n]) = static_cast<T>(total);
      }
    });
    return Status::ok;
  }

  void rowBack(int64_t row, T* weightSums, T* biasSums) const {
    const int64_t n = groups_.inner;
    const T* g = grad_.template as<T>() + row * n;
    const T* x = input_.template as<T>() + row * n;
    const T* weight = weight_.template as<T>();
    T* dx = output(0) + row * n;
    const V centre = splat<V>(mean(row)), s = splat<V>(scale(row));
    double totals[2];
    const int64_t next = groups_.areRows() ? groups_.toNext(row) : 0;
    const LinesAhead<T, 3> ahead = {{g + next, x + next, dx}};
    sumRun<V, 2>(
        0, n,
        [=](int64_t i, int lanes, V* terms) {
          const V d = loadLanes<V>(x + i, lanes) - centre, grad = loadLanes<V>(g + i, lanes);
          terms[0] = grad * loadLanes<V>(weight + i, lanes);
          terms[1] = terms[0] * d;
          storeLanes(fma(grad, d * s, loadLanes<V>(weightSums + i, lanes)), weightSums + i, lanes);
          storeLanes(grad + loadLanes<V>(biasSums + i, lanes), biasSums + i, lanes);
        },
        totals, ahead);
    const Line line(*this, row, 1, totals);
    forLanes<V>(0, n, [&](int64_t i, int lanes) {
      const V grad = loadLanes<V>(g + i, lanes) * loadLanes<V>(weight + i, lanes);
      storeLanes(line.at(grad, loadLanes<V>(x + i, lanes)), dx + i, lanes);
    });
  }

  const OpCall& call_;
  const Groups groups_;
  const Contiguous grad_, input_, weight_, means_, variances_;
};

template <class V>
Status plainForward(const OpCall& call) {
  return Forward<V>(call, false).run();
}

template <class V>
Status affineForward(const OpCall& call) {
  return Forward<V>(call, true).run();
}

template <class V>
Status affineBackward(const OpCall& call) {
  return AffineBackward<V>(call).run();
}

template <Kernel float32, Kernel float64>
Status either(const OpCall& call) {
  return byFloat(call, float32, float64);
}

}  // namespace

void registerNormalization(Kernel* kernels) {
  const auto set = [&](Op op, Kernel kernel) { kernels[static_cast<int>(op)] = kernel; };
  set(Op::normalize, either<plainForward<VecF>, plainForward<VecD>>);
  set(Op::normalizeBackward, either<backward<VecF>, backward<VecD>>);
  set(Op::normalizeAffine, either<affineForward<VecF>, affineForward<VecD>>);
  set(Op::normalizeAffineBackward, either<affineBackward<VecF>, affineBackward<VecD>>);
}

}  // namespace KINDLING_ISA
}  // namespace kindling
