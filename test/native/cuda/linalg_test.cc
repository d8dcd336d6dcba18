#include <limits>
#include <vector>

#include "cuda/compare.h"
#include "cuda/numbers.h"
#include "doctest/doctest.h"

namespace kindling {
namespace testing {
namespace {

const double kNan = std::numeric_limits<double>::quiet_NaN();
const double kInfinity = std::numeric_limits<double>::infinity();

const std::vector<DType>& floatTypes() {
  static const std::vector<DType> types = {DType::float64, DType::float32};
  return types;
}

/// Both sides compute in double; float32 is rounded once.
Tolerance toleranceOf(DType dtype) {
  return dtype == DType::float64 ? Tolerance{1e-10, 1e-10} : Tolerance{3e-7, 3e-7};
}

Shape with(const Shape& batch, std::initializer_list<int64_t> extents) {
  Shape shape = batch;
  shape.insert(shape.end(), extents);
  return shape;
}

/// Square matrices that are far from singular.
TestTensor regular(Numbers& random, DType dtype, const Shape& batch, int64_t n) {
  const TestTensor a = random.tensor(dtype, with(batch, {n, n}));
  for (int64_t i = 0; i < a.size(); ++i) {
    if (n > 0 && i % (n * n) % (n + 1) == 0) {
      a.set(i, a.at(i) + (a.at(i) < 0 ? -2 : 2) * std::sqrt(static_cast<double>(n)));
    }
  }
  return a;
}

/// Symmetric positive definite matrices, of which only one triangle is meant to be read.
TestTensor definite(Numbers& random, DType dtype, const Shape& batch, int64_t n, bool upper) {
  const TestTensor half = random.tensor(dtype, with(batch, {n, n}));
  const TestTensor a = TestTensor(dtype, with(batch, {n, n}));
  for (int64_t at = 0; at < a.size(); ++at) {
    const int64_t matrix = at / (n * n) * n * n, i = at % (n * n) / n, j = at % n;
    double sum = i == j ? 1 : 0;
    for (int64_t k = 0; k < n; ++k) {
      sum += half.at(matrix + i * n + k) * half.at(matrix + j * n + k);
    }
    a.set(at, (upper ? j < i : j > i) ? kNan : sum);
  }
  return a;
}

/// Around the blocks of 32, the tiles of 64 and the warps; batches of every rank.
struct Size {
  Shape batch;
  int64_t n;
};
const std::vector<Size>& sizes() {
  static const std::vector<Size> all = {
      {{}, 1},  {{5}, 2},     {{2, 3}, 3}, {{70}, 4}, {{}, 7},   {{2}, 31},
      {{}, 32}, {{3, 1}, 33}, {{}, 64},    {{2}, 65}, {{}, 100}, {{}, 130},
  };
  return all;
}

TEST_CASE("cuda: linalg: inv, solve, det and slogdet") {
  Numbers random(1);
  for (const Size& size : sizes()) {
    for (DType dtype : floatTypes()) {
      CAPTURE(size.n);
      const TestTensor a = random.inSomeLayout(regular(random, dtype, size.batch, size.n));
      const Tolerance tolerance = toleranceOf(dtype);
      compare(Op::inv, {a}, {TestTensor(dtype, a.shape())}, {}, {}, tolerance);
      for (int64_t k : {1, 5, 70}) {
        const Shape shape = with(size.batch, {size.n, k});
        const TestTensor b = random.inSomeLayout(random.tensor(dtype, shape));
        compare(Op::solve, {a, b}, {TestTensor(dtype, shape)}, {}, {}, tolerance);
      }
      if (size.n <= 33) {
        compare(Op::det, {a}, {TestTensor(dtype, size.batch)}, {}, {}, tolerance);
      }
      compare(Op::slogdet, {a}, {TestTensor(dtype, size.batch), TestTensor(dtype, size.batch)}, {},
              {}, tolerance);
    }
  }
}

TEST_CASE("cuda: linalg: pivots and determinants of singular and extreme matrices") {
  const std::vector<std::vector<double>> matrices = {
      {1, 2, 2, 4},    {0, 1, 1, 0},        {0, 0, 0, 0},         {kNan, 1, 1, 2},
      {1, 1, 1, 1},    {1e-30, 1, 1, 1e30}, {1e200, 0, 0, 1e200}, {1e-200, 0, 0, 1e-200},
      {1, kNan, 2, 3}, {-2, 0, 0, 3},       {kInfinity, 1, 1, 2},
  };
  for (const std::vector<double>& values : matrices) {
    const TestTensor a = TestTensor::from(DType::float64, {2, 2}, values);
    compare(Op::det, {a}, {TestTensor(DType::float64, {})}, {}, {}, toleranceOf(DType::float64));
    compare(Op::slogdet, {a}, {TestTensor(DType::float64, {}), TestTensor(DType::float64, {})}, {},
            {}, toleranceOf(DType::float64));
    compare(Op::inv, {a}, {TestTensor(DType::float64, {2, 2})}, {}, {},
            toleranceOf(DType::float64));
  }
}

TEST_CASE("cuda: linalg: solveTriangular reads one triangle") {
  Numbers random(2);
  for (const Size& size : sizes()) {
    for (DType dtype : floatTypes()) {
      for (int32_t mode = 0; mode < 4; ++mode) {
        const int32_t upper = mode & 1, unit = mode >> 1;
        const TestTensor a = regular(random, dtype, size.batch, size.n);
        for (int64_t i = 0; i < a.size(); ++i) {
          const int64_t row = i / size.n % size.n, col = i % size.n;
          if (upper ? col < row : col > row) a.set(i, kNan);
          if (unit) a.set(i, row == col ? kNan : a.at(i) / static_cast<double>(size.n));
        }
        const Shape shape = with(size.batch, {size.n, random.between(1, 70)});
        compare(Op::solveTriangular,
                {random.inSomeLayout(a), random.inSomeLayout(random.tensor(dtype, shape))},
                {TestTensor(dtype, shape)}, {upper, unit}, {}, toleranceOf(dtype));
      }
    }
  }
}

TEST_CASE("cuda: linalg: cholesky reads one triangle and clears the other") {
  Numbers random(3);
  for (const Size& size : sizes()) {
    for (DType dtype : floatTypes()) {
      for (int32_t upper : {0, 1}) {
        const TestTensor a = definite(random, dtype, size.batch, size.n, upper != 0);
        compare(Op::cholesky, {random.inSomeLayout(a)}, {TestTensor(dtype, a.shape())}, {upper}, {},
                toleranceOf(dtype));
      }
    }
  }
}

TEST_CASE("cuda: linalg: qr") {
  Numbers random(4);
  const std::vector<std::pair<int64_t, int64_t>> shapes = {
      {1, 1}, {3, 2}, {2, 5}, {33, 33}, {70, 31}, {31, 70}, {100, 65}, {40, 1}, {1, 40}, {65, 130}};
  for (const auto& [m, n] : shapes) {
    for (DType dtype : floatTypes()) {
      for (const Shape& batch : {Shape{}, Shape{3}}) {
        CAPTURE(m);
        CAPTURE(n);
        const TestTensor a = random.inSomeLayout(random.tensor(dtype, with(batch, {m, n})));
        for (int64_t width : {std::min(m, n), m}) {
          compare(Op::qr, {a},
                  {TestTensor(dtype, with(batch, {m, width})),
                   TestTensor(dtype, with(batch, {width, n}))},
                  {}, {}, toleranceOf(dtype));
        }
      }
    }
  }
}

/// Whether the rows (or columns) of every matrix are orthonormal.
double distanceFromOrthonormal(const TestTensor& x, bool rows) {
  const Shape shape = x.shape();
  const int64_t height = shape[shape.size() - 2], width = shape.back();
  const int64_t count = rows ? height : width, length = rows ? width : height;
  double worst = 0;
  for (int64_t first = 0; first < x.size(); first += height * width) {
    const auto at = [&](int64_t i, int64_t j) {
      return x.at(first + (rows ? i * width + j : j * width + i));
    };
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t other = 0; other <= i; ++other) {
        double sum = i == other ? -1 : 0;
        for (int64_t j = 0; j < length; ++j) sum += at(i, j) * at(other, j);
        worst = std::max(worst, std::fabs(sum));
      }
    }
  }
  return worst;
}

/// Singular values are the CPU's. The sign of a pair of vectors is a matter of rounding, which
/// differs between the CPU's own levels: so vectors are held to be orthonormal and to give the
/// matrix again.
void checkFactors(const TestTensor& a, const TestTensor& s, const TestTensor& u,
                  const TestTensor& vh, DType dtype) {
  CompareOptions onlyValues;
  onlyValues.skipOutputs = 5;
  compare(Op::svd, {a}, {u, s, vh}, {}, {}, toleranceOf(dtype), onlyValues);
  REQUIRE(runOnDevice(Op::svd, {a}, {u, s, vh}) == Status::ok);
  const Tolerance tolerance = toleranceOf(dtype);
  CHECK(distanceFromOrthonormal(u, false) < 10 * tolerance.absolute);
  CHECK(distanceFromOrthonormal(vh, true) < 10 * tolerance.absolute);
  const int64_t m = u.shape()[u.shape().size() - 2], columns = u.shape().back();
  const int64_t n = vh.shape().back(), rows = vh.shape()[vh.shape().size() - 2];
  const int64_t k = s.shape().back();
  double worst = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    const int64_t matrix = i / (m * n), row = i / n % m, column = i % n;
    double sum = -a.at(i);
    for (int64_t j = 0; j < k; ++j) {
      sum += u.at((matrix * m + row) * columns + j) * s.at(matrix * k + j) *
             vh.at((matrix * rows + j) * n + column);
    }
    worst = std::max(worst, std::fabs(sum));
  }
  CHECK(worst < 30 * tolerance.absolute);
}

