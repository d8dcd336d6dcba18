// Convolutions in float64, for checking gradients and small problems: plain loops along the rows of
// the result, the sums in the order of the taps.

#include "cpu/convolution.h"
#include "cpu/convolution_pieces.h"
#include "cpu/parallel.h"

namespace kindling {
namespace KINDLING_ISA {
namespace {

constexpr int64_t kThreadWork = 1 << 15;  // multiply-adds

using Problem = GatherProblem<double>;

void setGrid(const Problem& p, double* out, double value) {
  for (int64_t d = 0; d < p.grid[0]; ++d) {
    for (int64_t h = 0; h < p.grid[1]; ++h) {
      double* row = out + d * p.outStep[0] + h * p.outStep[1];
      for (int64_t w = 0; w < p.grid[2]; ++w) row[w * p.outStep[2]] = value;
    }
  }
}

/// Adds what one tap contributes to one row of the grid.
void addRow(const Problem& p, const double* source, int64_t offset, double weight, double* row) {
  int64_t begin, end;
  validRange(offset, p.stride[2], p.extents[2], p.grid[2], &begin, &end);
  for (int64_t w = begin; w < end; ++w) {
    row[w * p.outStep[2]] += weight * source[offset + w * p.stride[2]];
  }
}

void addChannel(const Problem& p, const double* source, const double* weight, double* out) {
  for (int64_t i = 0; i < p.taps[0].count; ++i) {
    for (int64_t j = 0; j < p.taps[1].count; ++j) {
      for (int64_t k = 0; k < p.taps[2].count; ++k) {
        const double factor = weight[p.weightOffset(i, j, k)];
        for (int64_t d = 0; d < p.grid[0]; ++d) {
          const int64_t z = d * p.stride[0] + p.taps[0].offsets[i];
          if (z < 0 || z >= p.extents[0]) continue;
          for (int64_t h = 0; h < p.grid[1]; ++h) {
            const int64_t y = h * p.stride[1] + p.taps[1].offsets[j];
            if (y < 0 || y >= p.extents[1]) continue;
            addRow(p, source + (z * p.extents[1] + y) * p.extents[2], p.taps[2].offsets[k], factor,
                   out + d * p.outStep[0] + h * p.outStep[1]);
          }
        }
      }
    }
  }
}

/// The sum over one image of the gradient times what a tap reads.
double dotOf(const ConvShape& shape, const double* source, const double* grad,
             const int64_t* offset) {
  double total = 0;
  int64_t begin, end;
  validRange(offset[2], shape.stride[2], shape.input[2], shape.output[2], &begin, &end);
  for (int64_t d = 0; d < shape.output[0]; ++d) {
    const int64_t z = d * shape.stride[0] + offset[0];
    if (z < 0 || z >= shape.input[0]) continue;
    for (int64_t h = 0; h < shape.output[1]; ++h) {
      const int64_t y = h * shape.stride[1] + offset[1];
      if (y < 0 || y >= shape.input[1]) continue;
      const double* from = source + (z * shape.input[1] + y) * shape.input[2] + offset[2];
      const double* row = grad + (d * shape.output[1] + h) * shape.output[2];
      for (int64_t w = begin; w < end; ++w) total += row[w] * from[w * shape.stride[2]];
    }
  }
  return total;
}

}  // namespace

void gatherPlainly(const Problem& p) {
  const int64_t channels = p.groups * p.rows;
  const int64_t work = p.channels * p.tapCount() * p.gridSize() + 1;
  parallelFor(p.batch * channels, kThreadWork / work + 1, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / channels, channel = i % channels;
      const int64_t group = channel / p.rows, row = channel % p.rows;
      double* out = p.outAt(n, channel);
      setGrid(p, out, p.bias ? p.bias[channel] : 0.0);
      const double* weight = p.weight + group * p.weightGroup + row * p.weightRow;
      for (int64_t q = 0; q < p.channels; ++q) {
        addChannel(p, p.sourceAt(n, group * p.channels + q), weight + q * p.weightChannel, out);
      }
    }
  });
}

void weightPlainly(const WeightProblem<double>& problem) {
  const ConvShape& shape = *problem.shape;
  const int64_t perFilter = shape.channels * shape.taps;
  const int64_t elements = shape.groups * shape.filters * perFilter;
  const int64_t work = shape.batch * shape.outputPlane + 1;
  parallelFor(elements, kThreadWork / work + 1, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t filter = i / perFilter, tap = i % shape.taps;
      const int64_t channel = filter / shape.filters * shape.channels + i % perFilter / shape.taps;
      const int64_t at[kSpatial] = {tap / shape.kernel[2] / shape.kernel[1],
                                    tap / shape.kernel[2] % shape.kernel[1], tap % shape.kernel[2]};
      int64_t offset[kSpatial];
      for (int axis = 0; axis < kSpatial; ++axis) {
        offset[axis] = at[axis] * shape.dilation[axis] - shape.padding[axis];
      }
      double total = 0;
      for (int64_t n = 0; n < shape.batch; ++n) {
        total += dotOf(
            shape,
            problem.source + (n * shape.groups * shape.channels + channel) * shape.inputPlane,
            problem.grad + (n * shape.groups * shape.filters + filter) * shape.outputPlane, offset);
      }
      problem.out[i] = total;
    }
  });
}

}  // namespace KINDLING_ISA
}  // namespace kindling
