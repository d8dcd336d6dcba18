/** Rows of the linear algebra functions. */
import {
  add,
  linalg,
  matmul,
  mul,
  slice,
  square,
  tensor,
  transpose,
  unsqueeze,
  zeros,
  type Tensor,
} from '../../../lib';
import { dense, sizeOf, type Dense } from '../reference';
import type { Row, Rows } from '../row';
import { disposed, notTensors } from './build';

/** Numbers in (-1, 1) without pattern, as float32 holds them. */
function random(shape: readonly number[], seed = 1): Dense {
  let state = (seed * 2654435761 + 97) >>> 0;
  const data = Array.from({ length: sizeOf(shape) }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const mixed = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) >>> 0;
    return Math.fround(mixed / 2 ** 31 - 1);
  });
  return dense(shape, data);
}

/** Random matrices with 2 added to the diagonal: far from singular. */
function regular(shape: readonly number[], seed = 1): Dense {
  const [m, n] = shape.slice(-2);
  const { data } = random(shape, seed);
  return dense(
    shape,
    data.map((value, i) => (Math.floor(i / n) % m === i % n ? Math.fround(value + 2) : value)),
  );
}

const squares: readonly (readonly Dense[])[] = [
  [regular([1, 1])],
  [regular([2, 2])],
  [regular([5, 5], 2)],
  [regular([2, 3, 3], 3)],
  [regular([2, 1, 2, 2], 4)],
  [regular([40, 40], 5)],
  [regular([0, 3, 3])],
  [regular([2, 0, 0])],
];
const squareGradients = [[regular([1, 1])], [regular([3, 3], 6)], [regular([2, 2, 2], 7)]];

const rectangles: readonly (readonly Dense[])[] = [
  [random([1, 1])],
  [random([3, 3], 2)],
  [random([4, 2], 3)],
  [random([2, 4], 4)],
  [random([2, 3, 2], 5)],
  [random([1, 4])],
  [random([4, 1])],
  [random([0, 3, 2])],
];
const rectangleGradients = [[random([3, 3], 12)], [random([4, 2], 13)], [random([2, 4], 14)], [random([2, 2, 3], 15)]];

type Unary = (x: Tensor) => unknown;

/** What every function of matrices must refuse. */
function badMatrices(name: string, call: Unary): Row['bad'] {
  return [
    ...notTensors(call, 'a'),
    ['a vector', () => call(zeros([3])), new RegExp(`${name}: a must be a matrix or a batch .*, got shape \\[3\\]`)],
    ['a scalar', () => call(zeros([])), new RegExp(`${name}: a must be a matrix`)],
    ['integers', () => call(zeros([2, 2], { dtype: 'int32' }) as never), new RegExp(`${name}: a must be float32`)],
    ['halves', () => call(zeros([2, 2], { dtype: 'float16' }) as never), new RegExp(`${name}: a must be float32`)],
  ];
}

function badSquares(name: string, call: Unary): Row['bad'] {
  return [
    ...badMatrices(name, call),
    ['a wide matrix', () => call(zeros([2, 3])), new RegExp(`${name}: a must be square .*, got shape \\[2,3\\]`)],
    ['a tall batch', () => call(zeros([4, 3, 2])), new RegExp(`${name}: a must be square`)],
  ];
}

/** Matrices of which the second is singular. */
const secondSingular = (): Tensor => tensor([1, 2, 3, 4, 1, 2, 2, 4], { shape: [2, 2, 2] });
const withNaN = (value = NaN): Tensor => tensor([1, 0, 0, 1, 1, value, value, 1], { shape: [2, 2, 2] });

function badValues(name: string, call: Unary): Row['bad'] {
  const message = new RegExp(`${name}: matrix 1 of the batch has a NaN or an infinite element`);
  return [
    ['NaN', () => call(withNaN()), message],
    ['infinity', () => call(withNaN(Infinity)), message],
    ['minus infinity', () => call(withNaN(-Infinity)), message],
  ];
}

