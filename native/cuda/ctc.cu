// Connectionist temporal classification: the forward-backward recursion of Graves et al. (2006) in log
// space, as in cpu/ctc.cc. One block works on one sample, its threads on the states of a time step: the
// labels with a blank before, between and after them. Rows are kept relative to a running offset, the
// sum of the rows' maxima, so that float32 keeps its digits however long the sequence is. The gradient
// adds the states of one label in a fixed order, without atomics.

#include "core/status.h"
#include "cuda/indexing.cuh"
#include "cuda/kernel_table.h"
#include "cuda/runtime.h"

namespace kindling {
namespace cuda {
namespace ctc {

constexpr int kMostThreads = 256;

/// A matrix or vector of int32 with strides.
struct Integers {
  const int32_t* data;
  int64_t strides[2];

  __device__ __forceinline__ int32_t at(int64_t i, int64_t j = 0) const {
    return data[i * strides[0] + j * strides[1]];
  }
};

struct Problem {
  Integers targets, inputLengths, targetLengths;
  int64_t logStrides[3];
  int64_t steps, samples, classes, longest;  // longest: the most labels of a target
  int32_t blank;
  bool zeroInfinity, wantsGradient;

  /// Room for a row of states with two impossible ones in front of it, or behind.
  __host__ __device__ int64_t rowSize() const { return 2 * longest + 3; }
  __host__ __device__ int64_t alphaRows() const { return wantsGradient ? steps : 2; }
};

/// The temporary memory of all samples.
template <typename T>
struct Workspace {
  T* alpha;         // [samples][alphaRows][rowSize]: two impossible states, then the row
  T* beta;          // [samples][2][rowSize]: a row, then two impossible states
  double* offsets;  // [samples][steps]
  int32_t* labels;  // [samples][rowSize]
  int32_t* next;    // [samples][rowSize]: the next state of the same label, or 0
  const int32_t* invalid;
};

// ---- everything that is used as an index

/// The least of all threads' values, for all of them.
__device__ __forceinline__ int64_t leastOf(int64_t value, int64_t* room) {
  room[threadIdx.x] = value;
  for (int half = kMostThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (static_cast<int>(threadIdx.x) < half && room[threadIdx.x + half] < room[threadIdx.x]) {
      room[threadIdx.x] = room[threadIdx.x + half];
    }
  }
  __syncthreads();
  const int64_t least = room[0];
  __syncthreads();
  return least;
}

/// The first length of `count` outside [0, most], or `count`.
__device__ inline int64_t firstBadLength(const Integers& lengths, int64_t count, int64_t most,
                                         int64_t* room) {
  int64_t first = count;
  for (int64_t i = threadIdx.x; i < count && first == count; i += kMostThreads) {
    if (lengths.at(i) < 0 || lengths.at(i) > most) first = i;
  }
  return leastOf(first, room);
}

/// One block. Reports what the CPU would find first, and has the others do nothing then.
__global__ void __launch_bounds__(kMostThreads)
    checkValues(Problem p, int32_t* __restrict__ invalid, IndexError* errors) {
  GPU_SHARED(int64_t, room, [kMostThreads]);
  const int64_t badInput = firstBadLength(p.inputLengths, p.samples, p.steps, room);
  const int64_t badTarget = firstBadLength(p.targetLengths, p.samples, p.longest, room);
  const bool lengthsFit = badInput == p.samples && badTarget == p.samples;
  const int64_t labels = lengthsFit ? p.samples * p.longest : 0;
  int64_t first = p.samples * p.longest;
  for (int64_t i = threadIdx.x; i < labels && first == p.samples * p.longest; i += kMostThreads) {
    const int64_t sample = i / p.longest, place = i - sample * p.longest;
    if (place >= p.targetLengths.at(sample)) continue;
    const int32_t label = p.targets.at(sample, place);
    if (label < 0 || label >= p.classes || label == p.blank) first = i;
  }
  const int64_t badLabel = leastOf(first, room);
  if (threadIdx.x != 0) return;
  *invalid = !lengthsFit || badLabel < labels ? 1 : 0;
  if (badInput < p.samples) {
    gpu::reportIndex(errors, Op::ctcLoss, p.inputLengths.at(badInput), p.steps, badInput,
                     IndexKind::inputLength);
  } else if (badTarget < p.samples) {
    gpu::reportIndex(errors, Op::ctcLoss, p.targetLengths.at(badTarget), p.longest, badTarget,
                     IndexKind::targetLength);
  } else if (badLabel < labels) {
    const int64_t sample = badLabel / p.longest, place = badLabel - sample * p.longest;
    gpu::reportIndex(errors, Op::ctcLoss, p.targets.at(sample, place), p.classes, place,
                     IndexKind::targetLabel, sample);
  }
}

// ---- the recursion

template <typename T>
__device__ __forceinline__ T lowest() {
  return sizeof(T) == 4 ? static_cast<T>(-3.4028234663852886e38)
                        : static_cast<T>(-1.7976931348623157e308);
}
template <typename T>
__device__ __forceinline__ T minusInfinity() {
  return static_cast<T>(-INFINITY);
}
__device__ __forceinline__ float expOf(float x) { return expf(x); }
__device__ __forceinline__ double expOf(double x) { return exp(x); }
__device__ __forceinline__ float logOf(float x) { return logf(x); }
__device__ __forceinline__ double logOf(double x) { return log(x); }

/// log(e^a + e^b + e^c); -infinity where all of them are.
template <typename T>
__device__ __forceinline__ T logAdd(T a, T b, T c) {
  // A finite floor: the difference of two infinities would be NaN.
  T top = a > b ? a : b;
  top = top > c ? top : c;
  if (top != top || a != a || b != b || c != c) return static_cast<T>(NAN);
  if (top < lowest<T>()) top = lowest<T>();
  return top + logOf(expOf(a - top) + expOf(b - top) + expOf(c - top));
}

/// The sums of the block in a fixed order, or the largest (NaN left out).
template <typename T, bool kSums>
__device__ __forceinline__ T overBlock(T value, T* room) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) {
    const T other = __shfl_xor_sync(0xffffffffu, value, step);
    value = kSums ? value + other : other > value ? other : value;
  }
  const int warp = static_cast<int>(threadIdx.x) / 32, warps = static_cast<int>(blockDim.x) / 32;
  if (threadIdx.x % 32 == 0) room[warp] = value;
  __syncthreads();
  value = room[0];
  for (int i = 1; i < warps; ++i) {
    value = kSums ? value + room[i] : room[i] > value ? room[i] : value;
  }
  __syncthreads();
  return value;
}

/// One sample as the threads of its block see it.
template <typename T>
struct Sample {
  const Problem& p;
  const T* logProbs;  // of the sample
  T *alpha, *beta;
  double* offsets;
  int32_t *labels, *next;
  int64_t steps, length, states;
  T* room;

