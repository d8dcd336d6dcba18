// OpenBLAS and BLIS as yardsticks of matrix products, when the machine has them: loaded at run
// time, never linked.

#include <dlfcn.h>

#include <cstdlib>
#include <vector>

#include "bench/contestant.h"
#include "bench/fill.h"
#include "core/cpu_features.h"

namespace kindling::bench {

namespace {

constexpr int kRowMajor = 101, kPlain = 111, kTransposed = 112;

struct Library {
  const char* file;
  const char* setThreads;  // void(int)
  const char* version;     // const char*()
};

template <typename Float>
using Gemm = void (*)(int, int, int, int, int, int, Float, const Float*, int, const Float*, int,
                      Float, Float*, int);

template <typename Float>
Job gemmJob(const Spec& spec, Gemm<Float> gemm) {
  struct Operands {
    std::vector<Float> a, b, c;
  };
  const int m = static_cast<int>(spec.number("m")), n = static_cast<int>(spec.number("n")),
            k = static_cast<int>(spec.number("k"));
  const bool ta = spec.number("ta") != 0, tb = spec.number("tb") != 0;
  const auto size = [](int rows, int cols) {
    return static_cast<size_t>(rows) * static_cast<size_t>(cols);
  };
  const auto x = std::make_shared<Operands>();
  x->a.resize(size(m, k));
  x->b.resize(size(k, n));
  x->c.resize(size(m, n));
  fill(x->a.data(), static_cast<int64_t>(x->a.size()), 1, 1);
  fill(x->b.data(), static_cast<int64_t>(x->b.size()), 2, 1);
  Job job;
  job.run = [x, gemm, m, n, k, ta, tb] {
    gemm(kRowMajor, ta ? kTransposed : kPlain, tb ? kTransposed : kPlain, m, n, k, 1, x->a.data(),
         ta ? m : k, x->b.data(), tb ? k : n, 0, x->c.data(), n);
  };
  job.check = [x]() -> std::vector<Checksum> {
    return {checksumOf("c", x->c.data(), static_cast<int64_t>(x->c.size()))};
  };
  return job;
}

/// OpenBLAS says how it was built after its version.
std::string shortened(const std::string& version) {
  const std::string title = "OpenBLAS ";
  return version.rfind(title, 0) == 0
             ? version.substr(title.size(), version.find(' ', title.size()) - title.size())
             : version;
}

class Blas : public Contestant {
 public:
  explicit Blas(std::string name) : name_(std::move(name)) {}

  bool load(const Library& library) {
    void* handle = dlopen(library.file, RTLD_NOW | RTLD_LOCAL);
    if (!handle) return false;
    sgemm_ = reinterpret_cast<Gemm<float>>(dlsym(handle, "cblas_sgemm"));
    dgemm_ = reinterpret_cast<Gemm<double>>(dlsym(handle, "cblas_dgemm"));
    setThreads_ = reinterpret_cast<void (*)(int)>(dlsym(handle, library.setThreads));
    const auto version = reinterpret_cast<const char* (*)()>(dlsym(handle, library.version));
    if (version) version_ = shortened(version());
    return sgemm_ && dgemm_ && setThreads_;
  }

  std::string name() const override { return name_; }
  std::string version() const override { return version_; }
  void setThreads(int threads) override { setThreads_(threads); }
  Job make(const Spec& spec) override {
    if (spec.kind() != "matmul") return {};
    return spec.number("f64") ? gemmJob<double>(spec, dgemm_) : gemmJob<float>(spec, sgemm_);
  }

 private:
  std::string name_, version_;
  Gemm<float> sgemm_ = nullptr;
  Gemm<double> dgemm_ = nullptr;
  void (*setThreads_)(int) = nullptr;
};

std::unique_ptr<Contestant> find(const char* name, const Library& library) {
  auto blas = std::make_unique<Blas>(name);
  if (!blas->load(library)) return nullptr;
  return blas;
}

}  // namespace

std::unique_ptr<Contestant> findOpenBlas() {
  // It would pick a kernel made for another CPU.
  unsetenv("OPENBLAS_CORETYPE");
  return find("openblas", {"libopenblas.so.0", "openblas_set_num_threads", "openblas_get_config"});
}

std::unique_ptr<Contestant> findBlis() {
  // BLIS 0.9 takes a CPU that it does not know for one without vectors; 0 is its AVX-512 kernels
  // (skx), 3 those of AVX2 (haswell).
#if defined(__x86_64__)
  if (detectedIsa() >= Isa::avx2) {
    setenv("BLIS_ARCH_TYPE", detectedIsa() == Isa::avx512 ? "0" : "3", 0);
  }
#endif
  return find("blis", {"libblis.so.4", "bli_thread_set_num_threads", "bli_info_get_version_str"});
}

}  // namespace kindling::bench
