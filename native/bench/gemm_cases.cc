#include "bench/gemm_cases.h"

#include <memory>

#include "core/allocator.h"
#include "core/thread_pool.h"

namespace kindling::bench {

namespace {

// OpenBLAS's threads spin for some 25 ms after their work.
constexpr double kSettleSeconds = 0.035;

class Matrix {
 public:
  explicit Matrix(int64_t size)
      : bytes_(static_cast<size_t>(size) * sizeof(float)),
        data_(static_cast<float*>(allocate(bytes_))) {
    for (int64_t i = 0; data_ && i < size; ++i) data_[i] = static_cast<float>(i % 13 - 6) / 8;
  }
  ~Matrix() { deallocate(data_, bytes_); }
  Matrix(const Matrix&) = delete;
  Matrix& operator=(const Matrix&) = delete;
  float* data() const { return data_; }

 private:
  size_t bytes_;
  float* data_;
};

struct Operands {
  explicit Operands(const GemmShape& s) : shape(s), a(s.m * s.k), b(s.k * s.n), c(s.m * s.n) {}
  GemmShape shape;
  Matrix a, b, c;

  GemmCall call() const {
    const GemmShape& s = shape;
    return {s.m,
            s.n,
            s.k,
            a.data(),
            s.transposeA ? 1 : s.k,
            s.transposeA ? s.m : 1,
            b.data(),
            s.transposeB ? 1 : s.n,
            s.transposeB ? s.k : 1,
            c.data()};
  }
  void callBlas(const OpenBlas& blas) const {
    const GemmShape& s = shape;
    blas.gemm(s.transposeA, s.transposeB, s.m, s.n, s.k, a.data(), s.transposeA ? s.m : s.k,
              b.data(), s.transposeB ? s.k : s.n, c.data(), s.n);
  }
};

std::string caseName(const GemmShape& s) {
  return std::to_string(s.m) + "x" + std::to_string(s.n) + "x" + std::to_string(s.k) +
         (s.transposeA ? " A^T" : "") + (s.transposeB ? " B^T" : "");
}

}  // namespace

const std::vector<GemmShape>& gemmShapes() {
  static const std::vector<GemmShape> shapes = {
      {32, 128, 784, false, true},    {128, 784, 32, true, false},
      {32, 784, 128, false, false},   {32, 10, 128, false, true},
      {10, 128, 32, true, false},     {32, 128, 10, false, false},
      {64, 128, 784, false, true},    {128, 512, 784, false, true},
      {512, 784, 128, true, false},   {128, 784, 512, false, false},
      {1, 128, 784, false, true},     {1, 1024, 1024, false, true},
      {1, 1024, 1024, false, false},  {64, 64, 64, false, false},
      {256, 256, 256, false, false},  {256, 256, 256, false, true},
      {512, 512, 512, false, false},  {32, 4096, 1024, false, false},
      {32, 4096, 1024, false, true},  {1024, 1024, 1024, false, false},
      {1024, 1024, 1024, false, true}};
  return shapes;
}

Case gemmCase(const GemmShape& shape, const std::vector<int>& threads, const Level& level,
              const OpenBlas* blas) {
  Case made;
  made.name = caseName(shape);
  made.flops = 2.0 * static_cast<double>(shape.m) * static_cast<double>(shape.n) *
               static_cast<double>(shape.k);
  const auto operands = std::make_shared<Operands>(shape);
  for (const int count : threads) {
    const std::string suffix = std::to_string(count) + "T";
    const GemmCall call = operands->call();
    made.variants.push_back({"kindling " + suffix, [operands, call, &level] { level.gemm(call); },
                             [count] { setNumThreads(count); }});
    if (!blas) continue;
    made.variants.push_back({"openblas " + suffix, [operands, blas] { operands->callBlas(*blas); },
                             [count, blas] { blas->setThreads(count); },
                             count > 1 ? kSettleSeconds : 0});
  }
  return made;
}

}  // namespace kindling::bench
