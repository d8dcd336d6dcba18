/** Einstein's sum and its simple cases. */
import { ShapeError } from '../errors';
import type { DType } from '../tensor/dtype';
import { describe, formatShape } from '../tensor/shape';
import { defineMethods } from '../tensor/methods';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { mul } from './binary';
import { checkTensor } from './define';
import { matmul } from './matmul';
import { diagonal, moveAxis } from './rearrange';
import { requireFloat, requireSame, sum } from './reduce';
import { permute, reshape } from './views';

/** A tensor whose axes have names. */
interface Labelled {
  x: Tensor;
  labels: string[];
}

function parse(equation: unknown, count: number): { inputs: string[][]; output: string[] } {
  if (typeof equation !== 'string') {
    throw new TypeError(`einsum: the equation must be a string, got ${describe(equation)}`);
  }
  const [left, right, ...more] = equation.replaceAll(' ', '').split('->') as [string, string | undefined, ...string[]];
  const inputs = left.split(',').map((part) => part.split(''));
  const isLabel = (label: string): boolean => /^[a-zA-Z]$/.test(label);
  if (more.length > 0 || !inputs.flat().every(isLabel) || (right !== undefined && !right.split('').every(isLabel))) {
    throw new ShapeError(`einsum: cannot read ${describe(equation)}: expected letters as in "ij,jk->ik"`);
  }
  if (inputs.length !== count) {
    throw new ShapeError(`einsum: "${equation}" names ${String(inputs.length)} tensors, ${String(count)} were given`);
  }
  const all = inputs.flat();
  // Without an arrow: the labels that occur once, in the order of the alphabet.
  const output =
    right === undefined
      ? [...new Set(all)].filter((label) => all.filter((other) => other === label).length === 1).sort()
      : right.split('');
  const unknown = output.find((label, i) => !all.includes(label) || output.indexOf(label) !== i);
  if (unknown !== undefined) {
    throw new ShapeError(`einsum: "${equation}": label ${unknown} of the result must occur once there and in an input`);
  }
  return { inputs, output };
}

function checkExtents(equation: string, tensors: readonly Tensor[], inputs: readonly string[][]): void {
  const extents = new Map<string, number>();
  inputs.forEach((labels, i) => {
    const { shape } = tensors[i];
    if (labels.length !== shape.length) {
      throw new ShapeError(
        `einsum: "${equation}": tensor ${String(i)} has shape ${formatShape(shape)}, its labels are "${labels.join('')}"`,
      );
    }
    labels.forEach((label, axis) => {
      const known = extents.get(label) ?? shape[axis];
      if (known !== shape[axis]) {
        throw new ShapeError(
          `einsum: "${equation}": label ${label} stands for ${String(known)} and, in tensor ${String(i)}, ${String(shape[axis])}`,
        );
      }
      extents.set(label, known);
    });
  });
}

/** Takes the diagonal where a label occurs twice. */
function withoutRepeats({ x, labels }: Labelled): Labelled {
  const second = labels.findIndex((label, i) => labels.indexOf(label) !== i);
  if (second < 0) return { x, labels };
  const first = labels.indexOf(labels[second]);
  const moved = moveAxis(moveAxis(x, second, -1), first, -1);
  const rest = labels.filter((_, i) => i !== first && i !== second);
  return withoutRepeats({ x: diagonal(moved), labels: [...rest, labels[second]] });
}

function sumOver({ x, labels }: Labelled, kept: (label: string) => boolean): Labelled {
  const axes = labels.flatMap((label, axis) => (kept(label) ? [] : [axis]));
  return axes.length === 0 ? { x, labels } : { x: sum(x, axes), labels: labels.filter(kept) };
}

function ordered({ x, labels }: Labelled, wanted: readonly string[]): Tensor {
  return permute(
    x,
    wanted.map((label) => labels.indexOf(label)),
  );
}

/** Two tensors into one by a batched matrix product; labels that `kept` does not need are summed over. */
function contract(a: Labelled, b: Labelled, kept: (label: string) => boolean): Labelled {
  const left = sumOver(a, (label) => b.labels.includes(label) || kept(label));
  const right = sumOver(b, (label) => left.labels.includes(label) || kept(label));
  const shared = left.labels.filter((label) => right.labels.includes(label));
  const batch = shared.filter(kept);
  const inner = shared.filter((label) => !kept(label));
  const rows = left.labels.filter((label) => !shared.includes(label));
  const columns = right.labels.filter((label) => !shared.includes(label));
  const extent = (label: string): number =>
    left.labels.includes(label) ? left.x.shape[left.labels.indexOf(label)] : right.x.shape[right.labels.indexOf(label)];
  const size = (labels: readonly string[]): number => labels.reduce((product, label) => product * extent(label), 1);
  const x = reshape(ordered(left, [...batch, ...rows, ...inner]), [size(batch), size(rows), size(inner)]);
  const y = reshape(ordered(right, [...batch, ...inner, ...columns]), [size(batch), size(inner), size(columns)]);
  const labels = [...batch, ...rows, ...columns];
  return { x: reshape(matmul(x, y), labels.map(extent)), labels };
}

/**
 * Products summed over the labels that the result leaves out: `einsum('ij,jk->ik', a, b)` is a matrix product. Letters
 * name axes; a letter twice in one input takes its diagonal. Without an arrow the result has the letters that occur
 * once, in alphabetical order. Several tensors are contracted from left to right.
 * @param tensors float32 or float64, all of one dtype
 * @throws ShapeError naming the label or the tensor that does not fit.
 */
export function einsum(equation: string, ...tensors: readonly AnyTensor[]): Tensor {
  const inputs = tensors.map((x, i) => requireFloat('einsum', `tensor ${String(i)}`, x));
  inputs.forEach((x) => {
    requireSame('einsum', inputs[0], x);
  });
  const { inputs: labels, output } = parse(equation, inputs.length);
  checkExtents(equation, inputs, labels);
  const parts = inputs.map((x, i) => withoutRepeats({ x, labels: labels[i] }));
  const [first, ...rest] = parts;
  const result = rest.reduce((left, right, i) => {
    const later = rest.slice(i + 1).flatMap((part) => part.labels);
    return contract(left, right, (label) => output.includes(label) || later.includes(label));
  }, first);
  return ordered(
    sumOver(result, (label) => output.includes(label)),
    output,
  );
}

/** All products of two vectors: out[i][j] = a[i]·b[j]. */
export function outer<D extends DType>(a: Tensor<D>, b: Tensor<D>): Tensor<D> {
  checkTensor('outer', a, 'a');
  checkTensor('outer', b, 'b');
  if (a.rank !== 1 || b.rank !== 1) {
    throw new ShapeError(`outer: needs two vectors, got ${formatShape(a.shape)} and ${formatShape(b.shape)}`);
  }
  return mul(a.unsqueeze(1), b) as unknown as Tensor<D>;
}

/** The inner product of two vectors. */
export function dot(a: AnyTensor, b: AnyTensor): Tensor {
  const x = requireFloat('dot', 'a', a);
  const y = requireFloat('dot', 'b', b);
  if (x.rank !== 1 || y.rank !== 1 || x.size !== y.size) {
    throw new ShapeError(
      `dot: needs two vectors of one length, got ${formatShape(x.shape)} and ${formatShape(y.shape)}`,
    );
  }
  return matmul(x, y);
}

declare module '../tensor/tensor' {
  interface Tensor<D extends DType = 'float32'> {
    /** {@link outer} */
    outer(other: Tensor<D>): Tensor<D>;
    /** {@link dot} */
    dot(other: AnyTensor): Tensor;
  }
}
defineMethods({ outer, dot });
