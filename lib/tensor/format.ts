/** Tensors as text, laid out as PyTorch does. */
import { isFloat, type DType } from './dtype';
import type { Shape } from './shape';

/** Options of {@link formatTensor}. */
export interface FormatOptions {
  /** Digits after the point. Default 4. */
  precision?: number;
  /** Tensors with more elements are shortened. Default 1000. */
  threshold?: number;
  /** Entries shown at each end of a shortened axis. Default 3. */
  edgeItems?: number;
  /** Say that the tensor requires a gradient. Default false. */
  requiresGrad?: boolean;
  /** Said where it is not the CPU. Default 'cpu'. */
  device?: string;
}

type Cell = (value: number) => string;

function finite(values: readonly number[]): number[] {
  return values.filter((value) => Number.isFinite(value) && value !== 0).map(Math.abs);
}

/** One format for all numbers: whole, fixed or scientific, by what the shown values need. */
function floatCell(values: readonly number[], precision: number): Cell {
  const sizes = finite(values);
  const largest = Math.max(0, ...sizes);
  const smallest = sizes.length > 0 ? Math.min(...sizes) : 0;
  const special = (value: number): string => (Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf');
  let number: Cell;
  if (largest >= 1e8 || (smallest > 0 && (smallest < 1e-4 || largest / smallest > 1000))) {
    number = (value) =>
      value.toExponential(precision).replace(/e([+-])(\d)$/, (_, sign: string, digit: string) => `e${sign}0${digit}`);
  } else if (values.every((value) => !Number.isFinite(value) || Number.isInteger(value))) {
    number = (value) => `${value.toFixed(0)}.`;
  } else {
    number = (value) => value.toFixed(precision);
  }
  return (value) => (Number.isFinite(value) ? number(value) : special(value));
}

function cellFor(dtype: DType, values: readonly number[], precision: number): Cell {
  if (dtype === 'bool') return (value) => (value === 0 ? 'false' : 'true');
  if (!isFloat(dtype)) return (value) => String(value);
  return floatCell(values, precision);
}

/** The positions of one axis that are shown; null stands for the gap. */
function shown(extent: number, edge: number, shorten: boolean): (number | null)[] {
  const all = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);
  if (!shorten || extent <= 2 * edge) return all(0, extent);
  return [...all(0, edge), null, ...all(extent - edge, extent)];
}

/**
 * A tensor as text.
 * @param values the elements in row-major order
 * @example formatTensor([1, 2.5], [2], 'float32') // tensor([1.0000, 2.5000])
 */
export function formatTensor(
  values: ArrayLike<number | bigint>,
  shape: Shape,
  dtype: DType,
  options: FormatOptions = {},
): string {
  const data = dtype === 'int64' ? Array.from(values, Number) : (values as ArrayLike<number>);
  const { precision = 4, threshold = 1000, edgeItems = 3, requiresGrad = false, device = 'cpu' } = options;
  const shorten = data.length > threshold;
  const axes = shape.map((extent) => shown(extent, edgeItems, shorten));
  const visible: number[] = [];
  const visit = (axis: number, offset: number): void => {
    if (axis === shape.length) visible.push(data[offset]);
    else for (const at of axes[axis]) if (at !== null) visit(axis + 1, offset * shape[axis] + at);
  };
  if (data.length > 0) visit(0, 0);
  const cell = cellFor(dtype, visible, precision);
  const width = Math.max(0, ...visible.map((value) => cell(value).length));

  const prefix = 'tensor(';
  const render = (axis: number, offset: number): string => {
    if (axis === shape.length) return cell(data[offset]).padStart(shape.length > 0 ? width : 0);
    const items = axes[axis].map((at) => (at === null ? '...' : render(axis + 1, offset * shape[axis] + at)));
    const isLast = axis === shape.length - 1;
    const breaks = '\n'.repeat(shape.length - 1 - axis);
    const separator = isLast ? ', ' : `,${breaks}${' '.repeat(prefix.length + axis + 1)}`;
    return `[${items.join(separator)}]`;
  };
  const suffixes = [
    ...(data.length === 0 && shape.length > 1 ? [`shape: [${shape.join(', ')}]`] : []),
    ...(dtype === 'float32' || dtype === 'bool' ? [] : [`dtype: '${dtype}'`]),
    ...(device === 'cpu' ? [] : [`device: '${device}'`]),
    ...(requiresGrad ? ['requiresGrad: true'] : []),
  ];
  const body = data.length === 0 ? '[]' : render(0, 0);
  return `${prefix}${[body, ...suffixes].join(', ')})`;
}
