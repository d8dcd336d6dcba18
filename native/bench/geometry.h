#pragma once
// The extents of a convolution or a pooling of square planes.

#include "bench/spec.h"

namespace kindling::bench {

struct ConvGeometry {
  int64_t n, c, o, size, kernel, stride, pad, groups, out;

  explicit ConvGeometry(const Spec& s)
      : n(s.number("n")),
        c(s.number("c")),
        o(s.number("o")),
        size(s.number("size")),
        kernel(s.number("kernel")),
        stride(s.number("stride", 1)),
        pad(s.number("pad")),
        groups(s.number("groups", 1)),
        out((size + 2 * pad - kernel) / stride + 1) {}
};

}  // namespace kindling::bench
