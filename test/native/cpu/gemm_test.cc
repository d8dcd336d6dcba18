// The matrix product against a wider type, in float32 and float64, at every ISA level and several
// numbers of threads: all strides, sizes around every tile and block boundary, bias, accumulation,
// and the memory around C.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "core/allocator.h"
#include "core/cpu_features.h"
#include "core/thread_pool.h"
#include "doctest/doctest.h"

// cpu/gemm.h as each level has it.
#define DECLARE_GEMM(T)                                                                          \
  bool gemm(int64_t m, int64_t n, int64_t k, const T* a, int64_t aRow, int64_t aCol, const T* b, \
            int64_t bRow, int64_t bCol, T* c, int64_t ldc, const GemmEpilogueOf<T>& epilogue);
#define DECLARE_LEVEL(level) \
  namespace kindling {       \
  namespace level {          \
  template <typename T>      \
  struct GemmEpilogueOf {    \
    const T* bias;           \
    int64_t biasStride;      \
    bool accumulate;         \
    const T* residual;       \
    int64_t residualRow;     \
    bool relu;               \
  };                         \
  DECLARE_GEMM(float)        \
  DECLARE_GEMM(double)       \
  }                          \
  }
KINDLING_ISA_LEVELS(DECLARE_LEVEL)

namespace {

using kindling::Isa;

struct Strides {
  int64_t row, column;
};

struct Problem {
  int64_t m, n, k;
  Strides a, b;
  int64_t ldc;
  bool bias, accumulate;
  int64_t biasStride;
  bool residual = false, relu = false;
  int64_t residualRow() const { return n + 3; }
};

template <typename T>
bool multiply(Isa isa, const Problem& p, const T* a, const T* b, T* c, const T* bias,
              const T* residual = nullptr) {
  using namespace kindling;
  if (!p.bias) bias = nullptr;
  if (!p.residual) residual = nullptr;
#define KINDLING_TRY(level)                                                                     \
  if (isa == Isa::level) {                                                                      \
    return level::gemm(p.m, p.n, p.k, a, p.a.row, p.a.column, b, p.b.row, p.b.column, c, p.ldc, \
                       {bias, p.biasStride, p.accumulate, residual, p.residualRow(), p.relu});  \
  }
  KINDLING_ISA_LEVELS(KINDLING_TRY)
#undef KINDLING_TRY
  return false;
}

std::vector<Isa> levels() {
  std::vector<Isa> all;
  for (int level = 0; level <= static_cast<int>(kindling::detectedIsa()); ++level) {
    all.push_back(static_cast<Isa>(level));
  }
  return all;
}

std::mt19937& generator() {
  static std::mt19937 engine(20240607);
  return engine;
}

int64_t pick(int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(generator());
}

/// A strided matrix in a buffer without a spare element: reading outside is an error that the
/// sanitizers see.
template <typename T>
class StridedMatrix {
 public:
  StridedMatrix(int64_t rows, int64_t columns, Strides strides) {
    int64_t low = 0, high = 0;
    if (rows > 0 && columns > 0) {
      for (const int64_t reach : {(rows - 1) * strides.row, (columns - 1) * strides.column}) {
        low += reach < 0 ? reach : 0;
        high += reach > 0 ? reach : 0;
      }
      values_.resize(static_cast<size_t>(high - low + 1));
    }
    first_ = -low;
    std::uniform_real_distribution<T> uniform(-1, 1);
    for (T& value : values_) value = uniform(generator());
  }
  const T* first() const { return values_.data() + first_; }
  std::vector<T>& values() { return values_; }

