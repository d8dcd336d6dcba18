#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "doctest/doctest.h"
#include "op_testing.h"

namespace kindling {
namespace testing {
namespace {

const double kNan = std::nan("");
const double kInfinity = std::numeric_limits<double>::infinity();

/// Numbers in [-1, 1) without visible order.
double valueAt(int64_t i) {
  uint64_t state = static_cast<uint64_t>(i + 1) * 0x9e3779b97f4a7c15u;
  state = (state ^ state >> 30) * 0xbf58476d1ce4e5b9u;
  state = (state ^ state >> 27) * 0x94d049bb133111ebu;
  return static_cast<double>(state >> 11) / 4503599627370496.0 - 1;
}

/// What a test works in: every level with float64, then every level with float32.
DType real = DType::float32;
double epsilon = 1.2e-7;

struct Setting {
  const IsaLevel& level;
  DType dtype;

  const IsaLevel& use() const {
    real = dtype;
    // Results are rounded to float32 once, so residuals are a few units of its precision.
    epsilon = dtype == DType::float64 ? 4e-15 : 1.2e-7;
    return level;
  }
};

std::vector<Setting> settings() {
  std::vector<Setting> all;
  for (const DType dtype : {DType::float64, DType::float32}) {
    for (const IsaLevel& level : isaLevels()) all.push_back({level, dtype});
  }
  return all;
}

TestTensor generate(const Shape& shape, int64_t seed = 0) {
  return TestTensor::generate(real, shape, [&](int64_t i) { return valueAt(i + 7919 * seed); });
}

TestTensor floats(const Shape& shape, const std::vector<double>& values) {
  return TestTensor::from(real, shape, values);
}

/// A matrix of a batch, in double.
struct Dense {
  int64_t rows, cols;
  std::vector<double> data;

  double& at(int64_t i, int64_t j) { return data[static_cast<size_t>(i * cols + j)]; }
  double at(int64_t i, int64_t j) const { return data[static_cast<size_t>(i * cols + j)]; }

  static Dense zeros(int64_t rows, int64_t cols) {
    return {rows, cols, std::vector<double>(static_cast<size_t>(rows * cols))};
  }
  static Dense identity(int64_t rows, int64_t cols) {
    Dense result = zeros(rows, cols);
    for (int64_t i = 0; i < std::min(rows, cols); ++i) result.at(i, i) = 1;
    return result;
  }
  static Dense of(const TestTensor& x, int64_t index = 0) {
    const Shape shape = x.shape();
    Dense result = zeros(shape[shape.size() - 2], shape.back());
    const int64_t first = index * result.rows * result.cols;
    for (int64_t i = 0; i < result.rows * result.cols; ++i) {
      result.data[static_cast<size_t>(i)] = x.at(first + i);
    }
    return result;
  }
  Dense transposed() const {
    Dense result = zeros(cols, rows);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < cols; ++j) result.at(j, i) = at(i, j);
    }
    return result;
  }
  Dense operator*(const Dense& o) const {
    Dense result = zeros(rows, o.cols);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t k = 0; k < cols; ++k) {
        for (int64_t j = 0; j < o.cols; ++j) result.at(i, j) += at(i, k) * o.at(k, j);
      }
    }
    return result;
  }
  double norm() const {
    double sum = 0;
    for (double x : data) sum += x * x;
    return std::sqrt(sum);
  }
  double distance(const Dense& o) const {
    REQUIRE(rows == o.rows);
    REQUIRE(cols == o.cols);
    double sum = 0;
    for (size_t i = 0; i < data.size(); ++i) sum += (data[i] - o.data[i]) * (data[i] - o.data[i]);
    return std::sqrt(sum);
  }
};

double orthogonality(const Dense& q) {
  return (q.transposed() * q).distance(Dense::identity(q.cols, q.cols));
}

bool isUpper(const Dense& r) {
  for (int64_t i = 0; i < r.rows; ++i) {
    for (int64_t j = 0; j < std::min(i, r.cols); ++j) {
      if (r.at(i, j) != 0) return false;
    }
  }
  return true;
}

