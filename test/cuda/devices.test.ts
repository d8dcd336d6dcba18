/** Tensors on devices, on the emulator. */
import './emulator';
import {
  arange,
  assign,
  cuda,
  cudaStatus,
  defaultDevice,
  DeviceError,
  eye,
  full,
  Generator,
  gradients,
  linspace,
  ones,
  rand,
  randn,
  setDefaultDevice,
  tensor,
  tidy,
  zeros,
  type Device,
  type Tensor,
} from '../../lib';
import { countTensors } from '../tensorCount';

const values = (x: { toArray(): unknown }): unknown => x.toArray();

test('the emulator has two devices, and says that it is one', () => {
  expect(cudaStatus()).toMatchObject({
    available: true,
    deviceCount: 2,
    isEmulated: true,
    reason: '2 emulated devices',
  });
  expect(cuda.isAvailable()).toBe(true);
  expect(cuda.deviceCount()).toBe(2);
  const { name, capability, totalBytes } = cuda.properties('cuda:1');
  expect(name).not.toBe('');
  expect(capability[0]).toBeGreaterThanOrEqual(7);
  expect(totalBytes).toBeGreaterThan(0);
});

describe('where tensors are', () => {
  test('made on a device, results on that of the operands', () => {
    const x = tensor([[1, 2, 3]], { device: 'cuda' });
    expect(x.device).toBe('cuda:0');
    expect(x.add(1).exp().device).toBe('cuda:0');
    expect(x.transpose(0, 1).device).toBe('cuda:0');
    expect(values(x.transpose(0, 1).mul(2))).toEqual([[2], [4], [6]]);
    expect(tensor([1]).device).toBe('cpu');
  });

  test.each<[string, (device: Device) => { device: string }]>([
    ['tensor', (device) => tensor([1, 2], { device })],
    ['tensor of halves', (device) => tensor([1, 2], { device, dtype: 'float16' })],
    ['zeros', (device) => zeros([2], { device })],
    ['ones', (device) => ones([2], { device })],
    ['full', (device) => full([2], 3, { device })],
    ['arange', (device) => arange(3, { device })],
    ['linspace', (device) => linspace(0, 1, 3, { device })],
    ['eye', (device) => eye(2, 2, { device })],
    ['rand', (device) => rand([2], { device })],
    ['randn', (device) => randn([2], { device })],
  ])('%s takes a device', (_, make) => {
    expect(make('cuda:1').device).toBe('cuda:1');
    expect(make('cpu').device).toBe('cpu');
  });

  test('like takes the dtype and the device of a tensor, unless they are given', () => {
    const x = tensor([1], { device: 'cuda:1', dtype: 'float64' });
    const made = zeros([2], { like: x });
    expect([made.device, made.dtype]).toEqual(['cuda:1', 'float64']);
    const other = ones([2], { like: x, dtype: 'int32', device: 'cpu' });
    expect([other.device, other.dtype]).toEqual(['cpu', 'int32']);
    expect(values(tensor([5], { like: x }))).toEqual([5]);
  });

  test('the default device is for all that names none', () => {
    expect(defaultDevice()).toBe('cpu');
    setDefaultDevice('cuda:1');
    try {
      expect(defaultDevice()).toBe('cuda:1');
      expect(tensor([1]).device).toBe('cuda:1');
      expect(zeros([1]).add(1).device).toBe('cuda:1');
    } finally {
      setDefaultDevice('cpu');
    }
    expect(tensor([1]).device).toBe('cpu');
  });

  test('random numbers are the same on every device', () => {
    tidy(() => {
      const draw = (device: Device): unknown => {
        return values(rand([5, 7], { device, generator: new Generator(3) }));
      };
      expect(draw('cuda:1')).toEqual(draw('cpu'));
    });
  });

  test('printing says where', () => {
    expect(tensor([1, 2], { device: 'cuda' }).toString()).toBe("tensor([1., 2.], device: 'cuda:0')");
    expect(tensor([1, 2]).toString()).toBe('tensor([1., 2.])');
  });
});

