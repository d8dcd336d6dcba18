/** Initial values of parameters. */
import { rand } from '../tensor/creation';
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