const symmetric = (x: Tensor): Tensor => add(x, transpose(x));
const definite = (x: Tensor): Tensor => add(matmul(x, transpose(x)), tensor(2, { dtype: x.dtype }).mul(eyeLike(x)));
const eyeLike = (x: Tensor): Tensor => {
  const n = x.shape[x.rank - 1];
  const data = Float64Array.from({ length: n * n }, (_, i) => Number(i % (n + 1) === 0));
  return tensor(data, { shape: [n, n], dtype: x.dtype });
};
const torchDefinite = '(x0 @ x0.mT + 2 * torch.eye(x0.shape[-1], dtype=x0.dtype))';

/** The part of a decomposition that does not depend on the signs of its vectors. */
function signless({ u, s, vh }: linalg.SVDResult): Tensor[] {
  return [s, matmul(mul(u, unsqueeze(s, -2)), vh), square(u), square(vh)];
}
const torchSignless = '(lambda u, s, vh: (s, (u * s.unsqueeze(-2)) @ vh, u * u, vh * vh))';

const inverses: Rows = {
  'linalg.inv': {
    call: linalg.inv,
    torch: 'torch.linalg.inv(x0)',
    // The last one is lost without pivoting.
    samples: [...squares, [dense([2, 2], [2 ** -60, 1, 1, 1])]],
    gradient: 'all',
    gradientSamples: squareGradients,
    bad: [
      ...badSquares('inv', linalg.inv),
      ['a singular matrix', () => linalg.inv(zeros([2, 2])), /inv: the matrix is singular: no pivot in column 0/],
      ['a singular matrix in a batch', () => linalg.inv(secondSingular()), /inv: matrix 1 of the batch is singular/],
    ],
  },
  'linalg.solve': {
    call: linalg.solve,
    torch: 'torch.linalg.solve(x0, x1)',
    samples: [
      [regular([3, 3]), random([3, 2])],
      [regular([1, 1]), random([1, 1])],
      [regular([33, 33]), random([33, 5])],
      [regular([2, 3, 3]), random([2, 3, 1])],
      [regular([2, 1, 3, 3]), random([4, 3, 2])],
      [regular([0, 3, 3]), random([0, 3, 2])],
      [regular([3, 3]), random([3, 0])],
    ],
    gradient: 'all',
    gradientSamples: [
      [regular([3, 3]), random([3, 2])],
      [regular([2, 2, 2]), random([2, 2, 1])],
      [regular([2, 1, 2, 2]), random([3, 2, 1])],
    ],
    bad: [
      ...badSquares('solve', (a: Tensor) => linalg.solve(a, zeros([2, 2]))),
      ...notTensors((b: Tensor) => linalg.solve(zeros([2, 2]), b), 'b'),
      [
        'rows that differ',
        () => linalg.solve(zeros([3, 3]), zeros([2, 2])),
        /solve: a \[3,3\] does not fit b \[2,2\]: b must be \[..., 3, k\]/,
      ],
      ['a short vector', () => linalg.solve(zeros([3, 3]), zeros([2])), /does not fit/],
      ['batches that differ', () => linalg.solve(zeros([2, 3, 3]), zeros([4, 3, 2])), /do not broadcast/],
      [
        'dtypes that differ',
        () => linalg.solve(zeros([2, 2]), zeros([2, 2], { dtype: 'float64' }) as never),
        /solve: dtypes differ/,
      ],
      [
        'a singular matrix',
        () => linalg.solve(secondSingular(), zeros([2, 2, 1])),
        /solve: matrix 1 of the batch is singular/,
      ],
    ],
  },
  'linalg.solve/vectors': {
    call: linalg.solve,
    torch: 'torch.linalg.solve(x0, x1)',
    samples: [
      [regular([3, 3]), random([3])],
      [regular([2, 3, 3]), random([2, 3])],
    ],
    gradient: 'all',
    bad: [],
  },
  ...triangularRows(),
  'linalg.cholesky': {
    call: (x: Tensor) => linalg.cholesky(definite(x)),
    torch: `torch.linalg.cholesky${torchDefinite}`,
    samples: squares,
    gradient: 'all',
    gradientSamples: squareGradients,
    bad: [
      ...badSquares('cholesky', linalg.cholesky),
      [
        'a matrix that is not positive definite',
        () => linalg.cholesky(tensor([1, 2, 2, 1], { shape: [2, 2] })),
        /cholesky: the matrix is not positive definite: its leading minor of order 2 is not positive/,
      ],
      ['NaN', () => linalg.cholesky(tensor([NaN], { shape: [1, 1] })), /is not positive definite/],
      ['a batch', () => linalg.cholesky(zeros([3, 1, 1])), /matrix 0 of the batch is not positive definite/],
      [
        'a bad flag',
        () => linalg.cholesky(zeros([2, 2]), { upper: 1 as never }),
        /cholesky: upper must be a boolean, got 1/,
      ],
    ],
  },
  'linalg.cholesky/upper': {
    call: (x: Tensor) => linalg.cholesky(definite(x), { upper: true }),
    torch: `torch.linalg.cholesky(${torchDefinite}, upper=True)`,
    samples: squares,
    gradient: 'all',
    gradientSamples: squareGradients,
    bad: [],
  },
};

