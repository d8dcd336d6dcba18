/** Recurrent layers and cells, by PyTorch's formulas and parameter names. */
import { ShapeError } from '../errors';
import { add } from '../ops/binary';
import { concat, contiguous } from '../ops/copies';
import { dropout as drop } from '../ops/random';
import { linear } from '../ops/matmul';
import { stack } from '../ops/rearrange';
import { checkLengths, checkState, gatesOf, recurrentLayer, type CellKind } from '../ops/recurrent';
import { requireFloat } from '../ops/reduce';
import { slice, squeeze, transpose, unsqueeze } from '../ops/views';
import { full, rand, zeros } from '../tensor/creation';
import type { Generator } from '../tensor/generator';
import { checkInteger, checkNumber, formatShape } from '../tensor/shape';
import { isTensor, type AnyTensor, type Tensor } from '../tensor/tensor';
import { Module, parameter } from './module';
import { PackedSequence } from './packed';

/** Options of {@link LSTM}, {@link GRU} and {@link RNN}. */
export interface RecurrentOptions {
  /** Layers on top of each other. Default 1. */
  numLayers?: number;
  /** Default true. */
  bias?: boolean;
  /** Inputs are [n, steps, features] instead of [steps, n, features]. Default false, as in PyTorch. */
  batchFirst?: boolean;
  /** Probability of dropping the outputs of each layer but the last. Default 0. */
  dropout?: number;
  /** Read in both directions; outputs are twice as wide. Default false. */
  bidirectional?: boolean;
  /** Where the initial values come from; default: the generator that `manualSeed` sets. */
  generator?: Generator;
}

/** Options of {@link RNN}. */
export interface RNNOptions extends RecurrentOptions {
  /** Default 'tanh'. */
  nonlinearity?: 'tanh' | 'relu';
}

/** The state of all layers and directions: [layers·directions, n, hidden] each. */
export interface RecurrentState {
  h: Tensor;
  /** Of an LSTM; else null. */
  c: Tensor | null;
}

/** What a run starts with and how far each row goes. */
export interface RunOptions {
  /** Initial state; zeros by default. */
  state?: { h: AnyTensor; c?: AnyTensor | null };
  /** Valid steps of each row, in [0, steps]; all of them by default. Later positions give 0 and change no state. */
  lengths?: AnyTensor | ArrayLike<number>;
}

/** All outputs and the final state. */
export interface RecurrentResult<Output = Tensor> {
  output: Output;
  state: RecurrentState;
}

/** Options of the cells. */
export interface CellOptions {
  /** Default true. */
  bias?: boolean;
  generator?: Generator;
}

/** Uniform in ±1/√hidden, PyTorch's initial values of all recurrent parameters. */
function initial(shape: readonly number[], hidden: number, generator?: Generator): Tensor {
  const bound = hidden > 0 ? 1 / Math.sqrt(hidden) : 0;
  return parameter(rand(shape, { range: [-bound, bound], generator }));
}

interface Weights {
  ih: Tensor;
  hh: Tensor;
  bih: Tensor | null;
  bhh: Tensor | null;
}

/** What all recurrent layers do; see {@link LSTM}, {@link GRU} and {@link RNN}. */
export abstract class Recurrent extends Module {
  readonly numLayers: number;
  readonly bias: boolean;
  readonly batchFirst: boolean;
  readonly dropout: number;
  readonly bidirectional: boolean;

  constructor(
    private readonly layer: string,
    private readonly kind: CellKind,
    readonly inputSize: number,
    readonly hiddenSize: number,
    options: RecurrentOptions,
  ) {
    super();
    const { numLayers = 1, bias = true, batchFirst = false, dropout = 0, bidirectional = false, generator } = options;
    checkInteger(layer, 'inputSize', inputSize, 1, 2 ** 31 - 1);
    checkInteger(layer, 'hiddenSize', hiddenSize, 1, 2 ** 28);
    checkInteger(layer, 'numLayers', numLayers, 1, 1024);
    checkNumber(layer, 'dropout', dropout, 0, 1);
    this.numLayers = numLayers;
    this.bias = bias;
    this.batchFirst = batchFirst;
    this.dropout = dropout;
    this.bidirectional = bidirectional;
    const rows = gatesOf(kind) * hiddenSize;
    const own = this as unknown as Record<string, Tensor>;
    for (let level = 0; level < numLayers; level++) {
      const features = level === 0 ? inputSize : hiddenSize * this.directions;
      for (const suffix of this.suffixes(level)) {
        own[`weight_ih_${suffix}`] = initial([rows, features], hiddenSize, generator);
        own[`weight_hh_${suffix}`] = initial([rows, hiddenSize], hiddenSize, generator);
        if (!bias) continue;
        own[`bias_ih_${suffix}`] = initial([rows], hiddenSize, generator);
        own[`bias_hh_${suffix}`] = initial([rows], hiddenSize, generator);
      }
    }
  }

