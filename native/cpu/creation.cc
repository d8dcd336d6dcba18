// Tensors from nothing: full, arange, eye. Random numbers are in random.cc.

#include "cpu/kernel_table.h"
#include "cpu/parallel.h"
#include "cpu/strided_copy.h"
#include "cpu/tile_copy.h"

namespace kindling {
namespace KINDLING_ISA {

namespace {

constexpr int64_t kFillGrain = int64_t{1} << 17;
constexpr int64_t kRampGrain = int64_t{1} << 14;

/// Toward zero, saturating; NaN gives 0.
KINDLING_INLINE int32_t toInt32(double x) {
  if (x != x) return 0;
  if (x >= 2147483647.0) return INT32_MAX;
  if (x <= -2147483648.0) return INT32_MIN;
  return static_cast<int32_t>(x);
}

KINDLING_INLINE Word wordOf(double value, DType dtype) {
  if (dtype == DType::int32) return toInt32(value);
  const float rounded = static_cast<float>(value);
  Word word;
  memcpy(&word, &rounded, sizeof(word));
  return word;
}

Status full(const OpCall& call) {
  const TensorView& out = call.outputs[0];
  const double value = call.floats[0];
  if (out.dtype == DType::boolean) {
    Byte* to = static_cast<Byte*>(out.data);
    parallelFor(out.size, 4 * kFillGrain, 64, [&](int64_t begin, int64_t end) {
      fillRun(to + begin, static_cast<Byte>(value != 0), end - begin);
    });
  } else {
    Word* to = static_cast<Word*>(out.data);
    const Word word = wordOf(value, out.dtype);
    parallelFor(out.size, kFillGrain, 64,
                [&](int64_t begin, int64_t end) { fillRun(to + begin, word, end - begin); });
  }
  return Status::ok;
}

Status arange(const OpCall& call) {
  const TensorView& out = call.outputs[0];
  const double start = call.floats[0], step = call.floats[1];
  parallelFor(out.size, kRampGrain, 64, [&](int64_t begin, int64_t end) {
    if (out.dtype == DType::int32) {
      int32_t* to = static_cast<int32_t*>(out.data);
      for (int64_t i = begin; i < end; ++i) to[i] = toInt32(start + static_cast<double>(i) * step);
    } else {
      float* to = static_cast<float*>(out.data);
      for (int64_t i = begin; i < end; ++i) {
        to[i] = static_cast<float>(start + static_cast<double>(i) * step);
      }
    }
  });
  return Status::ok;
}

Status eye(const OpCall& call) {
  const TensorView& out = call.outputs[0];
  fillZero(out);
  const int64_t columns = out.shape[1];
  const int64_t ones = out.shape[0] < columns ? out.shape[0] : columns;
  if (out.dtype == DType::boolean) {
    Byte* to = static_cast<Byte*>(out.data);
    for (int64_t i = 0; i < ones; ++i) to[i * (columns + 1)] = 1;
  } else {
    Word* to = static_cast<Word*>(out.data);
    const Word one = wordOf(1, out.dtype);
    for (int64_t i = 0; i < ones; ++i) to[i * (columns + 1)] = one;
  }
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