function triangularRows(): Rows {
  const samples = (left: boolean): (readonly Dense[])[] => [
    [regular([3, 3]), random(left ? [3, 2] : [2, 3])],
    [regular([2, 2, 2]), random(left ? [2, 2, 1] : [2, 1, 2])],
    [regular([2, 1, 2, 2]), random(left ? [3, 2, 1] : [3, 1, 2])],
    [regular([0, 0]), random(left ? [0, 2] : [2, 0])],
  ];
  const variant = (upper: boolean, left: boolean, unitriangular: boolean): Row => ({
    call: (a: Tensor, b: Tensor) => linalg.solveTriangular(a, b, { upper, left, unitriangular }),
    torch:
      `torch.linalg.solve_triangular(x0, x1, upper=${upper ? 'True' : 'False'}, ` +
      `left=${left ? 'True' : 'False'}, unitriangular=${unitriangular ? 'True' : 'False'})`,
    samples: samples(left),
    gradient: 'all',
    bad: [],
  });
  const upper = { upper: true };
  return {
    'linalg.solveTriangular': {
      ...variant(true, true, false),
      bad: [
        ...badSquares('solveTriangular', (a: Tensor) => linalg.solveTriangular(a, zeros([2, 2]), upper)),
        ...notTensors((b: Tensor) => linalg.solveTriangular(zeros([2, 2]), b, upper), 'b'),
        [
          'no options',
          () => linalg.solveTriangular(zeros([2, 2]), zeros([2, 2]), undefined as never),
          /solveTriangular: options must say \{ upper: true \} or false/,
        ],
        ['a vector b', () => linalg.solveTriangular(zeros([2, 2]), zeros([2]), upper), /b must be a matrix/],
        ['rows that differ', () => linalg.solveTriangular(zeros([3, 3]), zeros([2, 2]), upper), /does not fit/],
        [
          'a zero on the diagonal',
          () => linalg.solveTriangular(tensor([1, 2, 0, 0], { shape: [2, 2] }), zeros([2, 2]), upper),
          /solveTriangular: the matrix is singular: element 1 of its diagonal is 0/,
        ],
        [
          'a bad flag',
          () => linalg.solveTriangular(zeros([2, 2]), zeros([2, 2]), { upper: true, left: 'yes' as never }),
          /left must be a boolean, got "yes"/,
        ],
      ],
    },
    'linalg.solveTriangular/lower': variant(false, true, false),
    'linalg.solveTriangular/right': variant(true, false, false),
    'linalg.solveTriangular/unit': variant(false, true, true),
    'linalg.solveTriangular/upperUnitRight': variant(true, false, true),
  };
}

