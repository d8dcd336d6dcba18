/** What the operator table does not say about linear algebra and Fourier transforms: errors of backward, memory, sizes. */
import {
  fft,
  GradientError,
  linalg,
  LinAlgError,
  manualSeed,
  memoryStats,
  randn,
  tensor,
  tidy,
  zeros,
  type Tensor,
} from '../../lib';

beforeEach(() => {
  manualSeed(7);
});

/** The largest |x|. */
const largest = (x: Tensor): number => (x.size === 0 ? 0 : x.abs().max().item());

test('a matrix without an inverse is a LinAlgError', () => {
  const attempt = (): unknown => linalg.inv(zeros([2, 2]));
  expect(attempt).toThrow(LinAlgError);
  expect(attempt).toThrow(expect.objectContaining({ name: 'LinAlgError' }) as Error);
});

test('the last columns of a complete q have no gradient', () => {
  tidy(() => {
    const x = randn([4, 2]);
    x.requiresGrad = true;
    const { q, r } = linalg.qr(x, { mode: 'complete' });
    expect(() => {
      q.sum().backward();
    }).toThrow(GradientError);
    expect(() => {
      r.sum().backward();
    }).toThrow(/qr: mode 'complete' has no gradient/);
  });
});

test('the gradient of slogdet at a singular matrix is a LinAlgError', () => {
  tidy(() => {
    const x: Tensor = zeros([2, 2], { requiresGrad: true });
    const { logAbsDet } = linalg.slogdet(x);
    expect(logAbsDet.item()).toBe(-Infinity);
    expect(() => {
      logAbsDet.backward();
    }).toThrow(LinAlgError);
  });
});

test('the gradient of a norm at 0 is 0', () => {
  tidy(() => {
    const x: Tensor = zeros([3], { requiresGrad: true });
    linalg.vectorNorm(x).backward();
    expect([...(x.grad as Tensor).dataSync()]).toEqual([0, 0, 0]);
  });
});

test('a failed call gives its outputs back', () => {
  const bad = tensor([1, NaN, NaN, 1], { shape: [2, 2] });
  const before = memoryStats().allocatedBytes;
  for (let i = 0; i < 10; i++) {
    expect(() => linalg.svd(bad)).toThrow(LinAlgError);
    expect(() => linalg.inv(zeros([2, 2]))).toThrow(LinAlgError);
  }
  // The zeros of each round stay until they are swept; the outputs of svd must not.
  const zeroBytes = 10 * 64;
  expect(memoryStats().allocatedBytes - before).toBeLessThanOrEqual(zeroBytes);
  bad.dispose();
});

test('all outputs of an operation belong to the scope', () => {
  const x = randn([5, 3]);
  const before = memoryStats().allocatedBytes;
  tidy(() => {
    linalg.svd(x);
    linalg.qr(x);
  });
  expect(memoryStats().allocatedBytes).toBe(before);
  x.dispose();
});

test.each([1, 40, 150])('decompositions put together again, n = %i', (n) => {
  tidy(() => {
    const a = randn([n, n + 3]);
    const { u, s, vh } = linalg.svd(a, { fullMatrices: false });
    const close = 2e-6 * s.max().item();
    expect(largest(u.mul(s.unsqueeze(-2)).matmul(vh).sub(a))).toBeLessThan(close);
    const { q, r } = linalg.qr(a.T);
    expect(largest(q.matmul(r).sub(a.T))).toBeLessThan(close);
    const square = a.matmul(a.T);
    const { values, vectors } = linalg.eigh(square);
    const again = vectors.mul(values.unsqueeze(-2)).matmul(vectors.T);
    expect(largest(again.sub(square))).toBeLessThan(2e-6 * values.max().item());
    expect(largest(linalg.pinv(a).matmul(a).matmul(linalg.pinv(a)).sub(linalg.pinv(a)))).toBeLessThan(1e-3);
  });
});

test('ifft undoes fft and irfft undoes rfft at every length to 130', () => {
  for (let n = 1; n <= 130; n++) {
    tidy(() => {
      const x = randn([3, n, 2]);
      expect(largest(fft.ifft(fft.fft(x)).sub(x))).toBeLessThan(3e-6);
      const y = randn([3, n]);
      expect(largest(fft.irfft(fft.rfft(y), { n }).sub(y))).toBeLessThan(3e-6);
      // Parseval: 'ortho' keeps the norm.
      const ratio = linalg.norm(fft.fft(x, { norm: 'ortho' })).item() / linalg.norm(x).item();
      expect(Math.abs(ratio - 1)).toBeLessThan(2e-6);
    });
  }
});

test('a multiplication of spectra is a circular convolution', () => {
  tidy(() => {
    const a = fft.rfft(tensor([1, 2, 3, 0]));
    const b = fft.rfft(tensor([0, 1, 0, 0]));
    const [ar, ai, br, bi] = [a.slice(null, 0), a.slice(null, 1), b.slice(null, 0), b.slice(null, 1)];
    const re = ar.mul(br).sub(ai.mul(bi));
    const im = ar.mul(bi).add(ai.mul(br));
    const product = tensor(
      [...re.dataSync()].flatMap((value, i) => [value, im.dataSync()[i]]),
      { shape: [3, 2] },
    );
    const result = [...fft.irfft(product).dataSync()];
    result.forEach((value, i) => {
      expect(value).toBeCloseTo([0, 1, 2, 3][i], 5);
    });
  });
});

test('frequencies go back to where they were', () => {
  tidy(() => {
    const f = fft.fftFreq(5);
    expect([...f.mul(5).dataSync()].map(Math.round)).toEqual([0, 1, 2, -2, -1]);
    expect([...fft.fftShift(f, 0).mul(5).dataSync()].map(Math.round)).toEqual([-2, -1, 0, 1, 2]);
    expect([...fft.ifftShift(fft.fftShift(f, 0), 0).dataSync()]).toEqual([...f.dataSync()]);
    expect(fft.rfftFreq(4, { dtype: 'float64' }).dataSync()).toEqual(Float64Array.of(0, 0.25, 0.5));
  });
});