  private get directions(): number {
    return this.bidirectional ? 2 : 1;
  }

  private suffixes(level: number): string[] {
    return this.bidirectional ? [`l${String(level)}`, `l${String(level)}_reverse`] : [`l${String(level)}`];
  }

  private weights(suffix: string): Weights {
    const own = this as unknown as Record<string, Tensor | undefined>;
    return {
      ih: own[`weight_ih_${suffix}`] as Tensor,
      hh: own[`weight_hh_${suffix}`] as Tensor,
      bih: own[`bias_ih_${suffix}`] ?? null,
      bhh: own[`bias_hh_${suffix}`] ?? null,
    };
  }

  /**
   * The outputs of the last layer at every step.
   * @param x float [steps, n, inputSize], or [n, steps, inputSize] with `batchFirst`
   * @returns [steps, n, hiddenSize·directions], or with `batchFirst` [n, steps, …]
   */
  override forward(x: AnyTensor): Tensor {
    return this.run(x).output;
  }

  /**
   * {@link Recurrent.forward} with initial state and lengths, and the final state: that after each row's last valid
   * step (of the reverse direction, after the first). A {@link PackedSequence} gives a packed output.
   * @throws ShapeError, RangeError, DTypeError, TypeError naming what does not fit.
   */
  run(x: PackedSequence, options?: Pick<RunOptions, 'state'>): RecurrentResult<PackedSequence>;
  run(x: AnyTensor, options?: RunOptions): RecurrentResult;
  run(x: AnyTensor | PackedSequence, options: RunOptions = {}): RecurrentResult | RecurrentResult<PackedSequence> {
    if (x instanceof PackedSequence) {
      const { output, state } = this.steps(x.data, x.lengths, options.state);
      return { output: new PackedSequence(output, x.lengths), state };
    }
    const input = this.check(x, this.batchFirst ? '[n, steps, ' : '[steps, n, ');
    // Laid out step by step once, not by every product.
    const steps = this.batchFirst ? contiguous(transpose(input, 0, 1)) : input;
    const { output, state } = this.steps(steps, options.lengths, options.state);
    return { output: this.batchFirst ? transpose(output, 0, 1) : output, state };
  }

  private check(x: AnyTensor, axes: string): Tensor {
    const input = requireFloat(this.layer, 'x', x);
    if (input.rank !== 3 || input.shape[2] !== this.inputSize) {
      throw new ShapeError(
        `${this.layer}(${String(this.inputSize)}, ${String(this.hiddenSize)}): expected an input of shape ` +
          `${axes}${String(this.inputSize)}], got ${formatShape(input.shape)}`,
      );
    }
    return input;
  }

  /** @param x [steps, n, inputSize] */
  private steps(x: AnyTensor, lengths: RunOptions['lengths'], state: RunOptions['state']): RecurrentResult {
    const input = this.check(x, '[steps, n, ');
    const [steps, n] = input.shape;
    if (steps === 0) throw new ShapeError(`${this.layer}: an input of shape ${formatShape(input.shape)} has no steps`);
    const valid = checkLengths(this.layer, lengths, n, steps, input);
    return this.stack(input, valid, this.initialState(state, n, input));
  }