const singular = dense([3, 3], [1, 2, 3, 2, 4, 6, 1, 0, 1]);
const determinants: Rows = {
  'linalg.det': {
    untraced: 'the gradient asks whether a matrix is singular',
    call: linalg.det,
    torch: 'torch.linalg.det(x0)',
    samples: squares.filter(([x]) => x.shape[0] !== 40),
    gradient: 'all',
    gradientSamples: squareGradients,
    bad: badSquares('det', linalg.det),
  },
  'linalg.det/singular': {
    untraced: 'the gradient asks whether a matrix is singular',
    call: linalg.det,
    // Not PyTorch's: version 1.13 gives 0 for the gradient at a singular matrix, where it is the cofactors.
    torch: (x) => dense(x.shape.slice(0, -2), x.shape[0] === 3 || x.shape.length === 2 ? [0] : [0, -1]),
    samples: [
      [singular],
      [dense([2, 2, 2], [1, 2, 2, 4, 1, 2, 3, 5])],
      [dense([4, 4], [1, 2, 0, 1, 0, 1, 1, 3, 1, 3, 1, 4, 2, 0, 1, 5])],
      [dense([1, 1], [0])],
    ],
    gradient: 'all',
    bad: [],
  },
  'linalg.slogdet': {
    call: (x: Tensor) => {
      const { sign, logAbsDet } = linalg.slogdet(x);
      return [sign, logAbsDet];
    },
    torch: 'tuple(torch.linalg.slogdet(x0))',
    samples: [...squares, [dense([2, 2], [0, 1, 2, 0])], [regular([3, 3], 9)]],
    gradient: 'all',
    gradientSamples: squareGradients,
    bad: badSquares('slogdet', linalg.slogdet),
  },
  'linalg.slogdet/singular': {
    call: (x: Tensor) => {
      const { sign, logAbsDet } = linalg.slogdet(x);
      return [sign, logAbsDet];
    },
    torch: 'tuple(torch.linalg.slogdet(x0))',
    samples: [[dense([2, 2, 2], [1, 2, 2, 4, 0, 0, 0, 0])]],
    gradient: 'there is none at a singular matrix',
    bad: [],
  },
};

