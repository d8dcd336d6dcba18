/** Rows of the Fourier transforms. */
import { fft, tensor, zeros, type Tensor } from '../../../lib';
import { dense, spread } from '../reference';
import type { Row, Rows } from '../row';
import { badAxes, notTensors } from './build';

const complex = 'torch.view_as_complex(x0.contiguous())';
const real = (expression: string): string => `torch.view_as_real(${expression})`;

// Prime factors 2, 3, 5, small and large primes; the longest with 37 and 41, which have no radix of their own.
const complexSamples: Row['samples'] = [
  [spread([1, 2])],
  [spread([2, 2])],
  [spread([8, 2])],
  [spread([30, 2])],
  [spread([7, 2])],
  [spread([37, 2])],
  [spread([82, 2])],
  [spread([2, 3, 5, 2])],
  [spread([20, 6, 2])],
  [spread([0, 4, 2])],
];
const realSamples: Row['samples'] = [
  [spread([1])],
  [spread([2])],
  [spread([8])],
  [spread([15])],
  [spread([74])],
  [spread([43])],
  [spread([2, 3, 6])],
  [spread([20, 5])],
  [spread([0, 4])],
];

type Call = (x: Tensor, options?: fft.FftOptions) => unknown;

function badOptions(name: string, call: Call, input: () => Tensor): Row['bad'] {
  return [
    ...notTensors((x: Tensor) => call(x)),
    ['integers', () => call(zeros([4, 2], { dtype: 'int32' }) as never), new RegExp(`${name}: x must be float32`)],
    ['n of 0', () => call(input(), { n: 0 }), new RegExp(`${name}: n must be an integer in \\[1, `)],
    ['a fractional n', () => call(input(), { n: 2.5 }), /n must be an integer/],
    ['a huge n', () => call(input(), { n: 2 ** 40 }), /n must be an integer/],
    [
      'an unknown norm',
      () => call(input(), { norm: 'unit' as never }),
      /norm must be 'backward', 'ortho' or 'forward'/,
    ],
    ['an axis out of range', () => call(input(), { axis: 1 }), /axis 1 is out of range for rank 1/],
    ['NaN for an axis', () => call(input(), { axis: NaN }), /axis NaN is out of range/],
  ];
}

function badComplex(name: string, call: Call): Row['bad'] {
  return [
    ...badOptions(name, call, () => zeros([4, 2])),
    ['a real tensor', () => call(zeros([4])), new RegExp(`${name}: x must be complex, \\[\\.\\.\\., n, 2\\]`)],
    ['triples', () => call(zeros([4, 3])), /x must be complex/],
    ['a scalar', () => call(zeros([])), /x must be complex/],
    ['an empty signal', () => call(zeros([0, 2])), new RegExp(`${name}: cannot transform`)],
  ];
}

function badReal(name: string, call: Call): Row['bad'] {
  return [
    ...badOptions(name, call, () => zeros([4])),
    ['a scalar', () => call(zeros([])), new RegExp(`${name}: x must have an axis to transform`)],
    ['an empty signal', () => call(zeros([0])), new RegExp(`${name}: cannot transform 0 numbers`)],
  ];
}

type Call2 = (x: Tensor, options?: fft.Fft2Options) => unknown;

function badPlanes(name: string, call: Call2, input: () => Tensor, line: () => Tensor): Row['bad'] {
  return [
    ...notTensors((x: Tensor) => call(x)),
    ['one axis', () => call(line()), new RegExp(`${name}: x must have two axes to transform`)],
    ['one length', () => call(input(), { s: [3] as never }), new RegExp(`${name}: s must be two numbers`)],
    ['axes that are no list', () => call(input(), { axes: 1 as never }), /axes must be two numbers, got 1/],
    ['one axis twice', () => call(input(), { axes: [0, -2] }), /axes must be two different axes/],
    ['an axis out of range', () => call(input(), { axes: [0, 2] }), /axis 2 is out of range/],
    ['a length of 0', () => call(input(), { s: [0, 3] }), /n must be an integer/],
    ['an unknown norm', () => call(input(), { norm: 1 as never }), /norm must be/],
  ];
}

