#pragma once
// Recurrent layers forward and backward in double, step by step.

#include <cmath>
#include <vector>

#include "op_testing.h"

namespace kindling {
namespace testing {
namespace recurrent {

inline double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

struct Sizes {
  int64_t steps, rows, width;
};

/// A cell and how many matrices of the width its operands have.
struct CellCase {
  Op forward, backward;
  int64_t gates, saved;
  std::vector<int32_t> ints;  // after `reverse`
  bool hasCell() const { return forward == Op::lstm; }
  bool hasHiddenBias() const { return forward == Op::gru; }
};

inline const std::vector<CellCase>& cells() {
  static const std::vector<CellCase> all = {{Op::lstm, Op::lstmBackward, 4, 4, {}},
                                            {Op::gru, Op::gruBackward, 3, 4, {}},
                                            {Op::rnn, Op::rnnBackward, 1, 1, {0}},
                                            {Op::rnn, Op::rnnBackward, 1, 1, {1}}};
  return all;
}

inline std::vector<int32_t> attributes(const CellCase& cell, bool reverse) {
  std::vector<int32_t> ints = {reverse};
  ints.insert(ints.end(), cell.ints.begin(), cell.ints.end());
  return ints;
}

inline std::vector<TestTensor> outputsOf(const CellCase& cell, const Sizes& s, int64_t kept) {
  const auto floats = [](const Shape& shape) { return TestTensor(DType::float32, shape); };
  std::vector<TestTensor> outputs = {floats({s.steps, s.rows, s.width}), floats({s.rows, s.width}),
                                     floats({kept, s.rows, cell.saved * s.width})};
  if (cell.hasCell()) {
    outputs.push_back(floats({s.rows, s.width}));
    outputs.push_back(floats({kept, s.rows, s.width}));
  }
  return outputs;
}

/// y [steps, rows, width] and the final states, in double.
struct Reference {
  std::vector<double> y, h, c;
};

/// One row at one time.
inline void referenceStep(const CellCase& cell, const std::vector<TestTensor>& in, int64_t at,
                          std::vector<double>* h, std::vector<double>* c) {
  const int64_t n = static_cast<int64_t>(h->size());
  const auto product = [&](int64_t gate, int64_t j) {
    double sum = 0;
    for (int64_t k = 0; k < n; ++k) {
      sum += in[1].at((gate * n + j) * n + k) * (*h)[static_cast<size_t>(k)];
    }
    return sum;
  };
  std::vector<double> next(h->size());
  for (int64_t j = 0; j < n; ++j) {
    const auto input = [&](int64_t gate) { return in[0].at(at * cell.gates * n + gate * n + j); };
    const auto gate = [&](int64_t k) { return input(k) + product(k, j); };
    const size_t place = static_cast<size_t>(j);
    if (cell.hasCell()) {
      (*c)[place] = sigmoid(gate(1)) * (*c)[place] + sigmoid(gate(0)) * std::tanh(gate(2));
      next[place] = sigmoid(gate(3)) * std::tanh((*c)[place]);
    } else if (cell.hasHiddenBias()) {
      const double update = sigmoid(gate(1));
      const double fresh = std::tanh(input(2) + sigmoid(gate(0)) * (product(2, j) + in[4].at(j)));
      next[place] = (1 - update) * fresh + update * (*h)[place];
    } else {
      next[place] = cell.ints[0] ? (gate(0) < 0 ? 0 : gate(0)) : std::tanh(gate(0));
    }
  }
  *h = next;
}

inline Reference reference(const CellCase& cell, const Sizes& s, const std::vector<TestTensor>& in,
                           bool reverse) {
  Reference result;
  result.y.assign(static_cast<size_t>(s.steps * s.rows * s.width), 0);
  for (int64_t row = 0; row < s.rows; ++row) {
    std::vector<double> h, c;
    for (int64_t j = 0; j < s.width; ++j) {
      h.push_back(in[3].at(row * s.width + j));
      c.push_back(cell.hasCell() ? in[4].at(row * s.width + j) : 0);
    }
    const int64_t length = static_cast<int64_t>(in[2].at(row));
    for (int64_t k = 0; k < length; ++k) {
      const int64_t at = (reverse ? length - 1 - k : k) * s.rows + row;
      referenceStep(cell, in, at, &h, &c);
      for (int64_t j = 0; j < s.width; ++j) {
        result.y[static_cast<size_t>(at * s.width + j)] = h[static_cast<size_t>(j)];
      }
    }
    result.h.insert(result.h.end(), h.begin(), h.end());
    result.c.insert(result.c.end(), c.begin(), c.end());
  }
  return result;
}

inline std::vector<TestTensor> backwardOutputs(const CellCase& cell, const Sizes& s) {
  const auto floats = [](const Shape& shape) { return TestTensor(DType::float32, shape); };
  std::vector<TestTensor> outputs = {floats({s.steps, s.rows, cell.gates * s.width}),
                                     floats({s.rows, s.width}),
                                     floats({cell.gates * s.width, s.width})};
  if (cell.hasCell()) outputs.push_back(floats({s.rows, s.width}));
  if (cell.hasHiddenBias()) outputs.push_back(floats({s.width}));
  return outputs;
}

/// Gradients in double, by the chain rule backwards through the reference's steps.
struct ReferenceGradients {
  std::vector<double> projections, h0, weight, extra;
};

/// The gates of a step and their slopes, from the native run's y and c, which other tests check.
class ReferenceBack {
 public:
  ReferenceBack(const CellCase& cell, const Sizes& s, const std::vector<TestTensor>& in,
                const std::vector<TestTensor>& grads, bool reverse)
      : cell_(cell), s_(s), in_(in), grads_(grads), reverse_(reverse) {}

