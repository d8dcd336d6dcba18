/** The losses as modules: options once, then `forward(prediction, target)`. See {@link functional} for each. */
import * as functional from '../ops/losses';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import type { Index } from '../ops/gather';
import { buffer, Module } from './module';

/** A weight that outlives the scope it was made in, as the module does. */
function holdWeight(weight: AnyTensor | undefined): Tensor | null {
  return weight === undefined ? null : buffer(weight as Tensor);
}

/** Squared error. See {@link functional.mseLoss} for shapes and options. */
export class MSELoss extends Module {
  constructor(private readonly options: functional.LossOptions = {}) {
    super();
  }

  override forward(prediction: AnyTensor, target: AnyTensor): Tensor {
    return functional.mseLoss(prediction, target, this.options);
  }
}

/** Absolute error. See {@link functional.l1Loss} for shapes and options. */
export class L1Loss extends Module {
  constructor(private readonly options: functional.LossOptions = {}) {
    super();
  }

  override forward(prediction: AnyTensor, target: AnyTensor): Tensor {
    return functional.l1Loss(prediction, target, this.options);
  }
}

/** Squared error near 0, absolute error beyond `delta`. See {@link functional.huberLoss} for shapes and options. */
export class HuberLoss extends Module {
  constructor(private readonly options: functional.HuberOptions = {}) {
    super();
  }

  override forward(prediction: AnyTensor, target: AnyTensor): Tensor {
    return functional.huberLoss(prediction, target, this.options);
  }
}

/** Huber loss divided by `beta`. See {@link functional.smoothL1Loss} for shapes and options. */
export class SmoothL1Loss extends Module {
  constructor(private readonly options: functional.SmoothL1Options = {}) {
    super();
  }

  override forward(prediction: AnyTensor, target: AnyTensor): Tensor {
    return functional.smoothL1Loss(prediction, target, this.options);
  }
}

/** Negative log-likelihood under normal distributions. See {@link functional.gaussianNllLoss} for shapes and options. */
export class GaussianNLLLoss extends Module {
  constructor(private readonly options: functional.GaussianNllOptions = {}) {
    super();
  }

  override forward(prediction: AnyTensor, target: AnyTensor, variance: AnyTensor): Tensor {
    return functional.gaussianNllLoss(prediction, target, variance, this.options);
  }
}

/** Negative log-likelihood of counts. See {@link functional.poissonNllLoss} for shapes and options. */
export class PoissonNLLLoss extends Module {
  constructor(private readonly options: functional.PoissonNllOptions = {}) {
    super();
  }

  override forward(prediction: AnyTensor, target: AnyTensor): Tensor {
    return functional.poissonNllLoss(prediction, target, this.options);
  }
}

/** Cross-entropy of logits against class numbers or probabilities. See {@link functional.crossEntropy} for shapes and options. */
export class CrossEntropyLoss extends Module {
  readonly weight: Tensor | null;
  private readonly options: functional.CrossEntropyOptions;

  constructor(options: functional.CrossEntropyOptions = {}) {
    super();
    this.options = { ...options };
    this.weight = holdWeight(options.weight);
  }

  override forward(prediction: AnyTensor, target: AnyTensor): Tensor {
    return functional.crossEntropy(prediction, target, { ...this.options, weight: this.weight ?? undefined });
  }
}

/** Negative log-likelihood of class numbers. See {@link functional.nllLoss} for shapes and options. */
export class NLLLoss extends Module {
  readonly weight: Tensor | null;
  private readonly options: functional.NllOptions;

  constructor(options: functional.NllOptions = {}) {
    super();
    this.options = { ...options };
    this.weight = holdWeight(options.weight);
  }

  override forward(prediction: AnyTensor, target: Index): Tensor {
    return functional.nllLoss(prediction, target, { ...this.options, weight: this.weight ?? undefined });
  }
}

/** Binary cross-entropy of probabilities. See {@link functional.binaryCrossEntropy} for shapes and options. */
export class BCELoss extends Module {
  readonly weight: Tensor | null;
  private readonly options: functional.BinaryCrossEntropyOptions;

  constructor(options: functional.BinaryCrossEntropyOptions = {}) {
    super();
    this.options = { ...options };
    this.weight = holdWeight(options.weight);
  }

  override forward(prediction: AnyTensor, target: AnyTensor): Tensor {
    return functional.binaryCrossEntropy(prediction, target, { ...this.options, weight: this.weight ?? undefined });
  }
}

/** Binary cross-entropy of logits. See {@link functional.binaryCrossEntropyWithLogits} for shapes and options. */
export class BCEWithLogitsLoss extends Module {
  readonly weight: Tensor | null;
  readonly posWeight: Tensor | null;
  private readonly options: functional.BinaryCrossEntropyWithLogitsOptions;

  constructor(options: functional.BinaryCrossEntropyWithLogitsOptions = {}) {
    super();
    this.options = { ...options };
    this.weight = holdWeight(options.weight);
    this.posWeight = holdWeight(options.posWeight);
  }

  override forward(prediction: AnyTensor, target: AnyTensor): Tensor {
    return functional.binaryCrossEntropyWithLogits(prediction, target, {
      ...this.options,
      weight: this.weight ?? undefined,
      posWeight: this.posWeight ?? undefined,
    });
  }
}

/** Kullback-Leibler divergence. See {@link functional.klDiv} for shapes and options. */
export class KLDivLoss extends Module {
  constructor(private readonly options: functional.KlDivOptions = {}) {
    super();
  }

