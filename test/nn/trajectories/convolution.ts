/** Ten steps of layers with convolutions, pooling and resampling against PyTorch. */
import { nn } from '../../../lib';
import { spread } from '../../ops/reference';
import type { LayerRows } from './row';

const images = [spread([2, 3, 6, 5])];
const sequence = [spread([3, 4, 9])];

export const rows: LayerRows = {
  Conv1d: { torch: 'nn.Conv1d(4, 6, 3)', make: () => nn.conv1d(4, 6, 3), inputs: sequence },
  'Conv1d/options': {
    torch: 'nn.Conv1d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2, bias=False)',
    make: () => nn.conv1d(4, 6, 3, { stride: 2, padding: 2, dilation: 2, groups: 2, bias: false }),
    inputs: sequence,
  },
  'Conv1d/reflect': {
    torch: 'nn.Conv1d(4, 2, 4, padding=3, padding_mode="reflect")',
    make: () => nn.conv1d(4, 2, 4, { padding: 3, paddingMode: 'reflect' }),
    inputs: sequence,
  },
  Conv2d: { torch: 'nn.Conv2d(3, 5, 3)', make: () => nn.conv2d(3, 5, 3), inputs: images },
  'Conv2d/options': {
    torch: 'nn.Conv2d(3, 6, (3, 2), stride=(2, 1), padding=(2, 1), dilation=(1, 2), groups=3)',
    make: () => nn.conv2d(3, 6, [3, 2], { stride: [2, 1], padding: [2, 1], dilation: [1, 2], groups: 3 }),
    inputs: images,
  },
  'Conv2d/same': {
    torch: 'nn.Conv2d(3, 4, (2, 3), padding="same")',
    make: () => nn.conv2d(3, 4, [2, 3], { padding: 'same' }),
    inputs: images,
  },
  'Conv2d/reflect': {
    torch: 'nn.Conv2d(3, 4, 3, padding=(2, 1), padding_mode="reflect")',
    make: () => nn.conv2d(3, 4, 3, { padding: [2, 1], paddingMode: 'reflect' }),
    inputs: images,
  },
  'Conv2d/replicate': {
    torch: 'nn.Conv2d(3, 4, 3, padding="same", dilation=2, padding_mode="replicate")',
    make: () => nn.conv2d(3, 4, 3, { padding: 'same', dilation: 2, paddingMode: 'replicate' }),
    inputs: images,
  },
  'Conv2d/circular': {
    torch: 'nn.Conv2d(3, 4, 3, padding=1, stride=2, padding_mode="circular")',
    make: () => nn.conv2d(3, 4, 3, { padding: 1, stride: 2, paddingMode: 'circular' }),
    inputs: images,
  },
  Conv3d: {
    torch: 'nn.Conv3d(2, 3, (2, 3, 2), padding=(1, 0, 1), stride=(1, 2, 1))',
    make: () => nn.conv3d(2, 3, [2, 3, 2], { padding: [1, 0, 1], stride: [1, 2, 1] }),
    inputs: [spread([2, 2, 3, 5, 4])],
  },
  'Conv3d/circular': {
    torch: 'nn.Conv3d(2, 3, 2, padding=1, padding_mode="circular")',
    make: () => nn.conv3d(2, 3, 2, { padding: 1, paddingMode: 'circular' }),
    inputs: [spread([2, 2, 3, 4, 4])],
  },
  ConvTranspose1d: {
    torch: 'nn.ConvTranspose1d(4, 6, 3, stride=3, padding=1, output_padding=2, groups=2, dilation=2)',
    make: () => nn.convTranspose1d(4, 6, 3, { stride: 3, padding: 1, outputPadding: 2, groups: 2, dilation: 2 }),
    inputs: sequence,
  },
  ConvTranspose2d: { torch: 'nn.ConvTranspose2d(3, 4, 3)', make: () => nn.convTranspose2d(3, 4, 3), inputs: images },
  'ConvTranspose2d/options': {
    torch: 'nn.ConvTranspose2d(3, 4, (3, 4), stride=2, padding=(1, 0), output_padding=(1, 0), bias=False)',
    make: () => nn.convTranspose2d(3, 4, [3, 4], { stride: 2, padding: [1, 0], outputPadding: [1, 0], bias: false }),
    inputs: images,
  },
  DepthwiseConv2d: {
    torch: 'nn.Conv2d(3, 6, 3, stride=2, padding=1, groups=3)',
    make: () => nn.depthwiseConv2d(3, 3, { depthMultiplier: 2, stride: 2, padding: 1 }),
    inputs: images,
  },
  SeparableConv2d: {
    torch:
      'nn.Sequential(__import__("collections").OrderedDict([' +
      '("depthwise", nn.Conv2d(3, 6, 3, padding=1, groups=3, bias=False)), ("pointwise", nn.Conv2d(6, 4, 1))]))',
    make: () => nn.separableConv2d(3, 4, 3, { depthMultiplier: 2, padding: 1 }),
    inputs: images,
  },
  'pooling/max': {
    torch: 'nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d((2, 1)))',
    make: () => nn.sequential(nn.conv2d(3, 4, 3, { padding: 1 }), nn.maxPool2d(2), nn.adaptiveAvgPool2d([2, 1])),
    inputs: images,
  },
  'pooling/average': {
    torch: 'nn.Sequential(nn.Conv2d(3, 4, 2), nn.AvgPool2d(3, 2, 1), nn.AdaptiveMaxPool2d(2))',
    make: () => nn.sequential(nn.conv2d(3, 4, 2), nn.avgPool2d(3, { stride: 2, padding: 1 }), nn.adaptiveMaxPool2d(2)),
    inputs: images,
  },
  'pooling/oneAxis': {
    torch: 'nn.Sequential(nn.Conv1d(4, 4, 2), nn.MaxPool1d(3, 1, 1), nn.AvgPool1d(2), nn.AdaptiveAvgPool1d(3))',
    make: () =>
      nn.sequential(
        nn.conv1d(4, 4, 2),
        nn.maxPool1d(3, { stride: 1, padding: 1 }),
        nn.avgPool1d(2),
        nn.adaptiveAvgPool1d(3),
      ),
    inputs: sequence,
  },
  'pooling/threeAxes': {
    torch: 'nn.Sequential(nn.Conv3d(2, 4, 1), nn.MaxPool3d(2, 1), nn.AvgPool3d(2, 1), nn.AdaptiveAvgPool3d(1))',
    make: () =>
      nn.sequential(
        nn.conv3d(2, 4, 1),
        nn.maxPool3d(2, { stride: 1 }),
        nn.avgPool3d(2, { stride: 1 }),
        nn.adaptiveAvgPool3d(1),
      ),
    inputs: [spread([2, 2, 3, 5, 4])],
  },
  'pooling/global': {
    torch: 'nn.Sequential(nn.Conv2d(3, 4, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten())',
    make: () => nn.sequential(nn.conv2d(3, 4, 2), nn.globalAvgPool2d()),
    inputs: images,
  },
  'pooling/globalMax': {
    torch: 'nn.Sequential(nn.Conv2d(3, 4, 2), nn.AdaptiveMaxPool2d(1), nn.Flatten())',
    make: () => nn.sequential(nn.conv2d(3, 4, 2), nn.globalMaxPool2d()),
    inputs: images,
  },
  'Upsample/bilinear': {
    torch: 'nn.Sequential(nn.Conv2d(3, 4, 3), nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(4, 2, 1))',
    make: () =>
      nn.sequential(nn.conv2d(3, 4, 3), nn.upsample({ scaleFactor: 2, mode: 'bilinear' }), nn.conv2d(4, 2, 1)),
    inputs: images,
  },
  PixelShuffle: {
    torch: 'nn.Sequential(nn.Conv2d(3, 8, 2), nn.PixelShuffle(2), nn.Conv2d(2, 3, 3), nn.PixelUnshuffle(2))',
    make: () => nn.sequential(nn.conv2d(3, 8, 2), nn.pixelShuffle(2), nn.conv2d(2, 3, 3), nn.pixelUnshuffle(2)),
    inputs: images,
  },
};