/// Around the block of 32 columns and every vector's width.
const std::vector<int64_t>& orders() {
  static const std::vector<int64_t> all = {1, 2, 3, 7, 8, 16, 31, 32, 33, 65, 100};
  return all;
}

const std::vector<Shape>& rectangles() {
  static const std::vector<Shape> all = {{1, 1},   {1, 5},   {5, 1},   {3, 3},    {6, 4},   {4, 6},
                                         {33, 20}, {20, 33}, {70, 70}, {100, 35}, {35, 100}};
  return all;
}

/// x xᵀ + I
TestTensor positiveDefinite(int64_t n, int64_t seed = 0) {
  const Dense x = Dense::of(generate({n, n}, seed));
  Dense a = x * x.transposed();
  for (int64_t i = 0; i < n; ++i) a.at(i, i) += 1;
  return floats({n, n}, a.data);
}

TEST_CASE("linalg: inv and solve leave small residuals") {
  for (const Setting& setting : settings()) {
    const IsaLevel& level = setting.use();
    for (const int64_t n : orders()) {
      CAPTURE(nameOf(level));
      CAPTURE(n);
      const TestTensor a = generate({n, n});
      const Dense dense = Dense::of(a);
      const Dense inverse = Dense::of(runOp(level, Op::inv, {a}, real, {n, n}));
      const double size = dense.norm() * inverse.norm();
      CHECK((dense * inverse).distance(Dense::identity(n, n)) <= epsilon * size);
      const TestTensor b = generate({n, 3}, 1);
      const Dense x = Dense::of(runOp(level, Op::solve, {a, b}, real, {n, 3}));
      CHECK((dense * x).distance(Dense::of(b)) <= epsilon * dense.norm() * x.norm());
    }
  }
}

TEST_CASE("linalg: solveTriangular") {
  for (const Setting& setting : settings()) {
    const IsaLevel& level = setting.use();
    for (const int64_t n : orders()) {
      TestTensor a = generate({n, n});
      for (int64_t i = 0; i < n; ++i) a.set(i * n + i, 2 + valueAt(i) + static_cast<double>(n) / 4);
      const TestTensor b = generate({n, 5}, 1);
      for (const int upper : {0, 1}) {
        for (const int unit : {0, 1}) {
          CAPTURE(nameOf(level));
          CAPTURE(n);
          CAPTURE(upper);
          CAPTURE(unit);
          Dense t = Dense::of(a);
          for (int64_t i = 0; i < n; ++i) {
            for (int64_t j = 0; j < n; ++j) {
              if (upper ? j < i : j > i) t.at(i, j) = 0;
              if (unit && i == j) t.at(i, j) = 1;
            }
          }
          const Dense x =
              Dense::of(runOp(level, Op::solveTriangular, {a, b}, real, {n, 5}, {upper, unit}));
          CHECK((t * x).distance(Dense::of(b)) <= epsilon * t.norm() * x.norm());
        }
      }
    }
  }
}

TEST_CASE("linalg: cholesky reads one triangle and clears the other") {
  for (const Setting& setting : settings()) {
    const IsaLevel& level = setting.use();
    for (const int64_t n : orders()) {
      TestTensor a = positiveDefinite(n);
      const Dense full = Dense::of(a);
      for (const int upper : {0, 1}) {
        CAPTURE(nameOf(level));
        CAPTURE(n);
        CAPTURE(upper);
        for (int64_t i = 0; i < n; ++i) {
          for (int64_t j = 0; j < n; ++j) {
            a.set(i * n + j, (upper ? j < i : j > i) ? 1e9 : full.at(i, j));
          }
        }
        const Dense x = Dense::of(runOp(level, Op::cholesky, {a}, real, {n, n}, {upper}));
        CHECK(isUpper(upper ? x : x.transposed()));
        const Dense product = upper ? x.transposed() * x : x * x.transposed();
        CHECK(product.distance(full) <= epsilon * full.norm());
      }
    }
  }
}

