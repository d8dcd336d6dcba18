#include <cmath>
#include <string>
#include <vector>

#include "doctest/doctest.h"
#include "op_testing.h"

namespace kindling {
namespace testing {
namespace {

double valueAt(int64_t i) { return static_cast<double>((i * 7919 + 13) % 1009) / 504.5 - 1.0; }

TestTensor generate(const Shape& shape) {
  return TestTensor::generate(DType::float32, shape, valueAt);
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

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

const std::vector<CellCase>& cells() {
  static const std::vector<CellCase> all = {{Op::lstm, Op::lstmBackward, 4, 4, {}},
                                            {Op::gru, Op::gruBackward, 3, 4, {}},
                                            {Op::rnn, Op::rnnBackward, 1, 1, {0}},
                                            {Op::rnn, Op::rnnBackward, 1, 1, {1}}};
  return all;
}

std::vector<int32_t> attributes(const CellCase& cell, bool reverse) {
  std::vector<int32_t> ints = {reverse};
  ints.insert(ints.end(), cell.ints.begin(), cell.ints.end());
  return ints;
}

std::vector<TestTensor> inputsOf(const CellCase& cell, const Sizes& s,
                                 const std::vector<double>& lengths) {
  std::vector<TestTensor> inputs = {
      generate({s.steps, s.rows, cell.gates * s.width}), generate({cell.gates * s.width, s.width}),
      TestTensor::ints({s.rows}, lengths), generate({s.rows, s.width})};
  if (cell.hasCell()) inputs.push_back(generate({s.rows, s.width}));
  if (cell.hasHiddenBias()) inputs.push_back(generate({s.width}));
  return inputs;
}

std::vector<TestTensor> outputsOf(const CellCase& cell, const Sizes& s, int64_t kept) {
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
void referenceStep(const CellCase& cell, const std::vector<TestTensor>& in, int64_t at,
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
      next[place] = cell.ints[0] ? std::fmax(gate(0), 0) : std::tanh(gate(0));
    }
  }
  *h = next;
}

Reference reference(const CellCase& cell, const Sizes& s, const std::vector<TestTensor>& in,
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

void checkClose(const TestTensor& actual, const std::vector<double>& expected) {
  REQUIRE(static_cast<size_t>(actual.size()) == expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    const double value = actual.at(static_cast<int64_t>(i));
    if (std::fabs(value - expected[i]) <= 2e-5 * (1 + std::fabs(expected[i]))) continue;
    FAIL_CHECK("element ", i, " is ", value, ", not ", expected[i]);
  }
}

std::vector<double> lengthsOf(const Sizes& s) {
  std::vector<double> lengths;
  for (int64_t row = 0; row < s.rows; ++row) {
    lengths.push_back(static_cast<double>((row * 5 + 2) % (s.steps + 1)));
  }
  return lengths;
}

TEST_CASE("recurrent layers in every layout") {
  for (const IsaLevel& level : isaLevels()) {
    for (const CellCase& cell : cells()) {
      for (const Sizes& s : {Sizes{3, 2, 5}, Sizes{4, 19, 17}, Sizes{1, 1, 32}}) {
        for (const bool reverse : {false, true}) {
          CAPTURE(nameOf(level));
          CAPTURE(nameOf(cell.forward));
          const std::vector<TestTensor> source = inputsOf(cell, s, lengthsOf(s));
          const Reference wanted = reference(cell, s, source, reverse);
          for (size_t i = 0; i < source.size(); ++i) {
            for (const NamedTensor& x : inEveryLayout(source[i])) {
              CAPTURE(i);
              CAPTURE(x.layout);
              std::vector<TestTensor> inputs = source;
              inputs[i] = x.tensor;
              const std::vector<TestTensor> outputs = outputsOf(cell, s, s.steps);
              REQUIRE(run(level, cell.forward, inputs, outputs, attributes(cell, reverse)) ==
                      Status::ok);
              checkClose(outputs[0], wanted.y);
              checkClose(outputs[1], wanted.h);
              if (cell.hasCell()) checkClose(outputs[3], wanted.c);
            }
          }
          // Nothing is kept where nobody asks for it.
          const std::vector<TestTensor> outputs = outputsOf(cell, s, 0);
          REQUIRE(run(level, cell.forward, source, outputs, attributes(cell, reverse)) ==
                  Status::ok);
          checkClose(outputs[0], wanted.y);
        }
      }
    }
  }
}

/// The inputs of the way back, after a run forward.
std::vector<TestTensor> backwardInputs(const CellCase& cell, const Sizes& s,
                                       const std::vector<TestTensor>& in,
                                       const std::vector<TestTensor>& out) {
  std::vector<TestTensor> inputs = {generate({s.steps, s.rows, s.width}),
                                    generate({s.rows, s.width}),
                                    out[2],
                                    out[0],
                                    in[1],
                                    in[2],
                                    in[3]};
  if (cell.hasCell()) {
    inputs.push_back(out[4]);
    inputs.push_back(in[4]);
    inputs.push_back(generate({s.rows, s.width}));
  }
  return inputs;
}

std::vector<TestTensor> backwardOutputs(const CellCase& cell, const Sizes& s) {
  const auto floats = [](const Shape& shape) { return TestTensor(DType::float32, shape); };
  std::vector<TestTensor> outputs = {floats({s.steps, s.rows, cell.gates * s.width}),
                                     floats({s.rows, s.width}),
                                     floats({cell.gates * s.width, s.width})};
  if (cell.hasCell()) outputs.push_back(floats({s.rows, s.width}));
  if (cell.hasHiddenBias()) outputs.push_back(floats({s.width}));
  return outputs;
}

/// The sum of all results, weighted by the gradients that the way back is given.
double objective(const Reference& r, const std::vector<TestTensor>& grads, bool hasCell) {
  double sum = 0;
  for (size_t i = 0; i < r.y.size(); ++i) sum += r.y[i] * grads[0].at(static_cast<int64_t>(i));
  for (size_t i = 0; i < r.h.size(); ++i) sum += r.h[i] * grads[1].at(static_cast<int64_t>(i));
  for (size_t i = 0; hasCell && i < r.c.size(); ++i) {
    sum += r.c[i] * grads[9].at(static_cast<int64_t>(i));
  }
  return sum;
}

TEST_CASE("gradients of recurrent layers are the slopes of the reference") {
  const Sizes s = {3, 4, 3};
  for (const CellCase& cell : cells()) {
    for (const bool reverse : {false, true}) {
      const std::vector<TestTensor> in = inputsOf(cell, s, {2, 3, 0, 1});
      // The outputs of the way back belong to these inputs.
      const size_t sources[] = {0, 3, 1, 4};
      for (const IsaLevel& level : isaLevels()) {
        CAPTURE(nameOf(level));
        CAPTURE(nameOf(cell.forward));
        const std::vector<TestTensor> out = outputsOf(cell, s, s.steps);
        const std::vector<int32_t> ints = attributes(cell, reverse);
        REQUIRE(run(level, cell.forward, in, out, ints) == Status::ok);
        const std::vector<TestTensor> grads = backwardInputs(cell, s, in, out);
        const std::vector<TestTensor> results = backwardOutputs(cell, s);
        REQUIRE(run(level, cell.backward, grads, results, ints) == Status::ok);
        for (size_t k = 0; k < results.size(); ++k) {
          const TestTensor& x = in[sources[k]];
          std::vector<double> slopes;
          for (int64_t i = 0; i < x.size(); ++i) {
            const double before = x.at(i), step = 1.0 / 128;
            const auto at = [&](double offset) {
              x.set(i, before + offset);
              return objective(reference(cell, s, in, reverse), grads, cell.hasCell());
            };
            slopes.push_back((8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) /
                             (12 * step));
            x.set(i, before);
          }
          CAPTURE(k);
          checkClose(results[k], slopes);
        }
      }
    }
  }
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
        input = {cell_.ints[0] ? (h > 0 ? d : 0) : d * (1 - h * h)};
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

/// Runs forward and back.
std::vector<TestTensor> runBoth(const IsaLevel& level, const CellCase& cell, const Sizes& s,
                                const std::vector<TestTensor>& in, bool reverse,
                                std::vector<TestTensor>* grads) {
  const std::vector<int32_t> ints = attributes(cell, reverse);
  std::vector<TestTensor> all = outputsOf(cell, s, s.steps);
  REQUIRE(run(level, cell.forward, in, all, ints) == Status::ok);
  *grads = backwardInputs(cell, s, in, all);
  const std::vector<TestTensor> results = backwardOutputs(cell, s);
  REQUIRE(run(level, cell.backward, *grads, results, ints) == Status::ok);
  all.insert(all.end(), results.begin(), results.end());
  return all;
}

TEST_CASE("recurrent layers of few and of many rows, whatever the number of threads") {
  // Around the rows that are shared out, and around the widths of vectors and of parts.
  const std::vector<Sizes> sizes = {{4, 1, 1},  {3, 1, 15}, {3, 2, 16}, {3, 3, 17}, {2, 5, 33},
                                    {3, 1, 96}, {4, 4, 67}, {2, 8, 64}, {2, 9, 40}, {3, 1, 192},
                                    {2, 7, 80}, {2, 6, 48}, {2, 40, 48}};
  const int before = numThreads();
  for (const CellCase& cell : cells()) {
    for (const Sizes& s : sizes) {
      for (const bool reverse : {false, true}) {
        for (const bool full : {false, true}) {
          std::vector<double> lengths = lengthsOf(s);
          if (full) lengths.assign(lengths.size(), static_cast<double>(s.steps));
          std::vector<TestTensor> in = inputsOf(cell, s, lengths);
          // Weights that neither saturate the gates nor let the gradients grow.
          for (int64_t i = 0; i < in[1].size(); ++i) {
            in[1].set(i, in[1].at(i) * 2 / static_cast<double>(s.width));
          }
          const Reference wanted = reference(cell, s, in, reverse);
          for (const IsaLevel& level : isaLevels()) {
            CAPTURE(nameOf(level));
            CAPTURE(nameOf(cell.forward));
            CAPTURE(s.rows);
            CAPTURE(s.width);
            CAPTURE(reverse);
            std::vector<TestTensor> grads;
            setNumThreads(1);
            const std::vector<TestTensor> one = runBoth(level, cell, s, in, reverse, &grads);
            checkClose(one[0], wanted.y);
            checkClose(one[1], wanted.h);
            const size_t first = outputsOf(cell, s, s.steps).size();
            const ReferenceGradients slopes = ReferenceBack(cell, s, in, grads, reverse).run();
            checkClose(one[first], slopes.projections);
            checkClose(one[first + 1], slopes.h0);
            checkClose(one[first + 2], slopes.weight);
            if (one.size() > first + 3) checkClose(one[first + 3], slopes.extra);
            for (const int threads : {2, 3, 8}) {
              CAPTURE(threads);
              setNumThreads(threads);
              const std::vector<TestTensor> same = runBoth(level, cell, s, in, reverse, &grads);
              for (size_t i = 0; i < one.size(); ++i) {
                CAPTURE(i);
                // What is not written for rows without steps keeps its bytes in both.
                CHECK(std::memcmp(one[i].view().data, same[i].view().data,
                                  static_cast<size_t>(one[i].size()) * sizeof(float)) == 0);
              }
            }
          }
        }
      }
    }
  }
  setNumThreads(before);
}

TEST_CASE("recurrent layers refuse what does not fit") {
  const IsaLevel& level = isaLevels().front();
  const Sizes s = {3, 2, 4};
  for (const CellCase& cell : cells()) {
    CAPTURE(nameOf(cell.forward));
    const std::vector<int32_t> ints = attributes(cell, false);
    const std::vector<TestTensor> in = inputsOf(cell, s, {3, 1});
    const std::vector<TestTensor> out = outputsOf(cell, s, s.steps);
    REQUIRE(run(level, cell.forward, in, out, ints) == Status::ok);
    const std::vector<TestTensor> grads = backwardInputs(cell, s, in, out);
    const std::vector<TestTensor> results = backwardOutputs(cell, s);
    REQUIRE(run(level, cell.backward, grads, results, ints) == Status::ok);
    const auto refuses = [&](Op op, std::vector<TestTensor> inputs, std::vector<TestTensor> outputs,
                             bool isOutput, size_t place, const TestTensor& wrong,
                             Status expected = Status::badShape) {
      (isOutput ? outputs : inputs)[place] = wrong;
      CHECK(run(level, op, inputs, outputs, ints) == expected);
    };
    // Every operand with one row, column or step too many, or of another dtype.
    for (const bool back : {false, true}) {
      const Op op = back ? cell.backward : cell.forward;
      for (const bool isOutput : {false, true}) {
        const std::vector<TestTensor>& operands =
            isOutput ? (back ? results : out) : (back ? grads : in);
        for (size_t i = 0; i < operands.size(); ++i) {
          CAPTURE(i);
          for (size_t axis = 0; axis < operands[i].shape().size(); ++axis) {
            Shape shape = operands[i].shape();
            ++shape[axis];
            const TestTensor wrong =
                TestTensor::generate(operands[i].dtype(), shape, [](int64_t) { return 1.0; });
            refuses(op, back ? grads : in, back ? results : out, isOutput, i, wrong);
          }
          // Input 0's dtype is refused by the table, as badDtype.
          if (!isOutput && i == 0) continue;
          const TestTensor doubles = TestTensor::generate(DType::float64, operands[i].shape(),
                                                          [](int64_t) { return 1.0; });
          refuses(op, back ? grads : in, back ? results : out, isOutput, i, doubles);
        }
      }
      for (const double length : {-1.0, 4.0}) {
        refuses(op, back ? grads : in, back ? results : out, false, back ? 5 : 2,
                TestTensor::ints({2}, {3, length}), Status::indexOutOfRange);
      }
    }
    // Only c without the gates, or the gates without c, is no choice.
    if (cell.hasCell()) {
      std::vector<TestTensor> mixed = out;
      mixed[4] = TestTensor(DType::float32, {0, s.rows, s.width});
      CHECK(run(level, cell.forward, in, mixed, ints) == Status::badShape);
    }
    // What forward did not keep cannot be gone through backward.
    std::vector<TestTensor> empty = grads;
    empty[2] = TestTensor(DType::float32, {0, s.rows, cell.saved * s.width});
    CHECK(run(level, cell.backward, empty, results, ints) == Status::badShape);
  }
}

}  // namespace
}  // namespace testing
}  // namespace kindling
