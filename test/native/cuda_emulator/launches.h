#pragma once
// With KINDLING_EMULATOR_LAUNCHES=FILE the names of all launched kernels go there at the end of the
// process, each with the least and the most dynamic shared memory that it was given: what no
// compiler knows of, and scripts/cuda-report.mjs needs for the occupancy.

#include "cuda_emulator/launch.h"

namespace kindling {
namespace cuda {
namespace emulator {

/// One launch at a time: the caller holds the lock of the device.
void noteLaunch(const Launch& launch);

}  // namespace emulator
}  // namespace cuda
}  // namespace kindling