/** n longer and shorter than the signal, another axis, the other norms. */
function variants(name: 'fft' | 'ifft' | 'rfft' | 'irfft'): Rows {
  const isReal = name === 'rfft';
  const input = isReal ? 'x0' : complex;
  const wrap = (expression: string): string => (name === 'irfft' ? expression : real(expression));
  const samples = isReal ? [[spread([3, 5])], [spread([4, 6])]] : [[spread([3, 5, 2])], [spread([4, 6, 2])]];
  const make = (options: fft.FftOptions, torch: string): Row => ({
    call: (x: Tensor) => fft[name](x, options),
    torch: wrap(`torch.fft.${name}(${input}, ${torch})`),
    samples,
    gradient: 'all',
    bad: [],
  });
  return {
    [`fft.${name}/longer`]: make({ n: 9 }, 'n=9'),
    [`fft.${name}/shorter`]: make({ n: 4 }, 'n=4'),
    [`fft.${name}/axis`]: make({ axis: 0, n: 5 }, 'n=5, dim=0'),
    [`fft.${name}/ortho`]: make({ norm: 'ortho' }, 'norm="ortho"'),
    [`fft.${name}/forward`]: make({ norm: 'forward' }, 'norm="forward"'),
  };
}

const freqValues = (n: number, d: number, half: boolean) => () =>
  dense(
    [half ? Math.floor(n / 2) + 1 : n],
    Array.from({ length: half ? Math.floor(n / 2) + 1 : n }, (_, k) => (half || 2 * k < n ? k : k - n) / (n * d)),
  );

