// Fourier transforms along one axis. A complex tensor is a real one with a last axis of 2. Extents
// along the axis need not be the transform's length: what is missing counts as 0, what is too much is
// left out. Lengths whose prime factors are at most 31 are transformed directly, others as
// convolutions with a chirp (Bluestein, 1970), in double.

#include "cuda/fft.h"

#include "core/op_info.h"
#include "core/status.h"
#include "cuda/copies.h"
#include "cuda/kernel_table.h"

namespace kindling {
namespace cuda {
namespace fourier {

template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    loadLines(Job<T> job, int64_t lines, Complex<T>* __restrict__ to) {
  const int64_t grid = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t e = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; e < lines * job.n;
       e += grid) {
    const int64_t line = e / job.n;
    to[e] = job.load(line, e - line * job.n);
  }
}

template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    storeLines(Job<T> job, int64_t lines, const Complex<T>* __restrict__ from) {
  const int64_t total = lines * job.out.extent;
  const int64_t grid = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t e = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; e < total;
       e += grid) {
    const int64_t line = e / job.out.extent, j = e - line * job.out.extent;
    const Complex<T> none = {T(0), T(0)};
    job.store(line, j, j < job.length() ? from[line * job.n + j] : none);
  }
}

// ---- any length: c_j = exp(-iπj²/n) turns the transform into a convolution of length m

__device__ __forceinline__ Complex<double> chirpAt(const Complex<double>* __restrict__ roots,
                                                   int64_t n, int64_t j) {
  return roots[j * j % (2 * n)];  // roots of order 2n
}

/// The conjugate chirp as a filter of period m.
__global__ void __launch_bounds__(kBlockThreads)
    writeFilter(const Complex<double>* __restrict__ roots, int64_t n, int64_t m,
                Complex<double>* __restrict__ filter) {
  const int64_t grid = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t j = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; j < m; j += grid) {
    const int64_t at = j < n ? j : m - j;
    Complex<double> value = {0, 0};
    if (at < n) {
      const Complex<double> c = chirpAt(roots, n, at);
      value = {c.re, -c.im};
    }
    filter[j] = value;
  }
}

template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    loadChirped(Job<T> job, int64_t lines, int64_t m, const Complex<double>* __restrict__ roots,
                Complex<double>* __restrict__ to) {
  const int64_t grid = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t e = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; e < lines * m;
       e += grid) {
    const int64_t line = e / m, j = e - line * m;
    Complex<double> value = {0, 0};
    if (j < job.n) {
      const Complex<T> x = job.load(line, j);
      value = Complex<double>{static_cast<double>(x.re), static_cast<double>(x.im)} *
              chirpAt(roots, job.n, j);
    }
    to[e] = value;
  }
}

/// x := x times the filter's transform, exchanged for the inverse transform and scaled by it.
__global__ void __launch_bounds__(kBlockThreads)
    applyFilter(int64_t lines, int64_t m, const Complex<double>* __restrict__ filter,
                Complex<double>* __restrict__ x) {
  const int64_t grid = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const double factor = 1.0 / static_cast<double>(m);  // a power of two
  for (int64_t e = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; e < lines * m;
       e += grid) {
    const Complex<double> product = x[e] * filter[e % m];
    x[e] = {product.im * factor, product.re * factor};
  }
}

template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    storeChirped(Job<T> job, int64_t lines, int64_t m, const Complex<double>* __restrict__ roots,
                 const Complex<double>* __restrict__ from) {
  const int64_t total = lines * job.out.extent;
  const int64_t grid = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t e = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; e < total;
       e += grid) {
    const int64_t line = e / job.out.extent, j = e - line * job.out.extent;
    Complex<T> value = {T(0), T(0)};
    if (j < job.length()) {
      const Complex<double> y = from[line * m + j].swapped() * chirpAt(roots, job.n, j);
      value = {static_cast<T>(y.re), static_cast<T>(y.im)};
    }
    job.store(line, j, value);
  }
}

}  // namespace fourier

namespace {

using namespace fourier;

constexpr int64_t kMostWorkspace = int64_t{512} << 20;  // bytes, if that holds one line

/// `lines` lines from `first` on, where neighbours in `inner` are lines too.
template <typename T>
struct Call {
  Job<T> job;
  int64_t lines;
  const char* op;

