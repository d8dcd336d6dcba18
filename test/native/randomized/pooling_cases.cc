// Pooling and resampling over one to three axes.

#include <algorithm>

#include "randomized/makers.h"

namespace kindling {
namespace testing {
namespace {

/// A position of the result along one axis: the positions of the source that it covers and their
/// weights.
struct Window {
  std::vector<int64_t> places;
  std::vector<double> weights;
};
using Axis = std::vector<Window>;

struct Pooling {
  Shape source, result;  // with batch and channels
  std::vector<Axis> axes;
  std::vector<int32_t> ints;
  std::vector<double> floats;
};

/// Calls visit(place in the source, weight) for one element of the result, first places first.
template <typename Visit>
void forWindow(const Pooling& p, int64_t element, const Visit& visit) {
  const size_t axes = p.axes.size();
  std::vector<const Window*> windows(axes);
  int64_t rest = element, count = 1;
  for (size_t axis = axes; axis-- > 0;) {
    const int64_t extent = p.result[axis + 2];
    windows[axis] = &p.axes[axis][static_cast<size_t>(rest % extent)];
    rest /= extent;
    count *= static_cast<int64_t>(windows[axis]->places.size());
  }
  int64_t plane = 1;
  for (size_t axis = 0; axis < axes; ++axis) plane *= p.source[axis + 2];
  for (int64_t i = 0; i < count; ++i) {
    int64_t left = i, place = 0, scale = 1;
    double weight = 1;
    for (size_t axis = axes; axis-- > 0;) {
      const size_t size = windows[axis]->places.size(), k = static_cast<size_t>(left) % size;
      left /= static_cast<int64_t>(size);
      place += windows[axis]->places[k] * scale;
      weight *= windows[axis]->weights[k];
      scale *= p.source[axis + 2];
    }
    visit(static_cast<size_t>(rest * plane + place), static_cast<size_t>(place), weight);
  }
}

Pooling randomFrame(Random& random) {
  Pooling p;
  p.source = p.result = {random.pick(random.oneIn(10) ? 0 : 1, 3), random.pick(1, 4)};
  return p;
}

int64_t longestAxis(int64_t axes, Random& random) {
  const bool isLarge = random.most > 10000;
  return axes == 1 ? (isLarge ? 4000 : 300) : axes == 2 ? (isLarge ? 130 : 40) : 12;
}

/// Fills a list of ints of three axes, of which the tensor may lack some.
void addInts(Pooling* p, const Shape& values, int32_t missing) {
  for (size_t i = values.size(); i < 3; ++i) p->ints.push_back(missing);
  for (const int64_t value : values) p->ints.push_back(static_cast<int32_t>(value));
}

/// Kernel, stride, padding and dilation; the weights of averages by `average`: 0 the window, 1 with
/// padding, 2 a divisor of 7.
Pooling windowed(Random& random, bool dilates, int average) {
  Pooling p = randomFrame(random);
  const int64_t axes = random.oneIn(2) ? 2 : random.pick(1, 3);
  Shape kernels, strides, paddings, dilations;
  for (int64_t a = 0; a < axes; ++a) {
    const bool isPlain = random.oneIn(3);
    const int64_t kernel = isPlain ? 2 : random.pick(1, 4),
                  stride = isPlain ? 2 : random.pick(1, 3);
    const int64_t padding = isPlain ? 0 : random.pick(0, kernel / 2);
    const int64_t dilation = dilates && !isPlain ? random.pick(1, 2) : 1;
    const int64_t reach = dilation * (kernel - 1) + 1;
    const int64_t in =
        random.extent(longestAxis(axes, random), std::max<int64_t>(reach - 2 * padding, 1));
    int64_t out = (in + 2 * padding - reach) / stride + 1;
    // ceilMode: one more, if it begins inside.
    if (random.oneIn(3) && out * stride < in + padding) ++out;
    Axis windows;
    for (int64_t i = 0; i < out; ++i) {
      Window window;
      const int64_t begin = i * stride - padding;
      const int64_t padded = std::min(begin + kernel, in + padding) - begin;
      for (int64_t k = 0; k < kernel; ++k) {
        const int64_t at = begin + k * dilation;
        if (at >= 0 && at < in) window.places.push_back(at);
      }
      const double count = average == 1   ? static_cast<double>(padded)
                           : average == 2 ? (a == 0 ? 7.0 : 1.0)
                                          : static_cast<double>(window.places.size());
      window.weights.assign(window.places.size(), 1 / count);
      windows.push_back(window);
    }
    p.axes.push_back(windows);
    p.source.push_back(in);
    p.result.push_back(out);
    kernels.push_back(kernel);
    strides.push_back(stride);
    paddings.push_back(padding);
    dilations.push_back(dilation);
  }
  addInts(&p, kernels, 1);
  addInts(&p, strides, 1);
  addInts(&p, paddings, 0);
  if (dilates) addInts(&p, dilations, 1);
  return p;
}

template <typename MakeWindow>
Pooling resized(Random& random, const MakeWindow& makeWindow) {
  Pooling p = randomFrame(random);
  const int64_t axes = random.oneIn(2) ? 2 : random.pick(1, 3);
  for (int64_t a = 0; a < axes; ++a) {
    const int64_t in = random.extent(longestAxis(axes, random), 1);
    const int64_t out = random.oneIn(5) ? 1 : random.extent(longestAxis(axes, random), 1);
    Axis windows;
    for (int64_t i = 0; i < out; ++i) windows.push_back(makeWindow(i, in, out));
    p.axes.push_back(windows);
    p.source.push_back(in);
    p.result.push_back(out);
  }
  return p;
}

Pooling adaptive(Random& random) {
  return resized(random, [](int64_t i, int64_t in, int64_t out) {
    Window window;
    for (int64_t at = i * in / out; at < ((i + 1) * in + out - 1) / out; ++at)
      window.places.push_back(at);
    window.weights.assign(window.places.size(), 1 / static_cast<double>(window.places.size()));
    return window;
  });
}

Pooling resampled(Random& random) {
  const int32_t mode = static_cast<int32_t>(random.pick(0, 2));
  const double given = random.oneIn(2) ? 0 : random.oneOf<double>({0.5, 0.37, 2.25});
  Pooling p = resized(random, [=](int64_t i, int64_t in, int64_t out) -> Window {
    const double at = static_cast<double>(i), last = static_cast<double>(in - 1);
    if (mode == 0) {
      const double from = given == 0 ? static_cast<double>(i * in / out) : std::floor(at * given);
      return {{static_cast<int64_t>(std::min(from, last))}, {1}};
    }
    const double step = mode == 2    ? (out > 1 ? last / static_cast<double>(out - 1) : 0)
                        : given == 0 ? static_cast<double>(in) / static_cast<double>(out)
                                     : given;
    const double from = mode == 2 ? at * step : (at + 0.5) * step - 0.5;
    const double inside = std::min(std::max(from, 0.0), last), share = inside - std::floor(inside);
    const int64_t begin = static_cast<int64_t>(inside);
    if (share == 0) return {{begin}, {1}};
    return {{begin, begin + 1}, {1 - share, share}};
  });
  p.ints = {mode};
  p.floats = {given, given, given};
  return p;
}

RandomCase weightedCase(Op op, Random& random, const Pooling& p, bool isBack) {
  const DType dtype = random.dtypeOf(op);
  RandomCase result = {op, {random.tensor(dtype, isBack ? p.result : p.source)}, p.ints, p.floats};
  Expected expected(dtype, isBack ? p.source : p.result);
  std::vector<Sum> sums(expected.values.size());
  const std::vector<double> x = result.inputs[0].values();
  for (int64_t i = 0; i < elementCount(p.result); ++i) {
    const size_t at = static_cast<size_t>(i);
    forWindow(p, i, [&](size_t from, size_t, double weight) {
      if (isBack) {
        sums[from].add(x[at] * weight);
      } else {
        sums[at].add(x[from] * weight);
      }
    });
  }
  for (int64_t i = 0; i < expected.size(); ++i) {
    const Sum& sum = sums[static_cast<size_t>(i)];
    expected.setSum(i, sum.value, sum.magnitude, sum.terms + 8);
  }
  result.outputs = {expected};
  return result;
}

RandomCase averageCase(Op op, Random& random) {
  const int average = static_cast<int>(random.pick(0, 2));
  Pooling p = windowed(random, false, average);
  p.ints.push_back(average == 1);
  p.floats = {average == 2 ? 7.0 : 0.0};
  return weightedCase(op, random, p, op == Op::avgPoolBackward);
}

RandomCase adaptiveCase(Op op, Random& random) {
  return weightedCase(op, random, adaptive(random), op == Op::adaptiveAvgPoolBackward);
}

RandomCase resampleCase(Op op, Random& random) {
  return weightedCase(op, random, resampled(random), op == Op::resampleBackward);
}

RandomCase maximumCase(Op op, Random& random) {
  const DType dtype = random.dtypeOf(op);
  const Pooling p = op == Op::maxPool ? windowed(random, true, 0) : adaptive(random);
  // Few values, so that there are ties: the first counts.
  const TestTensor x = TestTensor::generate(dtype, p.source, [&](int64_t) {
    return random.specials && random.oneIn(9) ? random.value()
                                              : static_cast<double>(random.pick(0, 6));
  });
  RandomCase result = {op, {x}, p.ints};
  Expected values(dtype, p.result), positions(DType::int32, p.result);
  const std::vector<double> source = x.values();
  for (int64_t i = 0; i < values.size(); ++i) {
    double best = -INFINITY, where = -1;
    forWindow(p, i, [&](size_t from, size_t place, double) {
      const double value = source[from];
      if (where >= 0 && !(value > best) && value == value) return;
      // Of several NaN the last one is the kernels' choice.
      best = value;
      where = static_cast<double>(place);
    });
    values.set(i, best);
    positions.set(i, where);
  }
  result.outputs = {values, positions};
  return result;
}

/// maxPoolBackward (grad, positions -> x) and maxPoolGather (x, positions -> the elements there).
RandomCase positionsCase(Op op, Random& random) {
  const DType dtype = random.dtypeOf(op);
  const Pooling p = adaptive(random);
  const bool isBack = op == Op::maxPoolBackward;
  const int64_t planes = p.source[0] * p.source[1];
  const int64_t size = elementCount(Shape(p.source.begin() + 2, p.source.end()));
  const int64_t count = elementCount(Shape(p.result.begin() + 2, p.result.end()));
  const TestTensor positions = TestTensor::generate(DType::int32, p.result, [&](int64_t) {
    return static_cast<double>(random.pick(random.oneIn(9) ? -1 : 0, size - 1));
  });
  RandomCase result = {op, {random.tensor(dtype, isBack ? p.result : p.source), positions}};
  Expected expected(dtype, isBack ? p.source : p.result);
  std::vector<Sum> sums(expected.values.size());
  for (int64_t i = 0; i < planes * count; ++i) {
    const int64_t place = static_cast<int64_t>(positions.at(i));
    if (place < 0) continue;
    const int64_t there = i / count * size + place;
    sums[static_cast<size_t>(isBack ? there : i)].add(result.inputs[0].at(isBack ? i : there));
  }
  for (int64_t i = 0; i < expected.size(); ++i) {
    const Sum& sum = sums[static_cast<size_t>(i)];
    expected.setSum(i, sum.value, sum.magnitude, sum.terms);
  }
  result.outputs = {expected};
  return result;
}

}  // namespace

void addPoolingMakers(CaseMakers& makers) {
  setMaker(makers, {Op::maxPool, Op::adaptiveMaxPool}, maximumCase);
  setMaker(makers, {Op::maxPoolBackward, Op::maxPoolGather}, positionsCase);
  setMaker(makers, {Op::avgPool, Op::avgPoolBackward}, averageCase);
  setMaker(makers, {Op::adaptiveAvgPool, Op::adaptiveAvgPoolBackward}, adaptiveCase);
  setMaker(makers, {Op::resample, Op::resampleBackward}, resampleCase);
}

}  // namespace testing
}  // namespace kindling
