import { crossEntropy, mseLoss } from '../ops/losses';
import type { AnyTensor, Tensor } from '../tensor/tensor';

/** A scalar to minimize: the mean over the batch. */
export type LossFunction = (output: AnyTensor, target: AnyTensor) => Tensor;

/** Losses by Keras's names. */
export type LossName = 'sparseCategoricalCrossentropy' | 'meanSquaredError' | 'mse';

interface NamedLoss {
  readonly fn: LossFunction;
  /** Works on logits: a final softmax layer is left to the loss, which does it better. */
  readonly onLogits: boolean;
}

const losses: Readonly<Record<LossName, NamedLoss>> = {
  sparseCategoricalCrossentropy: {
    fn: (output, target) => crossEntropy(output, target),
    onLogits: true,
  },
  meanSquaredError: { fn: (output, target) => mseLoss(output, target), onLogits: false },
  mse: { fn: (output, target) => mseLoss(output, target), onLogits: false },
};

/** @throws RangeError for an unknown name, naming those there are. */
export function resolveLoss(loss: LossName | LossFunction): NamedLoss {
  if (typeof loss === 'function') return { fn: loss, onLogits: false };
  if (Object.hasOwn(losses, loss)) return losses[loss];
  throw new RangeError(`compile: unknown loss ${JSON.stringify(loss)}; known are ${Object.keys(losses).join(', ')}`);
}
