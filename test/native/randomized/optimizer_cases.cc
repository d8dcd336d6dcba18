// Updates of parameters in place.

#include "cpu/optimizer_formulas.h"
#include "randomized/makers.h"

namespace kindling {
namespace testing {
namespace {

using namespace optimizers;

RandomCase updateCase(Op op, Random& random) {
  static const std::vector<Update> all = updates();
  std::vector<const Update*> own;
  for (const Update& update : all) {
    if (update.op == op) own.push_back(&update);
  }
  const Update& update = *random.oneOf(own);
  const DType dtype = random.dtypeOf(op);
  const Shape shape = random.shape(0, 3);
  const int step = static_cast<int>(random.pick(1, 5));
  // Special values are the gradient's: of an infinite parameter 0 times the decay is NaN.
  const TestTensor param =
      TestTensor::generate(dtype, shape, [&](int64_t) { return random.uniform(-1, 1); });
  RandomCase result = {op, {param, random.tensor(dtype, shape)}};
  const std::vector<double> p = result.inputs[0].values(), g = result.inputs[1].values();
  const size_t count = p.size();
  std::vector<std::vector<double>> states(3, std::vector<double>(count));
  for (int s = 0; s < update.states; ++s) {
    // Averages of squares, and of gradients whose squares are no larger.
    const bool isMean = op == Op::rmspropCenteredStep && s == 2;
    result.inputs.push_back(TestTensor::generate(dtype, shape, [&](int64_t) {
      return isMean ? random.uniform(-0.1, 0.1) : random.uniform(0.1, 1);
    }));
    states[static_cast<size_t>(s)] = result.inputs.back().values();
  }
  if (update.counts) result.ints.push_back(step);
  result.ints.insert(result.ints.end(), update.moreInts.begin(), update.moreInts.end());
  result.floats = update.floats;
  if (update.atStep) update.atStep(step, &result.floats);
  std::vector<Expected> expected(static_cast<size_t>(update.states) + 1, Expected(dtype, shape));
  const double unit = dtype == DType::float64 ? 1e-13 : 4e-6;
  for (size_t i = 0; i < count; ++i) {
    double s[3] = {states[0][i], states[1][i], states[2][i]};
    Element e = {p[i], g[i], s, step};
    const double blend = 0.9 * s[0] + 0.1 * g[i];
    update.formula(e);
    const int64_t at = static_cast<int64_t>(i);
    // Next to 0 the sign of Lion's direction hangs on a rounding.
    const bool isUnsure = op == Op::lionStep && std::fabs(blend) < 1e-6;
    expected[0].set(at, e.p, isUnsure ? 1 : unit * (1 + std::fabs(e.p)));
    for (size_t k = 0; k + 1 < expected.size(); ++k) {
      expected[k + 1].set(at, s[k], unit * (1 + std::fabs(s[k])));
    }
  }
  result.updated.push_back({0, expected[0]});
  for (size_t k = 1; k < expected.size(); ++k) result.updated.push_back({k + 1, expected[k]});
  result.dense = ~2u;
  return result;
}

}  // namespace

void addOptimizerMakers(CaseMakers& makers) {
  for (const Update& update : updates()) setMaker(makers, {update.op}, updateCase);
}

}  // namespace testing
}  // namespace kindling
