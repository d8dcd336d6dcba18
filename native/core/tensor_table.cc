#include "core/tensor_table.h"

#include <cinttypes>

namespace kindling {

namespace {

constexpr int64_t kMaxElements = int64_t{1} << 48;

/// Fills rank, shape, size and row-major strides; the message names the rule that is broken.
Status describe(TensorView* view, int rank, const int64_t* shape) {
  if (rank < 0 || rank > kMaxRank) {
    return fail(Status::badShape, "rank %d is outside [0, %d]", rank, kMaxRank);
  }
  view->rank = rank;
  // The product over the non-empty axes bounds every stride, also when an axis is 0.
  int64_t product = 1;
  bool empty = false;
  for (int axis = rank - 1; axis >= 0; --axis) {
    const int64_t extent = shape[axis];
    if (extent < 0) return fail(Status::badShape, "axis %d is negative: %" PRId64, axis, extent);
    view->shape[axis] = extent;
    view->strides[axis] = product;
    empty |= extent == 0;
    if (extent > 1 && product > kMaxElements / extent) {
      return fail(Status::badShape, "the shape has more than 2^48 elements");
    }
    if (extent > 1) product *= extent;
  }
  view->size = empty ? 0 : product;
  return Status::ok;
}

bool isContiguous(const TensorView& view) {
  int64_t expected = 1;
  for (int axis = view.rank - 1; axis >= 0; --axis) {
    if (view.shape[axis] != 1 && view.strides[axis] != expected) return view.size == 0;
    expected *= view.shape[axis];
  }
  return true;
}

/// The lowest and highest element offset that a view reaches, relative to its first element.
Status reach(const TensorView& view, int64_t* lowest, int64_t* highest) {
  *lowest = *highest = 0;
  for (int axis = 0; axis < view.rank; ++axis) {
    const int64_t steps = view.shape[axis] - 1;
    const int64_t stride = view.strides[axis];
    if (stride > kMaxElements || stride < -kMaxElements ||
        (steps > 0 && stride != 0 && (stride > 0 ? stride : -stride) > kMaxElements / steps)) {
      return fail(Status::badShape, "stride %" PRId64 " of axis %d is too large", stride, axis);
    }
    (stride > 0 ? *highest : *lowest) += steps * stride;
  }
  return Status::ok;
}

}  // namespace

size_t sizeOf(DType dtype) { return static_cast<size_t>(kDTypeBytes[static_cast<int>(dtype)]); }

Status TensorTable::takeSlot(uint32_t* index) {
  if (firstFree_ != kNone) {
    *index = firstFree_;
    firstFree_ = at(firstFree_).nextFree;
  } else {
    if (used_ > kIndexMask)
      return fail(Status::outOfMemory, "more than %u tensors are alive", used_);
    std::unique_ptr<Slot[]>& chunk = chunks_[used_ >> kChunkBits];
    if (!chunk) chunk.reset(new (std::nothrow) Slot[kChunk]);
    if (!chunk) return fail(Status::outOfMemory, "no memory for another %u tensors", kChunk);
    *index = used_++;
  }
  Slot& slot = at(*index);
  slot.live = true;
  ++live_;
  return Status::ok;
}

void TensorTable::releaseSlot(uint32_t index) {
  Slot& slot = at(index);
  slot.storage = StorageRef();
  slot.owner = nullptr;
  slot.live = false;
  slot.generation = (slot.generation + 1) & kGenerationMask;
  if (slot.generation == 0) slot.generation = 1;
  slot.nextFree = firstFree_;
  firstFree_ = index;
  --live_;
}

Status TensorTable::create(const Backend& backend, DType dtype, int rank, const int64_t* shape,
                           Handle* handle) {
  TensorView view;
  const Status described = describe(&view, rank, shape);
  if (described != Status::ok) return described;
  const size_t bytes = static_cast<size_t>(view.size) * sizeOf(dtype);
  StorageRef storage = Storage::create(backend, bytes);
  if (!storage) return fail(Status::outOfMemory, "no memory for %zu bytes", bytes);
  uint32_t index;
  const Status taken = takeSlot(&index);
  if (taken != Status::ok) return taken;
  view.data = storage->data();
  view.dtype = dtype;
  view.contiguous = true;
  Slot& slot = at(index);
  slot.view = view;
  slot.storage = std::move(storage);
  *handle = handleOf(index);
  return Status::ok;
}

Status TensorTable::view(Handle base, int rank, const int64_t* shape, const int64_t* strides,
                         int64_t offset, Handle* handle) {
  const Slot* source = find(base);
  if (!source) return fail(Status::badHandle, "the tensor was disposed");
  TensorView view;
  const Status described = describe(&view, rank, shape);
  if (described != Status::ok) return described;
  for (int axis = 0; axis < rank; ++axis) view.strides[axis] = strides[axis];
  view.dtype = source->view.dtype;
  view.data = source->view.data;
  if (view.size > 0) {
    int64_t lowest, highest;
    const Status reached = reach(view, &lowest, &highest);
    if (reached != Status::ok) return reached;
    if (offset > kMaxElements || offset < -kMaxElements) {
      return fail(Status::badShape, "offset %" PRId64 " is too large", offset);
    }
    const int64_t element = static_cast<int64_t>(sizeOf(view.dtype));
    const char* start = static_cast<const char*>(source->storage->data());
    const int64_t first = (static_cast<const char*>(view.data) - start) / element + offset;
    const int64_t elements = static_cast<int64_t>(source->storage->bytes()) / element;
    if (first + lowest < 0 || first + highest >= elements) {
      return fail(Status::badShape, "the view reaches outside its storage of %" PRId64 " elements",
                  elements);
    }
    view.data = static_cast<char*>(view.data) + offset * element;
  }
  view.contiguous = isContiguous(view);
  uint32_t index;
  const Status taken = takeSlot(&index);
  if (taken != Status::ok) return taken;
  Slot& slot = at(index);
  slot.view = view;
  slot.storage = source->storage;
  *handle = handleOf(index);
  return Status::ok;
}

Status TensorTable::release(Handle handle) {
  if (!find(handle)) return fail(Status::badHandle, "the tensor was disposed");
  releaseSlot(handle & kIndexMask);
  return Status::ok;
}

}  // namespace kindling
