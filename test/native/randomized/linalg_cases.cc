// Factorizations and solutions, which are right by what they multiply to, and Fourier transforms.

#include <algorithm>
#include <complex>

#include "randomized/makers.h"

namespace kindling {
namespace testing {
namespace {

/// One matrix of a batch, in double.
struct Matrix {
  int64_t rows, columns;
  std::vector<double> data;
  Matrix(int64_t rows, int64_t columns)
      : rows(rows), columns(columns), data(static_cast<size_t>(rows * columns)) {}
  Matrix(const TestTensor& x, int64_t index, int64_t rows, int64_t columns)
      : Matrix(rows, columns) {
    for (int64_t i = 0; i < rows * columns; ++i) {
      data[static_cast<size_t>(i)] = x.at(index * rows * columns + i);
    }
  }
  double& at(int64_t i, int64_t j) { return data[static_cast<size_t>(i * columns + j)]; }
  double at(int64_t i, int64_t j) const { return data[static_cast<size_t>(i * columns + j)]; }
  Matrix transposed() const {
    Matrix result(columns, rows);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < columns; ++j) result.at(j, i) = at(i, j);
    }
    return result;
  }
  Matrix operator*(const Matrix& o) const {
    Matrix result(rows, o.columns);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t k = 0; k < columns; ++k) {
        for (int64_t j = 0; j < o.columns; ++j) result.at(i, j) += at(i, k) * o.at(k, j);
      }
    }
    return result;
  }
};

/// Every element as wanted, but for `unit` of the largest wanted.
void checkNear(const Matrix& got, const Matrix& wanted, DType dtype) {
  double worst = 0, most = 1;
  for (size_t i = 0; i < got.data.size(); ++i) {
    most = std::max(most, std::fabs(wanted.data[i]));
    const double off = std::fabs(got.data[i] - wanted.data[i]);
    worst = off == off ? std::max(worst, off) : INFINITY;
  }
  CHECK(worst <= (dtype == DType::float64 ? 1e-11 : 2e-5) * most);
}

Matrix identity(int64_t n) {
  Matrix result(n, n);
  for (int64_t i = 0; i < n; ++i) result.at(i, i) = 1;
  return result;
}

/// The leading min(m, n) columns scaled.
Matrix scaledColumns(Matrix a, const TestTensor& scales, int64_t index, int64_t count) {
  for (int64_t i = 0; i < a.rows; ++i) {
    for (int64_t j = 0; j < count; ++j) a.at(i, j) *= scales.at(index * count + j);
  }
  return a;
}

/// Elimination with pivots.
double determinant(Matrix a) {
  double result = 1;
  for (int64_t k = 0; k < a.rows; ++k) {
    int64_t pivot = k;
    for (int64_t i = k; i < a.rows; ++i) {
      if (std::fabs(a.at(i, k)) > std::fabs(a.at(pivot, k))) pivot = i;
    }
    for (int64_t j = 0; j < a.rows; ++j) std::swap(a.at(k, j), a.at(pivot, j));
    result *= (pivot == k ? 1 : -1) * a.at(k, k);
    for (int64_t i = k + 1; i < a.rows; ++i) {
      const double factor = a.at(i, k) / a.at(k, k);
      for (int64_t j = k; j < a.rows; ++j) a.at(i, j) -= factor * a.at(k, j);
    }
  }
  return result;
}

struct Problem {
  Op op;
  DType dtype;
  Shape batch;
  int64_t count, m, n, k;
  Shape with(std::initializer_list<int64_t> extents) const {
    Shape shape = batch;
    shape.insert(shape.end(), extents);
    return shape;
  }
};

/// Random values; square ones with a heavy diagonal, symmetric where the op says so.
TestTensor wellConditioned(const Problem& p, Random& random) {
  const bool isSymmetric = p.op == Op::cholesky || p.op == Op::eigh || p.op == Op::eigvalsh;
  const TestTensor x = TestTensor::generate(p.dtype, p.with({p.m, p.n}), [&](int64_t i) {
    const bool isDiagonal = p.m == p.n && i / p.n % p.n == i % p.n;
    return random.uniform(-1, 1) + (isDiagonal ? static_cast<double>(p.n) : 0);
  });
  for (int64_t s = 0; isSymmetric && s < p.count; ++s) {
    for (int64_t i = 0; i < p.n; ++i) {
      for (int64_t j = 0; j < i; ++j) x.set((s * p.n + i) * p.n + j, x.at((s * p.n + j) * p.n + i));
    }
  }
  return x;
}

