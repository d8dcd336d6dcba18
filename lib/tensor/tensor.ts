import '../symbols';
import { inspect } from 'node:util';
import { DisposedError, GradientError, ShapeError, TraceError } from '../errors';
import { errorOf, native, nativeError, scratch, Scratch } from '../native';
import type { GradNode } from '../autograd/node';
import { hostArray, isFloat, isHalf, type DataOf, type DType } from './dtype';
import { cpu, deviceName, type Device } from './device';
import { formatTensor } from './format';
import { activeRecorder } from './recorder';
import { currentScope } from './scope';
import { contiguousStrides, formatShape, sizeOf, type Shape } from './shape';

/** Any tensor, whatever its dtype. */
export type AnyTensor = Tensor<DType>;

/** Nested arrays of numbers or booleans, as deep as the tensor's rank. */
export type NestedArray = number | boolean | NestedArray[];

const brand = Symbol.for('kindling.Tensor');

/** Operations that the tensor's own methods need; lib/ops fills them in, so that no cycle arises. */
export const tensorHooks = {
  contiguous: undefined as unknown as (x: AnyTensor) => AnyTensor,
  cast: undefined as unknown as (x: AnyTensor, dtype: DType) => AnyTensor,
  backward: undefined as unknown as (x: AnyTensor, options: BackwardOptions) => void,
  detach: undefined as unknown as (x: AnyTensor) => AnyTensor,
};

/** Some rows of a gradient; the others are 0. */
export interface SparseGrad {
  /** The rows' numbers, each once, in ascending order. */
  readonly indices: Tensor<'int32'>;
  /** Their values, [indices.size, ...]. */
  readonly values: Tensor;
}

/** Sees a gradient on its way; what it returns, if anything, takes the gradient's place. */
export type GradientHook = (grad: Tensor) => Tensor | undefined;

export interface BackwardOptions {
  /** The gradient of the final result with respect to this tensor; default 1, for scalars only. */
  gradient?: AnyTensor;
  /** Keep what the graph saved, so that `backward` can run again. Default: `createGraph`. */
  retainGraph?: boolean;
  /** Record the backward pass too, for higher derivatives. Default false. */
  createGraph?: boolean;
}

/**
 * A multi-dimensional array of one dtype in native memory. Several tensors may be views of one memory
 * ({@link Tensor.transpose}, {@link Tensor.slice}).
 *
 * Memory is given back by {@link Tensor.dispose}, `using`, the end of a {@link tidy} scope, or, at the
 * latest, when the JavaScript object is unreachable and memory runs short. Every method throws a
 * `DisposedError` on a tensor that was disposed.
 */
export class Tensor<D extends DType = 'float32'> {
  readonly shape: Shape;
  readonly dtype: D;
  /** Number of elements. */
  readonly size: number;
  /** The gradient that `backward` accumulated here, for leaves with `requiresGrad`; else null. */
  grad: Tensor | null = null;
  /** The rows of an embedding's sparse gradient, where one was asked for; else null. */
  sparseGrad: SparseGrad | null = null;

  /** @internal The native handle; 0 once the memory was given back. */
  _handle = 0;
  /** @internal The device's number; see device.ts. */
  _device = 0;
  /** @internal Undefined for a row-major tensor without gaps. */
  readonly _strides: Shape | undefined;
  /** @internal One for the user, one for each place that the autograd graph saved this tensor. */
  _references = 1;
  /** @internal */
  _disposed = false;
  /** @internal Survives every scope. */
  _kept = false;
  /** @internal How often the elements were changed in place; a view's count is its base's. */
  _version = 0;
  /** @internal Of a view the tensor whose memory it shows. */
  _base: AnyTensor | null = null;
  /** @internal Of a leaf; other tensors' hooks are on their node. */
  _hooks: GradientHook[] | null = null;
  /** @internal Found by Module as a parameter. */
  _isParameter = false;
  /** @internal Found by Module as a buffer. */
  _isBuffer = false;
  /** @internal */
  _requiresGrad = false;
  /** @internal The operation that made this tensor, when gradients are recorded. */
  _node: GradNode | null = null;