TEST_CASE("cuda: linalg: svd and svdvals") {
  Numbers random(5);
  const std::vector<std::pair<int64_t, int64_t>> shapes = {
      {1, 1}, {3, 2}, {2, 5}, {33, 33}, {50, 31}, {31, 50}, {65, 65}, {40, 1}, {1, 40}, {70, 8}};
  for (const auto& [m, n] : shapes) {
    for (DType dtype : floatTypes()) {
      for (const Shape& batch : {Shape{}, Shape{3}}) {
        CAPTURE(m);
        CAPTURE(n);
        const int64_t k = std::min(m, n);
        const TestTensor a = random.inSomeLayout(random.tensor(dtype, with(batch, {m, n})));
        const TestTensor s(dtype, with(batch, {k}));
        compare(Op::svdvals, {a}, {s}, {}, {}, toleranceOf(dtype));
        for (const auto& [columns, rows] : {std::pair{k, k}, std::pair{m, n}}) {
          checkFactors(a, s, TestTensor(dtype, with(batch, {m, columns})),
                       TestTensor(dtype, with(batch, {rows, n})), dtype);
        }
      }
    }
  }
}

/// As for svd: the sign of a vector is a matter of rounding. Of `a` one triangle counts.
void checkVectors(const TestTensor& a, const TestTensor& values, const TestTensor& vectors,
                  bool upper, Tolerance tolerance) {
  CHECK(distanceFromOrthonormal(vectors, false) < 10 * tolerance.absolute);
  const int64_t n = a.shape().back();
  double worst = 0, largest = 1;
  for (int64_t i = 0; i < values.size(); ++i) {
    largest = std::max(largest, std::fabs(values.at(i)));
  }
  for (int64_t i = 0; i < a.size(); ++i) {
    const int64_t matrix = i / (n * n) * n, row = i / n % n, column = i % n;
    double sum = -values.at(matrix + column) * vectors.at(i);
    for (int64_t j = 0; j < n; ++j) {
      const bool mirrored = upper ? j < row : j > row;
      sum += a.at((matrix + (mirrored ? j : row)) * n + (mirrored ? row : j)) *
             vectors.at((matrix + j) * n + column);
    }
    worst = std::max(worst, std::fabs(sum));
  }
  CHECK(worst < 30 * tolerance.absolute * largest);
}

