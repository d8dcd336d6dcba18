/** Layers of convolution and pooling: their parameters and what they refuse. Their values are in trajectories/. */
import { manualSeed, nn, ones, zeros, type Tensor } from '../../lib';

const shapesOf = (module: nn.Module): Record<string, readonly number[]> =>
  Object.fromEntries([...module.namedParameters()].map(([name, value]) => [name, value.shape]));

describe('parameters', () => {
  test.each<[string, () => nn.Module, Record<string, number[]>]>([
    ['conv1d', () => nn.conv1d(4, 6, 3), { weight: [6, 4, 3], bias: [6] }],
    ['conv2d', () => nn.conv2d(4, 6, [3, 2], { groups: 2 }), { weight: [6, 2, 3, 2], bias: [6] }],
    ['conv2d without bias', () => nn.conv2d(4, 6, 3, { bias: false }), { weight: [6, 4, 3, 3] }],
    ['conv3d', () => nn.conv3d(4, 6, [1, 2, 3]), { weight: [6, 4, 1, 2, 3], bias: [6] }],
    ['convTranspose1d', () => nn.convTranspose1d(4, 6, 3, { groups: 2 }), { weight: [4, 3, 3], bias: [6] }],
    ['convTranspose2d', () => nn.convTranspose2d(4, 6, 3), { weight: [4, 6, 3, 3], bias: [6] }],
    ['depthwiseConv2d', () => nn.depthwiseConv2d(4, 3, { depthMultiplier: 2 }), { weight: [8, 1, 3, 3], bias: [8] }],
    [
      'separableConv2d',
      () => nn.separableConv2d(4, 6, 3),
      { 'depthwise.weight': [4, 1, 3, 3], 'pointwise.weight': [6, 4, 1, 1], 'pointwise.bias': [6] },
    ],
  ])('%s', (_, make, shapes) => {
    expect(shapesOf(make())).toEqual(shapes);
  });

  test.each<[string, () => nn.Module, number, number]>([
    // ±1/√(2·3·3), and Keras's ±√(6/((2 + 8)·3·3)) and ±√(6/((8 + 2)·3·3)).
    ['of PyTorch', () => nn.conv2d(4, 800, 3, { groups: 2 }), 1 / Math.sqrt(18), 1 / Math.sqrt(18)],
    ['of Keras', () => nn.conv2d(2, 8, [30, 30], { init: 'keras' }), Math.sqrt(6 / 9000), 0],
    [
      'of Keras, depthwise',
      () => nn.depthwiseConv2d(8, [30, 30], { depthMultiplier: 2, init: 'keras' }),
      Math.sqrt(6 / 9000),
      0,
    ],
  ])('initial values %s', (_, make, weights, biases) => {
    manualSeed(3);
    const { weight, bias } = make() as unknown as { weight: Tensor; bias: Tensor };
    const largest = weight.abs().max().item();
    expect(largest).toBeLessThanOrEqual(weights);
    expect(largest).toBeGreaterThan(0.98 * weights);
    expect(bias.abs().max().item() > 0).toBe(biases > 0);
    expect(bias.abs().max().item()).toBeLessThanOrEqual(biases);
  });
});

test('a 1×1 convolution is a dense layer over the channels', () => {
  const [conv, dense] = [nn.conv2d(3, 5, 1), nn.linear(3, 5)];
  dense.loadStateDict({ weight: conv.weight.reshape([5, 3]).detach(), bias: (conv.bias as Tensor).detach() });
  const x = ones([2, 3, 4, 4]).mul(0.5);
  const apart = conv.forward(x).sub(dense.forward(x.permute([0, 2, 3, 1])).permute([0, 3, 1, 2]));
  expect(apart.abs().max().item()).toBeLessThan(1e-6);
});