  /** @internal Use {@link tensor}, {@link zeros} and the like. */
  constructor(shape: Shape, dtype: D, strides?: Shape, size: number = sizeOf(shape)) {
    this.shape = shape;
    this.dtype = dtype;
    this._strides = strides;
    this.size = size;
  }

  /** Number of axes. */
  get rank(): number {
    return this.shape.length;
  }

  /** Where the elements are: `'cpu'` or `'cuda:0'` and so on. See {@link Tensor.to}. */
  get device(): Device {
    return deviceName(this._device);
  }

  /** Distance of neighbours along each axis, in elements; 0 where an axis is broadcast. */
  get strides(): Shape {
    return this._strides ?? contiguousStrides(this.shape);
  }

  /** Whether the elements lie in row-major order without gaps. */
  get isContiguous(): boolean {
    return this._strides === undefined;
  }

  /** Whether operations on this tensor are recorded for {@link Tensor.backward}. */
  get requiresGrad(): boolean {
    return this._requiresGrad;
  }

  set requiresGrad(value: boolean) {
    this._check('requiresGrad');
    if (value && !isFloat(this.dtype)) {
      throw new GradientError(`requiresGrad: only floating-point tensors have gradients, this is ${this.dtype}`);
    }
    if (!value && this._node !== null) {
      throw new GradientError('requiresGrad: only a leaf can stop requiring a gradient; use detach()');
    }
    this._requiresGrad = value;
  }

  /** Whether this tensor was made by the user rather than by a recorded operation. */
  get isLeaf(): boolean {
    return this._node === null;
  }

  /** Whether {@link Tensor.dispose} was called. */
  get isDisposed(): boolean {
    return this._disposed;
  }

  /** A copy of the elements in row-major order, as the dtype's typed array. */
  dataSync(): DataOf[D] {
    this._checkReadable('data');
    if (isHalf(this.dtype)) {
      const wide = tensorHooks.cast(this, 'float32');
      const data = wide.dataSync();
      wide.dispose();
      return data as DataOf[D];
    }
    const source = this._strides === undefined ? this : tensorHooks.contiguous(this);
    const result = hostArray(this.dtype, this.size);
    const ok = native.toHost(source._handle, result);
    if (source !== this) source.dispose();
    if (ok === 0) throw nativeError('data');
    return result;
  }

  /** {@link Tensor.dataSync}, awaitable: of a tensor on another device than the CPU nothing blocks. */
  async data(): Promise<DataOf[D]> {
    if (this._device === cpu) return this.dataSync();
    this._checkReadable('data');
    if (isHalf(this.dtype)) {
      using wide = tensorHooks.cast(this, 'float32');
      return (await wide.data()) as DataOf[D];
    }
    const source = this._strides === undefined ? this : tensorHooks.contiguous(this);
    const result = hostArray(this.dtype, this.size);
    // The copy is ordered here: what happens to the tensor from now on does not matter.
    const reading = native.read(source._handle, result);
    if (source !== this) source.dispose();
    if (reading === 0) throw nativeError('data');
    const { status, message } = await reading;
    if (status !== 0) throw errorOf('data', status, message);
    return result;
  }

  /**
   * The value of a tensor with one element; a bool gives 0 or 1, an int64 beyond 2^53 is rounded.
   * @throws ShapeError where there are more elements, or none.
   */
  item(): number {
    this._checkReadable('item');
    if (this.size !== 1) {
      throw new ShapeError(`item: the tensor must have one element, its shape is ${formatShape(this.shape)}`);
    }
    if (isHalf(this.dtype)) return this.dataSync()[0] as number;
    const value = native.item(this._handle);
    if (scratch[Scratch.op] !== 0) throw nativeError('item');
    return value;
  }

