// Matrix products as ops: batches of gemm, and the fully connected layer.

#include "core/status.h"
#include "cpu/convert.h"
#include "cpu/gemm.h"
#include "cpu/kernel_table.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

// A product of fewer multiply-adds is not split by gemm, so that batches of them go side by side.
constexpr int64_t kSmallProduct = 32 * 32 * 32;
// Up to here a thread of its own for each product is cheaper than forks and joins within them.
constexpr int64_t kLargeProduct = 256 * 256 * 256;

template <typename T>
const T* dataOf(const TensorView& view) {
  return static_cast<const T*>(view.data);
}

Status noMemory(const char* op) { return fail(Status::outOfMemory, "%s: no scratch memory", op); }

/// The offset of matrix number `index` of a batch, in elements.
int64_t batchOffset(const TensorView& view, const TensorView& out, int64_t index) {
  int64_t offset = 0;
  for (int axis = out.rank - 3; axis >= 0; --axis) {
    offset += index % out.shape[axis] * view.strides[axis];
    index /= out.shape[axis];
  }
  return offset;
}

/// Whether the leading axes of `x` are evenly spaced rows; their distance goes to `stride`.
bool collapsesToRows(const TensorView& x, int64_t* stride) {
  *stride = 0;
  int64_t expected = 0;
  bool found = false;
  for (int axis = x.rank - 2; axis >= 0; --axis) {
    if (x.shape[axis] == 1) continue;
    if (!found) {
      *stride = x.strides[axis];
      found = true;
    } else if (x.strides[axis] != expected) {
      return false;
    }
    expected = x.strides[axis] * x.shape[axis];
  }
  return true;
}

/// Whether every matrix of the batch is the same one.
bool isRepeated(const TensorView& view) {
  for (int axis = 0; axis < view.rank - 2; ++axis) {
    if (view.shape[axis] != 1 && view.strides[axis] != 0) return false;
  }
  return true;
}

/// Whether to run whole products side by side rather than to split each.
bool splitsBatch(int64_t batches, int64_t work) {
  if (batches == 1) return false;
  return work < kSmallProduct || (work < kLargeProduct && batches >= 4 * numThreads());
}

/// S: what the operands hold; T: what is computed with, and the type of `result`.
template <typename T, typename S>
Status matmulInto(const OpCall& call, T* result) {
  const TensorView& a = call.inputs[0];
  const TensorView& b = call.inputs[1];
  const TensorView& out = call.outputs[0];
  const int row = out.rank - 2, column = out.rank - 1;
  const int64_t m = out.shape[row], n = out.shape[column], k = a.shape[column];
  const int64_t batches = out.size / (m * n);
  int64_t rowStride;
  if (isRepeated(b) && collapsesToRows(a, &rowStride)) {
    // One matrix times all rows of the batch.
    const bool done =
        gemm(batches * m, n, k, dataOf<S>(a), rowStride, a.strides[column], dataOf<S>(b),
             b.strides[row], b.strides[column], result, n, GemmEpilogueOf<T>());
    return done ? Status::ok : noMemory("matmul");
  }
  const auto product = [&](int64_t batch) {
    return gemm(m, n, k, dataOf<S>(a) + batchOffset(a, out, batch), a.strides[row],
                a.strides[column], dataOf<S>(b) + batchOffset(b, out, batch), b.strides[row],
                b.strides[column], result + batch * m * n, n, GemmEpilogueOf<T>());
  };
  bool ok = true;
  const int64_t work = m * n * (k > 0 ? k : 1);
  const int64_t grain = splitsBatch(batches, work) ? 2 * kSmallProduct / work + 1 : batches;
  parallelFor(batches, grain, 1, [&](int64_t begin, int64_t end) {
    for (int64_t batch = begin; batch < end; ++batch) {
      if (!product(batch)) __atomic_store_n(&ok, false, __ATOMIC_RELAXED);
    }
  });
  return ok ? Status::ok : noMemory("matmul");
}

