/**
 * The operator table: one row for every public operation (and every variant worth its own). A row drives
 * the forward tests in every memory layout and dtype, the gradient checks, and the bad inputs.
 */
import type { AnyTensor } from '../../lib';
import type { Dense } from './reference';

export interface Row {
  /** The public function over the sample's tensors, with this row's options. */
  call: (...inputs: never[]) => AnyTensor | readonly AnyTensor[];
  /**
   * The same in PyTorch, over x0, x1, …: reference values are made from it by `npm run references`. Or the
   * reference itself, where PyTorch has no such function.
   */
  torch: string | ((...inputs: Dense[]) => Dense | readonly Dense[]);
  /** Sets of inputs. */
  samples: readonly (readonly Dense[])[];
  /** The differentiable inputs by position, 'all' float ones, or another text: why there is no gradient. */
  gradient: readonly number[] | string;
  /** Samples for finite differences where those of `samples` lie on kinks; by default the same. */
  gradientSamples?: readonly (readonly Dense[])[];
  /** Second derivatives are not checked, and why. */
  firstOrderOnly?: string;
  /** float64 is not tried, and why. Finite differences then are not either. */
  float32Only?: string;
  /** Calls that must throw: what they do, the call, the message. */
  bad: readonly (readonly [string, () => unknown, RegExp])[];
  /** Relative tolerance in float32; default 1.3e-6. Say why it differs. */
  rtol?: number;
  /** Absolute tolerance in float32; default 1e-5. Say why it differs. */
  atol?: number;
  /** It cannot be part of a compiled step, and why. */
  untraced?: string;
  /** Other layouts are not tried (for ops without tensor inputs). */
  layouts?: false;
}

export type Rows = Readonly<Record<string, Row>>;
