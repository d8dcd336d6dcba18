// Matrix products and convolutions.

#include <algorithm>

#include "randomized/makers.h"

namespace kindling {
namespace testing {
namespace {

void setSums(const std::vector<Sum>& sums, Expected* expected, double factor = 1) {
  for (int64_t i = 0; i < expected->size(); ++i) {
    const Sum& sum = sums[static_cast<size_t>(i)];
    expected->setSum(i, sum.value, factor * sum.magnitude, sum.terms);
  }
}

/// Extents of a product of about `most` * 20 multiplications.
struct Product {
  int64_t m, n, k;
  explicit Product(Random& random) {
    const int64_t work = random.most * 20;
    int64_t* const all[] = {&m, &n, &k};
    int64_t left = work;
    const int64_t first = random.pick(0, 2);
    for (int64_t i = 0; i < 3; ++i) {
      int64_t& extent = *all[(first + i) % 3];
      extent = random.extent(std::min<int64_t>(left, i == 2 ? 1200 : 600));
      left = std::max<int64_t>(left / std::max<int64_t>(extent, 1), 1);
    }
  }
};

RandomCase matmulCase(Op op, Random& random) {
  const DType dtype = random.dtypeOf(op);
  Shape batch;
  for (int64_t axes = random.pick(0, 2); axes > 0; --axes)
    batch.push_back(random.pick(random.oneIn(8) ? 0 : 1, 4));
  const Product p(random);
  const auto with = [&](int64_t rows, int64_t columns) {
    Shape shape = batch;
    shape.insert(shape.end(), {rows, columns});
    return shape;
  };
  RandomCase result = {
      op, {random.tensor(dtype, with(p.m, p.k)), random.tensor(dtype, with(p.k, p.n))}};
  Expected expected(dtype, with(p.m, p.n));
  const std::vector<double> a = result.inputs[0].values(), b = result.inputs[1].values();
  std::vector<Sum> sums(expected.values.size());
  for (int64_t s = 0; s < elementCount(batch); ++s) {
    for (int64_t i = 0; i < p.m; ++i) {
      for (int64_t k = 0; k < p.k; ++k) {
        for (int64_t j = 0; j < p.n; ++j) {
          sums[static_cast<size_t>((s * p.m + i) * p.n + j)].add(
              a[static_cast<size_t>((s * p.m + i) * p.k + k)] *
              b[static_cast<size_t>((s * p.k + k) * p.n + j)]);
        }
      }
    }
  }
  setSums(sums, &expected);
  result.outputs = {expected};
  return result;
}

RandomCase linearCase(Op op, Random& random) {
  const DType dtype = random.dtypeOf(op);
  const Product p(random);
  const bool isSplit = p.m % 2 == 0 && random.oneIn(2);
  const auto leading = [&](int64_t last) {
    return isSplit ? Shape{2, p.m / 2, last} : Shape{p.m, last};
  };
  RandomCase result = {op,
                       {random.tensor(dtype, leading(p.k)), random.tensor(dtype, {p.n, p.k}),
                        random.tensor(dtype, {p.n})}};
  const bool isEpilogue = op == Op::linearEpilogue;
  const bool adds = isEpilogue && random.oneIn(2), relu = isEpilogue && random.oneIn(2);
  if (isEpilogue) {
    result.inputs.push_back(random.tensor(dtype, leading(p.n)));
    result.ints = {adds, relu};
  }
  Expected expected(dtype, leading(p.n));
  const std::vector<double> x = result.inputs[0].values(), w = result.inputs[1].values();
  const std::vector<double> bias = result.inputs[2].values(),
                            residual = result.inputs.back().values();
  for (int64_t i = 0; i < p.m; ++i) {
    for (int64_t j = 0; j < p.n; ++j) {
      Sum sum;
      for (int64_t k = 0; k < p.k; ++k) {
        sum.add(x[static_cast<size_t>(i * p.k + k)] * w[static_cast<size_t>(j * p.k + k)]);
      }
      sum.add(bias[static_cast<size_t>(j)]);
      if (adds) sum.add(residual[static_cast<size_t>(i * p.n + j)]);
      expected.setSum(i * p.n + j, relu && sum.value < 0 ? 0 : sum.value, sum.magnitude, sum.terms);
    }
  }
  result.outputs = {expected};
  return result;
}

// ---- convolution over one to three axes

struct Convolution {
  int64_t batch, channels, filters, groups;
  Shape input, kernel, stride, front, behind, dilation, output;

