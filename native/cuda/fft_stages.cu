// The stages of the Fourier transforms, in shared memory where a line fits and otherwise with one launch
// for each stage.

#include "core/status.h"
#include "cuda/fft.h"

namespace kindling {
namespace cuda {
namespace fourier {

constexpr int kFftThreads = 256;
constexpr int64_t kMostSharedBytes = 96 << 10;
constexpr int kMostLines = 16;  // of a block

/// exp(-2πik/n), with the angle reduced to [0, π/4] in integers.
__device__ inline Complex<double> unitRoot(int64_t k, int64_t n) {
  k %= n;
  const bool below = 2 * k > n;
  int64_t quarter = 4 * (below ? n - k : k);  // in units of (π/2)/n
  const bool left = quarter > n;
  if (left) quarter = 2 * n - quarter;
  const bool steep = 2 * quarter > n;
  if (steep) quarter = n - quarter;
  const double angle = 1.5707963267948966 * (static_cast<double>(quarter) / static_cast<double>(n));
  const double c = cos(angle), s = sin(angle);
  const double re = steep ? s : c, im = steep ? c : s;
  return {left ? -re : re, below ? im : -im};
}

template <typename T>
__global__ void __launch_bounds__(kFftThreads) fillRoots(int64_t n, Complex<T>* __restrict__ roots) {
  const int64_t grid = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t k = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; k < n; k += grid) {
    const Complex<double> root = unitRoot(k, n);
    roots[k] = {static_cast<T>(root.re), static_cast<T>(root.im)};
  }
}

template <typename T>
__device__ __forceinline__ void butterfly2(Complex<T>* a) {
  const Complex<T> t = a[1];
  a[1] = a[0] - t;
  a[0] = a[0] + t;
}

template <typename T>
__device__ __forceinline__ void butterfly4(Complex<T>* a) {
  const Complex<T> p = a[0] + a[2], q = a[0] - a[2], r = a[1] + a[3];
  const Complex<T> s = (a[1] - a[3]).turned();
  a[0] = p + r;
  a[1] = q + s;
  a[2] = p - r;
  a[3] = q - s;
}

/// The sums and differences of a[j] and a[kRadix - j] meet cosines and sines; root[k] is
/// exp(-2πik/kRadix).
template <int kRadix, typename T>
__device__ __forceinline__ void butterflyOdd(Complex<T>* a, const Complex<T>* root) {
  constexpr int kHalf = (kRadix - 1) / 2;
  Complex<T> even[kHalf + 1], odd[kHalf + 1];
  const Complex<T> first = a[0];
#pragma unroll
  for (int j = 1; j <= kHalf; ++j) {
    even[j] = a[j] + a[kRadix - j];
    odd[j] = (a[j] - a[kRadix - j]).turned();
    a[0] = a[0] + even[j];
  }
#pragma unroll
  for (int k = 1; k <= kHalf; ++k) {
    Complex<T> sum = first, turn = {T(0), T(0)};
#pragma unroll
    for (int j = 1; j <= kHalf; ++j) {
      const Complex<T> w = root[j * k % kRadix];
      sum = sum + Complex<T>{w.re * even[j].re, w.re * even[j].im};
      turn = turn - Complex<T>{w.im * odd[j].re, w.im * odd[j].im};
    }
    a[k] = sum + turn;
    a[kRadix - k] = sum - turn;
  }
}

/// One butterfly of a stage with its twiddles, from line x to line y.
template <int kRadix, typename T>
__device__ __forceinline__ void runButterfly(const Stage& stage, uint32_t item,
                                             const Complex<T>* __restrict__ roots, uint32_t n,
                                             const Complex<T>* x, Complex<T>* y) {
  const uint32_t stride = stage.stride.divisor, p = stage.stride.divide(item);
  const uint32_t q = item - p * stride;
  Complex<T> a[kRadix];
#pragma unroll
  for (int j = 0; j < kRadix; ++j) a[j] = x[q + stride * (p + stage.rest * j)];
  if constexpr (kRadix == 2) {
    butterfly2(a);
  } else if constexpr (kRadix == 4) {
    butterfly4(a);
  } else {
    Complex<T> root[kRadix];
#pragma unroll
    for (int k = 1; k < kRadix; ++k) root[k] = roots[k * (n / kRadix)];
    butterflyOdd<kRadix>(a, root);
  }
#pragma unroll
  for (int k = 0; k < kRadix; ++k) {
    y[q + stride * (kRadix * p + k)] = k > 0 ? a[k] * roots[p * k * stride] : a[k];
  }
}

/// One element of the result of a stage of any radix.
template <typename T>
__device__ __forceinline__ void runOutput(const Stage& stage, uint32_t item,
                                          const Complex<T>* __restrict__ roots, uint32_t n,
                                          const Complex<T>* x, Complex<T>* y) {
  const uint32_t stride = stage.stride.divisor, radix = stage.radix;
  const uint32_t above = stage.stride.divide(item), q = item - above * stride;
  const uint32_t p = above / radix, k = above - p * radix;
  Complex<T> sum = x[q + stride * p];
  uint32_t turn = 0;
  for (uint32_t j = 1; j < radix; ++j) {
    turn += k;
    if (turn >= radix) turn -= radix;
    sum = sum + x[q + stride * (p + stage.rest * j)] * roots[turn * (n / radix)];
  }
  y[item] = sum * roots[p * k * stride];
}

template <typename T>
__device__ __forceinline__ void runItem(const Stage& stage, uint32_t item,
                                        const Complex<T>* __restrict__ roots, uint32_t n,
                                        const Complex<T>* x, Complex<T>* y) {
  switch (stage.radix) {
    case 4:
      return runButterfly<4>(stage, item, roots, n, x, y);
    case 2:
      return runButterfly<2>(stage, item, roots, n, x, y);
    case 3:
      return runButterfly<3>(stage, item, roots, n, x, y);
    case 5:
      return runButterfly<5>(stage, item, roots, n, x, y);
    default:
      return runOutput(stage, item, roots, n, x, y);
  }
}

/// A block transforms `together` lines. Neighbouring threads load neighbours in memory.
template <typename T>
__global__ void __launch_bounds__(kFftThreads)
    transformInShared(Job<T> job, Plan plan, const Complex<T>* __restrict__ roots, int64_t lines,
                      int together) {
  GPU_DYNAMIC_SHARED(bytes);
  Complex<T>* x = reinterpret_cast<Complex<T>*>(bytes);
  Complex<T>* y = x + static_cast<int64_t>(together) * plan.n;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * together;
  const uint32_t own = static_cast<uint32_t>(lines - first < together ? lines - first : together);
  const bool across = job.in.inner > 1;
  for (uint32_t e = threadIdx.x; e < own * plan.n; e += kFftThreads) {
    const uint32_t line = across ? e % own : e / plan.n, j = across ? e / own : e % plan.n;
    x[line * plan.n + j] = job.load(first + line, j);
  }
  __syncthreads();
  for (int i = 0; i < plan.count; ++i) {
    const Stage& stage = plan.stages[i];
    const uint32_t items = stage.items(plan.n);
    for (uint32_t e = threadIdx.x; e < own * items; e += kFftThreads) {
      const uint32_t line = e / items;
      runItem(stage, e - line * items, roots, plan.n, x + line * plan.n, y + line * plan.n);
    }
    __syncthreads();
    Complex<T>* const swapped = x;
    x = y;
    y = swapped;
  }
  const uint32_t extent = static_cast<uint32_t>(job.out.extent);
  const uint32_t length = static_cast<uint32_t>(job.length());
  for (uint32_t e = threadIdx.x; e < own * extent; e += kFftThreads) {
    const uint32_t line = across ? e % own : e / extent, j = across ? e / own : e % extent;
    const Complex<T> none = {T(0), T(0)};
    job.store(first + line, j, j < length ? x[line * plan.n + j] : none);
  }
}

template <typename T>
__global__ void __launch_bounds__(kFftThreads)
    transformStage(Stage stage, uint32_t n, const Complex<T>* __restrict__ roots, int64_t lines,
                   const Complex<T>* __restrict__ x, Complex<T>* __restrict__ y) {
  const int64_t items = stage.items(n);
  const int64_t grid = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t e = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; e < lines * items;
       e += grid) {
    const int64_t line = e / items;
    runItem(stage, static_cast<uint32_t>(e - line * items), roots, n, x + line * n, y + line * n);
  }
}

template <typename T>
Status writeRoots(int64_t n, Complex<T>* roots) {
  return launch(fillRoots<T>, dim3(gridFor(n, kFftThreads)), dim3(kFftThreads), 0, n, roots);
}

namespace {

int64_t sharedLimit() {
  const int64_t most = gpu::deviceInfo().sharedBytesPerBlock;
  return most < kMostSharedBytes ? most : kMostSharedBytes;
}

}  // namespace

template <typename T>
bool fitsShared(int64_t n) {
  return 2 * n * static_cast<int64_t>(sizeof(Complex<T>)) <= sharedLimit();
}

template <typename T>
Status transformShared(const Job<T>& job, const Plan& plan, const Complex<T>* roots,
                       int64_t lines) {
  const int64_t each = 2 * static_cast<int64_t>(plan.n) * static_cast<int64_t>(sizeof(Complex<T>));
  int64_t together = (32 << 10) / each;
  if (together > kMostLines) together = kMostLines;
  if (together > lines) together = lines;
  if (together < 1) together = 1;
  const size_t bytes = static_cast<size_t>(together * each);
  const Status status =
      gpu::allowSharedBytes(reinterpret_cast<const void*>(transformInShared<T>), bytes);
  if (status != Status::ok) return status;
  return launch(transformInShared<T>, dim3(static_cast<unsigned>(ceilDivide(lines, together))),
                dim3(kFftThreads), bytes, job, plan, roots, lines, static_cast<int>(together));
}

template <typename T>
Status transformLines(const Plan& plan, const Complex<T>* roots, Complex<T>* x, Complex<T>* y,
                      int64_t lines, Complex<T>** result) {
  *result = x;
  if (fitsShared<T>(plan.n)) {
    // Each line as a complex sequence of its own, in place: a block reads its lines before it writes.
    const T* const from = reinterpret_cast<const T*>(x);
    const Job<T> job = {{from, plan.n, 1}, {reinterpret_cast<T*>(x), plan.n, 1},
                        Kind::forward,     plan.n, T(1), T(1)};
    return transformShared(job, plan, roots, lines);
  }
  for (int i = 0; i < plan.count; ++i) {
    const Stage& stage = plan.stages[i];
    const Status status =
        launch(transformStage<T>, dim3(gridFor(lines * stage.items(plan.n), kFftThreads)),
               dim3(kFftThreads), 0, stage, plan.n, roots, lines, x, y);
    if (status != Status::ok) return status;
    Complex<T>* const swapped = x;
    x = y;
    y = swapped;
  }
  *result = x;
  return Status::ok;
}

template Status writeRoots<float>(int64_t, Complex<float>*);
template Status writeRoots<double>(int64_t, Complex<double>*);
template bool fitsShared<float>(int64_t);
template bool fitsShared<double>(int64_t);
template Status transformShared<float>(const Job<float>&, const Plan&, const Complex<float>*,
                                       int64_t);
template Status transformShared<double>(const Job<double>&, const Plan&, const Complex<double>*,
                                        int64_t);
template Status transformLines<float>(const Plan&, const Complex<float>*, Complex<float>*,
                                      Complex<float>*, int64_t, Complex<float>**);
template Status transformLines<double>(const Plan&, const Complex<double>*, Complex<double>*,
                                       Complex<double>*, int64_t, Complex<double>**);

}  // namespace fourier
}  // namespace cuda
}  // namespace kindling
