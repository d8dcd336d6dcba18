#pragma once
// Fast Fourier transforms of any length, forward and without scaling: several sequences at once,
// with element j of all of them side by side ([n][lines], real and imaginary parts apart), so that
// every stage works on whole vectors. Lengths whose prime factors are at most 31 go through
// Stockham's self-sorting stages (Van Loan, Computational Frameworks for the FFT, 1992,
// section 1.7); other lengths are convolutions with a chirp (Bluestein, 1970), in double. Roots of
// unity are computed in double.

#include <cmath>
#include <cstdint>

#include "cpu/linalg_vec.h"
#include "cpu/scratch.h"
#include "cpu/vec.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

/// cos and sin of 2πk/n, reduced to [0, π/4] in integers.
struct Root {
  double re, im;
};

inline Root unitRoot(int64_t k, int64_t n) {
  k %= n;
  const bool below = 2 * k > n;
  int64_t quarter = 4 * (below ? n - k : k);  // in units of (π/2)/n
  const bool left = quarter > n;
  if (left) quarter = 2 * n - quarter;
  const bool steep = 2 * quarter > n;
  if (steep) quarter = n - quarter;
  const double angle = 1.5707963267948966 * (static_cast<double>(quarter) / static_cast<double>(n));
  const double c = std::cos(angle), s = std::sin(angle);
  const double re = steep ? s : c, im = steep ? c : s;
  return {left ? -re : re, below ? -im : im};
}

/// exp(-2πik/n) for k < count: each is the product of one of ~√count coarse and fine roots.
template <typename T>
bool fillRoots(int64_t n, int64_t count, T* re, T* im) {
  int64_t step = 1;
  while (step * step < count) step *= 2;
  const Scratch memory(static_cast<size_t>(step) * sizeof(Root));
  if (!memory.ok()) return false;
  Root* fine = memory.as<Root>();
  for (int64_t j = 0; j < step; ++j) fine[j] = unitRoot(j, n);
  for (int64_t base = 0; base < count; base += step) {
    const Root coarse = unitRoot(base, n);
    for (int64_t j = 0; j < step && base + j < count; ++j) {
      re[base + j] = static_cast<T>(coarse.re * fine[j].re - coarse.im * fine[j].im);
      im[base + j] = static_cast<T>(-(coarse.re * fine[j].im + coarse.im * fine[j].re));
    }
  }
  return true;
}

/// A vector of one lane, for strides below a vector's width.
template <typename T>
struct Single {
  static constexpr int width = 1;
  T v;
  static KINDLING_INLINE Single load(const T* p) { return {*p}; }
  static KINDLING_INLINE Single loadPartial(const T* p, int) { return {*p}; }
  KINDLING_INLINE void store(T* p) const { *p = v; }
  KINDLING_INLINE void storePartial(T* p, int) const { *p = v; }
  static KINDLING_INLINE Single set1(T x) { return {x}; }
  KINDLING_INLINE Single operator+(Single o) const { return {v + o.v}; }
  KINDLING_INLINE Single operator-(Single o) const { return {v - o.v}; }
  KINDLING_INLINE Single operator*(Single o) const { return {v * o.v}; }
};

template <typename T>
struct VectorOf;
template <>
struct VectorOf<float> {
  using Type = VecF;
};
template <>
struct VectorOf<double> {
  using Type = Pack;
};

template <typename V>
struct Complex {
  V re, im;
  KINDLING_INLINE Complex operator+(Complex o) const { return {re + o.re, im + o.im}; }
  KINDLING_INLINE Complex operator-(Complex o) const { return {re - o.re, im - o.im}; }
  KINDLING_INLINE Complex operator*(Complex o) const {
    return {re * o.re - im * o.im, re * o.im + im * o.re};
  }
  /// -i times this
  KINDLING_INLINE Complex turned() const { return {im, V::set1(0) - re}; }
};

constexpr int kLargestRadix = 31;

