/** Other resolutions: interpolation, and channels turned into space and back. */
import { ShapeError } from '../errors';
import { checkInteger, checkNumber, describe, formatShape } from '../tensor/shape';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { linearMap } from './pooling';
import { requireFloat } from './reduce';
import { perAxis, spatialOf, threeAxes, type PerAxis } from './spatial';
import { permute, reshape, squeeze, unsqueeze } from './views';

/** How {@link interpolate} finds values between positions. */
export type InterpolateMode = 'nearest' | 'linear' | 'bilinear' | 'trilinear';

/** Options of {@link interpolate}: one of `size` and `scaleFactor`. */
export interface InterpolateOptions {
  /** The output's extents. */
  size?: PerAxis;
  /** The output's extents over the input's, rounded down; above 0. */
  scaleFactor?: PerAxis;
  /** 'nearest' for any number of axes, 'linear' for one, 'bilinear' for two, 'trilinear' for three. Default 'nearest'. */
  mode?: InterpolateMode;
  /**
   * Linear modes: put the corner elements' centres onto each other, rather than the corners of the images. Default
   * false.
   */
  alignCorners?: boolean;
}

const linearAxes: Readonly<Record<string, number>> = { linear: 1, bilinear: 2, trilinear: 3 };

/** What native code calls the modes. */
function modeCode(mode: InterpolateMode, alignCorners: boolean, axes: number): number {
  if (mode === 'nearest') {
    if (alignCorners) throw new RangeError("interpolate: alignCorners is for the linear modes, not for 'nearest'");
    return 0;
  }
  if (!(mode in linearAxes)) {
    throw new TypeError(`interpolate: unknown mode ${describe(mode)}; known are nearest, linear, bilinear, trilinear`);
  }
  if (linearAxes[mode] !== axes) {
    throw new ShapeError(
      `interpolate: mode '${mode}' is for ${String(linearAxes[mode])} spatial axes, x has ${String(axes)}`,
    );
  }
  return alignCorners ? 2 : 1;
}

/**
 * Resamples the axes after batch and channels to another size.
 * @param x float [batch, channels, …] with one to three spatial axes
 * @returns [batch, channels, …] with the extents that `size` or `scaleFactor` gives
 * @throws ShapeError, DTypeError, RangeError, TypeError naming the argument that does not fit.
 */
export function interpolate(x: AnyTensor, options: InterpolateOptions): Tensor {
  const input = requireFloat('interpolate', 'x', x);
  const axes = input.rank - 2;
  if (axes < 1 || axes > 3) {
    throw new ShapeError(
      `interpolate: x must have shape [batch, channels, …] with one to three more axes, got ${formatShape(input.shape)}`,
    );
  }
  const { size, scaleFactor, mode = 'nearest', alignCorners = false } = options;
  if ((size === undefined) === (scaleFactor === undefined)) {
    throw new TypeError('interpolate: give either size or scaleFactor');
  }
  const code = modeCode(mode, alignCorners, axes);
  const before = spatialOf(input, axes);
  // 0: native code takes the quotient of the extents.
  let steps = before.map(() => 0);
  let extents: number[];
  if (scaleFactor === undefined) {
    extents = perAxis('interpolate', 'size', size, axes, 1);
  } else {
    const factors = factorsOf(scaleFactor, axes);
    extents = before.map((extent, i) => Math.floor(extent * factors[i]));
    steps = factors.map((factor) => 1 / factor);
  }
  if (before.includes(0) || extents.some((extent) => extent < 1 || extent > 2 ** 31 - 1)) {
    throw new ShapeError(
      `interpolate: x ${formatShape(input.shape)} cannot become ${formatShape([...input.shape.slice(0, 2), ...extents])}`,
    );
  }
  const shape = [...input.shape.slice(0, 2), ...extents];
  return linearMap('resample', 'resampleBackward', input, shape, [code], threeAxes(steps, 0));
}

function factorsOf(scaleFactor: PerAxis, axes: number): number[] {
  const given: readonly unknown[] = Array.isArray(scaleFactor)
    ? (scaleFactor as readonly unknown[])
    : new Array<unknown>(axes).fill(scaleFactor);
  if (given.length !== axes) {
    throw new RangeError(
      `interpolate: scaleFactor must be a number or ${String(axes)} of them, got ${describe(scaleFactor)}`,
    );
  }
  return given.map((factor) => checkNumber('interpolate', 'scaleFactor', factor, 1e-9, 1e9));
}

/** `x` with three trailing axes taken as [channels, height, width], and all before them merged into a batch. */
function asImages(op: string, x: AnyTensor): Tensor {
  const input = requireFloat(op, 'x', x);
  if (input.rank < 3) {
    throw new ShapeError(`${op}: x must have shape [..., channels, height, width], got ${formatShape(input.shape)}`);
  }
  return input.rank === 3 ? unsqueeze(input, 0) : input.rank === 4 ? input : mergeLeading(input);
}

function mergeLeading(x: Tensor): Tensor {
  const leading = x.shape.slice(0, -3).reduce((product, extent) => product * extent, 1);
  return reshape(x, [leading, ...x.shape.slice(-3)]);
}

function likeImages(out: Tensor, x: AnyTensor): Tensor {
  if (x.rank === 4) return out;
  return x.rank === 3 ? squeeze(out, 0) : reshape(out, [...x.shape.slice(0, -3), ...out.shape.slice(1)]);
}

/**
 * Turns channels into resolution (Shi et al., 2016): [..., C·r², H, W] becomes [..., C, H·r, W·r].
 * @param upscaleFactor r
 * @throws ShapeError unless r² divides the channels.
 */
export function pixelShuffle(x: AnyTensor, upscaleFactor: number): Tensor {
  const r = checkInteger('pixelShuffle', 'upscaleFactor', upscaleFactor, 1, 2 ** 15);
  const images = asImages('pixelShuffle', x);
  const [n, channels, height, width] = images.shape;
  if (channels % (r * r) !== 0) {
    throw new ShapeError(
      `pixelShuffle: upscaleFactor ${String(r)} needs channels in multiples of ${String(r * r)}, got ${formatShape(x.shape)}`,
    );
  }
  const c = channels / (r * r);
  const parts = permute(reshape(images, [n, c, r, r, height, width]), [0, 1, 4, 2, 5, 3]);
  return likeImages(reshape(parts, [n, c, height * r, width * r]), x);
}

/**
 * Turns resolution into channels: [..., C, H·r, W·r] becomes [..., C·r², H, W]; undoes {@link pixelShuffle}.
 * @param downscaleFactor r
 * @throws ShapeError unless r divides height and width.
 */
export function pixelUnshuffle(x: AnyTensor, downscaleFactor: number): Tensor {
  const r = checkInteger('pixelUnshuffle', 'downscaleFactor', downscaleFactor, 1, 2 ** 15);
  const images = asImages('pixelUnshuffle', x);
  const [n, c, height, width] = images.shape;
  if (height % r !== 0 || width % r !== 0) {
    throw new ShapeError(
      `pixelUnshuffle: downscaleFactor ${String(r)} must divide height and width of ${formatShape(x.shape)}`,
    );
  }
  const parts = permute(reshape(images, [n, c, height / r, r, width / r, r]), [0, 1, 3, 5, 2, 4]);
  return likeImages(reshape(parts, [n, c * r * r, height / r, width / r]), x);
}