describe('moving', () => {
  test('there and back, for every dtype and any strides', () => {
    for (const dtype of ['float32', 'float64', 'int32', 'int64', 'uint8', 'bool', 'float16', 'bfloat16'] as const) {
      const x = tensor([[0, 1, 2], [3, 4, 5]], { dtype: 'float32' }).cast(dtype); // prettier-ignore
      const there = x.transpose(0, 1).to('cuda');
      expect([there.device, there.dtype, there.isContiguous]).toEqual(['cuda:0', dtype, true]);
      expect(values(there.cpu())).toEqual(values(x.transpose(0, 1)));
      expect(values(there)).toEqual(values(x.transpose(0, 1)));
    }
  });

  test('a tensor that is there already is returned itself', () => {
    const x = tensor([1]);
    const y = x.cuda();
    expect(x.to('cpu')).toBe(x);
    expect(y.to('cuda')).toBe(y);
    expect(y.cuda(0)).toBe(y);
    expect(y.cuda(1).device).toBe('cuda:1');
  });

  test('from device to device, also much', () => {
    const n = 3_000_000;
    const x = arange(n, { device: 'cuda:0' });
    const y = x.to('cuda:1');
    x.dispose();
    zeros([n], { device: 'cuda:0', dtype: 'int32' }).dispose();
    const data = y.dataSync();
    expect(data.every((value, i) => Number(value) === i)).toBe(true);
  });

  test('large arrays go in parts', () => {
    const n = 5_000_001;
    const source = Float32Array.from({ length: n }, (_, i) => i % 1000);
    const x = tensor(source, { device: 'cuda' });
    source.fill(-1);
    const back = x.dataSync() as Float32Array;
    expect(back.every((value, i) => value === i % 1000)).toBe(true);
  });

  test('no elements at all', () => {
    const x = zeros([0, 3], { device: 'cuda' });
    expect(x.cpu().shape).toEqual([0, 3]);
    expect(values(x)).toEqual([]);
  });

  test('gradients flow back to the device that they come from', () => {
    const x = tensor([1, 2, 3], { requiresGrad: true });
    const y = x.to('cuda').square().to('cuda:1').mul(2).sum();
    expect(y.device).toBe('cuda:1');
    y.backward();
    expect(x.grad?.device).toBe('cpu');
    expect(values(x.grad as Tensor)).toEqual([4, 8, 12]);
  });

  test('and can be differentiated again', () => {
    const x = tensor([1, 2, 3], { requiresGrad: true });
    const [first] = gradients(x.to('cuda').pow(3).sum(), [x], { createGraph: true });
    const [second] = gradients(first.sum(), [x]);
    expect(values(second)).toEqual([6, 12, 18]);
  });

  test('assign copies across devices', () => {
    const x = zeros([2], { device: 'cuda' });
    assign(x, tensor([1, 2]));
    expect([x.device, values(x)]).toEqual(['cuda:0', [1, 2]]);
  });
});

describe('errors', () => {
  const x = tensor([1, 2], { device: 'cuda' });

  test.each<[string, () => unknown, string]>([
    ['a sum', () => tensor([1, 2]).add(x), 'add: operands are on cpu and cuda:0; move one with .to(device)'],
    ['two devices', () => x.mul(x.cuda(1)), 'mul: operands are on cuda:0 and cuda:1; move one with .to(device)'],
    [
      'a product',
      () => ones([2, 2]).matmul(ones([2, 2], { device: 'cuda' })),
      'matmul: operands are on cpu and cuda:0',
    ],
    ['positions', () => x.indexSelect(tensor([0], { dtype: 'int32' })), 'operands are on cuda:0 and cpu'],
    ['a device that is not there', () => x.to('cuda:7'), "to: no device 'cuda:7': 2 emulated devices, counted from 0"],
  ])('%s', (_, attempt, message) => {
    expect(attempt).toThrow(DeviceError);
    expect(attempt).toThrow(message);
  });

  test.each([['gpu'], [''], ['cuda:'], ['cuda:-1'], ['CUDA'], [0], [null]])('%p is no device', (name) => {
    expect(() => x.to(name as Device)).toThrow(TypeError);
    expect(() => zeros([1], { device: name as Device })).toThrow(/a device is 'cpu', 'cuda' or 'cuda:0'/);
  });

  test('a bad index comes with the next call that waits, in the words of the CPU', () => {
    const table = ones([5, 2], { device: 'cuda' });
    const bad = tensor([1, 7], { dtype: 'int32', device: 'cuda' });
    const message = 'indexSelect: index 7 at position 1 is outside [0, 5)';
    expect(() => ones([5, 2]).indexSelect(bad.cpu())).toThrow(message);
    const first = table.indexSelect(bad);
    expect(() => first.toArray()).toThrow(RangeError);
    table.indexSelect(bad);
    expect(() => {
      cuda.synchronize();
    }).toThrow(message);
    // Told once, and nothing is broken.
    cuda.synchronize();
    expect(values(table.sum())).toBe(10);
  });

  test('or at once, where every operation is waited for', () => {
    cuda.blocking(true);
    try {
      const bad = tensor([9], { dtype: 'int32', device: 'cuda' });
      expect(() => ones([5, 2], { device: 'cuda' }).indexSelect(bad)).toThrow(RangeError);
    } finally {
      cuda.blocking(false);
    }
  });

  test('asynchronous reading fails with the same error', async () => {
    const bad = tensor([9], { dtype: 'int32', device: 'cuda' });
    const row = ones([5, 2], { device: 'cuda' }).indexSelect(bad);
    await expect(row.data()).rejects.toThrow('indexSelect: index 9 at position 0 is outside [0, 5)');
    await expect(row.data()).resolves.toHaveLength(2);
  });
});

