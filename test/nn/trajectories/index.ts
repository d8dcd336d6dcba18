/** All layers that are trained beside PyTorch's, by family. */
import { rows as convolution } from './convolution';
import { rows as layers } from './layers';
import { rows as recurrent } from './recurrent';
import type { LayerRows } from './row';

export const families: Readonly<Record<string, LayerRows>> = { convolution, layers, recurrent };