const decompositions: Rows = {
  'linalg.qr': {
    call: (x: Tensor) => {
      const { q, r } = linalg.qr(x);
      return [q, r];
    },
    torch: 'tuple(torch.linalg.qr(x0))',
    samples: [...rectangles, [random([35, 33], 8)]],
    gradient: 'all',
    gradientSamples: rectangleGradients,
    atol: 2e-5, // float32 sums of 35 gradients
    bad: [
      ...badMatrices('qr', linalg.qr),
      [
        'an unknown mode',
        () => linalg.qr(zeros([2, 2]), { mode: 'r' as never }),
        /qr: mode must be 'reduced' or 'complete', got "r"/,
      ],
    ],
  },
  'linalg.qr/complete': {
    call: (x: Tensor) => {
      const { q, r } = linalg.qr(x, { mode: 'complete' });
      return [q, r];
    },
    torch: 'tuple(torch.linalg.qr(x0, mode="complete"))',
    samples: [[random([3, 3], 2)], [random([2, 4], 4)], [random([2, 2, 3], 5)]],
    gradient: 'all',
    bad: [],
  },
  'linalg.qr/completeTall': {
    call: (x: Tensor) => {
      // The last columns of q are any basis: only their projection is defined.
      const { q, r } = linalg.qr(x, { mode: 'complete' });
      return [matmul(slice(q, null, [2, null]), transpose(slice(q, null, [2, null]))), r];
    },
    torch: '(lambda q, r: (q[:, 2:] @ q[:, 2:].mT, r))(*torch.linalg.qr(x0, mode="complete"))',
    samples: [[random([4, 2], 3)], [random([5, 2], 4)]],
    gradient: 'PyTorch has none either: the last columns of q are arbitrary',
    bad: [],
  },
  'linalg.svd': {
    call: (x: Tensor) => signless(linalg.svd(x, { fullMatrices: false })),
    torch: `${torchSignless}(*torch.linalg.svd(x0, full_matrices=False))`,
    samples: rectangles,
    gradient: 'all',
    gradientSamples: rectangleGradients,
    bad: [
      ...badMatrices('svd', linalg.svd),
      ...badValues('svd', linalg.svd),
      [
        'a bad flag',
        () => linalg.svd(zeros([2, 2]), { fullMatrices: 'no' as never }),
        /svd: fullMatrices must be a boolean, got "no"/,
      ],
    ],
  },
  'linalg.svd/fullMatrices': {
    call: (x: Tensor) => {
      const { u, s, vh } = linalg.svd(x);
      const k = s.shape[s.rank - 1];
      return [s, square(slice(u, null, [0, k])), square(slice(vh, [0, k]))];
    },
    torch:
      '(lambda u, s, vh: (s, u[:, :s.shape[0]] ** 2, vh[:s.shape[0]] ** 2))(*torch.linalg.svd(x0, full_matrices=True))',
    samples: rectangleGradients.filter(([x]) => x.shape.length === 2),
    gradient: 'all',
    bad: [],
  },
  'linalg.svd/nullSpace': {
    call: (x: Tensor) => {
      const { u, s, vh } = linalg.svd(x);
      const k = s.shape[0];
      const left = slice(u, null, [k, null]);
      const right = slice(vh, [k, null]);
      return [matmul(left, transpose(left)), matmul(transpose(right), right)];
    },
    torch:
      '(lambda u, s, vh: (u[:, len(s):] @ u[:, len(s):].mT, vh[len(s):].mT @ vh[len(s):]))' +
      '(*torch.linalg.svd(x0, full_matrices=True))',
    samples: [[random([4, 2], 3)], [random([2, 4], 4)], [random([1, 3])]],
    gradient: 'the vectors beyond the singular values are arbitrary',
    bad: [],
  },
  'linalg.svdvals': {
    call: linalg.svdvals,
    torch: 'torch.linalg.svdvals(x0)',
    samples: [...rectangles, [random([30, 40], 9)]],
    gradient: 'all',
    gradientSamples: rectangleGradients,
    bad: [...badMatrices('svdvals', linalg.svdvals), ...badValues('svdvals', linalg.svdvals)],
  },
  'linalg.eigh': {
    call: (x: Tensor) => {
      const { values, vectors } = linalg.eigh(symmetric(x));
      return [values, square(vectors), matmul(mul(vectors, unsqueeze(values, -2)), transpose(vectors))];
    },
    torch: '(lambda w, v: (w, v * v, (v * w.unsqueeze(-2)) @ v.mT))(*torch.linalg.eigh(x0 + x0.mT))',
    samples: squares.filter(([x]) => x.shape[0] !== 40),
    gradient: 'all',
    gradientSamples: squareGradients,
    bad: [
      ...badSquares('eigh', linalg.eigh),
      ...badValues('eigh', linalg.eigh),
      ['a bad triangle', () => linalg.eigh(zeros([2, 2]), { uplo: 'l' as never }), /eigh: uplo must be 'L' or 'U'/],
    ],
  },
  'linalg.eigh/upper': {
    call: (x: Tensor) => {
      const { values, vectors } = linalg.eigh(x, { uplo: 'U' });
      return [values, square(vectors)];
    },
    torch: '(lambda w, v: (w, v * v))(*torch.linalg.eigh(x0, UPLO="U"))',
    samples: [[random([3, 3])], [random([2, 4, 4])]],
    gradient: 'the gradient is that of a symmetric matrix, which finite differences of one triangle are not',
    bad: [],
  },
  'linalg.eigvalsh': {
    call: (x: Tensor) => linalg.eigvalsh(symmetric(x)),
    torch: 'torch.linalg.eigvalsh(x0 + x0.mT)',
    samples: squares,
    gradient: 'all',
    gradientSamples: squareGradients,
    atol: 2e-5, // float32 sums of 40 gradients
    bad: [
      ...badSquares('eigvalsh', linalg.eigvalsh),
      ...badValues('eigvalsh', linalg.eigvalsh),
      ['a bad triangle', () => linalg.eigvalsh(zeros([2, 2]), { uplo: 3 as never }), /eigvalsh: uplo must be/],
    ],
  },
};