  Status noMemory() const { return fail(Status::outOfMemory, "%s: no scratch memory", op); }
  static dim3 grid(int64_t work) { return dim3(gridFor(work, kBlockThreads)); }
};

template <typename T>
Status runDirectly(const Call<T>& call) {
  const Job<T>& job = call.job;
  const int64_t n = job.n, size = call.lines * n;
  const DeviceScratch roots(static_cast<size_t>(n) * sizeof(Complex<T>));
  if (!roots) return call.noMemory();
  Status status = writeRoots(n, roots.as<Complex<T>>());
  if (status != Status::ok) return status;
  const Plan plan(n);
  if (fitsShared<T>(n)) return transformShared(job, plan, roots.as<Complex<T>>(), call.lines);
  const DeviceScratch work(static_cast<size_t>(2 * size) * sizeof(Complex<T>));
  if (!work) return call.noMemory();
  Complex<T>*const x = work.as<Complex<T>>(), *result = nullptr;
  status = launch(loadLines<T>, call.grid(size), dim3(kBlockThreads), 0, job, call.lines, x);
  if (status != Status::ok) return status;
  status = transformLines(plan, roots.as<Complex<T>>(), x, x + size, call.lines, &result);
  if (status != Status::ok) return status;
  return launch(storeLines<T>, call.grid(call.lines * job.out.extent), dim3(kBlockThreads), 0, job,
                call.lines, result);
}

template <typename T>
Status runByChirp(const Call<T>& call) {
  const Job<T>& job = call.job;
  const int64_t n = job.n;
  int64_t m = 1;
  while (m < 2 * n - 1) m *= 2;
  const int64_t size = call.lines * m;
  const DeviceScratch chirpRoots(static_cast<size_t>(2 * n) * sizeof(Complex<double>));
  const DeviceScratch roots(static_cast<size_t>(m) * sizeof(Complex<double>));
  const DeviceScratch filters(static_cast<size_t>(2 * m) * sizeof(Complex<double>));
  const DeviceScratch work(static_cast<size_t>(2 * size) * sizeof(Complex<double>));
  if (!chirpRoots || !roots || !filters || !work) return call.noMemory();
  Complex<double>* const chirp = chirpRoots.as<Complex<double>>();
  Complex<double>*const root = roots.as<Complex<double>>(), *x = work.as<Complex<double>>();
  Complex<double>* filter = filters.as<Complex<double>>();
  const Plan plan(m);
  const dim3 block(kBlockThreads);
  Status status = writeRoots(2 * n, chirp);
  if (status == Status::ok) status = writeRoots(m, root);
  if (status == Status::ok) {
    status = launch(writeFilter, call.grid(m), block, 0, chirp, n, m, filter);
  }
  if (status == Status::ok) {
    status = transformLines(plan, root, filter, filter + m, 1, &filter);
  }
  if (status == Status::ok) {
    status = launch(loadChirped<T>, call.grid(size), block, 0, job, call.lines, m, chirp, x);
  }
  Complex<double>* y = x + size;
  Complex<double>* result = nullptr;
  if (status == Status::ok) status = transformLines(plan, root, x, y, call.lines, &result);
  if (status == Status::ok) {
    status = launch(applyFilter, call.grid(size), block, 0, call.lines, m, filter, result);
  }
  if (status == Status::ok) {
    status = transformLines(plan, root, result, result == x ? y : x, call.lines, &result);
  }
  if (status != Status::ok) return status;
  return launch(storeChirped<T>, call.grid(call.lines * job.out.extent), block, 0, job, call.lines,
                m, chirp, result);
}

template <typename T>
Status runAs(const OpCall& call, Kind kind) {
  const TensorView& out = call.outputs[0];
  if (out.size == 0) return Status::ok;
  DeviceScratch room;
  TensorView in;
  const Status status = makeContiguous(call.inputs[0], room, &in);
  if (status != Status::ok) return status;
  const int axis = call.ints[0], axes = in.rank - (kind == Kind::real ? 0 : 1);
  int64_t inner = 1, outer = 1;
  for (int i = 0; i < axis; ++i) outer *= in.shape[i];
  for (int i = axis + 1; i < axes; ++i) inner *= in.shape[i];
  const bool isReal = kind == Kind::real || kind == Kind::realInverse;
  Call<T> whole = {{{static_cast<const T*>(in.data), in.shape[axis], inner},
                    {static_cast<T*>(out.data), out.shape[axis], inner},
                    kind,
                    call.ints[1],
                    static_cast<T>(call.floats[0]),
                    static_cast<T>(isReal ? call.floats[1] : 1)},
                   outer * inner,
                   opInfo(call.op).name};
  const auto run = [](const Call<T>& part) {
    return Plan::fits(part.job.n) ? runDirectly(part) : runByChirp(part);
  };
  // Whole groups of `inner` lines at once, as many as the workspace of the longer ways holds.
  const int64_t each = 8 * whole.job.n * inner * static_cast<int64_t>(sizeof(Complex<double>));
  const int64_t groups = kMostWorkspace / each > 1 ? kMostWorkspace / each : 1;
  const bool needsNone = Plan::fits(whole.job.n) && fitsShared<T>(whole.job.n);
  if (needsNone || groups >= outer) return run(whole);
  const int64_t inStep = in.shape[axis] * inner * (kind == Kind::real ? 1 : 2);
  const int64_t outStep = out.shape[axis] * inner * (kind == Kind::realInverse ? 1 : 2);
  for (int64_t first = 0; first < outer; first += groups) {
    Call<T> part = whole;
    part.lines = (outer - first < groups ? outer - first : groups) * inner;
    part.job.in.data += first * inStep;
    part.job.out.data += first * outStep;
    const Status partStatus = run(part);
    if (partStatus != Status::ok) return partStatus;
  }
  return Status::ok;
}

Status runAny(const OpCall& call, Kind kind) {
  return call.inputs[0].dtype == DType::float64 ? runAs<double>(call, kind)
                                                : runAs<float>(call, kind);
}

Status fft(const OpCall& call) {
  return runAny(call, call.ints[2] ? Kind::inverse : Kind::forward);
}
Status rfft(const OpCall& call) { return runAny(call, Kind::real); }
Status irfft(const OpCall& call) { return runAny(call, Kind::realInverse); }

}  // namespace

void registerFft(Kernel* kernels) {
  kernels[static_cast<int>(Op::fft)] = fft;
  kernels[static_cast<int>(Op::rfft)] = rfft;
  kernels[static_cast<int>(Op::irfft)] = irfft;
}

}  // namespace cuda
}  // namespace kindling