/// cos and sin of 2πk/radix for an odd radix.
template <typename T>
struct OddRoots {
  T cos[kLargestRadix], sin[kLargestRadix];
};

template <typename V>
KINDLING_INLINE void butterfly2(Complex<V>* a) {
  const Complex<V> t = a[1];
  a[1] = a[0] - t;
  a[0] = a[0] + t;
}

template <typename V>
KINDLING_INLINE void butterfly4(Complex<V>* a) {
  const Complex<V> p = a[0] + a[2], q = a[0] - a[2], r = a[1] + a[3];
  const Complex<V> s = (a[1] - a[3]).turned();
  a[0] = p + r;
  a[1] = q + s;
  a[2] = p - r;
  a[3] = q - s;
}

/// An odd radix: the sums and differences of a[j] and a[radix - j] meet cosines and sines.
template <typename V, typename T>
KINDLING_INLINE void butterflyOdd(Complex<V>* a, int radix, const OddRoots<T>& roots) {
  const int half = (radix - 1) / 2;
  Complex<V> even[kLargestRadix / 2 + 1], odd[kLargestRadix / 2 + 1];
  const Complex<V> first = a[0];
  Complex<V> total = first;
  for (int j = 1; j <= half; ++j) {
    even[j] = a[j] + a[radix - j];
    odd[j] = (a[j] - a[radix - j]).turned();
    total = total + even[j];
  }
  a[0] = total;
  for (int k = 1; k <= half; ++k) {
    Complex<V> sum = first, turn = {V::set1(0), V::set1(0)};
    for (int j = 1, at = 0; j <= half; ++j) {
      at += k;
      if (at >= radix) at -= radix;
      const V c = V::set1(roots.cos[at]), s = V::set1(roots.sin[at]);
      sum.re = sum.re + c * even[j].re;
      sum.im = sum.im + c * even[j].im;
      turn.re = turn.re + s * odd[j].re;
      turn.im = turn.im + s * odd[j].im;
    }
    a[k] = sum + turn;
    a[radix - k] = sum - turn;
  }
}

template <typename T>
struct Lines {
  T *re, *im;
};

/// One stage of a sequence that stands as [radix][rest][stride] and leaves as
/// [rest][radix][stride]. `known` is the radix where the compiler should know it, else 0.
template <typename V, int known, typename T>
void stage(int given, const Lines<T>& x, const Lines<T>& y, int64_t rest, int64_t stride,
           const T* tableRe, const T* tableIm, int64_t step, const OddRoots<T>& roots) {
  const int radix = known ? known : given;
  constexpr int most = known ? known : kLargestRadix;
  for (int64_t p = 0; p < rest; ++p) {
    Complex<V> turns[most];
    for (int k = 1; k < radix; ++k) {
      const int64_t turn = p * k * step;
      turns[k] = {V::set1(tableRe[turn]), V::set1(tableIm[turn])};
    }
    for (int64_t q = 0; q < stride; q += V::width) {
      const int lanes = static_cast<int>(stride - q < V::width ? stride - q : V::width);
      const bool full = lanes == V::width;
      Complex<V> a[most];
      for (int j = 0; j < radix; ++j) {
        const int64_t at = q + stride * (p + rest * j);
        a[j] = full
                   ? Complex<V>{V::load(x.re + at), V::load(x.im + at)}
                   : Complex<V>{V::loadPartial(x.re + at, lanes), V::loadPartial(x.im + at, lanes)};
      }
      if constexpr (known == 2) {
        butterfly2(a);
      } else if constexpr (known == 4) {
        butterfly4(a);
      } else {
        butterflyOdd(a, radix, roots);
      }
      for (int k = 0; k < radix; ++k) {
        const int64_t at = q + stride * (radix * p + k);
        if (k > 0) a[k] = a[k] * turns[k];
        if (full) {
          a[k].re.store(y.re + at);
          a[k].im.store(y.im + at);
        } else {
          a[k].re.storePartial(y.re + at, lanes);
          a[k].im.storePartial(y.im + at, lanes);
        }
      }
    }
  }
}