  Shape shapeOf(int64_t first, int64_t second, const Shape& spatial) const {
    Shape result = {first, second};
    result.insert(result.end(), spatial.begin(), spatial.end());
    return result;
  }
  Shape x() const { return shapeOf(batch, channels, input); }
  Shape weight() const { return shapeOf(filters, channels / groups, kernel); }
  Shape y() const { return shapeOf(batch, filters, output); }
  std::vector<int32_t> ints() const {
    std::vector<int32_t> result;
    const auto add = [&](const Shape& values, int32_t missing) {
      for (size_t i = values.size(); i < 3; ++i) result.push_back(missing);
      for (const int64_t value : values) result.push_back(static_cast<int32_t>(value));
    };
    add(stride, 1);
    add(front, 0);
    add(behind, 0);
    add(dilation, 1);
    result.push_back(static_cast<int32_t>(groups));
    return result;
  }
};

void addAxis(Convolution* c, int64_t longest, Random& random) {
  // A special value times padding is NaN or nothing, by the algorithm.
  const bool isPadded = !random.specials, isPlain = random.oneIn(2);
  const int64_t kernel = isPlain ? 3 : random.pick(1, random.oneIn(4) ? 7 : 3);
  const int64_t dilation = isPlain || random.oneIn(2) ? 1 : random.pick(1, 3);
  const int64_t stride = isPlain && random.oneIn(2) ? 1 : random.pick(1, 3);
  const int64_t front = !isPadded ? 0 : isPlain ? 1 : random.pick(0, kernel);
  const int64_t behind = !isPadded ? 0 : isPlain ? 1 : random.pick(0, kernel);
  const int64_t reach = dilation * (kernel - 1) + 1;
  const int64_t input = random.extent(longest, std::max<int64_t>(reach - front - behind, 1));
  c->kernel.push_back(kernel);
  c->dilation.push_back(dilation);
  c->stride.push_back(stride);
  c->front.push_back(front);
  c->behind.push_back(behind);
  c->input.push_back(input);
  c->output.push_back((input + front + behind - reach) / stride + 1);
}

Convolution randomConvolution(Random& random) {
  Convolution c = {};
  const bool isLarge = random.most > 10000;
  const int64_t axes = random.oneIn(2) ? 2 : random.pick(1, 3);
  for (int64_t i = 0; i < axes; ++i)
    addAxis(&c, axes == 1 ? 100 : axes == 2 ? (isLarge ? 36 : 20) : 8, random);
  c.batch = random.oneIn(15) ? 0 : random.pick(1, 3);
  const int64_t kind = random.pick(0, 5);
  if (kind == 0) {
    // Depthwise.
    c.groups = c.channels = random.pick(1, 20);
    c.filters = c.channels * random.pick(1, 2);
  } else if (kind == 1) {
    c.groups = random.pick(2, 3);
    c.channels = c.groups * random.pick(1, 8);
    c.filters = c.groups * random.pick(1, 8);
  } else {
    // From 32 channels on, fast algorithms are chosen.
    c.groups = 1;
    c.channels =
        kind == 2 && axes == 2 ? random.pick(32, 40) : random.extent(17, random.oneIn(15) ? 0 : 1);
    c.filters = kind == 2 && axes == 2 ? random.pick(32, 50) : random.extent(33, 1);
  }
  return c;
}

/// Calls visit(place in x, in weight, in y) for every product.
template <typename Visit>
void forProducts(const Convolution& c, const Visit& visit) {
  const int64_t inputSize = elementCount(c.input), outputSize = elementCount(c.output);
  const int64_t taps = elementCount(c.kernel), perGroup = c.channels / c.groups;
  const int64_t filtersPerGroup = c.filters / c.groups;
  for (int64_t at = 0; at < outputSize; ++at) {
    for (int64_t tap = 0; tap < taps; ++tap) {
      int64_t place = 0, restOut = at, restTap = tap, scale = 1;
      bool inside = true;
      for (size_t axis = c.input.size(); axis-- > 0;) {
        const int64_t p = restOut % c.output[axis] * c.stride[axis] +
                          restTap % c.kernel[axis] * c.dilation[axis] - c.front[axis];
        restOut /= c.output[axis];
        restTap /= c.kernel[axis];
        inside = inside && p >= 0 && p < c.input[axis];
        place += p * scale;
        scale *= c.input[axis];
      }
      if (!inside) continue;
      for (int64_t n = 0; n < c.batch; ++n) {
        for (int64_t f = 0; f < c.filters; ++f) {
          for (int64_t q = 0; q < perGroup; ++q) {
            const int64_t channel = f / filtersPerGroup * perGroup + q;
            visit(static_cast<size_t>((n * c.channels + channel) * inputSize + place),
                  static_cast<size_t>((f * perGroup + q) * taps + tap),
                  static_cast<size_t>((n * c.filters + f) * outputSize + at));
          }
        }
      }
    }
  }
}

/// Fast algorithms have the error of plain sums over more: their transforms are sums, too.
constexpr double kFastAlgorithms = 8;

RandomCase convolutionCase(Op op, Random& random) {
  const DType dtype = random.dtypeOf(op);
  const Convolution c = randomConvolution(random);
  const bool toInput = op == Op::convBackwardInput, toWeight = op == Op::convBackwardWeight;
  RandomCase result = {op,
                       {random.tensor(dtype, toInput || toWeight ? c.y() : c.x()),
                        random.tensor(dtype, toWeight ? c.x() : c.weight())}};
  // Beyond its edges a gradient is padding, too: only the gradient itself has special values.
  if (toInput && random.specials) {
    result.inputs[1] =
        TestTensor::generate(dtype, c.weight(), [&](int64_t) { return random.uniform(-1, 1); });
  }
  if (op == Op::convBias) result.inputs.push_back(random.tensor(dtype, {c.filters}));
  result.ints = c.ints();
  Expected expected(dtype, toInput ? c.x() : toWeight ? c.weight() : c.y());
  std::vector<Sum> sums(expected.values.size());
  const std::vector<double> a = result.inputs[0].values(), b = result.inputs[1].values();
  forProducts(c, [&](size_t x, size_t w, size_t y) {
    if (toInput) {
      sums[x].add(a[y] * b[w]);
    } else if (toWeight) {
      sums[w].add(a[y] * b[x]);
    } else {
      sums[y].add(a[x] * b[w]);
    }
  });
  if (op == Op::convBias) {
    const int64_t plane = elementCount(c.output);
    for (size_t i = 0; i < sums.size(); ++i) {
      sums[i].add(result.inputs[2].at(static_cast<int64_t>(i) / plane % c.filters));
    }
  }
  setSums(sums, &expected, dtype == DType::float32 ? kFastAlgorithms : 1);
  result.outputs = {expected};
  return result;
}

}  // namespace

void addProductMakers(CaseMakers& makers) {
  setMaker(makers, {Op::matmul}, matmulCase);
  setMaker(makers, {Op::linear, Op::linearEpilogue}, linearCase);
  setMaker(makers, {Op::conv, Op::convBias, Op::convBackwardInput, Op::convBackwardWeight},
           convolutionCase);
}

}  // namespace testing
}  // namespace kindling
