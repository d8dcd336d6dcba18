// Reductions over any axes, and the positions of the largest and smallest.

#include <algorithm>

#include "randomized/makers.h"

namespace kindling {
namespace testing {
namespace {

struct Groups {
  std::vector<std::vector<double>> values;  // behind each result, in order
  Shape kept;
};

Groups groupsOf(const TestTensor& x, uint32_t mask, bool keepsAxes) {
  const Shape shape = x.shape();
  Groups groups;
  int64_t count = 1;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    const bool isReduced = mask >> axis & 1;
    if (!isReduced) count *= shape[axis];
    if (!isReduced || keepsAxes) groups.kept.push_back(isReduced ? 1 : shape[axis]);
  }
  groups.values.resize(static_cast<size_t>(count));
  const std::vector<double> values = x.values();
  for (int64_t i = 0; i < x.size(); ++i) {
    int64_t rest = i, place = 0, scale = 1;
    for (size_t axis = shape.size(); axis-- > 0; rest /= shape[axis]) {
      if (mask >> axis & 1) continue;
      place += rest % shape[axis] * scale;
      scale *= shape[axis];
    }
    groups.values[static_cast<size_t>(place)].push_back(values[static_cast<size_t>(i)]);
  }
  return groups;
}

/// Of nothing there is no largest: such shapes are refused.
Shape reducible(Op op, DType dtype, uint32_t mask, Shape shape) {
  const bool hasIdentity =
      op == Op::sum || op == Op::mean || op == Op::prod || dtype == DType::boolean;
  for (size_t axis = 0; axis < shape.size() && !hasIdentity; ++axis) {
    if (mask >> axis & 1 && shape[axis] == 0) shape[axis] = 1;
  }
  return shape;
}

void reduce(Op op, const std::vector<double>& group, int64_t i, Expected* expected) {
  Sum sum;
  double product = 1, roundings = static_cast<double>(group.size());
  const bool largest = op == Op::max;
  double best = largest ? -INFINITY : INFINITY;
  if (expected->dtype == DType::boolean) best = largest ? 0 : 1;
  for (const double x : group) {
    sum.add(x);
    product *= x;
    if (best != best) continue;
    if (x != x || (largest ? x > best : x < best)) best = x;
  }
  const double count = static_cast<double>(group.size());
  if (op == Op::sum) return expected->setSum(i, sum.value, sum.magnitude, sum.terms);
  if (op == Op::mean)
    return expected->setSum(i, sum.value / count, sum.magnitude / count, sum.terms);
  if (op == Op::prod) return expected->setSum(i, product, std::fabs(product), roundings);
  expected->set(i, best);
}

RandomCase reduceCase(Op op, Random& random) {
  const DType dtype = random.dtypeOf(op);
  Shape shape = random.shape(0, 5);
  const uint32_t mask = static_cast<uint32_t>(random.pick(0, (1 << shape.size()) - 1));
  shape = reducible(op, dtype, mask, shape);
  const bool isProduct = op == Op::prod;
  const double low = dtype == DType::uint8 ? 0 : isProduct && isFloating(dtype) ? 0.99 : -1;
  RandomCase result = {op, {random.tensor(dtype, shape, low, isProduct ? 1.01 : 9)}};
  result.ints = {static_cast<int32_t>(mask)};
  const Groups groups = groupsOf(result.inputs[0], mask, random.oneIn(2));
  Expected expected(dtype, groups.kept);
  for (size_t i = 0; i < groups.values.size(); ++i) {
    reduce(op, groups.values[i], static_cast<int64_t>(i), &expected);
  }
  result.outputs = {expected};
  return result;
}

RandomCase argReduceCase(Op op, Random& random) {
  const DType dtype = random.dtypeOf(op);
  Shape shape = random.shape(1, 4);
  const int64_t axis = random.pick(-1, static_cast<int64_t>(shape.size()) - 1);
  const uint32_t mask = axis < 0 ? (1u << shape.size()) - 1 : 1u << axis;
  shape = reducible(op, dtype, mask, shape);
  // Few values, so that there are ties: the first counts.
  const TestTensor x = TestTensor::generate(dtype, shape, [&](int64_t) {
    return random.specials && random.oneIn(12) ? random.value()
                                               : static_cast<double>(random.pick(0, 6));
  });
  RandomCase result = {op, {isFloating(dtype) ? x : random.tensor(dtype, shape, 0, 6)}};
  result.ints = {static_cast<int32_t>(axis)};
  const Groups groups = groupsOf(result.inputs[0], mask, random.oneIn(2));
  Expected expected(DType::int32, groups.kept);
  for (size_t k = 0; k < groups.values.size(); ++k) {
    const std::vector<double>& group = groups.values[k];
    size_t best = 0;
    for (size_t i = 1; i < group.size() && group[best] == group[best]; ++i) {
      const bool better = op == Op::argmax ? group[i] > group[best] : group[i] < group[best];
      if (better || group[i] != group[i]) best = i;
    }
    expected.values[k] = static_cast<double>(best);
  }
  result.outputs = {expected};
  return result;
}

}  // namespace

void addReductionMakers(CaseMakers& makers) {
  setMaker(makers, {Op::sum, Op::mean, Op::prod, Op::max, Op::min}, reduceCase);
  setMaker(makers, {Op::argmax, Op::argmin}, argReduceCase);
}

}  // namespace testing
}  // namespace kindling