  __device__ __forceinline__ T* row(int64_t t) const {
    return alpha + (p.wantsGradient ? t : t & 1) * p.rowSize() + 2;
  }
  __device__ __forceinline__ T emission(int64_t t, int64_t s) const {
    return logProbs[t * p.logStrides[0] + labels[s] * p.logStrides[2]];
  }
  /// Whether state s may be entered from two before it.
  __device__ __forceinline__ bool skips(int64_t s) const {
    return (s & 1) && s > 1 && s < states && labels[s] != labels[s - 2];
  }

  /// The largest of a row, 0 where nothing is possible (or known).
  __device__ __forceinline__ T bounded(T largest) const {
    largest = overBlock<T, false>(largest, room);
    return largest > minusInfinity<T>() && largest < static_cast<T>(INFINITY) ? largest : T(0);
  }

  /// A path starts with the first blank or the first label. Returns the row's largest.
  __device__ __forceinline__ T first() const {
    T* const to = row(0);
    T largest = minusInfinity<T>();
    for (int64_t s = threadIdx.x; s < states; s += blockDim.x) {
      to[s] = s < 2 ? emission(0, s) : minusInfinity<T>();
      if (to[s] > largest) largest = to[s];
    }
    if (threadIdx.x < 2) to[static_cast<int>(threadIdx.x) - 2] = minusInfinity<T>();
    if (threadIdx.x == 0) offsets[0] = 0;
    return bounded(largest);
  }

  __device__ __forceinline__ T forward(int64_t t, T top) const {
    const T* const from = row(t - 1);
    T* const to = row(t);
    T largest = minusInfinity<T>();
    for (int64_t s = threadIdx.x; s < states; s += blockDim.x) {
      const T jump = skips(s) ? from[s - 2] : minusInfinity<T>();
      to[s] = logAdd(from[s], from[s - 1], jump) - top + emission(t, s);
      if (to[s] > largest) largest = to[s];
    }
    if (threadIdx.x < 2) to[static_cast<int>(threadIdx.x) - 2] = minusInfinity<T>();
    if (threadIdx.x == 0) offsets[t] = offsets[t - 1] + static_cast<double>(top);
    return bounded(largest);
  }

