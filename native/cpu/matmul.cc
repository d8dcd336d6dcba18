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

const float* floatsOf(const TensorView& view) { return static_cast<const float*>(view.data); }

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

/// float64, which is for checking gradients and for small problems: plain loops, the sums in order.
void plainProduct(int64_t m, int64_t n, int64_t k, const double* a, int64_t aRow, int64_t aColumn,
                  const double* b, int64_t bRow, int64_t bColumn, double* c) {
  for (int64_t i = 0; i < m; ++i) {
    double* row = c + i * n;
    for (int64_t j = 0; j < n; ++j) row[j] = 0;
    for (int64_t p = 0; p < k; ++p) {
      const double factor = a[i * aRow + p * aColumn];
      const double* from = b + p * bRow;
      for (int64_t j = 0; j < n; ++j) row[j] += factor * from[j * bColumn];
    }
  }
}

Status matmulDouble(const OpCall& call) {
  const TensorView& a = call.inputs[0];
  const TensorView& b = call.inputs[1];
  const TensorView& out = call.outputs[0];
  if (out.size == 0) return Status::ok;
  const int row = out.rank - 2, column = out.rank - 1;
  const int64_t m = out.shape[row], n = out.shape[column], k = a.shape[column];
  const int64_t grain = kSmallProduct / (n * (k > 0 ? k : 1)) + 1;
  parallelFor(out.size / n, grain, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t batch = i / m;
      plainProduct(
          1, n, k,
          static_cast<const double*>(a.data) + batchOffset(a, out, batch) + i % m * a.strides[row],
          a.strides[row], a.strides[column],
          static_cast<const double*>(b.data) + batchOffset(b, out, batch), b.strides[row],
          b.strides[column], static_cast<double*>(out.data) + i * n);
    }
  });
  return Status::ok;
}

Status linearDouble(const OpCall& call) {
  const TensorView& weight = call.inputs[1];
  const TensorView& bias = call.inputs[2];
  const TensorView& out = call.outputs[0];
  if (out.size == 0) return Status::ok;
  const Contiguous x(call.inputs[0]);
  if (!x.ok()) return noMemory("linear");
  const int64_t n = weight.shape[0], k = weight.shape[1];
  double* result = static_cast<double*>(out.data);
  plainProduct(out.size / n, n, k, x.as<double>(), k, 1, static_cast<const double*>(weight.data),
               weight.strides[1], weight.strides[0], result);
  const double* add = static_cast<const double*>(bias.data);
  for (int64_t i = 0; i < out.size; ++i) result[i] += add[i % n * bias.strides[0]];
  return Status::ok;
}

Status matmulFloat(const OpCall& call) {
  const TensorView& a = call.inputs[0];
  const TensorView& b = call.inputs[1];
  const TensorView& out = call.outputs[0];
  if (out.size == 0) return Status::ok;
  const int row = out.rank - 2, column = out.rank - 1;
  const int64_t m = out.shape[row], n = out.shape[column], k = a.shape[column];
  const int64_t batches = out.size / (m * n);
  float* result = static_cast<float*>(out.data);
  int64_t rowStride;
  if (isRepeated(b) && collapsesToRows(a, &rowStride)) {
    // One matrix times all rows of the batch.
    const bool done =
        gemm(batches * m, n, k, floatsOf(a), rowStride, a.strides[column], floatsOf(b),
             b.strides[row], b.strides[column], result, n, GemmEpilogue());
    return done ? Status::ok : noMemory("matmul");
  }
  const auto product = [&](int64_t batch) {
    return gemm(m, n, k, floatsOf(a) + batchOffset(a, out, batch), a.strides[row],
                a.strides[column], floatsOf(b) + batchOffset(b, out, batch), b.strides[row],
                b.strides[column], result + batch * m * n, n, GemmEpilogue());
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

Status linearWith(const OpCall& call, GemmEpilogue epilogue) {
  const TensorView& x = call.inputs[0];
  const TensorView& weight = call.inputs[1];
  const TensorView& bias = call.inputs[2];
  const TensorView& out = call.outputs[0];
  if (out.size == 0) return Status::ok;
  const int64_t n = weight.shape[0], k = weight.shape[1];
  epilogue.bias = floatsOf(bias);
  epilogue.biasStride = bias.strides[0];
  const auto product = [&](const float* rows, int64_t rowStride, int64_t columnStride) {
    return gemm(out.size / n, n, k, rows, rowStride, columnStride, floatsOf(weight),
                weight.strides[1], weight.strides[0], static_cast<float*>(out.data), n, epilogue);
  };
  int64_t rowStride;
  if (collapsesToRows(x, &rowStride)) {
    return product(floatsOf(x), rowStride, x.strides[x.rank - 1]) ? Status::ok : noMemory("linear");
  }
  const Contiguous dense(x);
  return dense.ok() && product(dense.floats(), k, 1) ? Status::ok : noMemory("linear");
}

Status linearFloat(const OpCall& call) { return linearWith(call, GemmEpilogue()); }

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

Status matmul(const OpCall& call) { return byFloat(call, matmulFloat, matmulDouble); }
Status linear(const OpCall& call) { return byFloat(call, linearFloat, linearDouble); }

}  // namespace

void registerMatmul(Kernel* kernels) {
  kernels[static_cast<int>(Op::matmul)] = matmul;
  kernels[static_cast<int>(Op::linear)] = linear;
  kernels[static_cast<int>(Op::linearEpilogue)] = linearEpilogue;
}

}  // namespace KINDLING_ISA
}  // namespace kindling
