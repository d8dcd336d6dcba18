#include <cmath>
#include <string>
#include <vector>

#include "cpu/recurrent_reference.h"
#include "doctest/doctest.h"
#include "op_testing.h"

namespace kindling {
namespace testing {
namespace {

using namespace recurrent;

double valueAt(int64_t i) { return static_cast<double>((i * 7919 + 13) % 1009) / 504.5 - 1.0; }

TestTensor generate(const Shape& shape) {
  return TestTensor::generate(DType::float32, shape, valueAt);
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
  // Around the rows that are shared out, and around the widths of vectors, of parts and of blocks
  // of k.
  const std::vector<Sizes> sizes = {{4, 1, 1},  {3, 1, 15}, {3, 2, 16},  {3, 3, 17},  {2, 5, 33},
                                    {3, 1, 96}, {4, 4, 67}, {2, 8, 64},  {2, 9, 40},  {3, 1, 192},
                                    {2, 7, 80}, {2, 6, 48}, {2, 40, 48}, {2, 33, 261}};
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
