/** Trains every layer for ten steps from PyTorch's initial weights; see trajectories/row.ts. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { nn } from '../../lib';
import { optim, tensor, tidy, type AnyTensor, type Tensor } from '../../lib';
import { decode, fingerprintOf, type Encoded } from '../ops/fixture';
import { mismatch, spread, type Dense } from '../ops/reference';
import { families } from './trajectories';
import type { LayerRow } from './trajectories/row';

interface Trajectory {
  readonly made: string;
  readonly initial: Readonly<Record<string, Encoded>>;
  readonly losses: readonly number[];
  readonly final: Readonly<Record<string, Encoded>>;
}

function constant(x: Dense): AnyTensor {
  return tensor(Float64Array.from(x.data), { shape: x.shape, dtype: x.dtype });
}

function load(family: string): Readonly<Record<string, Trajectory | undefined>> {
  const file = path.join(__dirname, '../fixtures/nn', `${family}.json`);
  return JSON.parse(readFileSync(file, 'utf8')) as Record<string, Trajectory>;
}

function stateOf(encoded: Readonly<Record<string, Encoded>>, like: nn.StateDict): nn.StateDict {
  return Object.fromEntries(
    Object.entries(encoded).map(([name, value]) => [
      name,
      constant({ ...decode(value), dtype: name in like ? like[name].dtype : 'float32' }),
    ]),
  );
}

function close(actual: number, wanted: number): boolean {
  return Math.abs(actual - wanted) <= 1e-5 + 1e-5 * Math.abs(wanted);
}

/** Ten steps of gradient descent toward fixed values. */
function train(row: LayerRow, model: nn.Module): number[] {
  const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
  const inputs = row.inputs.map(constant);
  const call = (row.call ?? ((m: nn.Module, ...x: AnyTensor[]) => m.forward(...x))) as (
    m: nn.Module,
    ...inputs: AnyTensor[]
  ) => Tensor;
  return Array.from({ length: 10 }, () =>
    tidy(() => {
      const out = call(model, ...inputs);
      const loss = out
        .sub(constant(spread(out.shape, -1, 1)) as Tensor)
        .square()
        .mean();
      optimizer.zeroGrad();
      loss.backward();
      optimizer.step();
      return loss.item();
    }),
  );
}

describe.each(Object.entries(families))('%s', (family, rows) => {
  const trajectories = load(family);
  test.each(Object.entries(rows))('%s', (name, row) => {
    const wanted = trajectories[name];
    if (wanted === undefined || wanted.made !== fingerprintOf([row.torch, row.torchCall, row.inputs])) {
      throw new Error(`${name}: no trajectory of this row; run \`npm run references\``);
    }
    const model = row.make();
    model.loadStateDict(stateOf(wanted.initial, model.stateDict()));
    const losses = train(row, model);
    losses.forEach((loss, step) => {
      if (!close(loss, wanted.losses[step])) {
        throw new Error(`step ${String(step)}: the loss is ${String(loss)}, PyTorch's ${String(wanted.losses[step])}`);
      }
    });
    const state = model.stateDict();
    for (const [key, value] of Object.entries(wanted.final)) {
      const problem = mismatch(state[key], { ...decode(value), dtype: state[key].dtype }, 1e-5, 1e-5);
      if (problem !== null) throw new Error(`${key}: ${problem}`);
    }
    model.dispose();
  });
});