 private:
  std::vector<T> values_;
  int64_t first_;
};

constexpr double kCanary = 123456.75;
constexpr int64_t kGuard = 32;

/// C with guard words before it, after it and between its rows.
template <typename T>
class Result {
 public:
  Result(const Problem& p, bool accumulate) : p_(p) {
    values_.assign(static_cast<size_t>(2 * kGuard + p.m * p.ldc), kCanary);
    for (int64_t i = 0; i < p.m; ++i) {
      for (int64_t j = 0; j < p.n; ++j) {
        // What is overwritten must not be read: a NaN would stay.
        at(i, j) = accumulate ? static_cast<T>((i * 7 + j * 3) % 11) / 8 - 0.5f : NAN;
      }
    }
  }
  T* data() { return values_.data() + kGuard; }
  T& at(int64_t i, int64_t j) { return data()[i * p_.ldc + j]; }
  bool guardsStand() const {
    for (int64_t x = 0; x < static_cast<int64_t>(values_.size()); ++x) {
      const int64_t inside = x - kGuard;
      const bool written = inside >= 0 && inside < p_.m * p_.ldc && inside % p_.ldc < p_.n;
      if (!written && values_[static_cast<size_t>(x)] != kCanary) return false;
    }
    return true;
  }
  const std::vector<T>& values() const { return values_; }

