// Copies and conversions: copy, cast, concat, sliceBackward, assign.

#include "cpu/convert.h"
#include "cpu/elementwise_ops.h"
#include "cpu/kernel_table.h"
#include "cpu/scratch.h"
#include "cpu/strided_copy.h"
#include "cpu/tile_copy.h"

namespace kindling {
namespace KINDLING_ISA {

namespace {

Status copy(const OpCall& call) {
  copyStrided(call.outputs[0], call.inputs[0]);
  return Status::ok;
}

/// The addresses that a view's elements lie between.
struct Extent {
  const char* first;
  const char* last;

  explicit Extent(const TensorView& view) {
    const int64_t bytes = elementBytes(view.dtype);
    first = static_cast<const char*>(view.data);
    last = first + bytes - 1;
    for (int axis = 0; axis < view.rank; ++axis) {
      const int64_t reach = (view.shape[axis] - 1) * view.strides[axis] * bytes;
      (reach < 0 ? first : last) += reach;
    }
  }
  bool overlaps(const Extent& other) const { return first <= other.last && other.first <= last; }
};

Status assign(const OpCall& call) {
  const TensorView& target = call.inputs[0];
  const TensorView& source = call.inputs[1];
  if (target.size == 0) return Status::ok;
  if (!Extent(target).overlaps(Extent(source))) {
    copyStrided(target, source);
    return Status::ok;
  }
  // A transposed view of the target itself, say: read all before anything is written.
  const Contiguous copied = Contiguous::copyOf(source);
  if (!copied.ok()) return fail(Status::outOfMemory, "assign: no scratch memory");
  copyStrided(target, copied.view());
  return Status::ok;
}

/// Toward zero, saturating; NaN gives 0.
struct FloatToInt : Cheap {
  static KINDLING_INLINE VecI apply(VecF x) {
    // Out of range on either side the conversion gives INT32_MIN.
    const VecI converted = toInt(x);
    const VecI saturated = select(VecF::set1(2147483648.0f) <= x, VecI::set1(INT32_MAX), converted);
    return select(x.isNaN(), VecI::set1(0), saturated);
  }
};

struct IntToFloat : Cheap {
  static KINDLING_INLINE VecF apply(VecI x) { return toFloat(x); }
};

template <typename From, typename To>
struct Convert : Cheap {
  static KINDLING_INLINE To apply(From x) { return narrow<To>(widen(x)); }
};

/// nullptr where the dtypes are the same.
RunLoop castLoop(DType from, DType to) {
  if (from == to) return nullptr;
  if (from == DType::int32 && to == DType::float32) return unaryLoop<IntToFloat, int32_t, float>;
  if (from == DType::float32 && to == DType::int32) return unaryLoop<FloatToInt, float, int32_t>;
  RunLoop loop = nullptr;
  withType(from, [&](auto source) {
    withType(to, [&](auto target) {
      using From = decltype(source);
      using To = decltype(target);
      loop = elementUnaryLoop<Convert<From, To>, From, To>;
    });
  });
  return loop;
}

Status cast(const OpCall& call) {
  const RunLoop loop = castLoop(call.inputs[0].dtype, call.outputs[0].dtype);
  return loop ? runElementwise(call, 1, loop, Cheap::kGrain) : copy(call);
}

Status concat(const OpCall& call) {
  const int axis = call.ints[0];
  const TensorView& out = call.outputs[0];
  const int64_t bytes = elementBytes(out.dtype);
  int64_t start = 0;
  for (int k = 0; k < 2; ++k) {
    const TensorView& in = call.inputs[k];
    TensorView part = out;
    part.data = static_cast<char*>(out.data) + start * out.strides[axis] * bytes;
    part.shape[axis] = in.shape[axis];
    part.size = in.size;
    // Still gapless where the part is one block: nothing but 1s before the axis.
    int64_t before = 1;
    for (int i = 0; i < axis; ++i) before *= out.shape[i];
    part.contiguous = before == 1;
    copyStrided(part, in);
    start += in.shape[axis];
  }
  return Status::ok;
}

Status sliceBackward(const OpCall& call) {
  const TensorView& grad = call.inputs[0];
  const TensorView& out = call.outputs[0];
  TensorView slice = out;
  slice.contiguous = false;
  slice.size = grad.size;
  int64_t offset = 0;
  for (int axis = 0; axis < out.rank; ++axis) {
    const int64_t start = call.ints[1 + 2 * axis], step = call.ints[2 + 2 * axis];
    if (step == 0)
      return fail(Status::badArgument, "sliceBackward: the step of axis %d is 0", axis);
    offset += start * out.strides[axis];
    slice.shape[axis] = grad.shape[axis];
    slice.strides[axis] = step * out.strides[axis];
  }
  if (grad.size != out.size) fillZero(out);
  if (grad.size == 0) return Status::ok;
  slice.data = static_cast<char*>(out.data) + offset * elementBytes(out.dtype);
  copyStrided(slice, grad);
  return Status::ok;
}

}  // namespace

void registerCopies(Kernel* kernels) {
  kernels[static_cast<int>(Op::copy)] = copy;
  kernels[static_cast<int>(Op::cast)] = cast;
  kernels[static_cast<int>(Op::concat)] = concat;
  kernels[static_cast<int>(Op::sliceBackward)] = sliceBackward;
  kernels[static_cast<int>(Op::assign)] = assign;
}

}  // namespace KINDLING_ISA
}  // namespace kindling
