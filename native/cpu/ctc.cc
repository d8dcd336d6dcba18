// Connectionist temporal classification: the forward-backward recursion of Graves et al. (2006) in
// log space. A row holds the states of one time step: the labels with a blank before, between and
// after them. Rows are kept relative to a running offset, the sum of the rows' maxima, so that
// float32 keeps its digits for the paths that matter however long the sequence is.

#include <cinttypes>
#include <cmath>
#include <limits>

#include "core/status.h"
#include "cpu/kernel_table.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "cpu/vec_math.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

// States below which a part is not worth a thread: one costs about 3 ns.
constexpr int64_t kGrain = 8192;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// What all samples have in common.
struct Problem {
  const TensorView* logProbs;  // [steps, samples, classes]
  const TensorView* targets;   // [samples, labels]
  const TensorView* inputLengths;
  const TensorView* targetLengths;
  int64_t steps, samples, classes;
  int64_t longestInput, longestTarget;  // of the lengths given
  int32_t blank;
  bool zeroInfinity;
  bool wantsGradient;

  /// Room for a row of states with two more in front of it, or behind.
  int64_t rowSize() const { return 2 * longestTarget + 3; }
};

KINDLING_INLINE int64_t entry(const TensorView& vector, int64_t i) {
  return static_cast<const int32_t*>(vector.data)[i * vector.strides[0]];
}

KINDLING_INLINE int32_t labelAt(const Problem& p, int64_t sample, int64_t i) {
  const TensorView& t = *p.targets;
  return static_cast<const int32_t*>(t.data)[sample * t.strides[0] + i * t.strides[1]];
}

/// The temporary memory of one sample at a time.
template <typename T>
struct Workspace {
  T* alpha;      // [longestInput or 2][rowSize]: two impossible states, then the row
  T* beta;       // [2][rowSize]: a row, then two impossible states
  T* emission;   // log probability of each state's label at the current step
  T* skip;       // 0 where a state may be entered from two before it, else -infinity
  T* posterior;  // [rowSize]
  double* offsets;
  int32_t* labels;

  static int64_t alphaRows(const Problem& p) { return p.wantsGradient ? p.longestInput : 2; }
  static size_t bytes(const Problem& p) {
    const size_t row = static_cast<size_t>(p.rowSize());
    const size_t values = (static_cast<size_t>(alphaRows(p)) + 5) * row * sizeof(T);
    const size_t total = values + static_cast<size_t>(p.longestInput) * sizeof(double) + row * 4;
    return (total + 127) / 64 * 64;
  }
  Workspace(void* memory, const Problem& p) {
    const int64_t row = p.rowSize();
    offsets = static_cast<double*>(memory);
    alpha = reinterpret_cast<T*>(offsets + p.longestInput);
    beta = alpha + alphaRows(p) * row;
    emission = beta + 2 * row;
    skip = emission + row;
    posterior = skip + row;
    labels = reinterpret_cast<int32_t*>(posterior + row);
  }
};

template <typename T>
KINDLING_INLINE T minusInfinity() {
  return -std::numeric_limits<T>::infinity();
}

/// log(e^a + e^b + e^c); -infinity where all of them are.
template <class V>
KINDLING_INLINE V logAdd(V a, V b, V c) {
  // A finite floor: the difference of two infinities would be NaN.
  const V top =
      maxRaw(maxRaw(a, b), maxRaw(c, V::set1(std::numeric_limits<typename V::Scalar>::lowest())));
  return top + log(exp(a - top) + exp(b - top) + exp(c - top));
}

template <class V>
KINDLING_INLINE V loadSome(const typename V::Scalar* from, int lanes) {
  return lanes == V::width ? V::load(from) : V::loadPartial(from, lanes);
}

/// to[i] = f(i, lanes) for whole vectors, then for what is left.
template <class V, typename Body>
KINDLING_INLINE void fillRow(typename V::Scalar* to, int64_t n, const Body& f) {
  int64_t i = 0;
  for (; i + V::width <= n; i += V::width) f(i, V::width).store(to + i);
  if (i < n) {
    const int lanes = static_cast<int>(n - i);
    f(i, lanes).storePartial(to + i, lanes);
  }
}

/// The largest of a row, 0 where nothing is possible (or known).
template <typename T>
KINDLING_INLINE T rowMax(const T* x, int64_t n) {
  T top = minusInfinity<T>();
  for (int64_t i = 0; i < n; ++i) top = x[i] > top ? x[i] : top;
  return top > minusInfinity<T>() && top < std::numeric_limits<T>::infinity() ? top : T(0);
}

template <class V>
class Sample {
  using T = typename V::Scalar;