TEST_CASE("cuda: linalg: eigh and eigvalsh read one triangle") {
  Numbers random(6);
  for (const Size& size : sizes()) {
    if (size.n > 100) continue;
    for (DType dtype : floatTypes()) {
      for (int32_t upper : {0, 1}) {
        CAPTURE(size.n);
        const TestTensor a = definite(random, dtype, size.batch, size.n, upper != 0);
        const TestTensor values(dtype, with(size.batch, {size.n}));
        const TestTensor some = random.inSomeLayout(a);
        compare(Op::eigvalsh, {some}, {values}, {upper}, {}, toleranceOf(dtype));
        const TestTensor vectors(dtype, a.shape());
        CompareOptions onlyValues;
        onlyValues.skipOutputs = 2;
        compare(Op::eigh, {some}, {values, vectors}, {upper}, {}, toleranceOf(dtype), onlyValues);
        REQUIRE(runOnDevice(Op::eigh, {some}, {values, vectors}, {upper}) == Status::ok);
        checkVectors(a, values, vectors, upper != 0, toleranceOf(dtype));
      }
    }
  }
}

/// Values alone are compared where vectors are not determined.
TEST_CASE("cuda: linalg: repeated, zero, huge and tiny singular values and eigenvalues") {
  const int64_t n = 12;
  for (int kind = 0; kind < 6; ++kind) {
    CAPTURE(kind);
    const TestTensor a = TestTensor::generate(DType::float64, {n, n}, [&](int64_t at) {
      const int64_t i = at / n, j = at % n;
      const double d = static_cast<double>(i);
      if (kind == 0) return i == j ? 1.0 : 0.0;
      if (kind == 1) return 0.0;
      if (kind == 2) return 1.0;
      if (kind == 3) return i == j ? std::pow(10.0, 25 * d - 150) : 0.0;
      if (kind == 4) return i == j ? (i % 2 ? 0.0 : d) : i + 1 == j ? 1.0 : 0.0;
      return i == j ? (i % 3 ? 2.0 : -1.0) : 0.0;
    });
    const TestTensor s(DType::float64, {n}), square(DType::float64, {n, n});
    compare(Op::svdvals, {a}, {s}, {}, {}, toleranceOf(DType::float64));
    CompareOptions valuesOnly;
    valuesOnly.skipOutputs = 0b101;
    compare(Op::svd, {a}, {square, s, square}, {}, {}, toleranceOf(DType::float64), valuesOnly);
    compare(Op::eigvalsh, {a}, {s}, {1}, {}, toleranceOf(DType::float64));
    // The factors give the matrix back.
    const TestTensor u(DType::float64, {n, n}), vh(DType::float64, {n, n});
    REQUIRE(runOnDevice(Op::svd, {a}, {u, s, vh}) == Status::ok);
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0, dots = 0;
        for (int64_t k = 0; k < n; ++k) {
          sum += u.at(i * n + k) * s.at(k) * vh.at(k * n + j);
          dots += u.at(k * n + i) * u.at(k * n + j);
        }
        CHECK(std::fabs(sum - a.at(i * n + j)) <= 1e-13 * (1 + s.at(0)));
        CHECK(std::fabs(dots - (i == j ? 1 : 0)) <= 1e-13);
      }
    }
  }
}