TEST_CASE("linalg: qr") {
  for (const Setting& setting : settings()) {
    const IsaLevel& level = setting.use();
    for (const Shape& shape : rectangles()) {
      const int64_t m = shape[0], n = shape[1];
      const TestTensor a = generate(shape);
      for (const int64_t p : {std::min(m, n), m}) {
        CAPTURE(nameOf(level));
        CAPTURE(m);
        CAPTURE(n);
        const TestTensor q(real, {m, p}), r(real, {p, n});
        REQUIRE(run(level, Op::qr, {a}, {q, r}) == Status::ok);
        CHECK(orthogonality(Dense::of(q)) <= epsilon * std::sqrt(static_cast<double>(p)));
        CHECK(isUpper(Dense::of(r)));
        CHECK((Dense::of(q) * Dense::of(r)).distance(Dense::of(a)) <=
              epsilon * (1 + Dense::of(a).norm()));
      }
    }
  }
}

void checkSvd(const IsaLevel& level, const TestTensor& a) {
  const int64_t m = a.shape()[0], n = a.shape()[1], k = std::min(m, n);
  CAPTURE(nameOf(level));
  CAPTURE(m);
  CAPTURE(n);
  const Dense dense = Dense::of(a);
  const TestTensor values = runOp(level, Op::svdvals, {a}, real, {k});
  for (const bool full : {false, true}) {
    const TestTensor u(real, {m, full ? m : k}), s(real, {k});
    const TestTensor vh(real, {full ? n : k, n});
    const Status status = run(level, Op::svd, {a}, {u, s, vh});
    REQUIRE_MESSAGE(status == Status::ok, std::string(lastErrorMessage()));
    Dense middle = Dense::zeros(u.shape()[1], vh.shape()[0]);
    for (int64_t i = 0; i < k; ++i) {
      middle.at(i, i) = s.at(i);
      CHECK(s.at(i) >= 0);
      if (i > 0) CHECK(s.at(i) <= s.at(i - 1));
      CHECK(std::fabs(s.at(i) - values.at(i)) <= 2 * epsilon * s.at(0));
    }
    const double tolerance = 2 * epsilon * std::sqrt(static_cast<double>(m + n));
    CHECK(orthogonality(Dense::of(u)) <= tolerance);
    CHECK(orthogonality(Dense::of(vh).transposed()) <= tolerance);
    CHECK((Dense::of(u) * middle * Dense::of(vh)).distance(dense) <= 3 * epsilon * dense.norm());
  }
}

TEST_CASE("linalg: svd of random matrices") {
  for (const Setting& setting : settings()) {
    const IsaLevel& level = setting.use();
    for (const Shape& shape : rectangles()) checkSvd(level, generate(shape));
  }
}

TEST_CASE("linalg: svd of matrices with repeated, zero, huge and tiny singular values") {
  for (const Setting& setting : settings()) {
    const IsaLevel& level = setting.use();
    for (const auto& [m, n] : std::vector<std::pair<int64_t, int64_t>>{{6, 6}, {9, 4}, {40, 40}}) {
      const auto make = [&, rows = m, cols = n](const std::function<double(int64_t, int64_t)>& f) {
        return TestTensor::generate(real, {rows, cols},
                                    [&](int64_t i) { return f(i / cols, i % cols); });
      };
      checkSvd(level, make([](int64_t, int64_t) { return 0.0; }));
      checkSvd(level, make([](int64_t, int64_t) { return 1.0; }));
      checkSvd(level, make([](int64_t i, int64_t j) { return i == j ? 1.0 : 0.0; }));
      checkSvd(level, make([](int64_t i, int64_t j) { return i == j ? 0.0 : j == i + 1; }));
      checkSvd(level, make([](int64_t i, int64_t j) { return j % 2 ? valueAt(i) : 0.0; }));
      checkSvd(level, make([](int64_t i, int64_t j) { return 1e37 * valueAt(i * 50 + j); }));
      checkSvd(level, make([](int64_t i, int64_t j) { return 1e-30 * valueAt(i * 50 + j); }));
      checkSvd(level, make([](int64_t i, int64_t j) {
                 return i == j ? std::pow(10.0, -static_cast<double>(i)) : j == i + 1 ? 1e-3 : 0.0;
               }));
      // Upper bidiagonal with a zero in the middle and at the end of its diagonal.
      checkSvd(level, make([](int64_t i, int64_t j) {
                 return i == j ? static_cast<double>(i % 3) : j == i + 1 ? 1.0 : 0.0;
               }));
    }
  }
}

