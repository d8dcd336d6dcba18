#pragma once
// How a kernel file announces its kernels: one register function per file, called by
// kernel_table.cc of the same ISA level. Included by per-ISA objects: declarations only.

#include "core/backend.h"

namespace kindling {
namespace KINDLING_ISA {

void registerElementwise(Kernel* kernels);
void registerCreation(Kernel* kernels);
void registerCopies(Kernel* kernels);
void registerIndexing(Kernel* kernels);
void registerReductions(Kernel* kernels);
void registerMatmul(Kernel* kernels);
void registerLinalg(Kernel* kernels);
void registerFft(Kernel* kernels);
void registerSoftmax(Kernel* kernels);
void registerOptimizers(Kernel* kernels);

}  // namespace KINDLING_ISA
}  // namespace kindling
