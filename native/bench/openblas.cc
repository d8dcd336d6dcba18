#include "bench/openblas.h"

#include <dlfcn.h>

#include <cstdlib>

namespace kindling::bench {

bool OpenBlas::load() {
  // It would pick a kernel made for another CPU.
  unsetenv("OPENBLAS_CORETYPE");
  void* library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
  if (!library) return false;
  sgemm_ = reinterpret_cast<Sgemm>(dlsym(library, "cblas_sgemm"));
  setThreads_ = reinterpret_cast<void (*)(int)>(dlsym(library, "openblas_set_num_threads"));
  const auto name = reinterpret_cast<const char* (*)()>(dlsym(library, "openblas_get_corename"));
  if (name) kernelName_ = name();
  return sgemm_ && setThreads_;
}

void OpenBlas::gemm(bool transposeA, bool transposeB, int64_t m, int64_t n, int64_t k,
                    const float* a, int64_t lda, const float* b, int64_t ldb, float* c,
                    int64_t ldc) const {
  constexpr int kRowMajor = 101, kPlain = 111, kTransposed = 112;
  sgemm_(kRowMajor, transposeA ? kTransposed : kPlain, transposeB ? kTransposed : kPlain,
         static_cast<int>(m), static_cast<int>(n), static_cast<int>(k), 1.0f, a,
         static_cast<int>(lda), b, static_cast<int>(ldb), 0.0f, c, static_cast<int>(ldc));
}

}  // namespace kindling::bench
