/** Initial values of parameters. */
import { rand, zeros } from '../tensor/creation';
import type { Generator } from '../tensor/generator';
import type { Shape } from '../tensor/shape';
import type { Tensor } from '../tensor/tensor';

/**
 * Uniform in ±1/√fanIn: what PyTorch's Linear and convolutions use for weights (as
 * kaiming_uniform with a = √5; He et al., 2015) and biases.
 */
export function uniformFanIn(shape: Shape, fanIn: number, generator?: Generator): Tensor {
  const bound = fanIn > 0 ? 1 / Math.sqrt(fanIn) : 0;
  return rand(shape, { range: [-bound, bound], generator });
}

/** Uniform in ±√(6 / (fanIn + fanOut)): Keras's default for weights (Glorot and Bengio, 2010). */
export function glorotUniform(shape: Shape, fanIn: number, fanOut: number, generator?: Generator): Tensor {
  const bound = fanIn + fanOut > 0 ? Math.sqrt(6 / (fanIn + fanOut)) : 0;
  return rand(shape, { range: [-bound, bound], generator });
}

/**
 * How a layer starts: `'pytorch'`, uniform in ±1/√fanIn for weights and biases; `'keras'`, Glorot's
 * uniform weights and zero biases.
 */
export type Initialization = 'pytorch' | 'keras';

/** Weight [fanOut, fanIn] and bias [fanOut] of a fully connected layer. */
export function initializeDense(
  init: Initialization,
  fanIn: number,
  fanOut: number,
  generator?: Generator,
): { weight: Tensor; bias: Tensor } {
  switch (init) {
    case 'pytorch':
      return {
        weight: uniformFanIn([fanOut, fanIn], fanIn, generator),
        bias: uniformFanIn([fanOut], fanIn, generator),
      };
    case 'keras':
      return { weight: glorotUniform([fanOut, fanIn], fanIn, fanOut, generator), bias: zeros([fanOut]) };
    default:
      throw new RangeError(`linear: unknown init ${String(init)}; known are pytorch, keras`);
  }
}
