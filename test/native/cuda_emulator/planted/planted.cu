#include "cuda/gpu.h"