  /** Nested arrays with the tensor's shape; a number or boolean for rank 0. An int64 beyond 2^53 is rounded. */
  toArray(): NestedArray {
    const data = this.dataSync();
    const isBool = this.dtype === 'bool';
    let next = 0;
    const build = (axis: number): NestedArray => {
      if (axis === this.rank) {
        const value = Number(data[next++]);
        return isBool ? value !== 0 : value;
      }
      return Array.from({ length: this.shape[axis] }, () => build(axis + 1));
    };
    return build(0);
  }

  /**
   * Accumulates the gradients of this tensor into `grad` of every leaf that requires one, and frees
   * what the graph saved on the way.
   * @throws GradientError if nothing was recorded, if this is not a scalar and no `gradient` is given,
   * or if the graph was freed by an earlier call.
   */
  backward(options: BackwardOptions = {}): void {
    this._check('backward');
    tensorHooks.backward(this, options);
  }

  /**
   * Calls `hook` with this tensor's gradient in each backward pass, once all its parts have come together.
   * @returns a function that removes the hook
   * @throws GradientError if this tensor requires no gradient.
   */
  registerHook(hook: GradientHook): () => void {
    this._check('registerHook');
    if (!this._requiresGrad) throw new GradientError('registerHook: this tensor does not require a gradient');
    if (typeof hook !== 'function') throw new TypeError('registerHook: needs a function');
    const hooks = this._node === null ? (this._hooks ??= []) : (this._node.hooks ??= []);
    hooks.push(hook);
    return () => {
      const at = hooks.indexOf(hook);
      if (at >= 0) hooks.splice(at, 1);
    };
  }

  /** The same elements, without history: gradients do not flow through. A view, not a copy. */
  detach(): Tensor<D> {
    return tensorHooks.detach(this) as Tensor<D>;
  }

  /** Gives the memory back, unless views or the autograd graph still need it. Calling twice is harmless. */
  dispose(): void {
    if (this._disposed) return;
    this._disposed = true;
    this._release();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  toString(): string {
    if (this._disposed) return `tensor(disposed, shape=${formatShape(this.shape)})`;
    return formatTensor(this.dataSync(), this.shape, this.dtype, {
      requiresGrad: this._requiresGrad,
      device: this.device,
    });
  }

  /** @internal (its name is from Node's types, which a program may not have) */
  [inspect.custom](): string {
    return this.toString();
  }

  /** @internal */
  get [brand](): true {
    return true;
  }

  /** @internal Throws when the user has disposed this tensor. */
  _check(op: string): void {
    if (this._disposed) {
      throw new DisposedError(`${op}: the tensor of shape ${formatShape(this.shape)} was disposed`);
    }
  }

  /** @internal Throws where the values cannot be read: the tensor was disposed, or a step is being compiled. */
  _checkReadable(op: string): void {
    this._check(op);
    const recorder = activeRecorder();
    if (recorder !== null) recorder.checkReadable(op, this);
    else if (this._handle < 0) {
      throw new TraceError(
        `${op}: this tensor was made while a step was compiled; it has no values outside of the step`,
      );
    }
  }

  /** @internal */
  _retain(): void {
    this._references++;
  }

  /** @internal */
  _release(): void {
    if (--this._references === 0) {
      if (this._handle > 0) native.release(this._handle);
      this._handle = 0;
      this._disposed = true;
    }
  }

  /** @internal Registers a tensor whose handle has just been set by a call without an owner. */
  _adopt(): void {
    const scope = currentScope();
    if (scope === null) {
      if (this._handle > 0) native.track(this._handle, this);
    } else scope.add(this);
  }
}

/** Whether `value` is a tensor, of this copy of the library or another. */
export function isTensor(value: unknown): value is AnyTensor {
  return typeof value === 'object' && value !== null && brand in value;
}
