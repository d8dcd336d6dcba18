// Fourier transforms along one axis. A complex tensor is a real one with a last axis of 2.
//
// Each op takes input and output extents along the axis that need not be the transform's length:
// what is missing counts as 0, what is too much is left out. That makes each op the adjoint of
// another one (fft of ifft, rfft of irfft), which is what their gradients are.

#include "cpu/fft.h"

#include "core/op_info.h"
#include "core/status.h"
#include "cpu/kernel_table.h"
#include "cpu/parallel.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

constexpr int kMostLines = 16;

KINDLING_INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/// The sequences of a tensor along one axis; `pair` is the step from a real part to its imaginary
/// one.
template <typename T>
struct Sequences {
  T* data;
  int rank;
  int64_t extents[kMaxRank], strides[kMaxRank];
  int64_t count, extent, stride, pair;

  Sequences(const TensorView& view, int axis, bool isComplex)
      : data(static_cast<T*>(view.data)),
        rank(0),
        count(1),
        extent(view.shape[axis]),
        stride(view.strides[axis]),
        pair(isComplex ? view.strides[view.rank - 1] : 0) {
    for (int i = 0; i < view.rank - (isComplex ? 1 : 0); ++i) {
      if (i == axis) continue;
      extents[rank] = view.shape[i];
      strides[rank++] = view.strides[i];
      count *= view.shape[i];
    }
  }

  T* at(int64_t index) const {
    int64_t offset = 0;
    for (int i = rank - 1; i >= 0; --i) {
      offset += index % extents[i] * strides[i];
      index /= extents[i];
    }
    return data + offset;
  }
};

/// What one call is to do, and the lines of one tile in it.
template <typename T>
struct Job {
  Sequences<T> in, out;
  int64_t n;  // the transform's length
  T scale, middle;
  const T *rootRe, *rootIm;  // exp(-2πik/n) for k <= n/2: real transforms of even length
};

template <typename T>
struct Tile {
  int64_t first, lines;
  T *from[kMostLines], *to[kMostLines];
};

/// element(j)[line] := part of the input, 0 from its end to `n`.
template <typename T, typename Place>
void gather(const Job<T>& job, const Tile<T>& tile, int64_t n, int64_t part, const Place& place) {
  const int64_t given = least(n, job.in.extent);
  for (int64_t line = 0; line < tile.lines; ++line) {
    const T* x = tile.from[line] + part;
    for (int64_t j = 0; j < given; ++j) place(j)[line] = x[j * job.in.stride];
    for (int64_t j = given; j < n; ++j) place(j)[line] = 0;
  }
}

/// Part of the output := element(j)[line] · scale, 0 from `n` to its end.
template <typename T, typename Place>
void scatter(const Job<T>& job, const Tile<T>& tile, int64_t n, int64_t part, const Place& place) {
  const int64_t wanted = least(n, job.out.extent);
  for (int64_t line = 0; line < tile.lines; ++line) {
    T* y = tile.to[line] + part;
    for (int64_t j = 0; j < wanted; ++j) y[j * job.out.stride] = place(j)[line] * job.scale;
    for (int64_t j = wanted; j < job.out.extent; ++j) y[j * job.out.stride] = 0;
  }
}

template <bool inverse, typename T>
void complexTile(const Job<T>& job, const Tile<T>& tile, const FftPlan<T>& plan, T* memory,
                 void* work) {
  const int64_t n = job.n, lines = tile.lines;
  const Lines<T> x = {memory, memory + n * lines};
  // The inverse transform is the forward one with real and imaginary parts exchanged.
  gather(job, tile, n, inverse ? job.in.pair : 0, [&](int64_t j) { return x.re + j * lines; });
  gather(job, tile, n, inverse ? 0 : job.in.pair, [&](int64_t j) { return x.im + j * lines; });
  const Lines<T> y = plan.transform(x, work, lines);
  scatter(job, tile, n, inverse ? job.out.pair : 0, [&](int64_t j) { return y.re + j * lines; });
  scatter(job, tile, n, inverse ? 0 : job.out.pair, [&](int64_t j) { return y.im + j * lines; });
}