/// One matrix's results.
void checkMatrix(const Problem& p, const std::vector<TestTensor>& in,
                 const std::vector<TestTensor>& out, const std::vector<int32_t>& ints, int64_t s) {
  const Matrix a(in[0], s, p.m, p.n);
  const int64_t least = std::min(p.m, p.n);
  switch (p.op) {
    case Op::inv:
      return checkNear(a * Matrix(out[0], s, p.n, p.n), identity(p.n), p.dtype);
    case Op::solve:
      return checkNear(a * Matrix(out[0], s, p.n, p.k), Matrix(in[1], s, p.n, p.k), p.dtype);
    case Op::solveTriangular: {
      Matrix half = a;
      for (int64_t i = 0; i < p.n; ++i) {
        for (int64_t j = 0; j < p.n; ++j) {
          if (ints[0] ? j < i : j > i) half.at(i, j) = 0;
          if (ints[1] && i == j) half.at(i, j) = 1;
        }
      }
      return checkNear(half * Matrix(out[0], s, p.n, p.k), Matrix(in[1], s, p.n, p.k), p.dtype);
    }
    case Op::cholesky: {
      const Matrix l(out[0], s, p.n, p.n);
      return checkNear(ints[0] ? l.transposed() * l : l * l.transposed(), a, p.dtype);
    }
    case Op::qr: {
      const int64_t inner = out[0].shape().back();
      const Matrix q(out[0], s, p.m, inner), r(out[1], s, inner, p.n);
      checkNear(q * r, a, p.dtype);
      return checkNear(q.transposed() * q, identity(inner), p.dtype);
    }
    case Op::svd: {
      const Matrix u(out[0], s, p.m, least), vh(out[2], s, least, p.n);
      checkNear(scaledColumns(u, out[1], s, least) * vh, a, p.dtype);
      checkNear(u.transposed() * u, identity(least), p.dtype);
      return checkNear(vh * vh.transposed(), identity(least), p.dtype);
    }
    case Op::eigh: {
      const Matrix v(out[1], s, p.n, p.n);
      checkNear(a * v, scaledColumns(v, out[0], s, p.n), p.dtype);
      return checkNear(v.transposed() * v, identity(p.n), p.dtype);
    }
    case Op::svdvals:
    case Op::eigvalsh: {
      // The sums of squares of the values and of the elements are one.
      Matrix squares(1, 1), wanted(1, 1);
      for (const double x : a.data) wanted.at(0, 0) += x * x;
      for (int64_t i = 0; i < least; ++i) squares.at(0, 0) += std::pow(out[0].at(s * least + i), 2);
      return checkNear(squares, wanted, p.dtype);
    }
    case Op::det: {
      Matrix got(1, 1), wanted(1, 1);
      got.at(0, 0) = out[0].at(s);
      wanted.at(0, 0) = determinant(a);
      return checkNear(got, wanted, p.dtype);
    }
    default: {
      Matrix got(1, 2), wanted(1, 2);
      const double d = determinant(a);
      got.data = {out[0].at(s), out[1].at(s)};
      wanted.data = {d > 0 ? 1.0 : -1.0, std::log(std::fabs(d))};
      return checkNear(got, wanted, p.dtype);
    }
  }
}

RandomCase linalgCase(Op op, Random& random) {
  Problem p = {op, random.dtypeOf(op), {}, 1, 0, 0, 0};
  for (int64_t axes = random.pick(0, 2); axes > 0; --axes)
    p.batch.push_back(random.pick(random.oneIn(8) ? 0 : 1, 3));
  p.count = elementCount(p.batch);
  const bool isRectangular = op == Op::qr || op == Op::svd || op == Op::svdvals;
  const int64_t most = random.most > 10000 ? 70 : 34;
  p.n = random.extent(most, 1);
  p.m = isRectangular ? random.extent(most, 1) : p.n;
  p.k = random.extent(20, 1);
  // The determinant of a large one overflows.
  if (op == Op::det) p.m = p.n = random.pick(1, 12);
  RandomCase result = {op, {wellConditioned(p, random)}};
  if (op == Op::solve || op == Op::solveTriangular) {
    result.inputs.push_back(TestTensor::generate(p.dtype, p.with({p.n, p.k}),
                                                 [&](int64_t) { return random.uniform(-1, 1); }));
  }
  for (int i = 0; i < opInfo(op).ints; ++i)
    result.ints.push_back(static_cast<int32_t>(random.pick(0, 1)));
  // With ones on its diagonal a triangle of random values is badly conditioned, unless it is small.
  if (op == Op::solveTriangular && result.ints[1]) {
    for (int64_t i = 0; i < result.inputs[0].size(); ++i) {
      result.inputs[0].set(i, result.inputs[0].at(i) / static_cast<double>(p.n));
    }
  }
  const int64_t least = std::min(p.m, p.n);
  const auto out = [&](std::initializer_list<int64_t> extents) {
    result.outputs.emplace_back(p.dtype, p.with(extents));
  };
  switch (op) {
    case Op::qr:
      out({p.m, least});
      out({least, p.n});
      break;
    case Op::svd:
      out({p.m, least});
      out({least});
      out({least, p.n});
      break;
    case Op::eigh:
      out({p.n});
      out({p.n, p.n});
      break;
    case Op::svdvals:
    case Op::eigvalsh:
      out({least});
      break;
    case Op::slogdet:
      out({});
      out({});
      break;
    case Op::det:
      out({});
      break;
    default:
      out({p.n, opInfo(op).inputs == 2 ? p.k : p.n});
  }
  const std::vector<TestTensor> in = result.inputs;
  const std::vector<int32_t> ints = result.ints;
  result.check = [=](const std::vector<TestTensor>& outputs) {
    for (int64_t s = 0; s < p.count; ++s) checkMatrix(p, in, outputs, ints, s);
  };
  return result;
}