template <typename T, typename S>
Status linearInto(const OpCall& call, T* result, GemmEpilogueOf<T> epilogue) {
  const TensorView& x = call.inputs[0];
  const TensorView& weight = call.inputs[1];
  const TensorView& out = call.outputs[0];
  const int64_t n = weight.shape[0], k = weight.shape[1];
  const auto product = [&](const S* rows, int64_t rowStride, int64_t columnStride) {
    return gemm(out.size / n, n, k, rows, rowStride, columnStride, dataOf<S>(weight),
                weight.strides[1], weight.strides[0], result, n, epilogue);
  };
  int64_t rowStride;
  if (collapsesToRows(x, &rowStride)) {
    const bool done = product(dataOf<S>(x), rowStride, x.strides[x.rank - 1]);
    return done ? Status::ok : noMemory("linear");
  }
  const Contiguous dense(x);
  return dense.ok() && product(dense.as<S>(), k, 1) ? Status::ok : noMemory("linear");
}

template <typename T>
Status matmulOf(const OpCall& call) {
  const TensorView& out = call.outputs[0];
  return out.size == 0 ? Status::ok : matmulInto<T, T>(call, static_cast<T*>(out.data));
}

template <typename T>
Status linearWith(const OpCall& call, GemmEpilogueOf<T> epilogue) {
  const TensorView& bias = call.inputs[2];
  const TensorView& out = call.outputs[0];
  if (out.size == 0) return Status::ok;
  epilogue.bias = dataOf<T>(bias);
  epilogue.biasStride = bias.strides[0];
  return linearInto<T, T>(call, static_cast<T*>(out.data), epilogue);
}

template <typename T>
Status linearOf(const OpCall& call) {
  return linearWith(call, GemmEpilogueOf<T>());
}

Status linearEpilogue(const OpCall& call) {
  GemmEpilogue epilogue;
  epilogue.relu = call.ints[1] != 0;
  if (call.ints[0] == 0) return linearWith(call, epilogue);
  const Contiguous residual(call.inputs[3]);
  if (!residual.ok()) return noMemory("linear");
  epilogue.residual = residual.floats();
  epilogue.residualRow = call.inputs[1].shape[0];
  return linearWith(call, epilogue);
}

/// Rounds the float32 sums of a product of halves.
template <typename S>
void storeHalves(const float* sums, const TensorView& out) {
  S* const to = static_cast<S*>(out.data);
  parallelFor(out.size, 65536, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) to[i] = narrow<S>(sums[i]);
  });
}

template <typename S>
Status matmulOfHalves(const OpCall& call) {
  const TensorView& out = call.outputs[0];
  if (out.size == 0) return Status::ok;
  const Scratch sums(static_cast<size_t>(out.size) * sizeof(float));
  if (!sums.ok()) return noMemory("matmul");
  const Status status = matmulInto<float, S>(call, sums.as<float>());
  if (status == Status::ok) storeHalves<S>(sums.as<float>(), out);
  return status;
}

template <typename S>
Status linearOfHalves(const OpCall& call) {
  const TensorView& bias = call.inputs[2];
  const TensorView& out = call.outputs[0];
  if (out.size == 0) return Status::ok;
  const Scratch memory(static_cast<size_t>(out.size + bias.size) * sizeof(float));
  if (!memory.ok()) return noMemory("linear");
  float* const sums = memory.as<float>();
  float* const wide = sums + out.size;
  for (int64_t i = 0; i < bias.size; ++i) wide[i] = widen(dataOf<S>(bias)[i * bias.strides[0]]);
  GemmEpilogue epilogue;
  epilogue.bias = wide;
  const Status status = linearInto<float, S>(call, sums, epilogue);
  if (status == Status::ok) storeHalves<S>(sums, out);
  return status;
}

/// Calls the kernel for the dtype of a product.
Status byDType(const OpCall& call, Kernel float32, Kernel float64, Kernel bfloat16,
               Kernel float16) {
  switch (call.inputs[0].dtype) {
    case DType::bfloat16:
      return bfloat16(call);
    case DType::float16:
      return float16(call);
    default:
      return byFloat(call, float32, float64);
  }
}

Status matmul(const OpCall& call) {
  return byDType(call, matmulOf<float>, matmulOf<double>, matmulOfHalves<Brain>,
                 matmulOfHalves<Half>);
}
Status linear(const OpCall& call) {
  return byDType(call, linearOf<float>, linearOf<double>, linearOfHalves<Brain>,
                 linearOfHalves<Half>);
}

}  // namespace

void registerMatmul(Kernel* kernels) {
  kernels[static_cast<int>(Op::matmul)] = matmul;
  kernels[static_cast<int>(Op::linear)] = linear;
  kernels[static_cast<int>(Op::linearEpilogue)] = linearEpilogue;
}

}  // namespace KINDLING_ISA
}  // namespace kindling