const freqBad = (call: (n: number, options?: fft.FreqOptions) => unknown): Row['bad'] => [
  ['n of 0', () => call(0), /n must be an integer in \[1, /],
  ['a negative n', () => call(-3), /n must be an integer/],
  ['a fractional n', () => call(1.5), /n must be an integer/],
  ['a string', () => call('8' as never), /n must be an integer .* got "8"/],
  ['a distance of 0', () => call(4, { d: 0 }), /d must not be 0/],
  ['NaN for the distance', () => call(4, { d: NaN }), /d must be a number/],
  ['integers', () => call(4, { dtype: 'int99' as never }), /unknown dtype/],
];

function frequencyRows(): Rows {
  const make = (name: 'fftFreq' | 'rfftFreq', torch: string, n: number, d: number): Row => ({
    call: () => fft[name](n, { d }),
    torch: `torch.fft.${torch}(${String(n)}, d=${String(d)}, dtype=torch.float64)`,
    samples: [[]],
    gradient: 'no tensor inputs',
    layouts: false,
    bad: freqBad(fft[name]),
  });
  return {
    'fft.fftFreq': make('fftFreq', 'fftfreq', 8, 1),
    'fft.fftFreq/odd': make('fftFreq', 'fftfreq', 7, 0.25),
    'fft.fftFreq/one': make('fftFreq', 'fftfreq', 1, 2),
    'fft.fftFreq/formula': {
      call: () => fft.fftFreq(6, { d: -0.5 }),
      torch: freqValues(6, -0.5, false),
      samples: [[]],
      gradient: 'no tensor inputs',
      layouts: false,
      bad: [],
    },
    'fft.rfftFreq': make('rfftFreq', 'rfftfreq', 8, 0.5),
    'fft.rfftFreq/odd': make('rfftFreq', 'rfftfreq', 5, 1),
    'fft.rfftFreq/two': make('rfftFreq', 'rfftfreq', 2, 1),
    'fft.rfftFreq/one': make('rfftFreq', 'rfftfreq', 1, 1),
  };
}

function shiftRows(): Rows {
  const make = (name: 'fftShift' | 'ifftShift', torch: string): Row => ({
    call: (x: Tensor) => [fft[name](x, 0), fft[name](x, [0, -1])],
    torch: `(torch.fft.${torch}(x0, dim=0), torch.fft.${torch}(x0, dim=(0, -1)))`,
    samples: [
      [spread([4, 3])],
      [spread([5, 1])],
      [spread([2, 2, 7])],
      [spread([0, 3])],
      [spread([3, 4], -9, 9, 'int32')],
    ],
    gradient: 'all',
    gradientSamples: [[spread([4, 3])], [spread([5, 2])]],
    bad: [
      ...notTensors((x: Tensor) => fft[name](x, 0)),
      ...badAxes((axis) => fft[name](zeros([2, 2]), axis)),
      ['an axis twice', () => fft[name](zeros([2, 2]), [0, -2]), /axis -2 appears twice/],
      ['no axes', () => fft[name](tensor([1, 2]), undefined as never), /axes must be given/],
    ],
  });
  return { 'fft.fftShift': make('fftShift', 'fftshift'), 'fft.ifftShift': make('ifftShift', 'ifftshift') };
}

export const rows: Rows = {
  'fft.fft': {
    call: (x: Tensor) => fft.fft(x),
    torch: real(`torch.fft.fft(${complex})`),
    samples: complexSamples,
    gradient: 'all',
    bad: badComplex('fft', fft.fft),
  },
  ...variants('fft'),
  'fft.ifft': {
    call: (x: Tensor) => fft.ifft(x),
    torch: real(`torch.fft.ifft(${complex})`),
    samples: complexSamples,
    gradient: 'all',
    bad: badComplex('ifft', fft.ifft),
  },
  ...variants('ifft'),
  'fft.rfft': {
    call: (x: Tensor) => fft.rfft(x),
    torch: real('torch.fft.rfft(x0)'),
    samples: realSamples,
    gradient: 'all',
    bad: badReal('rfft', fft.rfft),
  },
  ...variants('rfft'),
  'fft.irfft': {
    call: (x: Tensor) => fft.irfft(x),
    torch: `torch.fft.irfft(${complex})`,
    samples: complexSamples.slice(1),
    gradient: 'all',
    bad: badComplex('irfft', fft.irfft),
  },
  ...variants('irfft'),
  'fft.fft2': {
    call: (x: Tensor) => [fft.fft2(x), fft.fft2(x, { s: [3, 4], axes: [1, 0], norm: 'ortho' })],
    torch: `(${real(`torch.fft.fft2(${complex})`)}, ${real(`torch.fft.fft2(${complex}, s=(3, 4), dim=(1, 0), norm="ortho")`)})`,
    samples: [[spread([4, 5, 2])], [spread([2, 3, 3, 2])]],
    gradient: 'all',
    bad: badPlanes(
      'fft2',
      fft.fft2,
      () => zeros([3, 4, 2]),
      () => zeros([4, 2]),
    ),
  },
  'fft.ifft2': {
    call: (x: Tensor) => [fft.ifft2(x), fft.ifft2(x, { s: [5, 2], norm: 'forward' })],
    torch: `(${real(`torch.fft.ifft2(${complex})`)}, ${real(`torch.fft.ifft2(${complex}, s=(5, 2), norm="forward")`)})`,
    samples: [[spread([4, 5, 2])], [spread([2, 3, 3, 2])]],
    gradient: 'all',
    bad: badPlanes(
      'ifft2',
      fft.ifft2,
      () => zeros([3, 4, 2]),
      () => zeros([4, 2]),
    ),
  },
  'fft.rfft2': {
    call: (x: Tensor) => [fft.rfft2(x), fft.rfft2(x, { s: [5, 3], axes: [1, 0] })],
    torch: `(${real('torch.fft.rfft2(x0)')}, ${real('torch.fft.rfft2(x0, s=(5, 3), dim=(1, 0))')})`,
    samples: [[spread([4, 5])], [spread([2, 3, 4])]],
    gradient: 'all',
    bad: badPlanes(
      'rfft2',
      fft.rfft2,
      () => zeros([3, 4]),
      () => zeros([4]),
    ),
  },
  'fft.irfft2': {
    call: (x: Tensor) => [fft.irfft2(x), fft.irfft2(x, { s: [3, 5], norm: 'ortho' })],
    torch: `(torch.fft.irfft2(${complex}), torch.fft.irfft2(${complex}, s=(3, 5), norm="ortho"))`,
    samples: [[spread([4, 3, 2])], [spread([2, 3, 4, 2])]],
    gradient: 'all',
    bad: badPlanes(
      'irfft2',
      fft.irfft2,
      () => zeros([3, 4, 2]),
      () => zeros([4, 2]),
    ),
  },
  ...frequencyRows(),
  ...shiftRows(),
};
