/**
 * Constants that an operation makes for itself belong on the device of its operands. Where all tensors are on one device
 * a mistake would not show; so every row of the operator table runs once, and back, while whoever asks for the default
 * device is watched.
 */
import './emulator';
import { tensor, tidy, type AnyTensor, type Tensor } from '../../lib';
import { families } from '../ops/rows';
import type { Dense } from '../ops/reference';
import type { Row } from '../ops/row';
import type * as DeviceModule from '../../lib/tensor/device';
import { isFloat } from '../../lib/tensor/dtype';

const askers = new Set<string>();

jest.mock('../../lib/tensor/device', () => {
  const actual = jest.requireActual<typeof DeviceModule>('../../lib/tensor/device');
  return {
    ...actual,
    defaultDeviceCode: () => {
      const frames = (new Error().stack ?? '').split('\n').slice(2);
      // Below the functions that make tensors: who called them.
      const caller = frames.find(
        (frame) => !/lib\/(tensor\/(creation|device)|ops\/run)\.ts|lib\/tensor\/recorder/.test(frame),
      );
      if (caller !== undefined && caller.includes('/lib/')) askers.add(caller.trim());
      return actual.defaultDeviceCode();
    },
  };
});

/** What is made for the user, not for an operation, and so on the default device. */
const makers =
  /lib\/nn\/init\.ts|new \w+ \(|lib\/nn\/recurrent\.ts.*initial|frequencies|sinusoids|permutation|lib\/nn\/(normalization|attention|convolution|activation|embedding)\.ts.*(new|start)/;

const constant = (x: Dense): AnyTensor => tensor(Float64Array.from(x.data), { shape: x.shape, dtype: x.dtype });
const onesLike = ({ shape, size, dtype }: Tensor): AnyTensor =>
  constant({ shape, data: new Array<number>(size).fill(1), dtype });

/** The variables of a row's first sample, by the row's own words. */
function variablesOf({ gradient }: Row, sample: readonly Dense[]): readonly number[] {
  if (typeof gradient !== 'string') return gradient;
  return gradient === 'all' ? sample.flatMap(({ dtype }, i) => (dtype === 'float32' ? [i] : [])) : [];
}

function thereAndBack(row: Row, sample: readonly Dense[]): void {
  const call = row.call as (...inputs: AnyTensor[]) => AnyTensor | readonly AnyTensor[];
  const inputs = sample.map(constant);
  for (const i of variablesOf(row, sample)) if (isFloat(inputs[i].dtype)) inputs[i].requiresGrad = true;
  const results = [call(...inputs)].flat() as Tensor[];
  for (const out of results) {
    if (out.requiresGrad) out.backward({ gradient: onesLike(out), retainGraph: true });
  }
}

test('no operation, forward or back, makes its constants on the default device', () => {
  let runs = 0;
  for (const rows of Object.values(families)) {
    for (const row of Object.values(rows)) {
      for (const sample of row.samples.slice(0, 2)) {
        tidy(() => {
          thereAndBack(row, sample);
        });
        runs++;
      }
    }
  }
  expect(runs).toBeGreaterThan(400);
  expect([...askers].filter((frame) => !makers.test(frame))).toEqual([]);
});
