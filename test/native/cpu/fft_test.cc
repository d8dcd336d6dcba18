#include <cmath>
#include <complex>
#include <vector>

#include "doctest/doctest.h"
#include "op_testing.h"

namespace kindling {
namespace testing {
namespace {

using Complex = std::complex<double>;

double valueAt(int64_t i) {
  uint64_t state = static_cast<uint64_t>(i + 1) * 0x9e3779b97f4a7c15u;
  state = (state ^ state >> 30) * 0xbf58476d1ce4e5b9u;
  state = (state ^ state >> 27) * 0x94d049bb133111ebu;
  return static_cast<double>(state >> 11) / 4503599627370496.0 - 1;
}

TestTensor generate(const Shape& shape) {
  return TestTensor::generate(DType::float32, shape, valueAt);
}

/// The definition, with sign -1 forward and +1 backward.
std::vector<Complex> transform(const std::vector<Complex>& x, int sign) {
  const int64_t n = static_cast<int64_t>(x.size());
  std::vector<Complex> root, result;
  for (int64_t k = 0; k < n; ++k) {
    root.push_back(std::polar(
        1.0, sign * 2 * 3.141592653589793 * static_cast<double>(k) / static_cast<double>(n)));
  }
  for (int64_t k = 0; k < n; ++k) {
    Complex sum = 0;
    for (int64_t j = 0; j < n; ++j) {
      sum += x[static_cast<size_t>(j)] * root[static_cast<size_t>(j * k % n)];
    }
    result.push_back(sum);
  }
  return result;
}

std::vector<Complex> complexOf(const TestTensor& x, int64_t index, int64_t n) {
  std::vector<Complex> result;
  for (int64_t j = 0; j < n; ++j) {
    result.emplace_back(x.at((index * n + j) * 2), x.at((index * n + j) * 2 + 1));
  }
  return result;
}

/// |a - b| / |b| over all of a sequence.
double relativeError(const std::vector<Complex>& a, const std::vector<Complex>& b) {
  REQUIRE(a.size() == b.size());
  double difference = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += std::norm(a[i] - b[i]);
    size += std::norm(b[i]);
  }
  return size > 0 ? std::sqrt(difference / size) : std::sqrt(difference);
}

TEST_CASE("fft: every length to 70 and some beyond, forward and inverse") {
  std::vector<int64_t> lengths = {96, 97, 100, 121, 127, 128, 143, 169, 210, 243, 251, 256, 371};
  for (int64_t n = 1; n <= 70; ++n) lengths.push_back(n);
  for (const IsaLevel& level : isaLevels()) {
    for (const int64_t n : lengths) {
      for (const int64_t lines : {1, 3, 19}) {
        const TestTensor x = generate({lines, n, 2});
        for (const int inverse : {0, 1}) {
          CAPTURE(nameOf(level));
          CAPTURE(n);
          CAPTURE(lines);
          CAPTURE(inverse);
          const double scale = inverse ? 0.5 : 1;
          const TestTensor y = runOp(level, Op::fft, {x}, DType::float32, {lines, n, 2},
                                     {1, static_cast<int32_t>(n), inverse}, {scale});
          for (int64_t i = 0; i < lines; ++i) {
            auto expected = transform(complexOf(x, i, n), inverse ? 1 : -1);
            for (Complex& value : expected) value *= scale;
            CHECK(relativeError(complexOf(y, i, n), expected) < 4e-7);
          }
        }
      }
    }
  }
}

TEST_CASE("fft: rfft is half of fft, irfft goes back") {
  for (const IsaLevel& level : isaLevels()) {
    for (int64_t n = 1; n <= 70; ++n) {
      for (const int64_t lines : {1, 20}) {
        CAPTURE(nameOf(level));
        CAPTURE(n);
        const int64_t bins = n / 2 + 1;
        const int32_t length = static_cast<int32_t>(n);
        const TestTensor x = generate({lines, n});
        const TestTensor y =
            runOp(level, Op::rfft, {x}, DType::float32, {lines, bins, 2}, {1, length}, {1, 1});
        for (int64_t i = 0; i < lines; ++i) {
          std::vector<Complex> given;
          for (int64_t j = 0; j < n; ++j) given.emplace_back(x.at(i * n + j));
          auto expected = transform(given, -1);
          expected.resize(static_cast<size_t>(bins));
          CHECK(relativeError(complexOf(y, i, bins), expected) < 4e-7);
          CHECK(y.at(i * bins * 2 + 1) == 0);
        }
        const TestTensor back = runOp(level, Op::irfft, {y}, DType::float32, {lines, n},
                                      {1, length}, {1.0 / static_cast<double>(n), 1});
        double worst = 0;
        for (int64_t i = 0; i < lines * n; ++i) {
          worst = std::fmax(worst, std::fabs(back.at(i) - x.at(i)));
        }
        CHECK(worst < 1e-6);
      }
    }
  }
}

TEST_CASE("fft: relative error below 1e-6 to length 65536") {
  for (const IsaLevel& level : isaLevels()) {
    for (const int64_t n : {4096, 16384, 65536, 59049, 65535, 65521, 62500, 63488}) {
      CAPTURE(nameOf(level));
      CAPTURE(n);
      // A few complex exponentials: their transform is known.
      std::vector<Complex> expected(static_cast<size_t>(n));
      std::vector<double> values(static_cast<size_t>(2 * n));
      for (const int64_t frequency : {int64_t{1}, int64_t{17}, n / 3, n - 5}) {
        expected[static_cast<size_t>(frequency)] += static_cast<double>(n);
        for (int64_t j = 0; j < n; ++j) {
          const Complex value =
              std::polar(1.0, 2 * 3.141592653589793 * static_cast<double>(frequency * j % n) /
                                  static_cast<double>(n));
          values[static_cast<size_t>(2 * j)] += value.real();
          values[static_cast<size_t>(2 * j + 1)] += value.imag();
        }
      }
      for (const DType dtype : {DType::float32, DType::float64}) {
        const TestTensor x = TestTensor::from(dtype, {n, 2}, values);
        const TestTensor y =
            runOp(level, Op::fft, {x}, dtype, {n, 2}, {0, static_cast<int32_t>(n), 0}, {1});
        const double limit = dtype == DType::float32 ? 5e-7 : 2e-15;
        CHECK(relativeError(complexOf(y, 0, n), expected) < limit);
      }
    }
  }
}

TEST_CASE("fft: any axis, every layout, padded and cut") {
  const TestTensor x = generate({3, 5, 4, 2});
  for (const IsaLevel& level : isaLevels()) {
    for (const int axis : {0, 1, 2}) {
      for (const int64_t n : {4, 7}) {
        for (const int64_t kept : {n - 1, n, n + 2}) {
          Shape shape = x.shape();
          shape[static_cast<size_t>(axis)] = kept;
          std::vector<std::vector<double>> results;
          for (const NamedTensor& layout : inEveryLayout(x)) {
            results.push_back(runOp(level, Op::fft, {layout.tensor}, DType::float32, shape,
                                    {axis, static_cast<int32_t>(n), 0}, {1})
                                  .values());
            CAPTURE(layout.layout);
            CHECK(results.back() == results.front());
          }
          // Line by line from the definition.
          const TestTensor y = TestTensor::floats(shape, results.front());
          int64_t inner = 2;
          for (int i = axis + 1; i < 3; ++i) inner *= x.shape()[static_cast<size_t>(i)];
          const int64_t extent = x.shape()[static_cast<size_t>(axis)];
          for (int64_t line = 0; line < x.size() / extent / 2; ++line) {
            const int64_t outer = line / (inner / 2), within = line % (inner / 2) * 2;
            std::vector<Complex> given(static_cast<size_t>(n));
            for (int64_t j = 0; j < std::min(n, extent); ++j) {
              const int64_t at = (outer * extent + j) * inner + within;
              given[static_cast<size_t>(j)] = {x.at(at), x.at(at + 1)};
            }
            auto expected = transform(given, -1);
            expected.resize(static_cast<size_t>(kept));
            std::vector<Complex> actual;
            for (int64_t j = 0; j < kept; ++j) {
              const int64_t at = (outer * kept + j) * inner + within;
              actual.emplace_back(y.at(at), y.at(at + 1));
            }
            CAPTURE(nameOf(level));
            CAPTURE(axis);
            CAPTURE(n);
            CAPTURE(kept);
            CHECK(relativeError(actual, expected) < 4e-7);
          }
        }
      }
    }
  }
}

/// The sum of products of two tensors of one shape.
double product(const TestTensor& a, const TestTensor& b) {
  double sum = 0;
  for (int64_t i = 0; i < a.size(); ++i) sum += a.at(i) * b.at(i);
  return sum;
}

TEST_CASE("fft: the adjoints that the gradients use") {
  for (const IsaLevel& level : isaLevels()) {
    for (const int32_t n : {1, 2, 5, 6, 8, 9, 37}) {
      for (const int64_t extent : {n - 1, n, n + 2}) {
        CAPTURE(nameOf(level));
        CAPTURE(n);
        CAPTURE(extent);
        const int64_t bins = n / 2 + 1;
        const TestTensor real = generate({extent}), spectrum = generate({bins, 2});
        const auto forward =
            runOp(level, Op::rfft, {real}, DType::float32, {bins, 2}, {0, n}, {0.5, 1});
        const auto adjoint =
            runOp(level, Op::irfft, {spectrum}, DType::float32, {extent}, {0, n}, {0.5, 0.5});
        CHECK(product(forward, spectrum) == doctest::Approx(product(real, adjoint)).epsilon(1e-5));
        const TestTensor half = generate({extent, 2}), signal = generate({n});
        const auto back = runOp(level, Op::irfft, {half}, DType::float32, {n}, {0, n}, {0.5, 1});
        const auto adjoint2 =
            runOp(level, Op::rfft, {signal}, DType::float32, {extent, 2}, {0, n}, {0.5, 2});
        CHECK(product(back, signal) == doctest::Approx(product(half, adjoint2)).epsilon(1e-5));
      }
    }
  }
}

TEST_CASE("fft: nothing, and wrong records") {
  for (const IsaLevel& level : isaLevels()) {
    const auto status = [&](Op op, const Shape& in, const Shape& out,
                            const std::vector<int32_t>& ints) {
      return run(level, op, {TestTensor(DType::float32, in)}, {TestTensor(DType::float32, out)},
                 ints, {1, 1});
    };
    CHECK(status(Op::fft, {0, 5, 2}, {0, 5, 2}, {1, 5, 0}) == Status::ok);
    const TestTensor y = runOp(level, Op::fft, {TestTensor(DType::float32, {0, 2})}, DType::float32,
                               {3, 2}, {0, 3, 0}, {1});
    CHECK(y.values() == std::vector<double>(6));
    CHECK(status(Op::fft, {5, 3}, {5, 3}, {0, 5, 0}) == Status::badShape);
    CHECK(status(Op::fft, {5, 2}, {5, 2}, {1, 2, 0}) == Status::badShape);
    CHECK(status(Op::fft, {5, 2}, {5, 2}, {-1, 2, 0}) == Status::badShape);
    CHECK(status(Op::fft, {5, 2}, {5, 2}, {0, 0, 0}) == Status::badShape);
    CHECK(status(Op::fft, {4, 5, 2}, {3, 5, 2}, {1, 5, 0}) == Status::badShape);
    CHECK(status(Op::rfft, {5}, {3}, {0, 5}) == Status::badShape);
    CHECK(status(Op::irfft, {5}, {5}, {0, 5}) == Status::badShape);
  }
}

}  // namespace
}  // namespace testing
}  // namespace kindling
