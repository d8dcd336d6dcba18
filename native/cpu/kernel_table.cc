// The kernels of one ISA level, gathered. Compiled once per level.

#include "cpu/kernel_table.h"

namespace kindling {
namespace KINDLING_ISA {

void fillKernels(Kernel* kernels);

void fillKernels(Kernel* kernels) {
  registerElementwise(kernels);
  registerCreation(kernels);
  registerCopies(kernels);
  registerIndexing(kernels);
  registerReductions(kernels);
  registerMatmul(kernels);
  registerConvolution(kernels);
  registerPooling(kernels);
  registerLinearPooling(kernels);
  registerLinalg(kernels);
  registerFft(kernels);
  registerSoftmax(kernels);
  registerNormalization(kernels);
  registerAttention(kernels);
  registerCtc(kernels);
  registerRecurrent(kernels);
  registerOptimizers(kernels);
  registerAdaptiveOptimizers(kernels);
}

}  // namespace KINDLING_ISA
}  // namespace kindling