function powerRows(): Rows {
  const variant = (exponent: number): Row => ({
    call: (x: Tensor) => linalg.matrixPower(x, exponent),
    torch: `torch.linalg.matrix_power(x0, ${String(exponent)})`,
    samples: [[regular([3, 3])], [random([2, 2, 2], 3)], [random([1, 1])], [random([0, 2, 2])]],
    gradient: 'all',
    rtol: 4e-6, // several float32 products
    bad: [],
  });
  return {
    'linalg.matrixPower': {
      ...variant(2),
      bad: [
        ...badSquares('matrixPower', (x: Tensor) => linalg.matrixPower(x, 2)),
        [
          'a fractional exponent',
          () => linalg.matrixPower(zeros([2, 2]), 0.5),
          /exponent must be an integer .* got 0.5/,
        ],
        ['NaN', () => linalg.matrixPower(zeros([2, 2]), NaN), /exponent must be an integer .* got NaN/],
        ['infinity', () => linalg.matrixPower(zeros([2, 2]), Infinity), /exponent must be an integer/],
        ['a negative power of a singular matrix', () => linalg.matrixPower(zeros([2, 2]), -1), /singular/],
      ],
    },
    'linalg.matrixPower/zero': variant(0),
    'linalg.matrixPower/one': variant(1),
    'linalg.matrixPower/five': variant(5),
    'linalg.matrixPower/negative': variant(-3),
  };
}

const vectors: readonly (readonly Dense[])[] = [
  [random([5])],
  [random([3, 4], 2)],
  [random([])],
  [random([2, 3, 2], 3)],
  [dense([3], [0, 0, 0])],
];