  ReferenceGradients run() {
    const size_t units = static_cast<size_t>(s_.rows * s_.width);
    result_.projections.assign(static_cast<size_t>(in_[0].size()), 0);
    result_.h0.assign(units, 0);
    result_.weight.assign(static_cast<size_t>(in_[1].size()), 0);
    result_.extra.assign(cell_.hasCell() ? units : static_cast<size_t>(s_.width), 0);
    for (int64_t row = 0; row < s_.rows; ++row) runRow(row);
    return result_;
  }

 private:
  double& at(std::vector<double>& values, int64_t i) { return values[static_cast<size_t>(i)]; }

  void runRow(int64_t row) {
    const int64_t n = s_.width;
    std::vector<double> dh, dc;
    for (int64_t j = 0; j < n; ++j) {
      dh.push_back(grads_[1].at(row * n + j));
      dc.push_back(cell_.hasCell() ? grads_[9].at(row * n + j) : 0);
    }
    const int64_t length = static_cast<int64_t>(in_[2].at(row));
    for (int64_t k = length; k-- > 0;) {
      const int64_t t = reverse_ ? length - 1 - k : k;
      stepBack(row, t, k == 0 ? -1 : reverse_ ? t + 1 : t - 1, &dh, &dc);
    }
    for (int64_t j = 0; j < n; ++j) {
      at(result_.h0, row * n + j) = dh[static_cast<size_t>(j)];
      if (cell_.hasCell()) at(result_.extra, row * n + j) = dc[static_cast<size_t>(j)];
    }
  }

  /// `before`: the time of the step before, or -1 at the first step.
  void stepBack(int64_t row, int64_t t, int64_t before, std::vector<double>* dh,
                std::vector<double>* dc) {
    const int64_t n = s_.width, gates = cell_.gates, place = t * s_.rows + row;
    const auto state = [&](int64_t j) {
      return before < 0 ? in_[3].at(row * n + j) : grads_[3].at((before * s_.rows + row) * n + j);
    };
    const auto saved = [&](int64_t gate, int64_t j) {
      return grads_[2].at((place * cell_.saved + gate) * n + j);
    };
    std::vector<double> next(static_cast<size_t>(n), 0), products(static_cast<size_t>(gates * n));
    for (int64_t j = 0; j < n; ++j) {
      const double d = at(*dh, j) + grads_[0].at(place * n + j);
      std::vector<double> input;
      if (cell_.hasCell()) {
        const double cBefore =
            before < 0 ? in_[4].at(row * n + j) : grads_[7].at((before * s_.rows + row) * n + j);
        const double i = saved(0, j), f = saved(1, j), g = saved(2, j), o = saved(3, j);
        const double tc = std::tanh(grads_[7].at(place * n + j));
        const double c = at(*dc, j) + d * o * (1 - tc * tc);
        input = {c * g * i * (1 - i), c * cBefore * f * (1 - f), c * i * (1 - g * g),
                 d * tc * o * (1 - o)};
        at(*dc, j) = c * f;
      } else if (cell_.hasHiddenBias()) {
        const double r = saved(0, j), z = saved(1, j), fresh = saved(2, j), hidden = saved(3, j);
        const double dFresh = d * (1 - z) * (1 - fresh * fresh);
        input = {dFresh * hidden * r * (1 - r), d * (state(j) - fresh) * z * (1 - z), dFresh};
        at(next, j) = d * z;
        at(result_.extra, j) += dFresh * r;
      } else {
        const double h = saved(0, j);
        input = {cell_.ints[0] ? (h <= 0 ? 0 : d) : d * (1 - h * h)};
      }
      for (int64_t gate = 0; gate < gates; ++gate) {
        const double value = input[static_cast<size_t>(gate)];
        at(result_.projections, (place * gates + gate) * n + j) = value;
        const bool scaled = cell_.hasHiddenBias() && gate == 2;
        at(products, gate * n + j) = scaled ? value * saved(0, j) : value;
      }
    }
    for (int64_t r = 0; r < gates * n; ++r) {
      for (int64_t j = 0; j < n; ++j) {
        at(next, j) += at(products, r) * in_[1].at(r * n + j);
        at(result_.weight, r * n + j) += at(products, r) * state(j);
      }
    }
    *dh = next;
  }

  const CellCase& cell_;
  const Sizes s_;
  const std::vector<TestTensor>&in_, &grads_;
  const bool reverse_;
  ReferenceGradients result_;
};

}  // namespace recurrent
}  // namespace testing
}  // namespace kindling