template <typename V, typename T>
void anyStage(int radix, const Lines<T>& x, const Lines<T>& y, int64_t rest, int64_t stride,
              const T* tableRe, const T* tableIm, int64_t step, const OddRoots<T>& roots) {
  const auto run = radix == 4   ? stage<V, 4, T>
                   : radix == 2 ? stage<V, 2, T>
                   : radix == 3 ? stage<V, 3, T>
                   : radix == 5 ? stage<V, 5, T>
                                : stage<V, 0, T>;
  run(radix, x, y, rest, stride, tableRe, tableIm, step, roots);
}

/// Stockham's transform for lengths of small prime factors.
template <typename T>
class StockhamPlan {
 public:
  /// Whether all prime factors are at most kLargestRadix.
  static bool fits(int64_t n) {
    for (int64_t p = 2; p <= kLargestRadix; ++p) {
      while (n % p == 0) n /= p;
    }
    return n == 1;
  }

  explicit StockhamPlan(int64_t n)
      : n_(n), memory_(static_cast<size_t>(n) * 2 * sizeof(T)), count_(0) {
    if (!memory_.ok()) return;
    re_ = memory_.template as<T>();
    im_ = re_ + n;
    ok_ = fillRoots(n, n, re_, im_);
    int64_t left = n;
    while (left % 4 == 0) left = divided(left, 4);
    for (int p = 2; left > 1 && p <= kLargestRadix; ++p) {
      while (left % p == 0) left = divided(left, p);
    }
  }

  bool ok() const { return ok_; }
  int64_t size() const { return n_; }

  /// Transforms x with y as workspace; returns whichever of them holds the result.
  Lines<T> transform(Lines<T> x, Lines<T> y, int64_t lines) const {
    using V = typename VectorOf<T>::Type;
    int64_t rest = n_, stride = lines;
    for (int i = 0; i < count_; ++i) {
      const int radix = radices_[i];
      rest /= radix;
      OddRoots<T> roots;
      for (int k = 0; k < radix && radix % 2 == 1; ++k) {
        const Root root = unitRoot(k, radix);
        roots.cos[k] = static_cast<T>(root.re);
        roots.sin[k] = static_cast<T>(root.im);
      }
      const auto run = stride < V::width ? anyStage<Single<T>, T> : anyStage<V, T>;
      run(radix, x, y, rest, stride, re_, im_, stride / lines, roots);
      stride *= radix;
      const Lines<T> swapped = x;
      x = y;
      y = swapped;
    }
    return x;
  }

 private:
  int64_t divided(int64_t left, int radix) {
    radices_[count_++] = radix;
    return left / radix;
  }

  int64_t n_;
  Scratch memory_;
  T *re_ = nullptr, *im_ = nullptr;
  int count_;
  int radices_[64];
  bool ok_ = false;
};

/// A transform of any length. Precision T of the elements; a chirp convolution works in double.
template <typename T>
class FftPlan {
 public:
  explicit FftPlan(int64_t n)
      : n_(n),
        direct_(StockhamPlan<T>::fits(n)),
        small_(direct_ ? n : 1),
        wide_(direct_ ? 1 : convolutionSize(n)),
        chirp_(direct_ ? 0 : static_cast<size_t>(2 * n + 2 * convolutionSize(n)) * sizeof(double)) {
    ok_ = small_.ok() && wide_.ok() && chirp_.ok() && (direct_ || makeChirp());
  }

  bool ok() const { return ok_; }

  /// Bytes of workspace for `lines` sequences.
  size_t workBytes(int64_t lines) const {
    const int64_t elements = direct_ ? 2 * n_ : 4 * wide_.size();
    return static_cast<size_t>(elements * lines) * (direct_ ? sizeof(T) : sizeof(double));
  }

