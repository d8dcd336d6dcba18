// Matrix products as ops: batches of gemm, and the fully connected layer.

#include "core/status.h"
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

template <typename T>
Status matmulOf(const OpCall& call) {
  const TensorView& a = call.inputs[0];
  const TensorView& b = call.inputs[1];
  const TensorView& out = call.outputs[0];
  if (out.size == 0) return Status::ok;
  const int row = out.rank - 2, column = out.rank - 1;
  const int64_t m = out.shape[row], n = out.shape[column], k = a.shape[column];
  const int64_t batches = out.size / (m * n);
  T* result = static_cast<T*>(out.data);
  int64_t rowStride;
  if (isRepeated(b) && collapsesToRows(a, &rowStride)) {
    // One matrix times all rows of the batch.
    const bool done =
        gemm(batches * m, n, k, dataOf<T>(a), rowStride, a.strides[column], dataOf<T>(b),
             b.strides[row], b.strides[column], result, n, GemmEpilogueOf<T>());
    return done ? Status::ok : noMemory("matmul");
  }
  const auto product = [&](int64_t batch) {
    return gemm(m, n, k, dataOf<T>(a) + batchOffset(a, out, batch), a.strides[row],
                a.strides[column], dataOf<T>(b) + batchOffset(b, out, batch), b.strides[row],
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

template <typename T>
Status linearWith(const OpCall& call, GemmEpilogueOf<T> epilogue) {
  const TensorView& x = call.inputs[0];
  const TensorView& weight = call.inputs[1];
  const TensorView& bias = call.inputs[2];
  const TensorView& out = call.outputs[0];
  if (out.size == 0) return Status::ok;
  const int64_t n = weight.shape[0], k = weight.shape[1];
  epilogue.bias = dataOf<T>(bias);
  epilogue.biasStride = bias.strides[0];
  const auto product = [&](const T* rows, int64_t rowStride, int64_t columnStride) {
    return gemm(out.size / n, n, k, rows, rowStride, columnStride, dataOf<T>(weight),
                weight.strides[1], weight.strides[0], static_cast<T*>(out.data), n, epilogue);
  };
  int64_t rowStride;
  if (collapsesToRows(x, &rowStride)) {
    return product(dataOf<T>(x), rowStride, x.strides[x.rank - 1]) ? Status::ok
                                                                   : noMemory("linear");
  }
  const Contiguous dense(x);
  return dense.ok() && product(dense.as<T>(), k, 1) ? Status::ok : noMemory("linear");
}

template <typename T>
Status linearOf(const OpCall& call) {
  return linearWith(call, GemmEpilogueOf<T>());
}

template <typename T>
Status linearEpilogueOf(const OpCall& call) {
  GemmEpilogueOf<T> epilogue;
  epilogue.relu = call.ints[1] != 0;
  if (call.ints[0] == 0) return linearWith(call, epilogue);
  const Contiguous residual(call.inputs[3]);
  if (!residual.ok()) return noMemory("linear");
  epilogue.residual = residual.as<T>();
  epilogue.residualRow = call.inputs[1].shape[0];
  return linearWith(call, epilogue);
}

Status matmul(const OpCall& call) { return byFloat(call, matmulOf<float>, matmulOf<double>); }
Status linear(const OpCall& call) { return byFloat(call, linearOf<float>, linearOf<double>); }

}  // namespace

void registerMatmul(Kernel* kernels) {
  kernels[static_cast<int>(Op::matmul)] = matmul;
  kernels[static_cast<int>(Op::linear)] = linear;
  kernels[static_cast<int>(Op::linearEpilogue)] = linearEpilogueOf<float>;
}

}  // namespace KINDLING_ISA
}  // namespace kindling