  /// -log of the probability of all paths that spell the target.
  __device__ double loss() const {
    if (steps == 0) return length == 0 ? 0.0 : static_cast<double>(INFINITY);
    T top = first();
    for (int64_t t = 1; t < steps; ++t) top = forward(t, top);
    const T* const last = row(steps - 1);
    const double a = last[states - 1];
    const double b = states > 1 ? static_cast<double>(last[states - 2])
                                : -static_cast<double>(INFINITY);
    const double most = a > b ? a : b;
    if (most == -static_cast<double>(INFINITY)) return static_cast<double>(INFINITY);
    return -(offsets[steps - 1] + most + log(exp(a - most) + exp(b - most)));
  }

  /// `now`, the row of step t, becomes that of step t - 1. Returns what was taken from it.
  __device__ __forceinline__ double backward(int64_t t, T* now, T* after) const {
    T largest = minusInfinity<T>();
    for (int64_t s = threadIdx.x; s < states; s += blockDim.x) {
      after[s] = now[s] + emission(t, s);
      if (after[s] > largest) largest = after[s];
    }
    const T top = bounded(largest);
    for (int64_t s = threadIdx.x; s < states; s += blockDim.x) {
      const T jump = skips(s + 2) ? after[s + 2] : minusInfinity<T>();
      now[s] = logAdd(after[s], after[s + 1], jump) - top;
    }
    __syncthreads();
    return static_cast<double>(top);
  }

  /// Writes minus the probability of each label at each step given the target. `gradient` is 0.
  __device__ void gradient(double loss, T* gradient, int64_t step) const {
    T* const now = beta;
    T* const after = beta + p.rowSize();
    for (int64_t s = threadIdx.x; s < states + 2; s += blockDim.x) {
      now[s] = s < states && s >= states - 2 ? T(0) : minusInfinity<T>();
      after[s] = minusInfinity<T>();
    }
    __syncthreads();
    double offset = 0;
    for (int64_t t = steps - 1; t >= 0; --t) {
      const T shift = static_cast<T>(offsets[t] + offset + loss);
      const T* const from = row(t);
      T* const out = gradient + t * step;
      T blanks = T(0);
      for (int64_t s = threadIdx.x; s < states; s += blockDim.x) {
        after[s] = expOf(from[s] + now[s] + shift);
        if (!(s & 1)) blanks += after[s];
      }
      blanks = overBlock<T, true>(blanks, room);
      if (threadIdx.x == 0) out[p.blank] = -blanks;
      // The first state of a label adds up the others.
      for (int64_t s = 2 * threadIdx.x + 1; s < states; s += 2 * blockDim.x) {
        if (next[s] < 0) continue;
        T sum = after[s];
        for (int32_t other = next[s]; other != 0;) {
          sum += after[other];
          other = next[other] < 0 ? -next[other] - 1 : 0;
        }
        out[labels[s]] = -sum;
      }
      __syncthreads();
      if (t > 0) offset += backward(t, now, after);
    }
  }
};

template <typename T>
__global__ void __launch_bounds__(kMostThreads, 2)
    runSamples(Problem p, const T* __restrict__ logProbs, Workspace<T> w, T* __restrict__ losses,
               T* __restrict__ gradients) {
  GPU_SHARED(T, room, [32]);
  if (*w.invalid != 0) return;  // all blocks
  const int64_t n = blockIdx.x, rowSize = p.rowSize();
  const int64_t length = p.targetLengths.at(n);
  const Sample<T> sample = {p,
                            logProbs + n * p.logStrides[1],
                            w.alpha + n * p.alphaRows() * rowSize,
                            w.beta + n * 2 * rowSize,
                            w.offsets + n * p.steps,
                            w.labels + n * rowSize,
                            w.next + n * rowSize,
                            p.inputLengths.at(n),
                            length,
                            2 * length + 1,
                            room};
  for (int64_t s = threadIdx.x; s < sample.states; s += blockDim.x) {
    sample.labels[s] = s & 1 ? p.targets.at(n, s / 2) : p.blank;
  }
  __syncthreads();
  const double loss = sample.loss();
  const bool zeroed = loss == static_cast<double>(INFINITY) && p.zeroInfinity;
  if (threadIdx.x == 0) losses[n] = zeroed ? T(0) : static_cast<T>(loss);
  if (!p.wantsGradient) return;  // the whole block
  // Of each label the states' order: next is the state after, 0 for none; minus that minus 1 for
  // states that are not their label's first.
  for (int64_t s = 2 * threadIdx.x + 1; s < sample.states; s += 2 * blockDim.x) {
    int32_t after = 0;
    for (int64_t other = s + 2; other < sample.states && after == 0; other += 2) {
      if (sample.labels[other] == sample.labels[s]) after = static_cast<int32_t>(other);
    }
    bool isFirst = true;
    for (int64_t other = 1; other < s && isFirst; other += 2) {
      isFirst = sample.labels[other] != sample.labels[s];
    }
    sample.next[s] = isFirst ? after : -after - 1;
  }
  // An impossible target has no gradient, unless the caller asked for 0.
  const bool undefined = !(loss < static_cast<double>(INFINITY)) && !zeroed;
  const int64_t step = p.samples * p.classes;
  T* const gradient = gradients + n * p.classes;
  for (int64_t i = threadIdx.x; i < p.steps * p.classes; i += blockDim.x) {
    const int64_t t = i / p.classes;
    gradient[t * step + i - t * p.classes] =
        undefined && t < sample.steps ? static_cast<T>(NAN) : T(0);
  }
  __syncthreads();
  if (loss < static_cast<double>(INFINITY)) sample.gradient(loss, gradient, step);
}

}  // namespace ctc