  override forward(prediction: AnyTensor, target: AnyTensor): Tensor {
    return functional.klDiv(prediction, target, this.options);
  }
}

/** Hinge loss of distances. See {@link functional.hingeEmbeddingLoss} for shapes and options. */
export class HingeEmbeddingLoss extends Module {
  constructor(private readonly options: functional.MarginOptions = {}) {
    super();
  }

  override forward(prediction: AnyTensor, target: AnyTensor): Tensor {
    return functional.hingeEmbeddingLoss(prediction, target, this.options);
  }
}

/** Which of two scores should be higher. See {@link functional.marginRankingLoss} for shapes and options. */
export class MarginRankingLoss extends Module {
  constructor(private readonly options: functional.MarginOptions = {}) {
    super();
  }

  override forward(first: AnyTensor, second: AnyTensor, target: AnyTensor): Tensor {
    return functional.marginRankingLoss(first, second, target, this.options);
  }
}

/** Multi-class hinge loss. See {@link functional.multiMarginLoss} for shapes and options. */
export class MultiMarginLoss extends Module {
  readonly weight: Tensor | null;
  private readonly options: functional.MultiMarginOptions;

  constructor(options: functional.MultiMarginOptions = {}) {
    super();
    this.options = { ...options };
    this.weight = holdWeight(options.weight);
  }

  override forward(prediction: AnyTensor, target: Index): Tensor {
    return functional.multiMarginLoss(prediction, target, { ...this.options, weight: this.weight ?? undefined });
  }
}

/** Binary cross-entropy averaged over the classes. See {@link functional.multilabelSoftMarginLoss} for shapes and options. */
export class MultiLabelSoftMarginLoss extends Module {
  readonly weight: Tensor | null;
  private readonly options: functional.BinaryCrossEntropyOptions;

  constructor(options: functional.BinaryCrossEntropyOptions = {}) {
    super();
    this.options = { ...options };
    this.weight = holdWeight(options.weight);
  }

  override forward(prediction: AnyTensor, target: AnyTensor): Tensor {
    return functional.multilabelSoftMarginLoss(prediction, target, {
      ...this.options,
      weight: this.weight ?? undefined,
    });
  }
}

/** Logistic loss of labels 1 and -1. See {@link functional.softMarginLoss} for shapes and options. */
export class SoftMarginLoss extends Module {
  constructor(private readonly options: functional.LossOptions = {}) {
    super();
  }

  override forward(prediction: AnyTensor, target: AnyTensor): Tensor {
    return functional.softMarginLoss(prediction, target, this.options);
  }
}

/** Cosine similarity of pairs. See {@link functional.cosineEmbeddingLoss} for shapes and options. */
export class CosineEmbeddingLoss extends Module {
  constructor(private readonly options: functional.MarginOptions = {}) {
    super();
  }

  override forward(first: AnyTensor, second: AnyTensor, target: AnyTensor): Tensor {
    return functional.cosineEmbeddingLoss(first, second, target, this.options);
  }
}

/** An anchor nearer to the positive than to the negative. See {@link functional.tripletMarginLoss} for shapes and options. */
export class TripletMarginLoss extends Module {
  constructor(private readonly options: functional.TripletMarginOptions = {}) {
    super();
  }

  override forward(anchor: AnyTensor, positive: AnyTensor, negative: AnyTensor): Tensor {
    return functional.tripletMarginLoss(anchor, positive, negative, this.options);
  }
}

/** Focal loss of yes-or-no predictions. See {@link functional.sigmoidFocalLoss} for shapes and options. */
export class SigmoidFocalLoss extends Module {
  constructor(private readonly options: functional.SigmoidFocalOptions = {}) {
    super();
  }

  override forward(prediction: AnyTensor, target: AnyTensor): Tensor {
    return functional.sigmoidFocalLoss(prediction, target, this.options);
  }
}

/** Focal loss over classes. See {@link functional.softmaxFocalLoss} for shapes and options. */
export class SoftmaxFocalLoss extends Module {
  readonly weight: Tensor | null;
  private readonly options: functional.SoftmaxFocalOptions;

  constructor(options: functional.SoftmaxFocalOptions = {}) {
    super();
    this.options = { ...options };
    this.weight = holdWeight(options.weight);
  }

  override forward(prediction: AnyTensor, target: Index): Tensor {
    return functional.softmaxFocalLoss(prediction, target, { ...this.options, weight: this.weight ?? undefined });
  }
}

/** How little predicted and true regions overlap. See {@link functional.diceLoss} for shapes and options. */
export class DiceLoss extends Module {
  constructor(private readonly options: functional.DiceOptions = {}) {
    super();
  }

  override forward(prediction: AnyTensor, target: AnyTensor): Tensor {
    return functional.diceLoss(prediction, target, this.options);
  }
}

/** Connectionist temporal classification. See {@link functional.ctcLoss} for shapes and options. */
export class CTCLoss extends Module {
  constructor(private readonly options: functional.CtcOptions = {}) {
    super();
  }

  override forward(
    logProbs: AnyTensor,
    targets: Index,
    inputLengths: AnyTensor | readonly number[] | number,
    targetLengths: AnyTensor | readonly number[] | number,
  ): Tensor {
    return functional.ctcLoss(
      logProbs,
      targets,
      inputLengths as functional.Lengths,
      targetLengths as functional.Lengths,
      this.options,
    );
  }
}
