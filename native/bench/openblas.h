#pragma once
// OpenBLAS as a yardstick, when the machine has it: loaded at run time, never linked.

#include <cstdint>

namespace kindling::bench {

class OpenBlas {
 public:
  /// Whether the library was found.
  bool load();
  const char* kernelName() const { return kernelName_; }
  void setThreads(int threads) const { setThreads_(threads); }
  /// Row-major C = op(A) op(B), as cblas_sgemm.
  void gemm(bool transposeA, bool transposeB, int64_t m, int64_t n, int64_t k, const float* a,
            int64_t lda, const float* b, int64_t ldb, float* c, int64_t ldc) const;

 private:
  using Sgemm = void (*)(int, int, int, int, int, int, float, const float*, int, const float*, int,
                         float, float*, int);
  Sgemm sgemm_ = nullptr;
  void (*setThreads_)(int) = nullptr;
  const char* kernelName_ = "";
};

}  // namespace kindling::bench