/// Columns whose squares have few digits, or none, beside one of size 1: Q must be orthogonal all
/// the same.
TEST_CASE("linalg: qr and svd of columns whose squares are subnormal") {
  for (const Setting& setting : settings()) {
    const IsaLevel& level = setting.use();
    for (const double size : {1e-120, 1e-155, 1e-158, 1e-160, 1e-170, 1e-250, 1e-310}) {
      CAPTURE(size);
      const TestTensor a = TestTensor::generate(real, {9, 6}, [&](int64_t i) {
        return i % 6 == 0 ? (i == 0 ? 1.0 : 0.0) : i < 6 ? 0.0 : size * valueAt(i);
      });
      checkSvd(level, a);
      const TestTensor q(real, {9, 6}), r(real, {6, 6});
      REQUIRE(run(level, Op::qr, {a}, {q, r}) == Status::ok);
      CHECK(orthogonality(Dense::of(q)) <= epsilon * std::sqrt(6.0));
      // Each column by itself, where its digits are not lost before.
      if (size < 1e-300) continue;
      const Dense product = Dense::of(q) * Dense::of(r);
      for (int64_t j = 0; j < 6; ++j) {
        double error = 0, norm = 0;
        for (int64_t i = 0; i < 9; ++i) {
          error = std::fmax(error, std::fabs(product.at(i, j) - a.at(i * 6 + j)));
          norm = std::fmax(norm, std::fabs(a.at(i * 6 + j)));
        }
        CHECK(error <= epsilon * 4 * norm);
      }
    }
  }
}

void checkEigh(const IsaLevel& level, const Dense& symmetric) {
  const int64_t n = symmetric.rows;
  CAPTURE(nameOf(level));
  CAPTURE(n);
  for (const int upper : {0, 1}) {
    TestTensor a(real, {n, n});
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        a.set(i * n + j, (upper ? j < i : j > i) ? 1e9 : symmetric.at(i, j));
      }
    }
    const TestTensor values(real, {n}), vectors(real, {n, n});
    const Status status = run(level, Op::eigh, {a}, {values, vectors}, {upper});
    REQUIRE_MESSAGE(status == Status::ok, std::string(lastErrorMessage()));
    const TestTensor alone = runOp(level, Op::eigvalsh, {a}, real, {n}, {upper});
    const Dense v = Dense::of(vectors);
    Dense scaled = v;
    const double size = symmetric.norm();
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t i = 0; i < n; ++i) scaled.at(i, j) *= values.at(j);
      if (j > 0) CHECK(values.at(j) >= values.at(j - 1));
      CHECK(std::fabs(values.at(j) - alone.at(j)) <= 2 * epsilon * size);
    }
    CHECK(orthogonality(v) <= 2 * epsilon * std::sqrt(static_cast<double>(n)));
    CHECK((symmetric * v).distance(scaled) <= 3 * epsilon * size);
  }
}

TEST_CASE("linalg: eigh") {
  for (const Setting& setting : settings()) {
    const IsaLevel& level = setting.use();
    for (const int64_t n : orders()) {
      Dense a = Dense::of(generate({n, n}));
      const Dense t = a.transposed();
      for (int64_t i = 0; i < n * n; ++i) {
        const size_t at = static_cast<size_t>(i);
        a.data[at] = static_cast<float>((a.data[at] + t.data[at]) / 2);
      }
      checkEigh(level, a);
    }
    checkEigh(level, Dense::zeros(5, 5));
    checkEigh(level, Dense::identity(7, 7));
    checkEigh(level, Dense{4, 4, std::vector<double>(16, 1.0)});
    checkEigh(level, Dense{2, 2, {0, 1, 1, 0}});
    // Known values: the second difference matrix has eigenvalues 2 - 2 cos(kπ/(n+1)).
    const int64_t n = 20;
    Dense second = Dense::zeros(n, n);
    for (int64_t i = 0; i < n; ++i) {
      second.at(i, i) = 2;
      if (i > 0) second.at(i, i - 1) = second.at(i - 1, i) = -1;
    }
    checkEigh(level, second);
    const TestTensor values =
        runOp(level, Op::eigvalsh, {floats({n, n}, second.data)}, real, {n}, {0});
    for (int64_t k = 0; k < n; ++k) {
      const double angle = 3.141592653589793 * static_cast<double>(k + 1) / 21.0;
      CHECK(std::fabs(values.at(k) - (2 - 2 * std::cos(angle))) <= 2 * epsilon);
    }
  }
}

