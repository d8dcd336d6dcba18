/** In-place updates of parameters: one pass over each parameter, its gradient and the optimizer's state. */
import { ShapeError } from '../errors';
import { formatShape, sameShape } from '../tensor/shape';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { runInPlace } from './run';

export interface SgdSettings {
  lr: number;
  momentum: number;
  dampening: number;
  weightDecay: number;
  nesterov: boolean;
}

/** One step of stochastic gradient descent. `velocity` is read and written only with a momentum. */
export function sgdStep(param: Tensor, grad: Tensor, velocity: Tensor, first: boolean, s: SgdSettings): void {
  runInPlace(
    'sgdStep',
    [param, grad, velocity],
    [Number(s.nesterov), Number(first)],
    [s.lr, s.momentum, s.dampening, s.weightDecay],
  );
}

export interface AdamSettings {
  lr: number;
  beta1: number;
  beta2: number;
  eps: number;
  weightDecay: number;
  /** Decay the weights directly instead of through the gradient (AdamW). */
  decoupled: boolean;
}

/** Step number `step` (from 1) of Adam; `m` and `v` are its moment estimates. */
export function adamStep(param: Tensor, grad: Tensor, m: Tensor, v: Tensor, step: number, s: AdamSettings): void {
  runInPlace(
    'adamStep',
    [param, grad, m, v],
    [step, Number(s.decoupled)],
    [s.lr, s.beta1, s.beta2, s.eps, s.weightDecay],
  );
}

export interface RmspropSettings {
  lr: number;
  alpha: number;
  eps: number;
  weightDecay: number;
  momentum: number;
}

/** One step of RMSprop. `velocity` is read and written only with a momentum. */
export function rmspropStep(param: Tensor, grad: Tensor, average: Tensor, velocity: Tensor, s: RmspropSettings): void {
  runInPlace('rmspropStep', [param, grad, average, velocity], [], [s.lr, s.alpha, s.eps, s.weightDecay, s.momentum]);
}

/** Copies `source` over the elements of `target`. Nothing is recorded. */
export function assign(target: AnyTensor, source: AnyTensor): void {
  if (target.dtype !== source.dtype || !sameShape(target.shape, source.shape)) {
    throw new ShapeError(
      `assign: ${source.dtype} ${formatShape(source.shape)} does not fit ${target.dtype} ${formatShape(target.shape)}`,
    );
  }
  runInPlace('assign', [target, source]);
}