  /// Transforms `lines` sequences in x; returns where the result is, in x or in the workspace.
  Lines<T> transform(const Lines<T>& x, void* work, int64_t lines) const {
    if (!direct_) {
      convolve(x, static_cast<double*>(work), lines);
      return x;
    }
    T* space = static_cast<T*>(work);
    return small_.transform(x, {space, space + n_ * lines}, lines);
  }

 private:
  static int64_t convolutionSize(int64_t n) {
    int64_t size = 1;
    while (size < 2 * n - 1) size *= 2;
    return size;
  }

  /// c_j = exp(-iπj²/n), and the transform of its conjugate as a filter.
  bool makeChirp() {
    const int64_t m = wide_.size();
    cRe_ = chirp_.template as<double>();
    cIm_ = cRe_ + n_;
    filter_ = {cIm_ + n_, cIm_ + n_ + m};
    const Scratch memory(static_cast<size_t>(4 * m) * sizeof(double));
    if (!memory.ok()) return false;
    double* space = memory.as<double>();
    const Lines<double> x = {space, space + m}, y = {space + 2 * m, space + 3 * m};
    for (int64_t j = 0; j < m; ++j) x.re[j] = x.im[j] = 0;
    for (int64_t j = 0; j < n_; ++j) {
      const Root root = unitRoot(j * j % (2 * n_), 2 * n_);
      cRe_[j] = root.re;
      cIm_[j] = -root.im;
      x.re[j] = x.re[j > 0 ? m - j : 0] = root.re;
      x.im[j] = x.im[j > 0 ? m - j : 0] = root.im;
    }
    const Lines<double> result = wide_.transform(x, y, 1);
    for (int64_t j = 0; j < m; ++j) {
      filter_.re[j] = result.re[j] / static_cast<double>(m);
      filter_.im[j] = result.im[j] / static_cast<double>(m);
    }
    return true;
  }

  void convolve(const Lines<T>& x, double* space, int64_t lines) const {
    const int64_t m = wide_.size(), size = m * lines;
    Lines<double> a = {space, space + size}, b = {space + 2 * size, space + 3 * size};
    for (int64_t j = 0; j < n_; ++j) {
      for (int64_t i = j * lines; i < (j + 1) * lines; ++i) {
        const double re = static_cast<double>(x.re[i]), im = static_cast<double>(x.im[i]);
        a.re[i] = re * cRe_[j] - im * cIm_[j];
        a.im[i] = re * cIm_[j] + im * cRe_[j];
      }
    }
    for (int64_t i = n_ * lines; i < size; ++i) a.re[i] = a.im[i] = 0;
    const Lines<double> f = wide_.transform(a, b, lines);
    for (int64_t j = 0; j < m; ++j) {
      for (int64_t i = j * lines; i < (j + 1) * lines; ++i) {
        const double re = f.re[i] * filter_.re[j] - f.im[i] * filter_.im[j];
        f.im[i] = f.re[i] * filter_.im[j] + f.im[i] * filter_.re[j];
        f.re[i] = re;
      }
    }
    // The inverse transform is the forward one with real and imaginary parts exchanged.
    const Lines<double> other = f.re == a.re ? b : a;
    const Lines<double> g = wide_.transform({f.im, f.re}, {other.im, other.re}, lines);
    for (int64_t j = 0; j < n_; ++j) {
      for (int64_t i = j * lines; i < (j + 1) * lines; ++i) {
        x.re[i] = static_cast<T>(g.im[i] * cRe_[j] - g.re[i] * cIm_[j]);
        x.im[i] = static_cast<T>(g.im[i] * cIm_[j] + g.re[i] * cRe_[j]);
      }
    }
  }

  int64_t n_;
  bool direct_;
  StockhamPlan<T> small_;
  StockhamPlan<double> wide_;
  Scratch chirp_;
  double *cRe_ = nullptr, *cIm_ = nullptr;
  Lines<double> filter_ = {};
  bool ok_ = false;
};

}  // namespace
}  // namespace KINDLING_ISA
}  // namespace kindling
