// Tensors from nothing: full, arange, eye. Random numbers are in random.cc.

#include "cpu/convert.h"
#include "cpu/kernel_table.h"
#include "cpu/parallel.h"
#include "cpu/strided_copy.h"
#include "cpu/tile_copy.h"

namespace kindling {
namespace KINDLING_ISA {

namespace {

constexpr int64_t kFillBytes = int64_t{1} << 19;
constexpr int64_t kRampGrain = int64_t{1} << 14;

Status full(const OpCall& call) {
  const TensorView& out = call.outputs[0];
  const double value = call.floats[0];
  withType(out.dtype, [&](auto element) {
    using T = decltype(element);
    // As plain bits of its size.
    withElement(out.dtype, [&](auto plain) {
      using P = decltype(plain);
      if constexpr (sizeof(P) == sizeof(T)) {
        const T converted = narrow<T>(value);
        P bits;
        memcpy(&bits, &converted, sizeof(bits));
        P* to = static_cast<P*>(out.data);
        parallelFor(out.size, kFillBytes / static_cast<int64_t>(sizeof(P)), 64,
                    [&](int64_t begin, int64_t end) { fillRun(to + begin, bits, end - begin); });
      }
    });
  });
  return Status::ok;
}

Status arange(const OpCall& call) {
  const TensorView& out = call.outputs[0];
  const double start = call.floats[0], step = call.floats[1];
  withType(out.dtype, [&](auto element) {
    using T = decltype(element);
    T* to = static_cast<T*>(out.data);
    parallelFor(out.size, kRampGrain, 64, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        to[i] = narrow<T>(start + static_cast<double>(i) * step);
      }
    });
  });
  return Status::ok;
}

Status eye(const OpCall& call) {
  const TensorView& out = call.outputs[0];
  fillZero(out);
  const int64_t columns = out.shape[1];
  const int64_t ones = out.shape[0] < columns ? out.shape[0] : columns;
  withType(out.dtype, [&](auto element) {
    using T = decltype(element);
    T* to = static_cast<T*>(out.data);
    for (int64_t i = 0; i < ones; ++i) to[i * (columns + 1)] = narrow<T>(1.0);
  });
  return Status::ok;
}

}  // namespace

void registerCreation(Kernel* kernels) {
  kernels[static_cast<int>(Op::full)] = full;
  kernels[static_cast<int>(Op::arange)] = arange;
  kernels[static_cast<int>(Op::eye)] = eye;
}

}  // namespace KINDLING_ISA
}  // namespace kindling
