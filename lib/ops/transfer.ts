/** Tensors from one device to another. */
import { isRecording, record } from '../autograd/node';
import { native, nativeError, scratch, Scratch } from '../native';
import { deviceCode, type Device } from '../tensor/device';
import type { DType } from '../tensor/dtype';
import { defineMethods } from '../tensor/methods';
import { activeRecorder, withRecorder } from '../tensor/recorder';
import { Tensor, type AnyTensor } from '../tensor/tensor';
import { contiguous } from './copies';
import { checkTensor } from './define';
import { changed, finish, owner } from './run';

/** A contiguous copy on another device, whose handle `holder` is to have. */
function copyTo(op: string, x: AnyTensor, code: number, holder: AnyTensor | undefined): number {
  const source = contiguous(x.isContiguous ? x : x.detach());
  scratch[Scratch.device] = code;
  const handle = native.transfer(holder, source._handle);
  const error = handle === 0 ? nativeError(op) : null;
  if (source !== x) source.dispose();
  if (error !== null) throw error;
  return handle;
}

function move<D extends DType>(x: Tensor<D>, code: number): Tensor<D> {
  const out = new Tensor(x.shape, x.dtype);
  out._device = code;
  finish('to', out, copyTo('to', x, code, owner(out)));
  if (isRecording(x)) {
    const { _device: before } = x;
    record('to', out, [x], [], (grad) => [toCode(grad, before)]);
  }
  return out;
}

/** @internal {@link to} by the device's number. */
export function toCode<D extends DType>(x: Tensor<D>, code: number): Tensor<D> {
  if (x._device === code) return x;
  activeRecorder()?.refuse('to: a compiled step stays on one device; move tensors before it');
  return move(x, code);
}

/**
 * The tensor on `device`: itself where it is there already, else a copy. Gradients flow through, back to the device that
 * it came from. Within a {@link compile}d step nothing can be moved.
 * @throws DeviceError where the device is not there, with the reason.
 */
export function to<D extends DType>(x: Tensor<D>, device: Device): Tensor<D> {
  checkTensor('to', x);
  return toCode(x, deviceCode('to', device));
}

/** @internal Moves a tensor itself: all that refers to it finds it on the new device. It must be a leaf. */
export function moveInPlace(x: AnyTensor, code: number): void {
  if (x._device === code) return;
  withRecorder(null, () => {
    const handle = copyTo('to', x, code, x);
    native.release(x._handle);
    x._handle = handle;
    x._device = code;
    changed(x);
  });
}

declare module '../tensor/tensor' {
  interface Tensor<D extends DType = 'float32'> {
    /** {@link to} */
    to(device: Device): Tensor<D>;
    /** `to('cpu')` */
    cpu(): Tensor<D>;
    /** `to('cuda')`, or to the device of another number. */
    cuda(index?: number): Tensor<D>;
  }
}
defineMethods({
  to,
  cpu: <D extends DType>(x: Tensor<D>): Tensor<D> => to(x, 'cpu'),
  cuda: <D extends DType>(x: Tensor<D>, index = 0): Tensor<D> => to(x, `cuda:${index}`),
});