namespace {

using namespace ctc;

Integers integersOf(const TensorView& view) {
  return {static_cast<const int32_t*>(view.data),
          {view.strides[0], view.rank > 1 ? view.strides[1] : 0}};
}

template <typename T>
Status runAll(const OpCall& call) {
  const TensorView& x = call.inputs[0];
  Problem p = {integersOf(call.inputs[1]),
               integersOf(call.inputs[2]),
               integersOf(call.inputs[3]),
               {x.strides[0], x.strides[1], x.strides[2]},
               x.shape[0],
               x.shape[1],
               x.shape[2],
               call.inputs[1].shape[1],
               call.ints[0],
               call.ints[1] != 0,
               call.outputs[1].rank == 3};
  if (p.samples == 0) return Status::ok;
  const auto noMemory = [] { return fail(Status::outOfMemory, "ctcLoss: no scratch memory"); };
  // Lengths are below 2^31, but their product must not wrap.
  const double states = static_cast<double>(p.alphaRows() + 2) *
                        static_cast<double>(p.rowSize()) * static_cast<double>(p.samples);
  if (states > 1e13) return noMemory();
  const size_t rows = static_cast<size_t>(p.samples * p.rowSize());
  const DeviceScratch invalid(sizeof(int32_t));
  const DeviceScratch alpha(rows * static_cast<size_t>(p.alphaRows() + 1) * sizeof(T));
  const DeviceScratch beta(2 * rows * sizeof(T));
  const DeviceScratch offsets(static_cast<size_t>(p.samples * (p.steps + 1)) * sizeof(double));
  const DeviceScratch labels(2 * rows * sizeof(int32_t));
  if (!invalid || !alpha || !beta || !offsets || !labels) return noMemory();
  const Status status = launch(checkValues, dim3(1), dim3(kMostThreads), 0, p,
                               invalid.as<int32_t>(), gpu::errorSlot());
  if (status != Status::ok) return status;
  const Workspace<T> workspace = {alpha.as<T>(),
                                  beta.as<T>(),
                                  offsets.as<double>(),
                                  labels.as<int32_t>(),
                                  labels.as<int32_t>() + rows,
                                  invalid.as<int32_t>()};
  const int64_t wanted = ceilDivide(2 * p.longest + 1, 32) * 32;
  const unsigned threads = static_cast<unsigned>(wanted < kMostThreads ? wanted : kMostThreads);
  return launch(runSamples<T>, dim3(static_cast<unsigned>(p.samples)), dim3(threads), 0, p,
                static_cast<const T*>(x.data), workspace, static_cast<T*>(call.outputs[0].data),
                static_cast<T*>(call.outputs[1].data));
}

Status ctcLoss(const OpCall& call) {
  return call.inputs[0].dtype == DType::float64 ? runAll<double>(call) : runAll<float>(call);
}

}  // namespace

void registerCtc(Kernel* kernels) { kernels[static_cast<int>(Op::ctcLoss)] = ctcLoss; }

}  // namespace cuda
}  // namespace kindling
