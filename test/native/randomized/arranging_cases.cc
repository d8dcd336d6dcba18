// Elements by position or by order: rows by number, slices, joins, gathers, sorts, running sums and
// assignments.

#include <algorithm>
#include <numeric>

#include "randomized/makers.h"

namespace kindling {
namespace testing {
namespace {

/// Row-major coordinates and back.
std::vector<int64_t> coordinatesOf(int64_t i, const Shape& shape) {
  std::vector<int64_t> result(shape.size());
  for (size_t axis = shape.size(); axis-- > 0;) {
    result[axis] = i % shape[axis];
    i /= shape[axis];
  }
  return result;
}
int64_t placeOf(const std::vector<int64_t>& coordinates, const Shape& shape) {
  int64_t place = 0;
  for (size_t axis = 0; axis < shape.size(); ++axis)
    place = place * shape[axis] + coordinates[axis];
  return place;
}

int64_t sizeOfRow(const Shape& shape) {
  return elementCount(Shape(shape.begin() + 1, shape.end()));
}

double leastOf(DType dtype) { return dtype == DType::uint8 ? 0 : -9; }

TestTensor randomRows(Random& random, int64_t count, int64_t rows) {
  return TestTensor::generate(DType::int32, {count}, [&](int64_t) {
    return static_cast<double>(random.pick(0, rows - 1));
  });
}

RandomCase indexSelectCase(Op op, Random& random) {
  const DType dtype = random.dtypeOf(op);
  Shape shape = random.shape(1, 4);
  shape[0] = std::max<int64_t>(shape[0], 1);
  const TestTensor x = random.tensor(dtype, shape, leastOf(dtype), 9);
  const int64_t row = sizeOfRow(shape);
  const int64_t count = random.extent(random.most / std::max<int64_t>(row, 1) + 1);
  RandomCase result = {op, {x, randomRows(random, count, shape[0])}};
  const std::vector<double> values = x.values();
  shape[0] = count;
  Expected expected(dtype, shape);
  for (int64_t i = 0; i < expected.size(); ++i) {
    const int64_t from = static_cast<int64_t>(result.inputs[1].at(i / row));
    expected.set(i, values[static_cast<size_t>(from * row + i % row)]);
  }
  result.outputs = {expected};
  return result;
}

RandomCase indexAddCase(Op op, Random& random) {
  const DType dtype = random.dtypeOf(op);
  Shape shape = random.shape(1, 4);
  const int64_t rows = random.pick(1, 9), row = sizeOfRow(shape);
  RandomCase result = {op, {random.tensor(dtype, shape), randomRows(random, shape[0], rows)}};
  shape[0] = rows;
  Expected expected(dtype, shape);
  std::vector<Sum> sums(expected.values.size());
  for (int64_t i = 0; i < result.inputs[0].size(); ++i) {
    const int64_t to = static_cast<int64_t>(result.inputs[1].at(i / row));
    sums[static_cast<size_t>(to * row + i % row)].add(result.inputs[0].at(i));
  }
  for (int64_t i = 0; i < expected.size(); ++i) {
    const Sum& sum = sums[static_cast<size_t>(i)];
    expected.setSum(i, sum.value, sum.magnitude, sum.terms);
  }
  result.outputs = {expected};
  return result;
}

RandomCase sliceBackwardCase(Op op, Random& random) {
  const DType dtype = random.dtypeOf(op);
  const Shape shape = random.shape(1, 5);
  RandomCase result = {op, {random.tensor(dtype, shape)}};
  result.ints = {static_cast<int32_t>(shape.size())};
  Shape whole;
  for (const int64_t extent : shape) {
    const int64_t step = random.pick(1, 3) * (random.oneIn(3) ? -1 : 1);
    const int64_t span = extent > 0 ? std::abs(step) * (extent - 1) + 1 : 0;
    const int64_t before = random.pick(0, 2);
    whole.push_back(before + span + random.pick(0, 2));
    result.ints.push_back(static_cast<int32_t>(step > 0 ? before : before + span - 1));
    result.ints.push_back(static_cast<int32_t>(step));
  }
  Expected expected(dtype, whole);
  for (int64_t i = 0; i < result.inputs[0].size(); ++i) {
    std::vector<int64_t> at = coordinatesOf(i, shape);
    for (size_t axis = 0; axis < at.size(); ++axis) {
      at[axis] = result.ints[1 + 2 * axis] + at[axis] * result.ints[2 + 2 * axis];
    }
    expected.set(placeOf(at, whole), result.inputs[0].at(i));
  }
  result.outputs = {expected};
  return result;
}

RandomCase concatCase(Op op, Random& random) {
  const DType dtype = random.dtypeOf(op);
  Shape a = random.shape(1, 4), b = a;
  const size_t axis = static_cast<size_t>(random.pick(0, static_cast<int64_t>(a.size()) - 1));
  b[axis] = random.extent(a[axis] + 3);
  Shape joined = a;
  joined[axis] += b[axis];
  RandomCase result = {
      op, {random.tensor(dtype, a, leastOf(dtype), 9), random.tensor(dtype, b, leastOf(dtype), 9)}};
  result.ints = {static_cast<int32_t>(axis)};
  Expected expected(dtype, joined);
  for (int64_t i = 0; i < expected.size(); ++i) {
    std::vector<int64_t> at = coordinatesOf(i, joined);
    const bool first = at[axis] < a[axis];
    if (!first) at[axis] -= a[axis];
    expected.set(i,
                 first ? result.inputs[0].at(placeOf(at, a)) : result.inputs[1].at(placeOf(at, b)));
  }
  result.outputs = {expected};
  return result;
}

/// A shape that is nowhere larger but along the axis, and positions that point along it.
TestTensor randomPositions(Random& random, Shape shape, size_t axis) {
  const int64_t extent = shape[axis];
  for (size_t i = 0; i < shape.size(); ++i) {
    shape[i] =
        i == axis ? random.extent(20) : random.pick(std::max<int64_t>(shape[i] - 2, 0), shape[i]);
  }
  if (extent == 0) shape[axis] = 0;
  return TestTensor::generate(DType::int32, shape, [&](int64_t) {
    return static_cast<double>(random.pick(0, std::max<int64_t>(extent - 1, 0)));
  });
}

RandomCase gatherCase(Op op, Random& random) {
  const DType dtype = random.dtypeOf(op);
  const Shape shape = random.shape(1, 4);
  const size_t axis = static_cast<size_t>(random.pick(0, static_cast<int64_t>(shape.size()) - 1));
  RandomCase result = {
      op, {random.tensor(dtype, shape, leastOf(dtype), 9), randomPositions(random, shape, axis)}};
  result.ints = {static_cast<int32_t>(axis)};
  Expected expected(dtype, result.inputs[1].shape());
  for (int64_t i = 0; i < expected.size(); ++i) {
    std::vector<int64_t> at = coordinatesOf(i, expected.shape);
    at[axis] = static_cast<int64_t>(result.inputs[1].at(i));
    expected.set(i, result.inputs[0].at(placeOf(at, shape)));
  }
  result.outputs = {expected};
  return result;
}

RandomCase scatterCase(Op op, Random& random) {
  const bool adds = random.oneIn(2);
  const DType dtype =
      adds ? random.oneOf<DType>({DType::float32, DType::float64, DType::int32, DType::int64})
           : random.dtypeOf(op);
  const Shape shape = random.shape(1, 4);
  const size_t axis = static_cast<size_t>(random.pick(0, static_cast<int64_t>(shape.size()) - 1));
  const TestTensor index = randomPositions(random, shape, axis);
  RandomCase result = {op,
                       {random.tensor(dtype, shape, leastOf(dtype), 9), index,
                        random.tensor(dtype, index.shape(), leastOf(dtype), 9)}};
  result.ints = {static_cast<int32_t>(axis), adds};
  Expected expected(dtype, shape);
  std::vector<Sum> sums(expected.values.size());
  for (int64_t i = 0; i < expected.size(); ++i)
    sums[static_cast<size_t>(i)].add(result.inputs[0].at(i));
  for (int64_t i = 0; i < index.size(); ++i) {
    std::vector<int64_t> at = coordinatesOf(i, index.shape());
    at[axis] = static_cast<int64_t>(index.at(i));
    Sum& sum = sums[static_cast<size_t>(placeOf(at, shape))];
    if (!adds) sum = Sum();
    sum.add(result.inputs[2].at(i));
  }
  for (int64_t i = 0; i < expected.size(); ++i) {
    const Sum& sum = sums[static_cast<size_t>(i)];
    expected.set(i, sum.value,
                 sum.terms > 1 ? (sum.terms + 4) * roundingOf(dtype) * sum.magnitude : 0);
  }
  result.outputs = {expected};
  return result;
}

RandomCase nonzeroCase(Op op, Random& random) {
  RandomCase result = {op, {random.tensor(DType::boolean, random.shape(0, 4))}};
  std::vector<double> found;
  for (int64_t i = 0; i < result.inputs[0].size(); ++i) {
    if (result.inputs[0].at(i) != 0) found.push_back(static_cast<double>(i));
  }
  Expected expected(DType::int32, {static_cast<int64_t>(found.size())});
  expected.values = found;
  result.outputs = {expected};
  return result;
}

/// The lines of a tensor along an axis: calls visit with the positions of a line in order.
template <typename Visit>
void forLines(const Shape& shape, size_t axis, const Visit& visit) {
  const int64_t size = elementCount(shape), extent = shape.empty() ? 1 : shape[axis];
  int64_t inner = 1;
  for (size_t i = axis + 1; i < shape.size(); ++i) inner *= shape[i];
  if (size == 0) return;
  for (int64_t line = 0; line < size / extent; ++line) {
    std::vector<int64_t> places;
    for (int64_t i = 0; i < extent; ++i) {
      places.push_back(line / inner * inner * extent + i * inner + line % inner);
    }
    visit(places);
  }
}

RandomCase scanCase(Op op, Random& random) {
  const DType dtype = random.dtypeOf(op);
  const bool isProduct = op == Op::cumprod, isLinear = op == Op::linearScan;
  const Shape shape = random.shape(1, 4);
  const size_t axis = static_cast<size_t>(random.pick(0, static_cast<int64_t>(shape.size()) - 1));
  const bool reverse = random.oneIn(2);
  // Products that neither vanish nor overflow.
  const double low = isProduct && isFloating(dtype) ? 0.9 : -1,
               high = isProduct && isFloating(dtype) ? 1.1 : 1;
  RandomCase result = {op, {random.tensor(dtype, shape, low, high)}};
  if (isLinear) result.inputs.push_back(random.tensor(dtype, shape));
  result.ints = {static_cast<int32_t>(axis), reverse};
  Expected expected(dtype, shape);
  const std::vector<double> x = result.inputs[0].values(), b = result.inputs.back().values();
  forLines(shape, axis, [&](std::vector<int64_t> places) {
    if (reverse) std::reverse(places.begin(), places.end());
    double total = isProduct ? 1 : 0, magnitude = 0, terms = 0;
    for (const int64_t place : places) {
      const double value = x[static_cast<size_t>(place)], term = b[static_cast<size_t>(place)];
      total = isLinear ? term + value * total : isProduct ? total * value : total + value;
      magnitude = isLinear    ? std::fabs(term) + std::fabs(value) * magnitude
                  : isProduct ? std::fabs(total)
                              : magnitude + std::fabs(value);
      expected.setSum(place, total, magnitude, ++terms);
    }
  });
  result.outputs = {expected};
  return result;
}

bool sortsBefore(double a, double b) { return a == a && (b != b || a < b); }

RandomCase sortCase(Op op, Random& random) {
  const DType dtype = random.dtypeOf(op);
  const Shape shape = random.shape(1, 3);
  const bool descending = random.oneIn(2);
  Shape kept = shape;
  kept.back() = random.oneIn(2) ? shape.back() : random.pick(0, shape.back());
  RandomCase result = {op, {random.tensor(dtype, shape, leastOf(dtype), 9)}};
  result.ints = {descending};
  Expected values(dtype, kept), positions(DType::int32, kept);
  const std::vector<double> x = result.inputs[0].values();
  int64_t next = 0;
  forLines(shape, shape.size() - 1, [&](const std::vector<int64_t>& places) {
    std::vector<int64_t> order(places.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) {
      const double a = x[static_cast<size_t>(places[static_cast<size_t>(i)])];
      const double b = x[static_cast<size_t>(places[static_cast<size_t>(j)])];
      return descending ? sortsBefore(b, a) : sortsBefore(a, b);
    });
    for (int64_t i = 0; i < kept.back(); ++i, ++next) {
      const int64_t from = order[static_cast<size_t>(i)];
      values.set(next, x[static_cast<size_t>(places[static_cast<size_t>(from)])]);
      positions.set(next, static_cast<double>(from));
    }
  });
  result.outputs = {values, positions};
  return result;
}

RandomCase searchSortedCase(Op op, Random& random) {
  const DType dtype = random.dtypeOf(op);
  Shape shape = random.shape(1, 3);
  const Shape valueShape = shape;
  const int64_t count = random.extent(40);
  const bool right = random.oneIn(2), shared = random.oneIn(2);
  if (shared) shape = {count};
  shape.back() = count;
  TestTensor sorted(dtype, shape);
  for (int64_t line = 0; count > 0 && line < sorted.size() / count; ++line) {
    std::vector<double> all;
    for (int64_t i = 0; i < count; ++i) all.push_back(static_cast<double>(random.pick(0, 12)));
    std::sort(all.begin(), all.end());
    for (int64_t i = 0; i < count; ++i) sorted.set(line * count + i, all[static_cast<size_t>(i)]);
  }
  RandomCase result = {op, {sorted, TestTensor::generate(dtype, valueShape, [&](int64_t) {
                              return static_cast<double>(random.pick(0, 13));
                            })}};
  result.ints = {right};
  Expected expected(DType::int32, valueShape);
  for (int64_t i = 0; i < expected.size(); ++i) {
    const double value = result.inputs[1].at(i);
    const int64_t line = shared ? 0 : i / valueShape.back();
    int64_t before = 0;
    for (int64_t k = 0; k < count; ++k) {
      const double other = sorted.at(line * count + k);
      before += other < value || (right && other == value);
    }
    expected.set(i, static_cast<double>(before));
  }
  result.outputs = {expected};
  return result;
}

RandomCase assignCase(Op op, Random& random) {
  const DType dtype = random.dtypeOf(op);
  const Shape shape = random.shape(0, 5);
  const auto own = [&] {
    return TestTensor::generate(dtype, shape,
                                [&](int64_t) { return static_cast<double>(random.pick(0, 1)); });
  };
  RandomCase result = {op, {own(), random.tensor(dtype, shape, leastOf(dtype), 9)}};
  Expected expected(dtype, shape);
  expected.values = result.inputs[1].values();
  result.updated = {{0, expected}};
  return result;
}

RandomCase assignRowsCase(Op op, Random& random) {
  const DType dtype = random.dtypeOf(op);
  Shape shape = random.shape(1, 4);
  shape[0] = std::max<int64_t>(shape[0], 1);
  const TestTensor target = random.dense(dtype, shape);
  // Each row once: of two writes to one row the order is the index's, which is tested elsewhere.
  std::vector<double> all;
  for (int64_t row = 0; row < shape[0]; ++row) all.push_back(static_cast<double>(row));
  for (size_t i = all.size(); i > 1; --i) {
    std::swap(all[i - 1], all[static_cast<size_t>(random.pick(0, static_cast<int64_t>(i) - 1))]);
  }
  all.resize(static_cast<size_t>(random.pick(0, shape[0])));
  Shape rows = shape;
  rows[0] = static_cast<int64_t>(all.size());
  RandomCase result = {op, {target, TestTensor::ints({rows[0]}, all), random.tensor(dtype, rows)}};
  result.dense = 1;
  Expected expected(dtype, shape);
  expected.values = target.values();
  const int64_t row = sizeOfRow(shape);
  for (int64_t i = 0; i < result.inputs[2].size(); ++i) {
    expected.set(static_cast<int64_t>(all[static_cast<size_t>(i / row)]) * row + i % row,
                 result.inputs[2].at(i));
  }
  result.updated = {{0, expected}};
  return result;
}

}  // namespace

void addArrangingMakers(CaseMakers& makers) {
  setMaker(makers, {Op::indexSelect}, indexSelectCase);
  setMaker(makers, {Op::indexAdd}, indexAddCase);
  setMaker(makers, {Op::sliceBackward}, sliceBackwardCase);
  setMaker(makers, {Op::concat}, concatCase);
  setMaker(makers, {Op::gather}, gatherCase);
  setMaker(makers, {Op::scatter}, scatterCase);
  setMaker(makers, {Op::nonzero}, nonzeroCase);
  setMaker(makers, {Op::cumsum, Op::cumprod, Op::linearScan}, scanCase);
  setMaker(makers, {Op::sort}, sortCase);
  setMaker(makers, {Op::searchSorted}, searchSortedCase);
  setMaker(makers, {Op::assign}, assignCase);
  setMaker(makers, {Op::assignRows}, assignRowsCase);
}

}  // namespace testing
}  // namespace kindling