  private initialState(given: RunOptions['state'], n: number, like: Tensor): RecurrentState {
    const shape = [this.numLayers * this.directions, n, this.hiddenSize];
    const blank = (): Tensor => zeros(shape, { like });
    const h = given === undefined ? blank() : checkState(this.layer, 'state.h', given.h, shape);
    if (this.kind !== 'lstm') return { h, c: null };
    const c = given?.c;
    return { h, c: c === undefined || c === null ? blank() : checkState(this.layer, 'state.c', c, shape) };
  }

  private stack(x: Tensor, lengths: Tensor<'int32'>, start: RecurrentState): RecurrentResult {
    let input = x;
    const finalH: Tensor[] = [];
    const finalC: Tensor[] = [];
    for (let level = 0; level < this.numLayers; level++) {
      const outputs = this.suffixes(level).map((suffix, direction) => {
        const at = level * this.directions + direction;
        const { y, h, c } = this.direction(input, this.weights(suffix), lengths, direction === 1, {
          h: slice(start.h, at),
          c: start.c === null ? null : slice(start.c, at),
        });
        finalH.push(h);
        if (c !== null) finalC.push(c);
        return y;
      });
      input = outputs.length === 1 ? outputs[0] : concat(outputs, -1);
      if (level < this.numLayers - 1) input = drop(input, this.dropout, { training: this.training });
    }
    return { output: input, state: { h: stack(finalH), c: finalC.length > 0 ? stack(finalC) : null } };
  }

  private direction(x: Tensor, w: Weights, lengths: Tensor<'int32'>, reverse: boolean, start: RecurrentState) {
    const { bias, hiddenBias } = foldBiases(this.kind, w, this.hiddenSize);
    const projections = linear(x, w.ih, bias);
    return recurrentLayer(this.kind, {
      projections,
      weight: w.hh,
      hiddenBias,
      h0: start.h,
      c0: start.c,
      lengths,
      reverse,
    });
  }
}

/** Both biases as one, but for the part of the GRU's that the reset gate scales. */
function foldBiases(
  kind: CellKind,
  { bih, bhh }: Weights,
  hidden: number,
): { bias: Tensor | null; hiddenBias: Tensor | null } {
  if (bih === null || bhh === null) return { bias: null, hiddenBias: null };
  if (kind !== 'gru') return { bias: add(bih, bhh), hiddenBias: null };
  const shared = slice(bhh, [0, 2 * hidden]).pad([0, hidden]);
  return { bias: add(bih, shared), hiddenBias: slice(bhh, [2 * hidden]) };
}

/**
 * Long short-term memory (Hochreiter and Schmidhuber, 1997), gates in the order i, f, g, o. Parameters as PyTorch's
 * nn.LSTM: `weight_ih_l0` [4·hidden, input], `weight_hh_l0` [4·hidden, hidden], `bias_ih_l0`, `bias_hh_l0`, then `l1` …
 * and `_reverse`.
 */
export class LSTM extends Recurrent {
  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions = {}) {
    super('LSTM', 'lstm', inputSize, hiddenSize, options);
  }
}

/** Gated recurrent units (Cho et al., 2014), gates in the order r, z, n, parameters as PyTorch's nn.GRU. */
export class GRU extends Recurrent {
  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions = {}) {
    super('GRU', 'gru', inputSize, hiddenSize, options);
  }
}

function checkNonlinearity(layer: string, given: RNNOptions['nonlinearity'] = 'tanh'): 'tanh' | 'relu' {
  const known: readonly string[] = ['tanh', 'relu'];
  if (!known.includes(given)) throw new TypeError(`${layer}: unknown nonlinearity ${given}; known are tanh, relu`);
  return given;
}

/** A plain recurrent layer (Elman, 1990), parameters as PyTorch's nn.RNN. */
export class RNN extends Recurrent {
  constructor(inputSize: number, hiddenSize: number, options: RNNOptions = {}) {
    super('RNN', checkNonlinearity('RNN', options.nonlinearity), inputSize, hiddenSize, options);
  }
}

/** One step of a recurrent layer; see {@link LSTMCell}, {@link GRUCell}, {@link RNNCell}. */
abstract class Cell extends Module {
  weight_ih: Tensor;
  weight_hh: Tensor;
  bias_ih: Tensor | null;
  bias_hh: Tensor | null;

