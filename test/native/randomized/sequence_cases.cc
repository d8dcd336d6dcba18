// Attention, recurrent layers and connectionist temporal classification.

#include <algorithm>

#include "cpu/attention_reference.h"
#include "cpu/ctc_reference.h"
#include "cpu/recurrent_reference.h"
#include "randomized/makers.h"

namespace kindling {
namespace testing {
namespace {

Expected close(DType dtype, const Shape& shape, const std::vector<double>& values, double unit) {
  Expected expected(dtype, shape);
  for (int64_t i = 0; i < expected.size(); ++i) {
    const double value = values[static_cast<size_t>(i)];
    expected.set(i, value, unit * (1 + std::fabs(value)));
  }
  return expected;
}

// ---- attention

RandomCase attentionCase(Op op, Random& random) {
  const bool isLarge = random.most > 10000, isBack = op == Op::attentionBackward;
  attention::Case c;
  c.outer = random.pick(random.oneIn(12) ? 0 : 1, 2);
  c.heads = random.pick(1, 4);
  c.queries = random.extent(isLarge ? 140 : 40);
  c.keys = random.extent(isLarge ? 200 : 40, 1);
  c.d = random.extent(33, 1);
  c.features = random.extent(33, 1);
  const auto tensor = [&](int64_t rows, int64_t columns) {
    return random.tensor(DType::float32, {c.outer, c.heads, rows, columns});
  };
  // A special value that is not to be seen counts 0 times NaN or not at all, by the algorithm.
  const bool causal = !random.specials && random.oneIn(2);
  const double scale = 0.5;
  std::vector<TestTensor> in = {tensor(c.queries, c.features), tensor(c.queries, c.d),
                                tensor(c.keys, c.d), tensor(c.keys, c.features)};
  const attention::Reference wanted(c, in, causal, scale);
  RandomCase result = {op, {in[1], in[2], in[3]}, {causal}, {scale}};
  const auto expect = [&](const TestTensor& like, const std::vector<double>& values) {
    return close(DType::float32, like.shape(), values, 4e-5);
  };
  const Shape logs = {c.outer, c.heads, c.queries, 1};
  if (isBack) {
    result.inputs = in;
    result.inputs.push_back(TestTensor::from(DType::float32, in[0].shape(), wanted.y));
    result.inputs.push_back(TestTensor::from(DType::float32, logs, wanted.logs));
    result.outputs = {expect(in[1], wanted.dq), expect(in[2], wanted.dk), expect(in[3], wanted.dv)};
  } else {
    result.outputs = {expect(in[0], wanted.y), close(DType::float32, logs, wanted.logs, 4e-5)};
  }
  return result;
}

// ---- recurrent layers

using recurrent::CellCase;
using recurrent::Sizes;

const CellCase& cellOf(Op op, Random& random) {
  const bool isSecond = random.oneIn(2);
  const CellCase* found = nullptr;
  for (const CellCase& cell : recurrent::cells()) {
    if ((cell.forward == op || cell.backward == op) && (!found || isSecond)) found = &cell;
  }
  REQUIRE(found != nullptr);
  return *found;
}

Sizes recurrentSizes(Random& random) {
  const bool isLarge = random.most > 10000;
  // A way back without steps does not exist.
  return {random.extent(5, 1), random.extent(isLarge ? 40 : 10, 1),
          random.extent(isLarge ? 130 : 40, 1)};
}

std::vector<TestTensor> recurrentInputs(const CellCase& cell, const Sizes& s, Random& random) {
  const auto tensor = [&](const Shape& shape, double reach = 1) {
    return random.tensor(DType::float32, shape, -reach, reach);
  };
  const bool full = random.oneIn(2);
  std::vector<TestTensor> in = {
      tensor({s.steps, s.rows, cell.gates * s.width}),
      // Weights that neither saturate the gates nor let the gradients grow.
      tensor({cell.gates * s.width, s.width}, 2.0 / static_cast<double>(s.width)),
      TestTensor::generate(
          DType::int32, {s.rows},
          [&](int64_t) { return static_cast<double>(full ? s.steps : random.pick(0, s.steps)); }),
      tensor({s.rows, s.width})};
  if (cell.hasCell()) in.push_back(tensor({s.rows, s.width}));
  if (cell.hasHiddenBias()) in.push_back(tensor({s.width}));
  return in;
}

RandomCase recurrentCase(Op op, Random& random) {
  const CellCase& cell = cellOf(op, random);
  const Sizes s = recurrentSizes(random);
  const bool reverse = random.oneIn(2);
  RandomCase result = {op, recurrentInputs(cell, s, random), recurrent::attributes(cell, reverse)};
  const recurrent::Reference wanted = recurrent::reference(cell, s, result.inputs, reverse);
  // Nothing is kept for the way back here: what is kept shows in its case.
  const std::vector<TestTensor> shapes = recurrent::outputsOf(cell, s, 0);
  const std::vector<double>* const values[] = {&wanted.y, &wanted.h, nullptr, &wanted.c, nullptr};
  for (size_t i = 0; i < shapes.size(); ++i) {
    result.outputs.push_back(values[i] ? close(DType::float32, shapes[i].shape(), *values[i], 2e-5)
                                       : Expected(DType::float32, shapes[i].shape()));
  }
  return result;
}

RandomCase recurrentBackwardCase(Op op, Random& random) {
  const CellCase& cell = cellOf(op, random);
  const Sizes s = recurrentSizes(random);
  const bool reverse = random.oneIn(2);
  const std::vector<int32_t> ints = recurrent::attributes(cell, reverse);
  const std::vector<TestTensor> in = recurrentInputs(cell, s, random);
  const std::vector<TestTensor> out = recurrent::outputsOf(cell, s, s.steps);
  // Forward is tested by itself; here only what it keeps is needed, once for all levels.
  REQUIRE(run(isaLevels().front(), cell.forward, in, out, ints) == Status::ok);
  RandomCase result = {
      op,
      {random.tensor(DType::float32, {s.steps, s.rows, s.width}),
       random.tensor(DType::float32, {s.rows, s.width}), out[2], out[0], in[1], in[2], in[3]},
      ints};
  result.dense = 1u << 2 | 1u << 3;
  if (cell.hasCell()) {
    result.inputs.insert(result.inputs.end(),
                         {out[4], in[4], random.tensor(DType::float32, {s.rows, s.width})});
    result.dense |= 1u << 7;
  }
  const recurrent::ReferenceGradients wanted =
      recurrent::ReferenceBack(cell, s, in, result.inputs, reverse).run();
  const std::vector<TestTensor> shapes = recurrent::backwardOutputs(cell, s);
  const std::vector<double>* const values[] = {&wanted.projections, &wanted.h0, &wanted.weight,
                                               &wanted.extra};
  for (size_t i = 0; i < shapes.size(); ++i) {
    result.outputs.push_back(close(DType::float32, shapes[i].shape(), *values[i], 4e-5));
  }
  return result;
}

// ---- connectionist temporal classification

RandomCase ctcCase(Op op, Random& random) {
  const DType dtype = random.dtypeOf(op);
  const int64_t steps = random.pick(1, 12), count = random.pick(random.oneIn(12) ? 0 : 1, 6);
  const int64_t classes = random.extent(random.most > 10000 ? 70 : 12, 2),
                longest = random.pick(0, 5);
  const int blank = static_cast<int>(random.pick(0, classes - 1));
  TestTensor x = random.dense(dtype, {steps, count, classes}, -2, 2);
  for (int64_t row = 0; row < steps * count; ++row) {
    double total = 0;
    for (int64_t c = 0; c < classes; ++c) total += std::exp(x.at(row * classes + c));
    for (int64_t c = 0; c < classes; ++c)
      x.set(row * classes + c, x.at(row * classes + c) - std::log(total));
  }
  std::vector<ctc::Sample> samples;
  for (int64_t n = 0; n < count; ++n) {
    ctc::Sample sample = {{}, steps};
    // Few enough labels for the steps, repeated ones need a blank between them.
    for (int64_t i = random.pick(0, std::min(longest, steps / 2)); i > 0; --i) {
      int label = static_cast<int>(random.pick(0, classes - 2));
      if (label >= blank) ++label;
      sample.labels.push_back(label);
    }
    samples.push_back(sample);
  }
  const auto at = [&](int64_t n) -> const ctc::Sample& { return samples[static_cast<size_t>(n)]; };
  const auto counts = [&](const auto& value) {
    return TestTensor::generate(DType::int32, {count},
                                [&](int64_t n) { return static_cast<double>(value(n)); });
  };
  RandomCase result = {
      op,
      {x,
       TestTensor::generate(DType::int32, {count, longest},
                            [&](int64_t i) {
                              const std::vector<int>& labels = at(i / longest).labels;
                              const size_t j = static_cast<size_t>(i % longest);
                              return j < labels.size() ? labels[j] : -7;  // must not be looked at
                            }),
       counts([&](int64_t n) { return at(n).steps; }),
       counts([&](int64_t n) { return at(n).labels.size(); })},
      {blank, 0}};
  std::vector<double> losses, gradient(static_cast<size_t>(x.size()));
  for (int64_t n = 0; n < count; ++n) {
    const ctc::Reference wanted = ctc::reference(x, n, at(n), blank);
    losses.push_back(wanted.loss);
    for (int64_t t = 0; t < steps; ++t) {
      for (int64_t c = 0; c < classes; ++c) {
        gradient[static_cast<size_t>((t * count + n) * classes + c)] =
            wanted.gradient[static_cast<size_t>(t)][static_cast<size_t>(c)];
      }
    }
  }
  const double unit = dtype == DType::float64 ? 1e-12 : 3e-5;
  result.outputs = {close(dtype, {count}, losses, unit), close(dtype, x.shape(), gradient, unit)};
  return result;
}

}  // namespace

void addSequenceMakers(CaseMakers& makers) {
  setMaker(makers, {Op::attention, Op::attentionBackward}, attentionCase);
  setMaker(makers, {Op::lstm, Op::gru, Op::rnn}, recurrentCase);
  setMaker(makers, {Op::lstmBackward, Op::gruBackward, Op::rnnBackward}, recurrentBackwardCase);
  setMaker(makers, {Op::ctcLoss}, ctcCase);
}

}  // namespace testing
}  // namespace kindling