describe('reading', () => {
  test('data() sees the tensor as it was when it was called', async () => {
    const x = tensor([1, 2, 3], { device: 'cuda' });
    const reading = x.data();
    assign(x, tensor([7, 8, 9]));
    expect(Array.from(await reading)).toEqual([1, 2, 3]);
    expect(Array.from(await x.data())).toEqual([7, 8, 9]);
  });

  test('data() outlives the tensor', async () => {
    const x = arange(100_000, { device: 'cuda' });
    const reading = x.data();
    x.dispose();
    for (let i = 0; i < 20; i++) full([100_000], i, { device: 'cuda' }).dispose();
    expect((await reading)[99_999]).toBe(99_999);
  });

  test('views, halves and numbers', async () => {
    const x = tensor([[1, 2], [3, 4]], { device: 'cuda' }); // prettier-ignore
    expect(Array.from(await x.transpose(0, 1).data())).toEqual([1, 3, 2, 4]);
    expect(Array.from(await x.cast('bfloat16').data())).toEqual([1, 2, 3, 4]);
    expect(x.sum().item()).toBe(10);
    expect(x.sum().cast('float16').item()).toBe(10);
    expect(x.slice(1, 0).item()).toBe(3);
  });
});

describe('memory', () => {
  // What earlier tests dropped would otherwise be freed in the middle of one that counts.
  beforeEach(() => void countTensors());

  test('is counted, reused, and given back', () => {
    cuda.emptyCache();
    const before = cuda.memoryStats();
    const x = zeros([1 << 20], { device: 'cuda' });
    const during = cuda.memoryStats();
    expect(during.allocatedBytes - before.allocatedBytes).toBeGreaterThanOrEqual(4 << 20);
    x.dispose();
    const after = cuda.memoryStats();
    expect(after.allocatedBytes).toBe(before.allocatedBytes);
    expect(after.cachedBytes).toBeGreaterThan(before.cachedBytes);
    zeros([1 << 20], { device: 'cuda' }).dispose();
    expect(cuda.memoryStats().cacheHits).toBe(after.cacheHits + 1);
    expect(cuda.memoryStats().reservedBytes).toBe(after.reservedBytes);
    cuda.emptyCache();
    expect(cuda.memoryStats().reservedBytes).toBeLessThan(after.reservedBytes);
    cuda.resetPeakMemory();
    expect(cuda.memoryStats().peakAllocatedBytes).toBe(cuda.memoryStats().allocatedBytes);
  });

  test('each device has its own', () => {
    const [first, second] = [cuda.memoryStats('cuda:0'), cuda.memoryStats('cuda:1')];
    const x = zeros([1000], { device: 'cuda:1' });
    expect(cuda.memoryStats('cuda:0')).toEqual(first);
    expect(cuda.memoryStats('cuda:1').allocatedBytes).toBeGreaterThan(second.allocatedBytes);
    x.dispose();
    expect(() => cuda.memoryStats('cpu')).toThrow(DeviceError);
  });

  test('exhausted memory is an error, and all stays usable', () => {
    const { totalBytes } = cuda.properties();
    expect(() => zeros([totalBytes], { device: 'cuda' })).toThrow(/no memory for .* bytes/);
    expect(values(ones([2], { device: 'cuda' }))).toEqual([1, 1]);
  });

  test('a hundred thousand results that nobody disposes do not pile up', () => {
    let x = ones([4], { device: 'cuda' });
    const before = cuda.memoryStats().reservedBytes;
    for (let i = 0; i < 100_000; i++) x = x.neg();
    expect(values(x)).toEqual([1, 1, 1, 1]);
    expect(cuda.memoryStats().reservedBytes - before).toBeLessThan(64 << 20);
  });
});
