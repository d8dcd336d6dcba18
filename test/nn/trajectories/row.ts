/** Layers that are trained beside PyTorch's: the same initial weights, ten steps, the same losses and weights. */
import type { AnyTensor, nn, Tensor } from '../../../lib';
import type { Dense } from '../../ops/reference';

export interface LayerRow {
  /** PyTorch's module. */
  torch: string;
  make: () => nn.Module;
  inputs: readonly Dense[];
  /** What is trained, in Kindling: default m.forward(...inputs). */
  call?: (m: never, ...inputs: AnyTensor[]) => Tensor;
  /** The same in PyTorch, over m, x0, x1, …; default m(x0, …). */
  torchCall?: string;
}

export type LayerRows = Readonly<Record<string, LayerRow>>;
