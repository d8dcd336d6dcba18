#pragma once
// How a kernel file announces its kernels: one register function per file, called by
// kernel_table.cc of the same ISA level. Included by per-ISA objects: declarations only.

#include "core/backend.h"
#include "core/status.h"
#include "cpu/vec.h"

namespace kindling {
namespace KINDLING_ISA {

/// Calls the kernel for a number dtype; nullptr where there is none. bool counts as uint8.
KINDLING_INLINE Status byNumber(const OpCall& call, DType dtype, Kernel float32, Kernel int32,
                                Kernel float64, Kernel int64, Kernel uint8) {
  Kernel kernel = nullptr;
  switch (dtype) {
    case DType::float32:
      kernel = float32;
      break;
    case DType::int32:
      kernel = int32;
      break;
    case DType::float64:
      kernel = float64;
      break;
    case DType::int64:
      kernel = int64;
      break;
    case DType::uint8:
    case DType::boolean:
      kernel = uint8;
      break;
    default:
      break;
  }
  return kernel ? kernel(call) : fail(Status::badDtype, "no kernel for this dtype");
}

/// The same for the two floating-point types that kernels work in.
KINDLING_INLINE Status byFloat(const OpCall& call, Kernel float32, Kernel float64) {
  return byNumber(call, call.inputs[0].dtype, float32, nullptr, float64, nullptr, nullptr);
}

void registerElementwise(Kernel* kernels);
void registerCreation(Kernel* kernels);
void registerCopies(Kernel* kernels);
void registerIndexing(Kernel* kernels);
void registerReductions(Kernel* kernels);
void registerMatmul(Kernel* kernels);
void registerConvolution(Kernel* kernels);
void registerPooling(Kernel* kernels);
void registerLinearPooling(Kernel* kernels);
void registerLinalg(Kernel* kernels);
void registerFft(Kernel* kernels);
void registerSoftmax(Kernel* kernels);
void registerNormalization(Kernel* kernels);
void registerAttention(Kernel* kernels);
void registerCtc(Kernel* kernels);
void registerRecurrent(Kernel* kernels);
void registerOptimizers(Kernel* kernels);
void registerAdaptiveOptimizers(Kernel* kernels);

}  // namespace KINDLING_ISA
}  // namespace kindling
