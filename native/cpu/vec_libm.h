#pragma once
// Stands in until its includers name these two.

#include "cpu/vec_special.h"
#include "cpu/vec_trig.h"