TEST_CASE("linalg: det and slogdet") {
  for (const IsaLevel& level : isaLevels()) {
    CAPTURE(nameOf(level));
    const auto det = [&](const TestTensor& a) {
      return runOp(level, Op::det, {a}, real, {}).at(0);
    };
    const auto slogdet = [&](const TestTensor& a) {
      const TestTensor sign(real, {}), logarithm(real, {});
      REQUIRE(run(level, Op::slogdet, {a}, {sign, logarithm}) == Status::ok);
      return std::pair<double, double>{sign.at(0), logarithm.at(0)};
    };
    CHECK(det(floats({2, 2}, {1, 2, 3, 4})) == doctest::Approx(-2));
    CHECK(det(floats({3, 3}, {0, 1, 0, 0, 0, 1, 1, 0, 0})) == 1);
    CHECK(det(floats({2, 2}, {0, 1, 1, 0})) == -1);
    CHECK(det(floats({2, 2}, {1, 2, 2, 4})) == 0);
    CHECK(det(TestTensor(real, {0, 0})) == 1);
    CHECK(std::isnan(det(floats({2, 2}, {kNan, 2, 2, 4}))));
    // Partial products that overflow and vanish.
    std::vector<double> diagonal(100);
    for (int64_t i = 0; i < 10; ++i) diagonal[static_cast<size_t>(i * 11)] = i % 2 ? 1e-38 : 1e38;
    CHECK(det(floats({10, 10}, diagonal)) == doctest::Approx(1).epsilon(1e-5));
    const auto [sign, logarithm] = slogdet(floats({2, 2}, {1, 2, 3, 4}));
    CHECK(sign == -1);
    CHECK(logarithm == doctest::Approx(std::log(2.0)));
    CHECK(slogdet(floats({2, 2}, {1, 2, 2, 4})) == std::pair<double, double>{0, -kInfinity});
    CHECK(slogdet(TestTensor(real, {0, 0})) == std::pair<double, double>{1, 0});
    for (const int64_t n : orders()) {
      // det(a aᵀ + I) is the product of the eigenvalues.
      const TestTensor a = positiveDefinite(n);
      const TestTensor values = runOp(level, Op::eigvalsh, {a}, real, {n}, {0});
      double expected = 0;
      for (int64_t i = 0; i < n; ++i) expected += std::log(values.at(i));
      CHECK(slogdet(a).first == 1);
      CHECK(slogdet(a).second == doctest::Approx(expected).epsilon(1e-5));
    }
  }
}

TEST_CASE("linalg: batches in every layout, the same as one by one") {
  const TestTensor a = generate({2, 3, 6, 6}), b = generate({2, 3, 6, 2}, 1);
  for (const IsaLevel& level : isaLevels()) {
    const TestTensor expected = runOp(level, Op::solve, {a, b}, real, {2, 3, 6, 2});
    for (int64_t i = 0; i < 6; ++i) {
      const auto one =
          runOp(level, Op::solve,
                {floats({6, 6}, Dense::of(a, i).data), floats({6, 2}, Dense::of(b, i).data)}, real,
                {6, 2});
      CHECK(one.values() == Dense::of(expected, i).data);
    }
    for (const NamedTensor& layout : inEveryLayout(a)) {
      CAPTURE(nameOf(level));
      CAPTURE(layout.layout);
      CHECK(runOp(level, Op::solve, {layout.tensor, b}, real, {2, 3, 6, 2}).values() ==
            expected.values());
      const auto inverse = runOp(level, Op::inv, {layout.tensor}, real, {2, 3, 6, 6});
      CHECK(inverse.values() == runOp(level, Op::inv, {a}, real, {2, 3, 6, 6}).values());
    }
    // One matrix for all right-hand sides.
    const TestTensor shared = generate({6, 6}).expanded({2, 3, 6, 6});
    const auto x = runOp(level, Op::solve, {shared, b}, real, {2, 3, 6, 2});
    for (int64_t i = 0; i < 6; ++i) {
      CHECK((Dense::of(shared, i) * Dense::of(x, i)).distance(Dense::of(b, i)) <= 1e-5);
    }
  }
}