/// y, the transform of x[2j] + i x[2j+1], becomes the first half of x's own.
template <typename T>
void untangle(const Job<T>& job, const Lines<T>& y, int64_t half, int64_t lines) {
  for (int64_t k = 0; k <= half - k; ++k) {
    const int64_t other = half - k;
    // exp(-2πik/n) at k, and minus its conjugate at half - k.
    const T c = job.rootRe[k], s = job.rootIm[k];
    for (int64_t i = 0; i < lines; ++i) {
      const int64_t a = k * lines + i, b = other * lines + i;
      const int64_t bIn = other == half ? i : b;  // the transform has period `half`
      const T evenRe = (y.re[a] + y.re[bIn]) / 2, evenIm = (y.im[a] - y.im[bIn]) / 2;
      const T oddRe = (y.im[a] + y.im[bIn]) / 2, oddIm = (y.re[bIn] - y.re[a]) / 2;
      const T re = c * oddRe - s * oddIm, im = c * oddIm + s * oddRe;
      y.re[a] = evenRe + re;
      y.im[a] = evenIm + im;
      y.re[b] = evenRe - re;
      y.im[b] = im - evenIm;
    }
  }
}

/// The inverse of untangle, up to the factor 2.
template <typename T>
void tangle(const Job<T>& job, const Lines<T>& x, int64_t half, int64_t lines) {
  for (int64_t k = 0; k <= half - k; ++k) {
    const int64_t other = half - k;
    const T c = job.rootRe[k], s = -job.rootIm[k];
    for (int64_t i = 0; i < lines; ++i) {
      const int64_t a = k * lines + i, b = other * lines + i;
      const T evenRe = x.re[a] + x.re[b], evenIm = x.im[a] - x.im[b];
      const T re = x.re[a] - x.re[b], im = x.im[a] + x.im[b];
      const T oddRe = c * re - s * im, oddIm = c * im + s * re;
      x.re[a] = evenRe - oddIm;
      x.im[a] = evenIm + oddRe;
      x.re[b] = evenRe + oddIm;
      x.im[b] = oddRe - evenIm;
    }
  }
}

/// Multiplies the bins that stand for two of the whole spectrum, and clears what must be real.
template <typename T>
void weightMiddle(const Job<T>& job, const Lines<T>& x, int64_t lines) {
  const int64_t bins = job.n / 2 + 1;
  for (int64_t k = 0; k < bins; ++k) {
    const bool isReal = k == 0 || 2 * k == job.n;
    for (int64_t i = k * lines; i < (k + 1) * lines; ++i) {
      if (!isReal) x.re[i] *= job.middle;
      x.im[i] = isReal ? 0 : x.im[i] * job.middle;
    }
  }
}

template <typename T>
void realTile(const Job<T>& job, const Tile<T>& tile, const FftPlan<T>& plan, T* memory,
              void* work) {
  const int64_t n = job.n, lines = tile.lines, half = n / 2;
  const bool even = n % 2 == 0;
  const int64_t length = even ? half : n;
  // One element more than the plan's length: the highest frequency.
  const Lines<T> x = {memory, memory + (length + 1) * lines};
  if (even) {
    gather(job, tile, n, 0, [&](int64_t j) { return (j % 2 ? x.im : x.re) + j / 2 * lines; });
  } else {
    gather(job, tile, n, 0, [&](int64_t j) { return x.re + j * lines; });
    for (int64_t i = 0; i < n * lines; ++i) x.im[i] = 0;
  }
  Lines<T> y = plan.transform(x, work, lines);
  if (even && y.re != x.re) {
    for (int64_t i = 0; i < length * lines; ++i) {
      x.re[i] = y.re[i];
      x.im[i] = y.im[i];
    }
    y = x;
  }
  if (even) untangle(job, y, half, lines);
  weightMiddle(job, y, lines);
  scatter(job, tile, half + 1, 0, [&](int64_t j) { return y.re + j * lines; });
  scatter(job, tile, half + 1, job.out.pair, [&](int64_t j) { return y.im + j * lines; });
}