 private:
  Problem p_;
  std::vector<T> values_;
};

/// In a wider type than either of the tested ones.
struct Expected {
  long double value, magnitude;
};

template <typename T>
Expected reference(const Problem& p, const T* a, const T* b, const T* bias, const T* residual,
                   T old, int64_t i, int64_t j) {
  Expected e = {0, 0};
  for (int64_t x = 0; x < p.k; ++x) {
    const long double term = static_cast<long double>(a[i * p.a.row + x * p.a.column]) *
                             static_cast<long double>(b[x * p.b.row + j * p.b.column]);
    e.value += term;
    e.magnitude += std::fabs(term);
  }
  for (const long double more :
       {p.bias ? static_cast<long double>(bias[j * p.biasStride]) : 0.0L,
        p.accumulate ? static_cast<long double>(old) : 0.0L,
        p.residual ? static_cast<long double>(residual[i * p.residualRow() + j]) : 0.0L}) {
    e.value += more;
    e.magnitude += std::fabs(more);
  }
  if (p.relu && e.value < 0) e.value = 0;
  return e;
}

/// The bound of a sum of k + 3 rounded terms: at most k + 3 roundings of the largest partial sum.
template <typename T>
long double bound(const Problem& p, long double magnitude) {
  return static_cast<long double>(p.k + 4) * std::numeric_limits<T>::epsilon() / 2 * magnitude;
}

template <typename T>
void check(const Problem& p, const std::vector<int>& threadCounts = {1, 2, 3, 8}) {
  const StridedMatrix<T> a(p.m, p.k, p.a), b(p.k, p.n, p.b);
  const StridedMatrix<T> bias(1, p.n, {0, p.biasStride});
  const StridedMatrix<T> residual(p.m, p.n, {p.residualRow(), 1});
  std::vector<Expected> expected;
  Result<T> before(p, p.accumulate);
  for (int64_t i = 0; i < p.m; ++i) {
    for (int64_t j = 0; j < p.n; ++j) {
      expected.push_back(reference(p, a.first(), b.first(), bias.first(), residual.first(),
                                   before.at(i, j), i, j));
    }
  }
  for (const Isa isa : levels()) {
    for (const int threads : threadCounts) {
      kindling::setNumThreads(threads);
      Result<T> c(p, p.accumulate);
      const bool done =
          multiply(isa, p, a.first(), b.first(), c.data(), bias.first(), residual.first());
      int64_t wrong = 0;
      for (int64_t i = 0; i < p.m; ++i) {
        for (int64_t j = 0; j < p.n; ++j) {
          const Expected& e = expected[static_cast<size_t>(i * p.n + j)];
          // Written so that a NaN is wrong.
          if (!(std::fabs(c.at(i, j) - e.value) <= bound<T>(p, e.magnitude))) ++wrong;
        }
      }
      CAPTURE(kindling::isaName(isa));
      CAPTURE(threads);
      CAPTURE(p.m);
      CAPTURE(p.n);
      CAPTURE(p.k);
      CAPTURE(p.a.row);
      CAPTURE(p.a.column);
      CAPTURE(p.b.row);
      CAPTURE(p.b.column);
      CAPTURE(p.bias);
      CAPTURE(p.accumulate);
      CAPTURE(p.residual);
      CAPTURE(p.relu);
      CHECK(done);
      CHECK(wrong == 0);
      CHECK(c.guardsStand());
    }
  }
  kindling::setNumThreads(kindling::physicalCores());
}

/// Row-major or transposed operands without gaps.
Problem dense(int64_t m, int64_t n, int64_t k, bool transposeA, bool transposeB) {
  return {m,
          n,
          k,
          transposeA ? Strides{1, m} : Strides{k, 1},
          transposeB ? Strides{1, k} : Strides{n, 1},
          n,
          false,
          false,
          1};
}

Strides randomStrides(int64_t rows, int64_t columns) {
  const int64_t gap = pick(0, 5);
  switch (pick(0, 7)) {
    case 0:
    case 1:
      return {columns + gap, 1};
    case 2:
    case 3:
      return {1, rows + gap};
    case 4:
      return {2 * columns + gap, 2};
    case 5:
      return {0, 1};
    case 6:
      return {-(columns + gap), pick(0, 1) ? 1 : -1};
    default:
      return {pick(-3, 3), pick(-3, 3)};
  }
}

template <typename T>
void checkVariants(int64_t m, int64_t n, int64_t k, const std::vector<int>& threads) {
  for (int variant = 0; variant < 4; ++variant) {
    Problem p = dense(m, n, k, variant & 1, variant & 2);
    p.bias = pick(0, 1);
    p.accumulate = pick(0, 1);
    p.residual = pick(0, 1);
    p.relu = pick(0, 1);
    p.ldc = n + pick(0, 3);
    check<T>(p, threads);
  }
}

TEST_CASE_TEMPLATE("gemm: random shapes and strides", T, float, double) {
  for (int round = 0; round < 300; ++round) {
    Problem p;
    p.m = pick(0, 70);
    p.n = pick(0, 70);
    p.k = pick(0, 90);
    p.a = randomStrides(p.m, p.k);
    p.b = randomStrides(p.k, p.n);
    p.ldc = p.n + pick(0, 4);
    p.bias = pick(0, 1);
    p.accumulate = pick(0, 1);
    p.residual = pick(0, 1);
    p.relu = pick(0, 1);
    p.biasStride = pick(0, 3) ? 1 : pick(-2, 2);
    check<T>(p, {1, 2});
  }
}

TEST_CASE_TEMPLATE("gemm: sizes around every tile boundary", T, float, double) {
  // Every number of rows that a tile can have, and one more.
  for (int64_t m = 0; m <= 17; ++m) {
    for (const int64_t n : {0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65}) {
      checkVariants<T>(m, n, 5, {1});
      checkVariants<T>(n, m, 17, {1});
    }
  }
}

TEST_CASE_TEMPLATE("gemm: depths around block boundaries", T, float, double) {
  for (const int64_t k :
       {0, 1, 2, 15, 16, 17, 191, 192, 193, 383, 384, 385, 575, 576, 577, 767, 768, 769, 1153}) {
    checkVariants<T>(13, 21, k, {1, 3});
    checkVariants<T>(3, 40, k, {1, 2});
  }
}

TEST_CASE_TEMPLATE("gemm: sizes that are packed and split among threads", T, float, double) {
  checkVariants<T>(32, 128, 784, {1, 2, 3, 8});
  checkVariants<T>(128, 130, 300, {1, 2, 3, 8});
  checkVariants<T>(57, 301, 600, {1, 2, 3, 8});
  checkVariants<T>(301, 57, 400, {2, 3});
  checkVariants<T>(1, 700, 900, {1, 2, 8});
  checkVariants<T>(700, 1, 900, {1, 2, 8});
  checkVariants<T>(4, 900, 500, {1, 2, 8});
  // Strides that are multiples of a page, where packing is decided differently.
  Problem p = dense(40, 70, 100, false, false);
  p.a = {1024, 1};
  p.b = {512, 1};
  check<T>(p);
  p.a = {1, 1024};
  p.b = {1, 1024};
  check<T>(p);
}

TEST_CASE_TEMPLATE("gemm: products cut into pieces", T, float, double) {
  checkVariants<T>(5, 8300, 3, {1, 2});
  checkVariants<T>(8300, 5, 2, {1, 2});
  checkVariants<T>(5470, 20, 7, {2});
}

TEST_CASE_TEMPLATE("gemm: infinities and NaN follow IEEE arithmetic", T, float, double) {
  const T infinity = std::numeric_limits<T>::infinity();
  for (const Isa isa : levels()) {
    for (int variant = 0; variant < 4; ++variant) {
      for (const int64_t m : {1, 3, 37}) {
        Problem p = dense(m, 35, 50, variant & 1, variant & 2);
        p.relu = variant == 1 || m == 3;  // which lets NaN through
        StridedMatrix<T> a(p.m, p.k, p.a), b(p.k, p.n, p.b);
        for (T& value : a.values()) value = 0.0f;
        for (T& value : b.values()) value = 1.0f;
        // Zero times infinity or NaN is NaN, in row 0 only; one times infinity is infinity.
        const int64_t row = m - 1;
        b.values()[static_cast<size_t>(7 * p.b.row + 20 * p.b.column)] = NAN;
        b.values()[static_cast<size_t>(9 * p.b.row + 21 * p.b.column)] = infinity;
        b.values()[static_cast<size_t>(11 * p.b.row + 22 * p.b.column)] = infinity;
        a.values()[static_cast<size_t>(row * p.a.row + 11 * p.a.column)] = 1.0f;
        Result<T> c(p, false);
        CHECK(multiply(isa, p, a.first(), b.first(), c.data(), static_cast<const T*>(nullptr)));
        for (int64_t i = 0; i < m; ++i) {
          CHECK(std::isnan(c.at(i, 20)));
          CHECK(std::isnan(c.at(i, 21)));
          CHECK((i == row ? c.at(i, 22) == infinity : std::isnan(c.at(i, 22))));
          CHECK(c.at(i, 19) == (i == row ? 1.0f : 0.0f));
          CHECK(c.at(i, 34) == (i == row ? 1.0f : 0.0f));
        }
        CHECK(c.guardsStand());
      }
    }
  }
}

TEST_CASE_TEMPLATE("gemm: the same bits from run to run and for every number of threads", T, float,
                   double) {
  for (const Problem& p : {dense(200, 150, 800, false, true), dense(33, 500, 400, true, false),
                           dense(64, 3000, 40, false, false)}) {
    const StridedMatrix<T> a(p.m, p.k, p.a), b(p.k, p.n, p.b);
    for (const Isa isa : levels()) {
      kindling::setNumThreads(1);
      Result<T> first(p, false);
      CHECK(multiply(isa, p, a.first(), b.first(), first.data(), static_cast<const T*>(nullptr)));
      for (const int threads : {1, 2, 3, 8}) {
        kindling::setNumThreads(threads);
        Result<T> again(p, false);
        CHECK(multiply(isa, p, a.first(), b.first(), again.data(), static_cast<const T*>(nullptr)));
        CHECK(memcmp(first.values().data(), again.values().data(),
                     first.values().size() * sizeof(T)) == 0);
      }
    }
  }
  kindling::setNumThreads(kindling::physicalCores());
}

TEST_CASE_TEMPLATE("gemm: gives its scratch memory back, and says when there is none", T, float,
                   double) {
  const Problem p = dense(300, 300, 300, false, true);
  const StridedMatrix<T> a(p.m, p.k, p.a), b(p.k, p.n, p.b);
  for (const Isa isa : levels()) {
    Result<T> c(p, false);
    const uint64_t before = kindling::memoryStats().allocatedBytes;
    CHECK(multiply(isa, p, a.first(), b.first(), c.data(), static_cast<const T*>(nullptr)));
    CHECK(kindling::memoryStats().allocatedBytes == before);
    kindling::trimCache();
    kindling::setMemoryLimit(kindling::memoryStats().reservedBytes + 4096);
    CHECK_FALSE(multiply(isa, p, a.first(), b.first(), c.data(), static_cast<const T*>(nullptr)));
    kindling::setMemoryLimit(0);
    CHECK(multiply(isa, p, a.first(), b.first(), c.data(), static_cast<const T*>(nullptr)));
  }
}

}  // namespace
