#pragma once
// How a family of kernels announces itself: native/cuda/<family>.cu ends with
//
//   void registerSoftmax(Kernel* kernels) { kernels[static_cast<int>(Op::softmax)] = softmax; … }
//
// and families.def has a row for it, which declares the function here and calls it in backend.cu.

#include "core/op_call.h"

namespace kindling {
namespace cuda {

#define KINDLING_CUDA_FAMILY(name, file) void register##name(Kernel* kernels);
#include "cuda/families.def"
#undef KINDLING_CUDA_FAMILY

}  // namespace cuda
}  // namespace kindling