TEST_CASE("cuda: linalg: what has no result is an error that names the matrix") {
  Numbers random(7);
  const auto square = [&](std::vector<std::pair<int64_t, double>> changes,
                          bool isDefinite = false) {
    const TestTensor a = isDefinite ? definite(random, DType::float64, {3}, 40, false)
                                    : regular(random, DType::float64, {3}, 40);
    for (const auto& [at, value] : changes) a.set(at, value);
    return a;
  };
  const TestTensor out(DType::float64, {3, 40, 40}), values(DType::float64, {3, 40});
  const TestTensor b = random.tensor(DType::float64, {3, 40, 40});
  const TestTensor singular = square({});
  for (int64_t j = 0; j < 40; ++j) singular.set(1600 + 35 * 40 + j, singular.at(1600 + j) * 2);
  compare(Op::cholesky, {square({{1600 + 37 * 41, -1.0}}, true)}, {out}, {0});
  compare(Op::cholesky, {square({{3200, 0.0}, {1600, kNan}}, true)}, {out}, {0});
  compare(Op::solveTriangular, {square({{3200 + 11 * 41, 0.0}}), b}, {out}, {0, 0});
  compare(Op::eigvalsh, {square({{1600, kNan}}, true)}, {values}, {0});
  compare(Op::eigh, {square({{1600, kInfinity}}, true)}, {values, out}, {0});
  compare(Op::svd, {square({{3200 + 17, kNan}})}, {out, values, out});
  compare(Op::svdvals, {square({{17, -kInfinity}})}, {values});
  const TestTensor zeroColumn = square({});
  for (int64_t i = 0; i < 40; ++i) zeroColumn.set(3200 + i * 40 + 7, 0.0);
  compare(Op::inv, {zeroColumn}, {out});
  compare(Op::solve, {zeroColumn, b}, {out});
  compare(Op::inv, {TestTensor::from(DType::float64, {2, 2}, {1, 2, 2, 4})},
          {TestTensor(DType::float64, {2, 2})});
}

