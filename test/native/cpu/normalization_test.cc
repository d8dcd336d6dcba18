#include <cmath>
#include <string>
#include <vector>

#include "doctest/doctest.h"
#include "op_testing.h"

namespace kindling {
namespace testing {
namespace {

double valueAt(int64_t i) { return static_cast<double>((i * 7919 + 13) % 1009) / 504.5 - 0.75; }

TestTensor generate(DType dtype, const Shape& shape, int64_t from) {
  return TestTensor::generate(dtype, shape, [=](int64_t i) { return valueAt(i + from); });
}

struct Case {
  int64_t outer, groups, inner;
  bool byPosition;
  int64_t elements() const { return outer * inner; }
  int64_t at(int64_t group, int64_t element) const {
    return (element / inner * groups + group) * inner + element % inner;
  }
  int64_t parameters() const { return byPosition ? inner : groups; }
  int64_t parameter(int64_t group, int64_t element) const { return byPosition ? element : group; }
  Shape shape() const { return {outer, groups, inner}; }
};

/// Everything in double, by the definitions.
struct Reference {
  std::vector<double> y, mean, variance, dx, dWeight, dBias;

  Reference(const Case& c, const TestTensor& x, const TestTensor& weight, const TestTensor& bias,
            const TestTensor& grad, bool centred, double eps) {
    const size_t size = static_cast<size_t>(x.size());
    y.resize(size);
    dx.resize(size);
    dWeight.resize(static_cast<size_t>(c.parameters()));
    dBias.resize(dWeight.size());
    const double count = static_cast<double>(c.elements());
    for (int64_t g = 0; g < c.groups; ++g) {
      double m = 0, v = 0, gradMean = 0, slope = 0;
      for (int64_t e = 0; centred && e < c.elements(); ++e) m += x.at(c.at(g, e)) / count;
      for (int64_t e = 0; e < c.elements(); ++e) v += std::pow(x.at(c.at(g, e)) - m, 2) / count;
      const double scale = 1 / std::sqrt(v + eps);
      for (int64_t e = 0; e < c.elements(); ++e) {
        const int64_t i = c.at(g, e), p = c.parameter(g, e);
        const double unit = (x.at(i) - m) * scale;
        y[static_cast<size_t>(i)] = unit * weight.at(p) + bias.at(p);
        dWeight[static_cast<size_t>(p)] += grad.at(i) * unit;
        dBias[static_cast<size_t>(p)] += grad.at(i);
        gradMean += grad.at(i) * weight.at(p) / count;
        slope += grad.at(i) * weight.at(p) * unit / count;
      }
      for (int64_t e = 0; e < c.elements(); ++e) {
        const int64_t i = c.at(g, e);
        const double unit = (x.at(i) - m) * scale;
        const double rest = grad.at(i) * weight.at(c.parameter(g, e)) - unit * slope;
        dx[static_cast<size_t>(i)] = (centred ? rest - gradMean : rest) * scale;
      }
      mean.push_back(m);
      variance.push_back(v);
    }
  }
};

void checkClose(const TestTensor& actual, const std::vector<double>& expected, double scale = 1) {
  const double tolerance = (actual.dtype() == DType::float32 ? 2e-5 : 1e-12) * scale;
  REQUIRE(static_cast<size_t>(actual.size()) == expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    const double value = actual.at(static_cast<int64_t>(i));
    if (std::fabs(value - expected[i]) <= tolerance * (1 + std::fabs(expected[i]))) continue;
    FAIL_CHECK("element ", i, " is ", value, ", not ", expected[i]);
  }
}

const std::vector<Case>& cases() {
  // Around the widths of vectors, of the chains of sums and of groups worked on together.
  static const std::vector<Case> all = {
      {1, 1, 1, false},     {2, 3, 1, false},    {3, 2, 15, false},    {70, 33, 16, false},
      {65, 40, 4, false},   {5, 7, 49, false},   {4, 3, 513, false},   {3, 5, 1024, false},
      {2, 2, 20000, false}, {1, 9, 64, false},   {300, 1, 100, false}, {1, 1, 1, true},
      {1, 5, 15, true},     {1, 16, 16, true},   {1, 17, 17, true},    {1, 1100, 33, true},
      {1, 40, 768, true},   {1, 2, 20000, true}, {1, 100, 127, true}};
  return all;
}

struct Results {
  TestTensor y, mean, variance, dx, dWeight, dBias;
  Results(DType dtype, const Case& c)
      : y(dtype, c.shape()),
        mean(dtype, {c.groups}),
        variance(dtype, {c.groups}),
        dx(dtype, c.shape()),
        dWeight(dtype, {c.parameters()}),
        dBias(dtype, {c.parameters()}) {}
  std::vector<TestTensor> all() const { return {y, mean, variance, dx, dWeight, dBias}; }
};

Results runBoth(const IsaLevel& level, const Case& c, const std::vector<TestTensor>& in,
                bool centred, double eps) {
  const Results r(in[0].dtype(), c);
  const std::vector<int32_t> ints = {centred, c.byPosition};
  REQUIRE(run(level, Op::normalizeAffine, {in[0], in[1], in[2]}, {r.y, r.mean, r.variance}, ints,
              {eps}) == Status::ok);
  REQUIRE(run(level, Op::normalizeAffineBackward, {in[3], in[0], in[1], r.mean, r.variance},
              {r.dx, r.dWeight, r.dBias}, ints, {eps}) == Status::ok);
  return r;
}

std::vector<TestTensor> inputsOf(const Case& c, DType dtype) {
  return {generate(dtype, c.shape(), 0), generate(dtype, {c.parameters()}, 3),
          generate(dtype, {c.parameters()}, 500), generate(dtype, c.shape(), 77)};
}

TEST_CASE("normalization with parameters and its gradients, whatever the number of threads") {
  const int before = numThreads();
  for (const DType dtype : {DType::float32, DType::float64}) {
    for (const Case& c : cases()) {
      for (const bool centred : {false, true}) {
        const double eps = 0.01;
        const std::vector<TestTensor> in = inputsOf(c, dtype);
        const Reference wanted(c, in[0], in[1], in[2], in[3], centred, eps);
        for (const IsaLevel& level : isaLevels()) {
          CAPTURE(nameOf(level));
          CAPTURE(c.outer);
          CAPTURE(c.groups);
          CAPTURE(c.inner);
          CAPTURE(c.byPosition);
          CAPTURE(centred);
          setNumThreads(1);
          const Results one = runBoth(level, c, in, centred, eps);
          checkClose(one.y, wanted.y);
          checkClose(one.mean, wanted.mean);
          checkClose(one.variance, wanted.variance);
          checkClose(one.dx, wanted.dx);
          checkClose(one.dWeight, wanted.dWeight, 4);
          checkClose(one.dBias, wanted.dBias, 4);
          for (const int threads : {2, 3, 8}) {
            CAPTURE(threads);
            setNumThreads(threads);
            const std::vector<TestTensor> same = runBoth(level, c, in, centred, eps).all();
            for (size_t i = 0; i < same.size(); ++i)
              CHECK(same[i].values() == one.all()[i].values());
          }
        }
      }
    }
  }
  setNumThreads(before);
}

TEST_CASE("normalization without parameters is that with ones and zeros") {
  for (const IsaLevel& level : isaLevels()) {
    for (const Case& c : cases()) {
      if (c.byPosition) continue;
      CAPTURE(nameOf(level));
      CAPTURE(c.outer);
      CAPTURE(c.groups);
      CAPTURE(c.inner);
      const auto full = [&](double value) {
        return TestTensor::generate(DType::float32, {c.groups}, [=](int64_t) { return value; });
      };
      const std::vector<TestTensor> in = {generate(DType::float32, c.shape(), 0), full(1), full(0),
                                          generate(DType::float32, c.shape(), 77)};
      const Results wanted = runBoth(level, c, in, true, 0.01), got(DType::float32, c);
      REQUIRE(run(level, Op::normalize, {in[0]}, {got.y, got.mean, got.variance}, {1}, {0.01}) ==
              Status::ok);
      REQUIRE(run(level, Op::normalizeBackward, {in[3], got.y, got.variance}, {got.dx}, {1},
                  {0.01}) == Status::ok);
      checkClose(got.y, wanted.y.values());
      checkClose(got.variance, wanted.variance.values());
      checkClose(got.dx, wanted.dx.values());
    }
  }
}

TEST_CASE("normalization in every layout, and what does not fit") {
  for (const Case& c : {Case{3, 5, 18, false}, Case{1, 5, 18, true}}) {
    const std::vector<TestTensor> in = inputsOf(c, DType::float32);
    const std::vector<int32_t> ints = {1, c.byPosition};
    for (const IsaLevel& level : isaLevels()) {
      const Results wanted = runBoth(level, c, in, true, 0.01);
      for (size_t i = 0; i < in.size(); ++i) {
        for (const NamedTensor& x : inEveryLayout(in[i])) {
          CAPTURE(i);
          CAPTURE(x.layout);
          std::vector<TestTensor> other = in;
          other[i] = x.tensor;
          const Results got = runBoth(level, c, other, true, 0.01);
          for (size_t k = 0; k < got.all().size(); ++k) {
            checkClose(got.all()[k], wanted.all()[k].values());
          }
        }
      }
    }
    const IsaLevel& level = isaLevels().front();
    const Results r(DType::float32, c);
    const std::vector<TestTensor> forward[] = {{in[0], in[1], in[2]}, {r.y, r.mean, r.variance}};
    const std::vector<TestTensor> backward[] = {{in[3], in[0], in[1], r.mean, r.variance},
                                                {r.dx, r.dWeight, r.dBias}};
    for (const bool isBack : {false, true}) {
      const std::vector<TestTensor>* operands = isBack ? backward : forward;
      const Op op = isBack ? Op::normalizeAffineBackward : Op::normalizeAffine;
      for (int side = 0; side < 2; ++side) {
        for (size_t i = 0; i < operands[side].size(); ++i) {
          for (const bool isType : {false, true}) {
            // The table refuses the dtype of the first input.
            if (isType && i == 0) continue;
            std::vector<TestTensor> wrong[] = {operands[0], operands[1]};
            Shape shape = wrong[side][i].shape();
            if (!isType) ++shape.back();
            wrong[side][i] = TestTensor(isType ? DType::float64 : DType::float32, shape);
            CAPTURE(i);
            CHECK(run(level, op, wrong[0], wrong[1], ints, {0.01}) == Status::badShape);
          }
        }
      }
    }
  }
  // Parameters along the elements of groups that are no rows.
  const Case c = {3, 5, 18, false};
  const Results r(DType::float32, c);
  const TestTensor weight = generate(DType::float32, {18}, 0);
  CHECK(run(isaLevels().front(), Op::normalizeAffine,
            {generate(DType::float32, c.shape(), 0), weight, weight}, {r.y, r.mean, r.variance},
            {1, 1}, {0.01}) == Status::badShape);
}

}  // namespace
}  // namespace testing
}  // namespace kindling