TEST_CASE("linalg: results do not depend on the number of threads") {
  const TestTensor large = generate({150, 150}), many = generate({64, 12, 12});
  const int before = numThreads();
  for (const IsaLevel& level : isaLevels()) {
    std::vector<std::vector<double>> results[2];
    for (const int threads : {1, 3}) {
      setNumThreads(threads);
      auto& list = results[threads > 1];
      for (const TestTensor& a : {large, many}) {
        const Shape shape = a.shape();
        const int64_t n = shape.back();
        Shape vector(shape.begin(), shape.end() - 1);
        list.push_back(runOp(level, Op::inv, {a}, real, shape).values());
        const TestTensor u(real, shape), s(real, vector);
        const TestTensor vh(real, shape);
        REQUIRE(run(level, Op::svd, {a}, {u, s, vh}) == Status::ok);
        REQUIRE(n > 0);
        for (const TestTensor& x : {u, s, vh}) list.push_back(x.values());
        const TestTensor values(real, vector), vectors(real, shape);
        REQUIRE(run(level, Op::eigh, {a}, {values, vectors}, {0}) == Status::ok);
        list.push_back(vectors.values());
      }
    }
    CHECK(results[0] == results[1]);
  }
  setNumThreads(before);
}

std::string failure(const IsaLevel& level, Op op, const std::vector<TestTensor>& inputs,
                    const std::vector<Shape>& outputs, const std::vector<int32_t>& ints = {}) {
  std::vector<TestTensor> tensors;
  for (const Shape& shape : outputs) tensors.emplace_back(real, shape);
  const Status status = run(level, op, inputs, tensors, ints);
  CHECK(status == Status::numerical);
  return status == Status::ok ? "" : lastErrorMessage();
}

TEST_CASE("linalg: what has no result is an error that names the matrix") {
  const TestTensor singular = floats({2, 2, 2}, {1, 2, 3, 4, 1, 2, 2, 4});
  const TestTensor one = floats({2, 2}, {0, 0, 0, 0});
  for (const IsaLevel& level : isaLevels()) {
    CHECK(failure(level, Op::inv, {singular}, {{2, 2, 2}}) ==
          "inv: matrix 1 of the batch is singular: no pivot in column 1");
    CHECK(failure(level, Op::inv, {one}, {{2, 2}}) ==
          "inv: the matrix is singular: no pivot in column 0");
    CHECK(failure(level, Op::solve, {one, one}, {{2, 2}}) ==
          "solve: the matrix is singular: no pivot in column 0");
    CHECK(failure(level, Op::solveTriangular, {one, one}, {{2, 2}}, {0, 0}) ==
          "solveTriangular: the matrix is singular: element 0 of its diagonal is 0");
    CHECK(failure(level, Op::cholesky, {floats({2, 2}, {1, 2, 2, 1})}, {{2, 2}}, {0}) ==
          "cholesky: the matrix is not positive definite: its leading minor of order 2 is not "
          "positive");
    for (const double bad : {kNan, kInfinity, -kInfinity}) {
      const TestTensor x = floats({2, 2, 2}, {1, 2, 2, 1, 1, bad, bad, 1});
      CHECK(failure(level, Op::svd, {x}, {{2, 2, 2}, {2, 2}, {2, 2, 2}}) ==
            "svd: matrix 1 of the batch has a NaN or an infinite element");
      CHECK(failure(level, Op::svdvals, {x}, {{2, 2}}) ==
            "svdvals: matrix 1 of the batch has a NaN or an infinite element");
      CHECK(failure(level, Op::eigh, {x}, {{2, 2}, {2, 2, 2}}, {0}) ==
            "eigh: matrix 1 of the batch has a NaN or an infinite element");
      CHECK(failure(level, Op::cholesky, {floats({2, 2}, {bad, 2, 2, 1})}, {{2, 2}}, {0}) ==
            "cholesky: the matrix is not positive definite: its leading minor of "
            "order 1 is not positive");
      // These go on with NaN, as the arithmetic does.
      const TestTensor q(real, {2, 2, 2}), r(real, {2, 2, 2});
      CHECK(run(level, Op::qr, {x}, {q, r}) == Status::ok);
      CHECK(std::isnan(r.at(5)));
    }
  }
}

