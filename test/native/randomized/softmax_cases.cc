// Softmax, its losses, and normalization.

#include <algorithm>

#include "randomized/makers.h"

namespace kindling {
namespace testing {
namespace {

struct Rows {
  int64_t count, width;
  explicit Rows(const Shape& shape) : count(1), width(shape.empty() ? 1 : shape.back()) {
    count = width > 0 ? elementCount(shape) / width : 0;
  }
};

/// log(sum(exp(row))), and the largest of the row.
struct LogSum {
  double total = 0, most = -INFINITY;
  template <typename At>
  LogSum(int64_t width, const At& at) {
    for (int64_t i = 0; i < width; ++i) most = at(i) != at(i) ? NAN : most < at(i) ? at(i) : most;
    for (int64_t i = 0; i < width; ++i) total += std::exp(at(i) - most);
  }
  double power(double x) const { return std::exp(x - most) / total; }
  double log(double x) const { return x - most - std::log(total); }
};

/// The error of exp(x - most) grows with the distance, of which the last bit is lost.
double softmaxBound(DType dtype, double x, double most, int64_t width) {
  const double reach = std::isfinite(x - most) ? std::fabs(x) + std::fabs(most) : 0;
  return (static_cast<double>(width) / 8 + 16 + 2 * reach) * roundingOf(dtype);
}

RandomCase softmaxCase(Op op, Random& random) {
  const DType dtype = random.dtypeOf(op);
  const Shape shape = random.shape(1, 3);
  RandomCase result = {op, {random.tensor(dtype, shape, -6, 6)}};
  Expected expected(dtype, shape);
  const Rows rows(shape);
  const std::vector<double> x = result.inputs[0].values();
  for (int64_t row = 0; row < rows.count; ++row) {
    const auto at = [&](int64_t i) { return x[static_cast<size_t>(row * rows.width + i)]; };
    const LogSum sum(rows.width, at);
    for (int64_t i = 0; i < rows.width; ++i) {
      const double bound = softmaxBound(dtype, at(i), sum.most, rows.width);
      if (op == Op::softmax) {
        expected.set(row * rows.width + i, sum.power(at(i)), bound * std::fabs(sum.power(at(i))));
      } else {
        expected.set(row * rows.width + i, sum.log(at(i)), bound);
      }
    }
  }
  result.outputs = {expected};
  return result;
}

RandomCase softmaxBackwardCase(Op op, Random& random) {
  const DType dtype = random.dtypeOf(op);
  const Shape shape = random.shape(1, 3);
  const bool isLog = op == Op::logSoftmaxBackward;
  RandomCase result = {
      op,
      {random.tensor(dtype, shape), random.tensor(dtype, shape, isLog ? -5 : 0, isLog ? 0 : 1)}};
  Expected expected(dtype, shape);
  const Rows rows(shape);
  const std::vector<double> g = result.inputs[0].values(), y = result.inputs[1].values();
  for (int64_t row = 0; row < rows.count; ++row) {
    Sum sum;
    const auto place = [&](int64_t i) { return static_cast<size_t>(row * rows.width + i); };
    for (int64_t i = 0; i < rows.width; ++i)
      sum.add(isLog ? g[place(i)] : g[place(i)] * y[place(i)]);
    for (int64_t i = 0; i < rows.width; ++i) {
      const double gi = g[place(i)], yi = y[place(i)], weight = isLog ? std::exp(yi) : yi;
      const double value = isLog ? gi - weight * sum.value : (gi - sum.value) * weight;
      const double magnitude = isLog ? std::fabs(gi) + weight * sum.magnitude
                                     : (std::fabs(gi) + sum.magnitude) * std::fabs(weight);
      expected.setSum(row * rows.width + i, value, magnitude, sum.terms + 4);
    }
  }
  result.outputs = {expected};
  return result;
}

RandomCase crossEntropyCase(Op op, Random& random) {
  const DType dtype = random.dtypeOf(op);
  const int64_t width = random.extent(random.most, 1), count = random.extent(random.most / width);
  const TestTensor logits = random.tensor(dtype, {count, width}, -6, 6);
  const TestTensor labels = TestTensor::generate(DType::int32, {count}, [&](int64_t) {
    return static_cast<double>(random.pick(0, width - 1));
  });
  RandomCase result = {op, {logits, labels}};
  const bool isBack = op == Op::crossEntropyBackward;
  if (isBack) result.inputs.push_back(random.tensor(dtype, {count}));
  Expected expected(dtype, isBack ? Shape{count, width} : Shape{count});
  for (int64_t row = 0; row < count; ++row) {
    const auto at = [&](int64_t i) { return logits.at(row * width + i); };
    const LogSum sum(width, at);
    const int64_t label = static_cast<int64_t>(labels.at(row));
    if (!isBack) {
      expected.set(row, -sum.log(at(label)), softmaxBound(dtype, at(label), sum.most, width));
      continue;
    }
    const double g = result.inputs[2].at(row);
    for (int64_t i = 0; i < width; ++i) {
      const double bound = softmaxBound(dtype, at(i), sum.most, width) * std::fabs(g);
      expected.set(row * width + i, (sum.power(at(i)) - (i == label)) * g, bound);
    }
  }
  result.outputs = {expected};
  return result;
}

// ---- normalization of [outer, groups, inner] over outer and inner

struct Normalization {
  int64_t outer, groups, inner;
  bool centred, affine, byPosition;
  double eps = 0.01;
  int64_t elements() const { return outer * inner; }
  size_t at(int64_t group, int64_t element) const {
    return static_cast<size_t>((element / inner * groups + group) * inner + element % inner);
  }
  size_t parameter(int64_t group, int64_t element) const {
    return static_cast<size_t>(byPosition ? element : group);
  }
  Shape shape() const { return {outer, groups, inner}; }
  Shape parameters() const { return {byPosition ? inner : groups}; }
};

Normalization randomNormalization(Op op, Random& random) {
  Normalization n = {};
  n.affine = op == Op::normalizeAffine || op == Op::normalizeAffineBackward;
  n.byPosition = n.affine && random.oneIn(2);
  n.centred = !random.oneIn(3);
  n.outer = n.byPosition ? 1 : random.extent(70, 1);
  n.inner = random.extent(std::max<int64_t>(random.most / n.outer, 1), 1);
  n.groups = random.extent(std::max<int64_t>(random.most / n.outer / n.inner, 1));
  return n;
}

struct Statistics {
  double mean = 0, variance = 0, magnitude = 0;
  Statistics(const Normalization& n, const std::vector<double>& x, int64_t group) {
    const double count = static_cast<double>(n.elements());
    for (int64_t e = 0; e < n.elements(); ++e) {
      if (n.centred) mean += x[n.at(group, e)] / count;
      magnitude += std::fabs(x[n.at(group, e)]) / count;
    }
    for (int64_t e = 0; e < n.elements(); ++e) {
      const double off = x[n.at(group, e)] - mean;
      variance += off * off / count;
    }
  }
};

std::vector<TestTensor> parametersOf(const Normalization& n, DType dtype, Random& random) {
  return {random.tensor(dtype, n.parameters(), 0.5, 1.5), random.tensor(dtype, n.parameters())};
}

RandomCase normalizeCase(Op op, Random& random) {
  const DType dtype = random.dtypeOf(op);
  const Normalization n = randomNormalization(op, random);
  RandomCase result = {op, {random.tensor(dtype, n.shape())}};
  std::vector<double> weight(1, 1), bias(1, 0);
  if (n.affine) {
    for (const TestTensor& parameter : parametersOf(n, dtype, random))
      result.inputs.push_back(parameter);
    weight = result.inputs[1].values();
    bias = result.inputs[2].values();
  }
  result.ints = {n.centred};
  if (n.affine) result.ints.push_back(n.byPosition);
  result.floats = {n.eps};
  Expected y(dtype, n.shape()), mean(dtype, {n.groups}), variance(dtype, {n.groups});
  const std::vector<double> x = result.inputs[0].values();
  const double terms = static_cast<double>(n.elements());
  for (int64_t g = 0; g < n.groups; ++g) {
    const Statistics s(n, x, g);
    mean.setSum(g, s.mean, s.magnitude, terms);
    variance.setSum(g, s.variance, s.variance + s.magnitude * s.magnitude, terms + 8);
    const double scale = 1 / std::sqrt(s.variance + n.eps);
    for (int64_t e = 0; e < n.elements(); ++e) {
      const size_t i = n.at(g, e), p = n.affine ? n.parameter(g, e) : 0;
      const double unit = (x[i] - s.mean) * scale;
      const double magnitude = (std::fabs(x[i]) + s.magnitude) * scale * (1 + s.magnitude * scale) *
                               std::fabs(weight[p]);
      y.set(static_cast<int64_t>(i), unit * weight[p] + bias[p],
            roundingOf(dtype) * ((terms + 16) * magnitude + std::fabs(bias[p])));
    }
  }
  result.outputs = {y, mean, variance};
  return result;
}

/// grad, y, variance; or grad, x, weight, mean, variance.
RandomCase normalizeBackwardCase(Op op, Random& random) {
  const DType dtype = random.dtypeOf(op);
  const Normalization n = randomNormalization(op, random);
  const TestTensor grad = random.tensor(dtype, n.shape()), x = random.tensor(dtype, n.shape());
  const std::vector<TestTensor> parameters = parametersOf(n, dtype, random);
  TestTensor unit(dtype, n.shape()), mean(dtype, {n.groups}), variance(dtype, {n.groups});
  const std::vector<double> xs = x.values(), gs = grad.values();
  for (int64_t g = 0; g < n.groups; ++g) {
    const Statistics s(n, xs, g);
    mean.set(g, s.mean);
    variance.set(g, s.variance);
    for (int64_t e = 0; e < n.elements(); ++e) {
      const size_t i = n.at(g, e);
      unit.set(static_cast<int64_t>(i), (xs[i] - mean.at(g)) / std::sqrt(variance.at(g) + n.eps));
    }
  }
  RandomCase result = {op, {grad, unit, variance}};
  if (n.affine) result.inputs = {grad, x, parameters[0], mean, variance};
  result.ints = {n.centred};
  if (n.affine) result.ints.push_back(n.byPosition);
  result.floats = {n.eps};
  Expected dx(dtype, n.shape()), dWeight(dtype, n.parameters()), dBias(dtype, n.parameters());
  std::vector<Sum> toWeight(dWeight.values.size()), toBias(dWeight.values.size());
  const std::vector<double> weight = n.affine ? parameters[0].values() : std::vector<double>(1, 1);
  for (int64_t g = 0; g < n.groups; ++g) {
    const double scale = 1 / std::sqrt(variance.at(g) + n.eps),
                 count = static_cast<double>(n.elements());
    Sum flat, slope;
    const auto unitAt = [&](size_t i) {
      return n.affine ? (xs[i] - mean.at(g)) * scale : unit.at(static_cast<int64_t>(i));
    };
    for (int64_t e = 0; e < n.elements(); ++e) {
      const size_t i = n.at(g, e), p = n.affine ? n.parameter(g, e) : 0;
      flat.add(gs[i] * weight[p]);
      slope.add(gs[i] * weight[p] * unitAt(i));
      toWeight[n.affine ? p : 0].add(gs[i] * unitAt(i));
      toBias[n.affine ? p : 0].add(gs[i]);
    }
    for (int64_t e = 0; e < n.elements(); ++e) {
      const size_t i = n.at(g, e), p = n.affine ? n.parameter(g, e) : 0;
      const double own = gs[i] * weight[p], u = unitAt(i);
      const double rest = own - u * slope.value / count - (n.centred ? flat.value / count : 0);
      const double magnitude =
          std::fabs(own) + std::fabs(u) * slope.magnitude / count + flat.magnitude / count;
      dx.set(static_cast<int64_t>(i), rest * scale,
             roundingOf(dtype) * (count + 24) * magnitude * scale * (1 + scale));
    }
  }
  result.outputs = {dx};
  if (n.affine) {
    for (int64_t p = 0; p < dWeight.size(); ++p) {
      const Sum &w = toWeight[static_cast<size_t>(p)], &b = toBias[static_cast<size_t>(p)];
      // The unit itself carries the roundings of x - mean, which may cancel.
      dWeight.setSum(p, w.value, w.magnitude + 10 * b.magnitude, w.terms + 8);
      dBias.setSum(p, b.value, b.magnitude, b.terms);
    }
    result.outputs = {dx, dWeight, dBias};
  }
  return result;
}

}  // namespace

void addSoftmaxMakers(CaseMakers& makers) {
  setMaker(makers, {Op::softmax, Op::logSoftmax}, softmaxCase);
  setMaker(makers, {Op::softmaxBackward, Op::logSoftmaxBackward}, softmaxBackwardCase);
  setMaker(makers, {Op::crossEntropy, Op::crossEntropyBackward}, crossEntropyCase);
  setMaker(makers, {Op::normalize, Op::normalizeAffine}, normalizeCase);
  setMaker(makers, {Op::normalizeBackward, Op::normalizeAffineBackward}, normalizeBackwardCase);
}

}  // namespace testing
}  // namespace kindling
