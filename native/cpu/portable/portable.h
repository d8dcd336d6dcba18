#pragma once
// Kernels in which vector instructions have little to do: compiled once, in use at every ISA level.

#include "core/backend.h"

namespace kindling {

void registerGather(Kernel* kernels);
void registerScan(Kernel* kernels);
void registerSort(Kernel* kernels);

}  // namespace kindling
