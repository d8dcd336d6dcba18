#pragma once
// What the files of the Fourier transforms share: transforms of lines that lie one after the other,
// forward and without scaling, by Stockham's self-sorting stages (Van Loan, Computational
// Frameworks for the FFT, 1992, section 1.7), and the elements of a tensor that become such lines.

#include <cstdint>

#include "core/op_call.h"
#include "cuda/indexing.cuh"
#include "cuda/runtime.h"

namespace kindling {
namespace cuda {
namespace fourier {

template <typename T>
struct alignas(2 * sizeof(T)) Complex {
  T re, im;

  __device__ __forceinline__ Complex operator+(Complex o) const { return {re + o.re, im + o.im}; }
  __device__ __forceinline__ Complex operator-(Complex o) const { return {re - o.re, im - o.im}; }
  __device__ __forceinline__ Complex operator*(Complex o) const {
    return {re * o.re - im * o.im, re * o.im + im * o.re};
  }
  /// -i times this
  __device__ __forceinline__ Complex turned() const { return {im, -re}; }
  __device__ __forceinline__ Complex swapped() const { return {im, re}; }
};

constexpr int kLargestRadix = 31;
constexpr int kMostStages = 28;  // lengths are below 2^29

/// One stage: a line stands as [radix][rest][stride] and leaves as [rest][radix][stride].
struct Stage {
  int radix, rest;
  FastDivisor<uint32_t> stride;

  /// Radices without a butterfly of their own are computed output by output.
  __host__ __device__ __forceinline__ bool isPlain() const { return radix > 5; }
  __host__ __device__ __forceinline__ uint32_t items(uint32_t n) const {
    return isPlain() ? n : n / static_cast<uint32_t>(radix);
  }
};

struct Plan {
  uint32_t n;
  int count;
  Stage stages[kMostStages];

  explicit Plan(int64_t length) : n(static_cast<uint32_t>(length)), count(0) {
    int64_t left = length, stride = 1;
    const auto take = [&](int radix) {
      left /= radix;
      stages[count++] = {radix, static_cast<int>(length / stride / radix),
                         FastDivisor<uint32_t>(static_cast<uint32_t>(stride))};
      stride *= radix;
    };
    while (left % 4 == 0) take(4);
    for (int radix = 2; left > 1 && radix <= kLargestRadix; ++radix) {
      while (left % radix == 0) take(radix);
    }
  }

  /// Whether all prime factors are at most kLargestRadix.
  static bool fits(int64_t n) {
    for (int64_t p = 2; p <= kLargestRadix; ++p) {
      while (n % p == 0) n /= p;
    }
    return n == 1;
  }
};

enum class Kind : int32_t { forward, inverse, real, realInverse };

/// The elements of a tensor along one axis: [outer][extent][inner], and pairs behind them where
/// complex.
template <typename T>
struct Sequences {
  T* data;
  int64_t extent, inner;

  __device__ __forceinline__ int64_t at(int64_t line, int64_t j) const {
    const int64_t outer = line / inner;
    return (outer * extent + j) * inner + line - outer * inner;
  }
};

/// What one call is to do. The inverse transform is the forward one with real and imaginary parts
/// exchanged before and after.
template <typename T>
struct Job {
  Sequences<const T> in;
  Sequences<T> out;
  Kind kind;
  int64_t n;
  T scale, middle;  // middle: of bins that stand for two of the whole spectrum

  /// Element j of a line that is to be transformed.
  __device__ __forceinline__ Complex<T> load(int64_t line, int64_t j) const {
    if (kind == Kind::realInverse) return spectrum(line, j).swapped();
    if (j >= in.extent) return {T(0), T(0)};
    const int64_t at = in.at(line, j);
    if (kind == Kind::real) return {in.data[at], T(0)};
    const Complex<T> value = reinterpret_cast<const Complex<T>*>(in.data)[at];
    return kind == Kind::inverse ? value.swapped() : value;
  }

  /// Element j of the result, j below the output's extent; `value` is the transform's element j,
  /// where it has one.
  __device__ __forceinline__ void store(int64_t line, int64_t j, Complex<T> value) const {
    const int64_t at = out.at(line, j);
    if (j >= length()) value = {T(0), T(0)};
    if (kind == Kind::realInverse) {
      out.data[at] = value.im * scale;
      return;
    }
    if (kind == Kind::inverse) value = value.swapped();
    if (kind == Kind::real) value = weighted(value, j);
    reinterpret_cast<Complex<T>*>(out.data)[at] = {value.re * scale, value.im * scale};
  }

  /// How many elements of the transform the result has.
  __host__ __device__ __forceinline__ int64_t length() const {
    return kind == Kind::real ? n / 2 + 1 : n;
  }

 private:
  __device__ __forceinline__ Complex<T> weighted(Complex<T> value, int64_t bin) const {
    if (bin == 0 || 2 * bin == n) return {value.re, T(0)};
    return {value.re * middle, value.im * middle};
  }

  /// Element j of the whole spectrum of a real sequence, from its first half.
  __device__ __forceinline__ Complex<T> spectrum(int64_t line, int64_t j) const {
    const bool mirrored = 2 * j > n;
    const int64_t bin = mirrored ? n - j : j;
    if (bin >= in.extent) return {T(0), T(0)};
    const Complex<T> value =
        weighted(reinterpret_cast<const Complex<T>*>(in.data)[in.at(line, bin)], bin);
    return mirrored ? Complex<T>{value.re, -value.im} : value;
  }
};

// fft_stages.cu

/// roots[k] = exp(-2πik/n) for k < n.
template <typename T>
Status writeRoots(int64_t n, Complex<T>* roots);

/// Whether one block can hold a line in shared memory.
template <typename T>
bool fitsShared(int64_t n);

/// Loads, transforms and stores `lines` lines that fit shared memory, in one launch.
template <typename T>
Status transformShared(const Job<T>& job, const Plan& plan, const Complex<T>* roots, int64_t lines);

/// Transforms `lines` lines of x with y as workspace; `result` is whichever holds the result.
template <typename T>
Status transformLines(const Plan& plan, const Complex<T>* roots, Complex<T>* x, Complex<T>* y,
                      int64_t lines, Complex<T>** result);

}  // namespace fourier
}  // namespace cuda
}  // namespace kindling