function normRows(): Rows {
  const torchOrd = (ord: number | string): string =>
    typeof ord === 'string'
      ? `"${ord}"`
      : ord === Infinity
        ? 'math.inf'
        : ord === -Infinity
          ? '-math.inf'
          : String(ord);
  const vector = (ord: number, samples: Row['samples']): Row => ({
    call: (x: Tensor) => linalg.vectorNorm(x, { ord }),
    torch: `torch.linalg.vector_norm(x0, ${torchOrd(ord)})`,
    samples,
    gradient: ord === 0 ? 'a count has no gradient' : 'all',
    gradientSamples: [[random([5])], [random([2, 3], 2)]],
    bad: [],
  });
  const matrix = (ord: linalg.MatrixOrd): Row => ({
    call: (x: Tensor) => linalg.matrixNorm(x, { ord }),
    torch: `torch.linalg.matrix_norm(x0, ${torchOrd(ord)})`,
    samples: [[random([3, 3], 2)], [random([4, 2], 3)], [random([2, 2, 3], 4)]],
    gradient: 'all',
    bad: [],
  });
  const noZero = vectors.slice(0, -1);
  const loose = linalg.norm as unknown as (x: unknown, options?: unknown) => Tensor;
  return {
    'linalg.vectorNorm': {
      ...vector(2, vectors),
      // The gradient at 0 is 0 by definition, and no limit of differences.
      bad: [
        ...notTensors(linalg.vectorNorm),
        ['integers', () => linalg.vectorNorm(zeros([2], { dtype: 'int32' })), /vectorNorm: x must be float32/],
        [
          'a named norm',
          () => linalg.vectorNorm(zeros([2]), { ord: 'fro' as never }),
          /ord must be a number, got "fro"/,
        ],
        ['NaN', () => linalg.vectorNorm(zeros([2]), { ord: NaN }), /ord must be a number, got NaN/],
        ['an axis out of range', () => linalg.vectorNorm(zeros([2]), { axes: 1 }), /axis 1 is out of range/],
        ['the largest of nothing', () => linalg.vectorNorm(zeros([0]), { ord: Infinity }), /is empty/],
        ['a bad flag', () => linalg.vectorNorm(zeros([2]), { keepDims: 0 as never }), /keepDims must be a boolean/],
      ],
    },
    'linalg.vectorNorm/0': vector(0, vectors),
    'linalg.vectorNorm/1': vector(1, vectors),
    'linalg.vectorNorm/3': vector(3, noZero),
    'linalg.vectorNorm/half': vector(0.5, noZero),
    'linalg.vectorNorm/infinity': vector(Infinity, vectors),
    'linalg.vectorNorm/minusInfinity': vector(-Infinity, vectors),
    'linalg.vectorNorm/axes': {
      call: (x: Tensor) => linalg.vectorNorm(x, { axes: [0, 2], keepDims: true }),
      torch: 'torch.linalg.vector_norm(x0, dim=(0, 2), keepdim=True)',
      samples: [[random([2, 3, 2], 3)], [random([1, 3, 0])]],
      gradient: 'all',
      bad: [],
    },
    'linalg.matrixNorm': {
      ...matrix('fro'),
      bad: [
        ...notTensors(linalg.matrixNorm),
        ['a vector', () => linalg.matrixNorm(zeros([3])), /matrixNorm: x must be a matrix or a batch/],
        ['an unknown order', () => linalg.matrixNorm(zeros([2, 2]), { ord: 3 }), /ord must be 'fro', 'nuc', 1.* got 3/],
        ['one axis', () => linalg.matrixNorm(zeros([2, 2]), { axes: [0] as never }), /axes must be two axes/],
        [
          'one axis twice',
          () => linalg.matrixNorm(zeros([2, 2]), { axes: [0, -2] }),
          /axes must be two different axes/,
        ],
        ['an axis out of range', () => linalg.matrixNorm(zeros([2, 2]), { axes: [0, 2] }), /axis 2 is out of range/],
        ['NaN where values are singular', () => linalg.matrixNorm(withNaN(), { ord: 2 }), /has a NaN/],
      ],
    },
    'linalg.matrixNorm/nuc': matrix('nuc'),
    'linalg.matrixNorm/1': matrix(1),
    'linalg.matrixNorm/minus1': matrix(-1),
    'linalg.matrixNorm/2': matrix(2),
    'linalg.matrixNorm/minus2': matrix(-2),
    'linalg.matrixNorm/infinity': matrix(Infinity),
    'linalg.matrixNorm/minusInfinity': matrix(-Infinity),
    'linalg.matrixNorm/axes': {
      call: (x: Tensor) => linalg.matrixNorm(x, { ord: 1, axes: [2, 0], keepDims: true }),
      torch: 'torch.linalg.matrix_norm(x0, 1, dim=(2, 0), keepdim=True)',
      samples: [[random([2, 3, 4], 3)]],
      gradient: 'all',
      bad: [],
    },
    'linalg.norm': {
      call: (x: Tensor) => [
        linalg.norm(x),
        linalg.norm(x, { axes: 1 }),
        linalg.norm(x, { ord: 'nuc' }),
        linalg.norm(x, { ord: 3, axes: [0] }),
        linalg.norm(x, { ord: Infinity, axes: [0, 1], keepDims: true }),
      ],
      torch:
        '(torch.linalg.norm(x0), torch.linalg.norm(x0, dim=1), torch.linalg.norm(x0, "nuc"), ' +
        'torch.linalg.norm(x0, 3, dim=0), torch.linalg.norm(x0, math.inf, dim=(0, 1), keepdim=True))',
      samples: [[random([3, 4], 3)], [random([2, 2], 4)]],
      gradient: 'all',
      bad: [
        ...notTensors(linalg.norm),
        [
          'an order without axes for rank 3',
          () => linalg.norm(zeros([2, 2, 2]), { ord: 1 }),
          /must be a vector or a matrix/,
        ],
        ['a name for a vector', () => linalg.norm(zeros([2]), { ord: 'fro' }), /norm: ord "fro" needs two axes/],
        ['an object', () => loose(zeros([2]), { ord: {} }), /norm: ord a Object needs two axes/],
        ['an axis out of range', () => linalg.norm(zeros([2]), { axes: 3 }), /axis 3 is out of range/],
        ['three axes', () => linalg.norm(zeros([2, 2, 2]), { ord: 'nuc', axes: [0, 1, 2] }), /needs two axes/],
      ],
    },
  };
}