  constructor(
    private readonly layer: string,
    private readonly kind: CellKind,
    readonly inputSize: number,
    readonly hiddenSize: number,
    { bias = true, generator }: CellOptions,
  ) {
    super();
    checkInteger(layer, 'inputSize', inputSize, 1, 2 ** 31 - 1);
    checkInteger(layer, 'hiddenSize', hiddenSize, 1, 2 ** 28);
    const rows = gatesOf(kind) * hiddenSize;
    this.weight_ih = initial([rows, inputSize], hiddenSize, generator);
    this.weight_hh = initial([rows, hiddenSize], hiddenSize, generator);
    this.bias_ih = bias ? initial([rows], hiddenSize, generator) : null;
    this.bias_hh = bias ? initial([rows], hiddenSize, generator) : null;
  }

  protected step(x: AnyTensor, state: { h: AnyTensor; c?: AnyTensor | null } | undefined): RecurrentState {
    const input = requireFloat(this.layer, 'x', x);
    if (input.rank !== 2 || input.shape[1] !== this.inputSize) {
      throw new ShapeError(
        `${this.layer}: expected an input of shape [n, ${String(this.inputSize)}], got ${formatShape(input.shape)}`,
      );
    }
    const shape = [input.shape[0], this.hiddenSize];
    const blank = (): Tensor => zeros(shape, { like: input });
    const h = state === undefined ? blank() : checkState(this.layer, 'state.h', state.h, shape);
    const given = state?.c;
    const c = given === undefined || given === null ? blank() : checkState(this.layer, 'state.c', given, shape);
    const weights = { ih: this.weight_ih, hh: this.weight_hh, bih: this.bias_ih, bhh: this.bias_hh };
    const { bias, hiddenBias } = foldBiases(this.kind, weights, this.hiddenSize);
    const next = recurrentLayer(this.kind, {
      projections: unsqueeze(linear(input, this.weight_ih, bias), 0),
      weight: this.weight_hh,
      hiddenBias,
      h0: h,
      c0: this.kind === 'lstm' ? c : null,
      lengths: full([input.shape[0]], 1, { dtype: 'int32', like: input }),
      reverse: false,
    });
    return { h: squeeze(next.y, 0), c: next.c };
  }

  /** The next hidden state from a zero state: x float [n, inputSize] to [n, hiddenSize]. */
  override forward(x: AnyTensor, h?: AnyTensor): Tensor {
    return this.step(x, isTensor(h) ? { h } : undefined).h;
  }
}

/** One step of an {@link LSTM}: `next(x, state)` gives the next state. */
export class LSTMCell extends Cell {
  constructor(inputSize: number, hiddenSize: number, options: CellOptions = {}) {
    super('LSTMCell', 'lstm', inputSize, hiddenSize, options);
  }

  /** @param x float [n, inputSize]; @param state h and c [n, hiddenSize], zeros by default */
  next(x: AnyTensor, state?: { h: AnyTensor; c: AnyTensor | null }): RecurrentState {
    return this.step(x, state);
  }
}

/** One step of a {@link GRU}: `forward(x, h)` gives the next hidden state. */
export class GRUCell extends Cell {
  constructor(inputSize: number, hiddenSize: number, options: CellOptions = {}) {
    super('GRUCell', 'gru', inputSize, hiddenSize, options);
  }
}

/** One step of an {@link RNN}: `forward(x, h)` gives the next hidden state. */
export class RNNCell extends Cell {
  constructor(inputSize: number, hiddenSize: number, options: CellOptions & { nonlinearity?: 'tanh' | 'relu' } = {}) {
    super('RNNCell', checkNonlinearity('RNNCell', options.nonlinearity), inputSize, hiddenSize, options);
  }
}

/** {@link LSTM} */
export function lstm(inputSize: number, hiddenSize: number, options?: RecurrentOptions): LSTM {
  return new LSTM(inputSize, hiddenSize, options);
}
/** {@link GRU} */
export function gru(inputSize: number, hiddenSize: number, options?: RecurrentOptions): GRU {
  return new GRU(inputSize, hiddenSize, options);
}
/** {@link RNN} */
export function rnn(inputSize: number, hiddenSize: number, options?: RNNOptions): RNN {
  return new RNN(inputSize, hiddenSize, options);
}