test('global pooling leaves batch and channels', () => {
  const x = ones([2, 3, 4, 5]);
  expect(nn.globalAvgPool2d().forward(x).shape).toEqual([2, 3]);
  expect(nn.globalMaxPool2d().forward(x).dataSync()).toEqual(new Float32Array(6).fill(1));
  expect(nn.globalAvgPool1d().forward(ones([2, 3, 4])).shape).toEqual([2, 3]);
  expect(nn.globalMaxPool1d().forward(ones([2, 3, 4])).shape).toEqual([2, 3]);
  expect(nn.globalAvgPool3d().forward(ones([2, 3, 4, 1, 2])).shape).toEqual([2, 3]);
  expect(nn.globalMaxPool3d().forward(ones([2, 3, 4, 1, 2])).shape).toEqual([2, 3]);
});

describe('bad arguments', () => {
  const never = (value: unknown): never => value as never;
  test.each<[string, () => unknown, RegExp]>([
    ['no channels', () => nn.conv2d(0, 4, 3), /conv2d: inChannels must be an integer in \[1/],
    ['fractional channels', () => nn.conv2d(1, 1.5, 3), /conv2d: outChannels must be an integer/],
    ['groups that do not divide', () => nn.conv1d(4, 6, 3, { groups: 4 }), /conv1d: groups 4 must divide inChannels 4/],
    ['an empty kernel', () => nn.conv2d(1, 1, 0), /conv2d: kernelSize must be an integer in \[1/],
    ['a kernel for other axes', () => nn.conv3d(1, 1, [3, 3]), /conv3d: kernelSize must be a number or 3 of them/],
    ['a stride of 0', () => nn.conv2d(1, 1, 3, { stride: 0 }), /conv2d: stride must be/],
    ['a dilation of 0', () => nn.conv2d(1, 1, 3, { dilation: 0 }), /conv2d: dilation must be/],
    ['a negative padding', () => nn.conv2d(1, 1, 3, { padding: -1 }), /conv2d: padding must be/],
    ["'same' with a stride", () => nn.conv2d(1, 1, 3, { padding: 'same', stride: 2 }), /'same' needs stride 1/],
    ['an unknown padding mode', () => nn.conv2d(1, 1, 3, { paddingMode: never('mirror') }), /unknown paddingMode/],
    ['an unknown init', () => nn.conv2d(1, 1, 3, { init: never('zeros') }), /conv2d: unknown init "zeros"/],
    ['a negative outputPadding', () => nn.convTranspose2d(1, 1, 3, { outputPadding: -1 }), /outputPadding must be/],
    ['no depth', () => nn.depthwiseConv2d(3, 3, { depthMultiplier: 0 }), /depthMultiplier must be/],
    ['no depthwise channels', () => nn.separableConv2d(0, 3, 3), /depthwiseConv2d: channels must be/],
    ['neither size nor factor', () => nn.upsample({}), /upsample: give either size or scaleFactor/],
    ['channels that differ', () => nn.conv2d(3, 4, 3).forward(zeros([1, 2, 5, 5])), /conv2d: x .* has 2 channels/],
    [
      'a mirror larger than the image',
      () => nn.conv2d(1, 1, 3, { padding: 3, paddingMode: 'reflect' }).forward(zeros([1, 1, 3, 3])),
      /pad: reflect by 3/,
    ],
    [
      'too few axes to pad',
      () => nn.conv2d(1, 1, 3, { padding: 1, paddingMode: 'reflect' }).forward(zeros([3])),
      /conv2d: x has too few axes/,
    ],
    [
      'a rank that global pooling does not take',
      () => nn.globalAvgPool2d().forward(zeros([2, 3, 4])),
      /globalAvgPool2d/,
    ],
    [
      'a disposed input',
      () => {
        const x = zeros([1, 1, 4, 4]);
        x.dispose();
        return nn.maxPool2d(2).forward(x);
      },
      /disposed/,
    ],
  ])('%s', (_, attempt, message) => {
    expect(attempt).toThrow(message);
  });
});