TEST_CASE("linalg: empty matrices and empty batches") {
  for (const IsaLevel& level : isaLevels()) {
    const auto empty = [&](Op op, const Shape& shape, const std::vector<Shape>& outputs,
                           const std::vector<int32_t>& ints = {}) {
      std::vector<TestTensor> tensors;
      for (const Shape& out : outputs) tensors.emplace_back(real, out);
      CAPTURE(nameOf(op));
      CHECK(run(level, op, {TestTensor(real, shape)}, tensors, ints) == Status::ok);
      return tensors;
    };
    for (const Shape& shape : {Shape{0, 3, 3}, Shape{2, 0, 0}, Shape{0, 0}}) {
      Shape vector(shape.begin(), shape.end() - 1);
      empty(Op::inv, shape, {shape});
      empty(Op::cholesky, shape, {shape}, {0});
      empty(Op::qr, shape, {shape, shape});
      empty(Op::svd, shape, {shape, vector, shape});
      empty(Op::svdvals, shape, {vector});
      empty(Op::eigh, shape, {vector, shape}, {0});
      empty(Op::eigvalsh, shape, {vector}, {0});
    }
    // The full factors of a matrix without columns are orthogonal all the same.
    const auto qr = empty(Op::qr, {3, 0}, {{3, 3}, {3, 0}});
    CHECK(Dense::of(qr[0]).data == Dense::identity(3, 3).data);
    for (const Shape& shape : {Shape{3, 0}, Shape{0, 3}}) {
      const auto svd = empty(Op::svd, shape, {{shape[0], shape[0]}, {0}, {shape[1], shape[1]}});
      const Dense full = Dense::of(svd[shape[0] ? 0 : 2]);
      CHECK(full.data == Dense::identity(3, 3).data);
    }
  }
}

TEST_CASE("linalg: wrong records are refused") {
  const IsaLevel& level = isaLevels().front();
  const TestTensor square = generate({3, 3}), wide = generate({3, 4}), vector = generate({3});
  const auto status = [&](Op op, const std::vector<TestTensor>& in, const std::vector<Shape>& out,
                          const std::vector<int32_t>& ints = {}) {
    std::vector<TestTensor> tensors;
    for (const Shape& shape : out) tensors.emplace_back(real, shape);
    return run(level, op, in, tensors, ints);
  };
  CHECK(status(Op::inv, {wide}, {{3, 4}}) == Status::badShape);
  CHECK(status(Op::inv, {vector}, {{3}}) == Status::badShape);
  CHECK(status(Op::inv, {square}, {{3, 4}}) == Status::badShape);
  CHECK(status(Op::solve, {square, vector}, {{3}}) == Status::badShape);
  CHECK(status(Op::solve, {square, generate({4, 2})}, {{4, 2}}) == Status::badShape);
  CHECK(status(Op::qr, {wide}, {{3, 3}, {4, 4}}) == Status::badShape);
  CHECK(status(Op::svd, {wide}, {{3, 3}, {3}, {4, 3}}) == Status::badShape);
  CHECK(status(Op::eigh, {square}, {{4}, {3, 3}}, {0}) == Status::badShape);
  CHECK(status(Op::det, {square}, {{1}}) == Status::badShape);
}

}  // namespace
}  // namespace testing
}  // namespace kindling