// ---- Fourier transforms of [lines, length] or of [length, lines], real or complex

using Complex = std::complex<double>;

std::vector<Complex> transformed(const std::vector<Complex>& x, int64_t n, double sign) {
  std::vector<Complex> result(static_cast<size_t>(n));
  for (int64_t k = 0; k < n; ++k) {
    for (int64_t j = 0; j < n; ++j) {
      const double turn = static_cast<double>(j * k % n) / static_cast<double>(n);
      result[static_cast<size_t>(k)] +=
          x[static_cast<size_t>(j)] * std::polar(1.0, sign * 2 * 3.141592653589793 * turn);
    }
  }
  return result;
}

/// What the transform gives for one line. `given`: as many numbers as the input has along the axis;
/// missing ones count as 0, further ones as nothing.
std::vector<Complex> lineOf(const RandomCase& c, std::vector<Complex> given, int64_t count) {
  const int64_t n = c.ints[1];
  const double scale = c.floats[0];
  std::vector<Complex> line(static_cast<size_t>(n)), result;
  if (c.op == Op::irfft) {
    given.resize(static_cast<size_t>(n / 2 + 1));
    for (int64_t k = 0; k < n; ++k) {
      const Complex bin =
          k <= n / 2 ? given[static_cast<size_t>(k)] : std::conj(given[static_cast<size_t>(n - k)]);
      const bool isMiddle = k != 0 && 2 * k != n;
      line[static_cast<size_t>(k)] = isMiddle ? bin * c.floats[1] : Complex(bin.real(), 0);
    }
    result = transformed(line, n, 1);
  } else {
    for (size_t i = 0; i < line.size() && i < given.size(); ++i) line[i] = given[i];
    result = transformed(line, n, c.op == Op::fft && c.ints[2] ? 1 : -1);
  }
  result.resize(static_cast<size_t>(count));
  for (size_t k = 0; k < result.size(); ++k) {
    result[k] *= scale;
    const bool isMiddle = k != 0 && 2 * static_cast<int64_t>(k) != n;
    if (c.op == Op::rfft && isMiddle) result[k] *= c.floats[1];
  }
  return result;
}

RandomCase fftCase(Op op, Random& random) {
  const DType dtype = random.dtypeOf(op);
  const bool complexIn = op != Op::rfft, complexOut = op != Op::irfft, alongLast = random.oneIn(2);
  const int64_t n = random.extent(random.most > 10000 ? 260 : 70, 1), lines = random.extent(20);
  const int64_t in = op == Op::irfft ? n / 2 + 1 : n, out = op == Op::rfft ? n / 2 + 1 : n;
  const auto shape = [&](int64_t length, bool isComplex) {
    Shape result = alongLast ? Shape{lines, length} : Shape{length, lines};
    if (isComplex) result.push_back(2);
    return result;
  };
  RandomCase c = {op, {random.tensor(dtype, shape(in, complexIn))}};
  c.ints = {alongLast ? 1 : 0, static_cast<int32_t>(n)};
  c.floats = {0.5};
  if (op == Op::fft) {
    c.ints.push_back(static_cast<int32_t>(random.pick(0, 1)));
  } else {
    c.floats.push_back(1);
  }
  Expected expected(dtype, shape(out, complexOut));
  const std::vector<double> x = c.inputs[0].values();
  const auto place = [&](int64_t line, int64_t i, int64_t length) {
    return alongLast ? line * length + i : i * lines + line;
  };
  for (int64_t line = 0; line < lines; ++line) {
    std::vector<Complex> given;
    double magnitude = 0;
    for (int64_t i = 0; i < in; ++i) {
      const size_t at = static_cast<size_t>(place(line, i, in));
      given.push_back(complexIn ? Complex(x[2 * at], x[2 * at + 1]) : Complex(x[at], 0));
      magnitude += 2 * std::abs(given.back());
    }
    const std::vector<Complex> result = lineOf(c, given, out);
    const double bound = roundingOf(dtype) * 16 * magnitude;
    for (int64_t k = 0; k < out; ++k) {
      const int64_t at = place(line, k, out);
      const Complex value = result[static_cast<size_t>(k)];
      expected.set(complexOut ? 2 * at : at, value.real(), bound);
      if (complexOut) expected.set(2 * at + 1, value.imag(), bound);
    }
  }
  c.outputs = {expected};
  return c;
}

}  // namespace

void addLinalgMakers(CaseMakers& makers) {
  setMaker(makers,
           {Op::inv, Op::solve, Op::solveTriangular, Op::cholesky, Op::qr, Op::svd, Op::svdvals,
            Op::eigh, Op::eigvalsh, Op::det, Op::slogdet},
           linalgCase);
  setMaker(makers, {Op::fft, Op::rfft, Op::irfft}, fftCase);
}

}  // namespace testing
}  // namespace kindling
