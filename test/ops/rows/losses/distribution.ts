/** Rows of the losses between distributions. */
import { type Tensor } from '../../../../lib';
import { dense, spread, type Dense } from '../../reference';
import type { Rows } from '../../row';
import { pairwise, distributions, z, F } from './build';

const logDistributions = (shape: readonly number[]): Dense =>
  dense(
    shape,
    distributions(shape).data.map((p) => Math.fround(Math.log(p))),
  );
const zeroed = (x: Dense): Dense =>
  dense(
    x.shape,
    x.data.map((value, i) => (i % 3 === 0 ? 0 : value)),
  );

export const klRows: Rows = {
  ...pairwise(
    'klDiv',
    (x, y, reduction) => F.klDiv(x, y, { reduction }),
    (r) => `F.kl_div(x0, x1, reduction='${r}')`,
    [
      [spread([3, 4], -4, -0.1), distributions([3, 4])],
      [spread([2, 5, 2], -4, -0.1), distributions([2, 5, 2])],
      [spread([1, 7], -4, -0.1), distributions([1, 7])],
    ],
  ),
  ...pairwise(
    'klDiv/logTarget',
    (x, y, reduction) => F.klDiv(x, y, { reduction, logTarget: true }),
    (r) => `F.kl_div(x0, x1, reduction='${r}', log_target=True)`,
    [
      [spread([3, 4], -4, -0.1), logDistributions([3, 4])],
      [spread([2, 5, 2], -4, -0.1), logDistributions([2, 5, 2])],
      [spread([7], -4, -0.1), spread([7], -3, -0.2)],
    ],
  ),
  'nn.functional.klDiv/batchmean': {
    call: (x: Tensor, y: Tensor) => F.klDiv(x, y, { reduction: 'batchmean' }),
    torch: "F.kl_div(x0, x1, reduction='batchmean')",
    samples: [
      [spread([3, 4], -4, -0.1), distributions([3, 4])],
      [spread([2, 5, 2], -4, -0.1), distributions([2, 5, 2])],
      [spread([4, 3], -4, -0.1), zeroed(distributions([4, 3]))],
    ],
    gradient: [0],
    bad: [['a scalar', () => F.klDiv(z([]), z([]), { reduction: 'batchmean' }), /klDiv: a scalar has no batch axis/]],
  },
};
