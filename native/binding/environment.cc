#include "binding/environment.h"

#include <algorithm>

namespace kindling {

bool Environment::setScratch(napi_value array) {
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  if (napi_get_typedarray_info(env_, array, &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != napi_float64_array || length < kScratchLength) {
    return false;
  }
  if (napi_create_reference(env_, array, 1, &scratchArray_) != napi_ok) return false;
  scratch_ = static_cast<double*>(data);
  return true;
}

void Environment::track(Handle handle, napi_value owner, size_t bytes) {
  napi_ref reference = nullptr;
  if (napi_create_reference(env_, owner, 0, &reference) != napi_ok) return;
  tensors_.find(handle)->owner = reference;
  newBytes_ += static_cast<int64_t>(bytes);
  ++newTensors_;
  if (newBytes_ >= sweepBytes_ || newTensors_ >= sweepCount_) sweep();
}

Status Environment::release(Handle handle) {
  TensorTable::Slot* slot = tensors_.find(handle);
  if (slot && slot->owner) napi_delete_reference(env_, static_cast<napi_ref>(slot->owner));
  return tensors_.release(handle);
}

void Environment::report(int64_t bytes) {
  int64_t total;
  if (bytes != 0) napi_adjust_external_memory(env_, bytes, &total);
  reportedBytes_ += bytes;
}

void Environment::sweep() {
  napi_handle_scope scope;
  if (napi_open_handle_scope(env_, &scope) != napi_ok) return;
  // V8 answers growth with a collection of its own, sooner or later; what it found dead is freed
  // here. One report for many tensors, because a report costs tens of microseconds.
  report(newBytes_);
  int64_t live = 0;
  size_t tracked = 0;
  tensors_.sweep([&](TensorTable::Slot& slot) {
    if (!slot.owner) return false;
    const napi_ref reference = static_cast<napi_ref>(slot.owner);
    napi_value object = nullptr;
    napi_get_reference_value(env_, reference, &object);
    if (object) {
      live += static_cast<int64_t>(slot.view.size * sizeOf(slot.view.dtype));
      ++tracked;
      return false;
    }
    napi_delete_reference(env_, reference);
    return true;
  });
  napi_close_handle_scope(env_, scope);
  newBytes_ = 0;
  newTensors_ = 0;
  sweepBytes_ = std::max(kSweepBytes, live / 8);
  sweepCount_ = std::max(kSweepCount, tracked / 2);
  report(live - reportedBytes_);
}

void Environment::sweepHard() {
  // More than V8 tolerates without a full collection on any heap size it is configured with.
  constexpr int64_t kPressure = int64_t{16} << 30;
  report(kPressure);
  report(-kPressure);
  sweep();
}

}  // namespace kindling