 public:
  Sample(const Problem& problem, const Workspace<T>& workspace, int64_t sample)
      : p(problem),
        w(workspace),
        n(sample),
        steps(entry(*problem.inputLengths, sample)),
        length(entry(*problem.targetLengths, sample)),
        states(2 * length + 1) {
    for (int64_t s = 0; s < states; ++s) w.labels[s] = s & 1 ? labelAt(p, n, s / 2) : p.blank;
    for (int64_t s = 0; s < states + 2; ++s) {
      const bool skips = s & 1 && s > 1 && s < states && w.labels[s] != w.labels[s - 2];
      w.skip[s] = skips ? T(0) : minusInfinity<T>();
    }
  }

  /// -log of the probability of all paths that spell the target.
  double loss() {
    if (steps == 0) return length == 0 ? 0.0 : kInfinity;
    first();
    for (int64_t t = 1; t < steps; ++t) forward(t);
    const T* last = row(steps - 1);
    const double a = last[states - 1];
    const double b = states > 1 ? static_cast<double>(last[states - 2]) : -kInfinity;
    const double top = a > b ? a : b;
    if (top == -kInfinity) return kInfinity;
    return -(w.offsets[steps - 1] + top + ::log(::exp(a - top) + ::exp(b - top)));
  }

  /// Subtracts from `gradient`, which is 0, how probable each label is at each step given the
  /// target. loss() has run.
  void gradient(double loss, T* gradient) {
    T* now = w.beta;
    T* next = w.beta + p.rowSize();
    for (int64_t s = 0; s < states + 2; ++s) {
      now[s] = s < states && s >= states - 2 ? T(0) : minusInfinity<T>();
      next[s] = minusInfinity<T>();
    }
    double offset = 0;
    for (int64_t t = steps - 1; t >= 0; --t) {
      const V shift = V::set1(static_cast<T>(w.offsets[t] + offset + loss));
      const T* alpha = row(t);
      fillRow<V>(w.posterior, states, [&](int64_t s, int lanes) {
        return exp(loadSome<V>(alpha + s, lanes) + loadSome<V>(now + s, lanes) + shift);
      });
      T* out = gradient + (t * p.samples + n) * p.classes;
      for (int64_t s = 0; s < states; ++s) out[w.labels[s]] -= w.posterior[s];
      if (t > 0) offset += backward(t, now, next);
    }
  }

 private:
  /// The states at step t; two impossible ones lie in front of them.
  T* row(int64_t t) const { return w.alpha + (p.wantsGradient ? t : t & 1) * p.rowSize() + 2; }

  void readEmission(int64_t t) {
    const TensorView& x = *p.logProbs;
    const T* from = static_cast<const T*>(x.data) + t * x.strides[0] + n * x.strides[1];
    for (int64_t s = 0; s < states; ++s) w.emission[s] = from[w.labels[s] * x.strides[2]];
  }

  /// A path starts with the first blank or the first label.
  void first() {
    readEmission(0);
    T* to = row(0);
    to[-2] = to[-1] = minusInfinity<T>();
    for (int64_t s = 0; s < states; ++s) to[s] = s < 2 ? w.emission[s] : minusInfinity<T>();
    w.offsets[0] = 0;
    top = rowMax(to, states);
  }

  void forward(int64_t t) {
    readEmission(t);
    const T* from = row(t - 1);
    T* to = row(t);
    to[-2] = to[-1] = minusInfinity<T>();
    w.offsets[t] = w.offsets[t - 1] + static_cast<double>(top);
    const V shift = V::set1(top);
    fillRow<V>(to, states, [&](int64_t s, int lanes) {
      const V jump = loadSome<V>(from + s - 2, lanes) + loadSome<V>(w.skip + s, lanes);
      const V stay = loadSome<V>(from + s, lanes), move = loadSome<V>(from + s - 1, lanes);
      return logAdd<V>(stay, move, jump) - shift + loadSome<V>(w.emission + s, lanes);
    });
    top = rowMax(to, states);
  }

  /// `now`, the row of step t, becomes that of step t - 1. Returns what was taken from it.
  double backward(int64_t t, T* now, T* next) {
    readEmission(t);
    fillRow<V>(next, states, [&](int64_t s, int lanes) {
      return loadSome<V>(now + s, lanes) + loadSome<V>(w.emission + s, lanes);
    });
    const T most = rowMax(next, states);
    const V shift = V::set1(most);
    fillRow<V>(now, states, [&](int64_t s, int lanes) {
      const V jump = loadSome<V>(next + s + 2, lanes) + loadSome<V>(w.skip + s + 2, lanes);
      const V stay = loadSome<V>(next + s, lanes), move = loadSome<V>(next + s + 1, lanes);
      return logAdd<V>(stay, move, jump) - shift;
    });
    return static_cast<double>(most);
  }

