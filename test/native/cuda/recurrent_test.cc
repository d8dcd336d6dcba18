// Recurrent layers on the device against the CPU's: all steps in one launch and step by step,
// padded batches, both directions.

#include <cstdlib>
#include <vector>

#include "cuda/compare.h"

namespace kindling {
namespace testing {
namespace {

constexpr DType F = DType::float32;

TestTensor numbers(const Shape& shape, int seed, double size = 1) {
  return TestTensor::generate(F, shape, [=](int64_t i) {
    return (static_cast<double>((i * 7919 + seed * 131) % 1009) / 504.5 - 1) * size;
  });
}

enum class Cell { lstm, gru, rnn, relu };
int64_t gatesOf(Cell c) { return c == Cell::lstm ? 4 : c == Cell::gru ? 3 : 1; }
int64_t savedOf(Cell c) { return c == Cell::lstm || c == Cell::gru ? 4 : 1; }

struct Sizes {
  int64_t steps, rows, width;
};
const std::vector<Sizes>& sizes() {
  // One launch with 8 rows or in tiles of 32; step by step for one step, many rows or wide layers.
  static const std::vector<Sizes> all = {{1, 3, 5},   {4, 1, 1},   {5, 2, 16},
                                         {3, 8, 33},  {4, 9, 20},  {3, 33, 7},
                                         {3, 70, 12}, {2, 2, 900}, {4, 0, 6}};
  return all;
}

struct Layer {
  Cell cell;
  Sizes s;
  bool reverse;
  std::vector<double> lengths;

  std::vector<int32_t> ints() const {
    std::vector<int32_t> result = {reverse};
    if (cell == Cell::rnn || cell == Cell::relu) result.push_back(cell == Cell::relu);
    return result;
  }
  Op op(bool back) const {
    if (cell == Cell::lstm) return back ? Op::lstmBackward : Op::lstm;
    if (cell == Cell::gru) return back ? Op::gruBackward : Op::gru;
    return back ? Op::rnnBackward : Op::rnn;
  }
  double scale() const { return 1 / std::sqrt(static_cast<double>(s.width)); }
  TestTensor weight() const {
    return numbers({s.width, gatesOf(cell) * s.width}, 2, scale()).transposed(0, 1);
  }
  TestTensor lengthTensor() const {
    TestTensor all = TestTensor::generate(
        DType::int32, {2 * s.rows}, [&](int64_t i) { return lengths[static_cast<size_t>(i / 2)]; });
    return s.rows > 0 ? all.sliced(0, 0, s.rows, 2) : all;
  }
  std::vector<TestTensor> inputs() const {
    std::vector<TestTensor> in = {
        numbers({s.rows, s.steps, gatesOf(cell) * s.width}, 1).transposed(0, 1), weight(),
        lengthTensor(), numbers({s.rows, s.width}, 3)};
    if (cell == Cell::lstm) in.push_back(numbers({s.rows, s.width}, 4));
    if (cell == Cell::gru) in.push_back(numbers({s.width}, 4));
    return in;
  }
  std::vector<TestTensor> outputs(bool keeps) const {
    const int64_t kept = keeps ? s.steps : 0;
    std::vector<TestTensor> out = {{F, {s.steps, s.rows, s.width}},
                                   {F, {s.rows, s.width}},
                                   {F, {kept, s.rows, savedOf(cell) * s.width}}};
    if (cell == Cell::lstm) {
      out.emplace_back(F, Shape{s.rows, s.width});
      out.emplace_back(F, Shape{kept, s.rows, s.width});
    }
    return out;
  }

  void forward() const {
    bool isFull = true;
    for (const double length : lengths) isFull = isFull && length == static_cast<double>(s.steps);
    for (const bool keeps : {true, false}) {
      CompareOptions options;
      // Nobody writes what is kept of steps in which a row takes no part.
      if (!isFull) options.skipOutputs = 1 << 2 | 1 << 4;
      compare(op(false), inputs(), outputs(keeps), ints(), {}, {2e-5, 1e-5}, options);
    }
  }

  void backward(bool withGrad) const {
    const std::vector<TestTensor> in = inputs(), out = outputs(true);
    // Steps without a part stay 0: the device must not read them, but may not trip over them
    // either.
    for (const TestTensor& t : out) {
      for (int64_t i = 0; i < t.size(); ++i) t.set(i, 0);
    }
    REQUIRE(execute(cpuBackend(), recordOf(op(false), in, out, ints(), {})) == Status::ok);
    const int64_t gates = gatesOf(cell) * s.width;
    const TestTensor grad = withGrad ? numbers({s.rows, s.steps, s.width}, 7).transposed(0, 1)
                                     : numbers({1}, 0, 0).expanded({s.steps, s.rows, s.width});
    std::vector<TestTensor> back = {
        grad, numbers({s.rows, s.width}, 8), out[2], out[0], weight(), lengthTensor(), in[3]};
    std::vector<TestTensor> grads = {
        {F, {s.steps, s.rows, gates}}, {F, {s.rows, s.width}}, {F, {gates, s.width}}};
    if (cell == Cell::lstm) {
      back.push_back(out[4]);
      back.push_back(in[4]);
      back.push_back(numbers({s.width, s.rows}, 9).transposed(0, 1));
      grads.emplace_back(F, Shape{s.rows, s.width});
    }
    if (cell == Cell::gru) grads.emplace_back(F, Shape{s.width});
    compare(op(true), back, grads, ints(), {}, {5e-5, 5e-5});
  }
};

std::vector<double> lengthsOf(const Sizes& s, int kind) {
  std::vector<double> lengths;
  for (int64_t row = 0; row < s.rows; ++row) {
    lengths.push_back(static_cast<double>(kind == 0 ? s.steps : (row * 5 + 3) % (s.steps + 1)));
  }
  return lengths;
}

TEST_CASE("cuda recurrent: forward and back") {
  for (const Cell cell : {Cell::lstm, Cell::gru, Cell::rnn, Cell::relu}) {
    for (const Sizes& s : sizes()) {
      for (int kind = 0; kind < 4; ++kind) {
        // Wide layers are slow here.
        if (s.width > 100 && (kind == 0 || cell == Cell::relu)) continue;
        CAPTURE(static_cast<int>(cell));
        CAPTURE(s.steps);
        CAPTURE(s.rows);
        CAPTURE(s.width);
        CAPTURE(kind);
        const Layer layer = {cell, s, (kind & 1) != 0, lengthsOf(s, kind / 2)};
        layer.forward();
        layer.backward(kind != 1);
      }
    }
  }
}

TEST_CASE("cuda recurrent: a length out of range is an error") {
  for (const Cell cell : {Cell::lstm, Cell::gru, Cell::rnn}) {
    for (const Sizes& s : {Sizes{3, 4, 6}, Sizes{3, 70, 6}}) {
      for (const double wrong : {-1.0, 4.0}) {
        Layer layer = {cell, s, false, lengthsOf(s, 1)};
        layer.lengths[2] = wrong;
        compare(layer.op(false), layer.inputs(), layer.outputs(true), layer.ints());
      }
    }
  }
}

}  // namespace
}  // namespace testing
}  // namespace kindling
