/** In-place updates of parameters: one pass over each parameter, its gradient and the optimizer's state. */
import { noGrad } from '../autograd/node';
import { ShapeError } from '../errors';
import { tidy } from '../tensor/scope';
import { formatShape, sameShape } from '../tensor/shape';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { checkTensor } from './define';
import { runInPlace } from './run';
import { toCode } from './transfer';

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

/**
 * Copies `source`, on whatever device it is, over the elements of `target`, in place. Nothing is recorded; a backward pass that needs what was
 * there throws.
 * @throws ShapeError unless both have one shape and dtype.
 */
export function assign(target: AnyTensor, source: AnyTensor): void {
  checkTensor('assign', target, 'target');
  checkTensor('assign', source, 'source');
  if (target.dtype !== source.dtype || !sameShape(target.shape, source.shape)) {
    throw new ShapeError(
      `assign: ${source.dtype} ${formatShape(source.shape)} does not fit ${target.dtype} ${formatShape(target.shape)}`,
    );
  }
  const moved = toCode(source, target._device);
  runInPlace('assign', [target, moved]);
  if (moved !== source) moved.dispose();
}

/** {@link adamStep} that divides by the largest second moment so far. */
export function amsgradStep(
  param: Tensor,
  grad: Tensor,
  m: Tensor,
  v: Tensor,
  largest: Tensor,
  step: number,
  s: AdamSettings,
): void {
  runInPlace('amsgradStep', [param, grad, m, v, largest], [step, Number(s.decoupled)], moments(s));
}

function moments(s: AdamSettings): number[] {
  return [s.lr, s.beta1, s.beta2, s.eps, s.weightDecay];
}

/** One step of NAdam; the factors of the gradient and of the first moment carry the learning rate. */
export function nadamStep(
  param: Tensor,
  grad: Tensor,
  m: Tensor,
  v: Tensor,
  step: number,
  s: AdamSettings,
  ofGrad: number,
  ofMoment: number,
): void {
  runInPlace('nadamStep', [param, grad, m, v], [step], [...moments(s), ofGrad, ofMoment]);
}

/** One step of RAdam; a rectification of 0 means that the variance is not tractable yet. */
export function radamStep(
  param: Tensor,
  grad: Tensor,
  m: Tensor,
  v: Tensor,
  step: number,
  s: AdamSettings,
  rectification: number,
): void {
  runInPlace('radamStep', [param, grad, m, v], [step], [...moments(s), rectification]);
}

/** One step of AdaMax; `norm` is the decaying largest magnitude. */
export function adamaxStep(param: Tensor, grad: Tensor, m: Tensor, norm: Tensor, step: number, s: AdamSettings): void {
  runInPlace('adamaxStep', [param, grad, m, norm], [step], moments(s));
}

/** One step of LAMB: Adam's direction, scaled by the ratio of the norms of the parameter and of the direction. */
export function lambStep(
  param: Tensor,
  grad: Tensor,
  m: Tensor,
  v: Tensor,
  direction: Tensor,
  step: number,
  s: AdamSettings,
): void {
  runInPlace('lambDirection', [param, grad, m, v, direction], [step], moments(s));
  tidy(() => {
    noGrad(() => {
      const [weight, change] = [param.norm().item(), direction.norm().item()];
      const trust = weight > 0 && change > 0 ? weight / change : 1;
      assign(param, param.detach().sub(direction.mul(s.lr * trust)));
    });
  });
}

/** One step of Adagrad. */
export function adagradStep(
  param: Tensor,
  grad: Tensor,
  sum: Tensor,
  s: { lr: number; eps: number; weightDecay: number },
): void {
  runInPlace('adagradStep', [param, grad, sum], [], [s.lr, s.eps, s.weightDecay]);
}

/** One step of Adadelta; the state is the averages of squared gradients and of squared changes. */
export function adadeltaStep(
  param: Tensor,
  grad: Tensor,
  average: Tensor,
  changes: Tensor,
  s: { lr: number; rho: number; eps: number; weightDecay: number },
): void {
  runInPlace('adadeltaStep', [param, grad, average, changes], [], [s.lr, s.rho, s.eps, s.weightDecay]);
}

/** One step of Lion. */
export function lionStep(
  param: Tensor,
  grad: Tensor,
  m: Tensor,
  s: { lr: number; betas: readonly [number, number]; weightDecay: number },
): void {
  runInPlace('lionStep', [param, grad, m], [], [s.lr, s.betas[0], s.betas[1], s.weightDecay]);
}

/** {@link rmspropStep} that divides by the standard deviation. */
export function rmspropCenteredStep(
  param: Tensor,
  grad: Tensor,
  squares: Tensor,
  velocity: Tensor,
  average: Tensor,
  s: RmspropSettings,
): void {
  const inputs = [param, grad, squares, velocity, average];
  runInPlace('rmspropCenteredStep', inputs, [], [s.lr, s.alpha, s.eps, s.weightDecay, s.momentum]);
}

/** Moves a running average toward `parameter`: average + (1 - decay)·(parameter - average). */
export function averageStep(average: Tensor, parameter: Tensor, decay: number): void {
  runInPlace('averageStep', [average, parameter], [], [decay]);
}

/** Copies rows over those of `target` that `index` names. Nothing is recorded. */
export function assignRows(target: Tensor, index: Tensor<'int32'>, rows: Tensor): void {
  runInPlace('assignRows', [target, index, rows]);
}
