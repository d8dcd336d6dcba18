#pragma once
// CUDA for g++: what native/cuda/gpu.h includes instead of <cuda_runtime.h>, so that the very same
// kernels run on the CPU. Only what the backend uses is here; each name means what NVIDIA
// documents.

#include "cuda_emulator/collectives.h"
#include "cuda_emulator/host_api.h"
#include "cuda_emulator/intrinsics.h"
#include "cuda_emulator/launch.h"
#include "cuda_emulator/vector_types.h"