template <typename T>
void realInverseTile(const Job<T>& job, const Tile<T>& tile, const FftPlan<T>& plan, T* memory,
                     void* work) {
  const int64_t n = job.n, lines = tile.lines, half = n / 2;
  const bool even = n % 2 == 0;
  const int64_t length = even ? half : n;
  const Lines<T> x = {memory, memory + (length + 1) * lines};
  gather(job, tile, half + 1, 0, [&](int64_t j) { return x.re + j * lines; });
  gather(job, tile, half + 1, job.in.pair, [&](int64_t j) { return x.im + j * lines; });
  weightMiddle(job, x, lines);
  if (even) {
    tangle(job, x, half, lines);
  } else {
    for (int64_t k = half + 1; k < n; ++k) {
      for (int64_t i = 0; i < lines; ++i) {
        x.re[k * lines + i] = x.re[(n - k) * lines + i];
        x.im[k * lines + i] = -x.im[(n - k) * lines + i];
      }
    }
  }
  const Lines<T> y = plan.transform({x.im, x.re}, work, lines);  // inverse: parts exchanged
  if (even) {
    scatter(job, tile, n, 0, [&](int64_t j) { return (j % 2 ? y.re : y.im) + j / 2 * lines; });
  } else {
    scatter(job, tile, n, 0, [&](int64_t j) { return y.im + j * lines; });
  }
}

enum class Kind { forward, inverse, real, realInverse };

template <typename T>
Status runAs(const OpCall& call, Kind kind) {
  const char* op = opInfo(call.op).name;
  const int axis = call.ints[0];
  const int64_t n = call.ints[1];
  const bool isReal = kind == Kind::real || kind == Kind::realInverse;
  if (call.outputs[0].size == 0) return Status::ok;
  const bool halved = isReal && n % 2 == 0;
  const int64_t length = halved ? n / 2 : n;
  const FftPlan<T> plan(length);
  const Scratch roots(halved ? static_cast<size_t>(n / 2 + 1) * 2 * sizeof(T) : 0);
  if (!plan.ok() || !roots.ok()) return fail(Status::outOfMemory, "%s: no scratch memory", op);
  T* root = roots.as<T>();
  if (halved && !fillRoots(n, n / 2 + 1, root, root + n / 2 + 1)) {
    return fail(Status::outOfMemory, "%s: no scratch memory", op);
  }
  const Job<T> job = {{call.inputs[0], axis, kind != Kind::real},
                      {call.outputs[0], axis, kind != Kind::realInverse},
                      n,
                      static_cast<T>(call.floats[0]),
                      static_cast<T>(isReal ? call.floats[1] : 1),
                      root,
                      root + (halved ? n / 2 + 1 : 0)};
  const int64_t fitting = 16384 / n + 1;
  const int64_t lines = least(least(kMostLines, fitting), job.out.count);
  const int64_t tiles = (job.out.count + lines - 1) / lines;
  const Scratch results(static_cast<size_t>(tiles));
  if (!results.ok()) return fail(Status::outOfMemory, "%s: no scratch memory", op);
  uint8_t* done = results.as<uint8_t>();
  parallelFor(tiles, 8192 / (n * lines) + 1, 1, [&](int64_t begin, int64_t end) {
    const size_t own = static_cast<size_t>((length + 1) * lines) * 2 * sizeof(T);
    const Scratch memory(own), work(plan.workBytes(lines));
    for (int64_t i = begin; i < end; ++i) {
      done[i] = memory.ok() && work.ok();
      if (!done[i]) continue;
      Tile<T> tile = {i * lines, least(lines, job.out.count - i * lines), {}, {}};
      for (int64_t line = 0; line < tile.lines; ++line) {
        tile.from[line] = job.in.at(tile.first + line);
        tile.to[line] = job.out.at(tile.first + line);
      }
      const auto body = kind == Kind::forward   ? complexTile<false, T>
                        : kind == Kind::inverse ? complexTile<true, T>
                        : kind == Kind::real    ? realTile<T>
                                                : realInverseTile<T>;
      body(job, tile, plan, memory.as<T>(), work.as<void>());
    }
  });
  for (int64_t i = 0; i < tiles; ++i) {
    if (!done[i]) return fail(Status::outOfMemory, "%s: no scratch memory", op);
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

}  // namespace KINDLING_ISA
}  // namespace kindling