const deficient = dense([3, 3], [1, 2, 3, 2, 4, 6, 1, 0, 1]);
const badTolerances = (call: (options: linalg.ToleranceOptions) => unknown): Row['bad'] => [
  ['a negative rtol', () => call({ rtol: -1 }), /rtol must be a number in \[0, Infinity\], got -1/],
  ['NaN for atol', () => call({ atol: NaN }), /atol must be a number in \[0, Infinity\], got NaN/],
];
const pseudoInverses: Rows = {
  'linalg.pinv': {
    call: linalg.pinv,
    torch: 'torch.linalg.pinv(x0)',
    samples: [
      [regular([3, 3])],
      [random([4, 2], 3)],
      [random([2, 4], 4)],
      [random([2, 3, 2], 5)],
      [deficient],
      [dense([2, 3], [0, 0, 0, 0, 0, 0])],
      [random([3, 0])],
      [random([0, 2, 3])],
    ],
    gradient: 'all',
    gradientSamples: [[regular([3, 3])], [random([4, 2], 3)], [random([2, 4], 4)], [random([2, 3, 2], 5)]],
    bad: [
      ...badMatrices('pinv', linalg.pinv),
      ...badTolerances((options) => linalg.pinv(zeros([2, 2]), options)),
      ['NaN', () => linalg.pinv(withNaN()), /has a NaN or an infinite element/],
    ],
  },
  'linalg.pinv/tolerance': {
    call: (x: Tensor) => [linalg.pinv(x, { rtol: 0.5 }), linalg.pinv(x, { atol: 1 })],
    torch: '(torch.linalg.pinv(x0, rtol=0.5), torch.linalg.pinv(x0, atol=1.0))',
    samples: [[dense([2, 2], [3, 0, 0, 0.5])], [random([3, 4], 8)]],
    gradient: 'the rank is cut, and the formula is for matrices of that rank',
    bad: [],
  },
  'linalg.matrixRank': {
    call: (x: Tensor) => linalg.matrixRank(x),
    torch: 'torch.linalg.matrix_rank(x0)',
    samples: [[deficient], [random([3, 4])], [random([2, 3, 2])], [dense([2, 2], [0, 0, 0, 0])], [random([0, 2, 2])]],
    gradient: 'a count has no gradient',
    bad: [
      ...badMatrices('matrixRank', linalg.matrixRank),
      ...badTolerances((options) => linalg.matrixRank(zeros([2, 2]), options)),
      ['NaN', () => linalg.matrixRank(withNaN()), /has a NaN or an infinite element/],
    ],
  },
  'linalg.lstsq': {
    call: (a: Tensor, b: Tensor) => linalg.lstsq(a, b).solution,
    torch: 'torch.linalg.lstsq(x0, x1).solution',
    samples: [
      [random([4, 2], 3), random([4, 3])],
      [random([2, 4], 4), random([2, 1])],
      [regular([2, 3, 3]), random([2, 3, 2])],
    ],
    gradient: 'all',
    bad: [
      ...badMatrices('lstsq', (a: Tensor) => linalg.lstsq(a, zeros([2, 2]))),
      ...notTensors((b: Tensor) => linalg.lstsq(zeros([2, 2]), b), 'b'),
      ['rows that differ', () => linalg.lstsq(zeros([3, 2]), zeros([2, 2])), /lstsq: a \[3,2\] does not fit b \[2,2\]/],
      ['a vector b', () => linalg.lstsq(zeros([3, 2]), zeros([3])), /lstsq: b must be a matrix/],
      [
        'dtypes that differ',
        () => linalg.lstsq(zeros([2, 2]), zeros([2, 2], { dtype: 'float64' }) as never),
        /dtypes differ/,
      ],
      ['a disposed b', () => linalg.lstsq(zeros([2, 2]), disposed([2, 2])), /disposed/],
    ],
  },
};

export const rows: Rows = {
  ...inverses,
  ...determinants,
  ...decompositions,
  ...powerRows(),
  ...normRows(),
  ...pseudoInverses,
};