TEST_CASE("cuda: linalg: empty matrices and empty batches") {
  for (const auto& [m, n] : std::vector<std::pair<int64_t, int64_t>>{{0, 0}, {3, 0}, {0, 3}}) {
    const TestTensor a(DType::float64, {2, m, n});
    for (int64_t width : {std::min(m, n), m}) {
      compare(
          Op::qr, {a},
          {TestTensor(DType::float64, {2, m, width}), TestTensor(DType::float64, {2, width, n})});
    }
    const TestTensor s(DType::float64, {2, 0});
    compare(Op::svdvals, {a}, {s});
    compare(Op::svd, {a},
            {TestTensor(DType::float64, {2, m, m}), s, TestTensor(DType::float64, {2, n, n})});
    compare(Op::svd, {a},
            {TestTensor(DType::float64, {2, m, 0}), s, TestTensor(DType::float64, {2, 0, n})});
  }
  for (const Shape& shape : {Shape{2, 0, 0}, Shape{0, 4, 4}}) {
    const TestTensor a(DType::float64, shape), one(DType::float64, {shape[0]});
    const TestTensor values(DType::float64, {shape[0], shape[2]});
    compare(Op::inv, {a}, {a});
    compare(Op::solve, {a, a}, {a});
    compare(Op::solveTriangular, {a, a}, {a}, {0, 0});
    compare(Op::cholesky, {a}, {a}, {0});
    compare(Op::eigh, {a}, {values, a}, {0});
    compare(Op::eigvalsh, {a}, {values}, {0});
    compare(Op::det, {a}, {one});
    compare(Op::slogdet, {a}, {one, one});
  }
  const TestTensor none(DType::float64, {2, 3, 0});
  compare(Op::solve,
          {TestTensor::generate(DType::float64, {2, 3, 3},
                                [](int64_t i) { return i % 4 == 0 ? 1.0 : 0.0; }),
           none},
          {none});
}

}  // namespace
}  // namespace testing
}  // namespace kindling