  const Problem& p;
  const Workspace<T>& w;
  const int64_t n, steps, length, states;
  T top = T(0);
};

template <class V, typename T>
void runSample(const Problem& p, const Workspace<T>& workspace, int64_t n, T* losses, T* gradient) {
  Sample<V> sample(p, workspace, n);
  const double loss = sample.loss();
  const bool zeroed = loss == kInfinity && p.zeroInfinity;
  losses[n] = zeroed ? T(0) : static_cast<T>(loss);
  if (!p.wantsGradient) return;
  // An impossible target has no gradient, unless the caller asked for 0.
  const bool undefined = !(loss < kInfinity) && !zeroed;
  const int64_t steps = entry(*p.inputLengths, n);
  for (int64_t t = 0; t < p.steps; ++t) {
    T* row = gradient + (t * p.samples + n) * p.classes;
    const T value = undefined && t < steps ? std::numeric_limits<T>::quiet_NaN() : T(0);
    for (int64_t c = 0; c < p.classes; ++c) row[c] = value;
  }
  if (loss < kInfinity) sample.gradient(loss, gradient);
}

Status checkLengths(const char* name, const TensorView& lengths, int64_t most, int64_t* longest) {
  for (int64_t i = 0; i < lengths.size; ++i) {
    const int64_t length = entry(lengths, i);
    if (length < 0 || length > most) {
      return fail(Status::indexOutOfRange,
                  "ctcLoss: %s %" PRId64 " at position %" PRId64 " is outside [0, %" PRId64 "]",
                  name, length, i, most);
    }
    if (length > *longest) *longest = length;
  }
  return Status::ok;
}

/// Everything that is used as an index, before anything is written. Finds the longest lengths.
Status checkValues(Problem& p) {
  Status status = checkLengths("input length", *p.inputLengths, p.steps, &p.longestInput);
  if (status != Status::ok) return status;
  status = checkLengths("target length", *p.targetLengths, p.targets->shape[1], &p.longestTarget);
  if (status != Status::ok) return status;
  for (int64_t n = 0; n < p.samples; ++n) {
    const int64_t length = entry(*p.targetLengths, n);
    for (int64_t i = 0; i < length; ++i) {
      const int32_t label = labelAt(p, n, i);
      if (label >= 0 && label < p.classes && label != p.blank) continue;
      return fail(Status::indexOutOfRange,
                  "ctcLoss: label %d at position %" PRId64 " of target %" PRId64
                  " is the blank or outside [0, %" PRId64 ")",
                  label, i, n, p.classes);
    }
  }
  return Status::ok;
}

template <class V>
Status runAll(const Problem& p, const OpCall& call) {
  using T = typename V::Scalar;
  // Lengths are below 2^31, but their product must not wrap.
  const double states = static_cast<double>(p.longestInput) * static_cast<double>(p.rowSize());
  if (states > 1e13) return fail(Status::outOfMemory, "ctcLoss: no scratch memory");
  const double enough = states * static_cast<double>(p.samples) / kGrain + 1;
  int64_t parts = enough < numThreads() ? static_cast<int64_t>(enough) : numThreads();
  if (parts > p.samples) parts = p.samples;
  const size_t each = Workspace<T>::bytes(p);
  const Scratch scratch(static_cast<size_t>(parts) * each);
  if (!scratch.ok()) return fail(Status::outOfMemory, "ctcLoss: no scratch memory");
  T* losses = static_cast<T*>(call.outputs[0].data);
  T* gradient = static_cast<T*>(call.outputs[1].data);
  parallelFor(parts, 1, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      const Workspace<T> workspace(scratch.as<char>() + static_cast<size_t>(part) * each, p);
      for (int64_t n = part; n < p.samples; n += parts) {
        runSample<V>(p, workspace, n, losses, gradient);
      }
    }
  });
  return Status::ok;
}

Status ctcLoss(const OpCall& call) {
  const TensorView& x = call.inputs[0];
  Problem p = {&call.inputs[0],
               &call.inputs[1],
               &call.inputs[2],
               &call.inputs[3],
               x.shape[0],
               x.shape[1],
               x.shape[2],
               0,
               0,
               call.ints[0],
               call.ints[1] != 0,
               call.outputs[1].rank == 3};
  const Status valid = checkValues(p);
  if (valid != Status::ok || p.samples == 0) return valid;
  return x.dtype == DType::float64 ? runAll<VecD>(p, call) : runAll<VecF>(p, call);
}

}  // namespace

void registerCtc(Kernel* kernels) { kernels[static_cast<int>(Op::ctcLoss)] = ctcLoss; }

}  // namespace KINDLING_ISA
}  // namespace kindling
