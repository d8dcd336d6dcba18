// The gradient of the weight of a 1x1 convolution: products of the images where they stand. Only
// the smaller operand is transposed, by the matrix product's own packing.

#include "cpu/convolution.h"
#include "cpu/gemm.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

constexpr int64_t kUnits = 32;            // worth having, for many threads
constexpr int64_t kMostSums = 1 << 22;    // elements of all chunks
constexpr int64_t kThreadWork = 1 << 18;  // multiply-adds

int64_t lesser(int64_t x, int64_t y) { return x < y ? x : y; }
int64_t ceilOf(int64_t x, int64_t y) { return (x + y - 1) / y; }

}  // namespace

/// Whether the column matrix of an image is the image: one tap, no stride, no padding. A short
/// plane would be all loads and stores of the sums.
bool weightIsPointwise(const ConvShape& shape) {
  constexpr int64_t kLeastPlane = 96;
  if (shape.taps != 1 || shape.outputPlane < kLeastPlane) return false;
  for (int axis = 0; axis < kSpatial; ++axis) {
    if (shape.stride[axis] != 1 || shape.padding[axis] != 0) return false;
    if (shape.input[axis] != shape.output[axis]) return false;
  }
  return true;
}

/// The sum over images of gradient times source transposed, as products of the matrices where they
/// stand. Images are shared out in chunks whose number depends on the shape alone.
template <typename T>
bool weightPointwise(const WeightProblem<T>& problem) {
  const ConvShape& shape = *problem.shape;
  const int64_t m = shape.filters, n = shape.channels, k = shape.outputPlane;
  const int64_t total = shape.groups * m * n;
  int64_t chunks = lesser(shape.batch, ceilOf(kUnits, shape.groups));
  chunks = lesser(chunks, kMostSums / total);
  if (chunks < 1) chunks = 1;
  const Scratch memory(chunks > 1 ? static_cast<size_t>(chunks * total) * sizeof(T) : 0);
  if (!memory.ok()) return false;
  T* const sums = chunks > 1 ? memory.as<T>() : problem.out;
  const int64_t work = ceilOf(shape.batch, chunks) * m * n * k + 1;
  bool ok = true;
  parallelFor(shape.groups * chunks, kThreadWork / work + 1, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t group = i / chunks, chunk = i % chunks;
      const int64_t first = chunk * shape.batch / chunks;
      T* const to = sums + chunk * total + group * m * n;
      for (int64_t image = first; image < (chunk + 1) * shape.batch / chunks; ++image) {
        const int64_t at = image * shape.groups + group;
        GemmEpilogueOf<T> epilogue;
        epilogue.accumulate = image > first;
        const bool done = gemm(m, n, k, problem.grad + at * m * k, k, 1,
                               problem.source + at * n * k, 1, k, to, n, epilogue);
        if (!done) __atomic_store_n(&ok, false, __ATOMIC_RELAXED);
      }
    }
  });
  if (!ok || chunks == 1) return ok;
  parallelFor(total, 16384, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      T sum = sums[i];
      for (int64_t chunk = 1; chunk < chunks; ++chunk) sum += sums[chunk * total + i];
      problem.out[i] = sum;
    }
  });
  return true;
}

template bool weightPointwise(const WeightProblem<float>& problem);
template bool weightPointwise(const WeightProblem<double>& problem);

}  // namespace KINDLING_ISA
}  // namespace kindling
