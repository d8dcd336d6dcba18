/** The library among threads, processes and exits. */
import { detectedIsa, isa, numThreads, setNumThreads } from '../../lib';
import { childJson, library, runChild } from './child';

const train = `
  async function train(steps, threads) {
    k.setNumThreads(threads);
    k.manualSeed(1);
    const data = new k.data.TensorDataset(k.rand([640, 100]), k.arange(640).cast('int32').mul(0).cast('int32'));
    const model = k.nn.sequential(k.nn.linear(100, 300), k.nn.relu(), k.nn.linear(300, 10));
    model.compile({ optimizer: 'adam', loss: 'sparseCategoricalCrossentropy' });
    await model.fit(data, { epochs: steps / 20, verbose: 0 });
    const hash = require('node:crypto').createHash('sha256');
    for (const p of model.parameters()) hash.update(p.dataSync());
    return hash.digest('hex');
  }
`;

test('one seed gives the same weights to the bit in two processes', () => {
  const run = (threads: number): unknown =>
    childJson(`${train} train(100, ${threads}).then((hash) => console.log(JSON.stringify(hash)));`);
  expect(run(2)).toBe(run(2));
  expect(run(1)).toBe(run(1));
});

describe('threads', () => {
  test('are the physical cores unless set', () => {
    const count = (env: Record<string, string>): unknown =>
      childJson('console.log(JSON.stringify(k.numThreads()))', env);
    expect(count({ KINDLING_NUM_THREADS: '3' })).toBe(3);
    expect(count({ KINDLING_NUM_THREADS: 'many' })).toBeGreaterThanOrEqual(1);
    const before = numThreads();
    setNumThreads(4);
    expect(numThreads()).toBe(4);
    setNumThreads(before);
  });

  test.each([[0], [257], [1.5], [NaN]])('%p is no number of threads', (threads) => {
    expect(() => {
      setNumThreads(threads);
    }).toThrow(/threads must be an integer/);
  });

  test('workers train side by side, each as alone', () => {
    const hashes = childJson(`
      ${train}
      const { Worker, isMainThread } = require('node:worker_threads');
      const source = 'const k = require(' + ${JSON.stringify(JSON.stringify(library))} + ');'
        + train.toString() + ';train(60, 2).then((h) => require("node:worker_threads").parentPort.postMessage(h));';
      const inWorker = () => new Promise((resolve, reject) => {
        const worker = new Worker(source, { eval: true });
        worker.on('message', resolve);
        worker.on('error', reject);
      });
      Promise.all([train(60, 2), inWorker(), inWorker()]).then((all) => console.log(JSON.stringify(all)));
    `) as string[];
    expect(hashes[1]).toBe(hashes[0]);
    expect(hashes[2]).toBe(hashes[0]);
  });

  test('a worker may be ended in the middle of its work', () => {
    const result = childJson(`
      ${train}
      const { Worker } = require('node:worker_threads');
      const source = 'const k = require(' + ${JSON.stringify(JSON.stringify(library))} + ');'
        + 'const a = k.ones([300, 300]); require("node:worker_threads").parentPort.postMessage(0); for (;;) a.matmul(a).dispose();';
      (async () => {
        for (let i = 0; i < 5; i++) {
          const worker = new Worker(source, { eval: true });
          await new Promise((resolve) => worker.once('message', resolve));
          await worker.terminate();
        }
        console.log(JSON.stringify(k.ones([500, 500]).matmul(k.ones([500, 500])).mean().item()));
      })();
    `);
    expect(result).toBe(500);
  });
});

describe('compiled steps', () => {
  const step = `
    const a = k.rand([200, 200]);
    const total = k.zeros([1]);
    const step = k.compile((x) => {
      let y = x;
      for (let i = 0; i < 20; i++) y = y.matmul(x).mul(1e-2);
      k.assign(total, total.add(y.sum().mul(0)).add(1));
      return total;
    });
  `;

  test('a worker may be ended while steps are under way', () => {
    const result = childJson(`
      const { Worker } = require('node:worker_threads');
      const source = 'const k = require(' + ${JSON.stringify(JSON.stringify(library))} + ');' + ${JSON.stringify(step)}
        + 'for (let i = 0; i < 50; i++) step(a).catch(() => {});'
        + 'step(a).then(() => {}); require("node:worker_threads").parentPort.postMessage(0);';
      (async () => {
        for (let i = 0; i < 12; i++) {
          const worker = new Worker(source, { eval: true });
          await new Promise((resolve) => worker.once('message', resolve));
          // At different places in the queue.
          await new Promise((resolve) => setTimeout(resolve, 3 * i));
          await worker.terminate();
        }
        ${step}
        for (let i = 0; i < 3; i++) await step(a);
        console.log(JSON.stringify(total.item()));
      })();
    `);
    expect(result).toBe(3);
  });

  test('a step under way keeps the process alive, and no longer', () => {
    const { status, signal, output, errors } = runChild(`
      ${step}
      Promise.all([step(a), step(a)]).then(([, last]) => console.log(last.item()));
    `);
    expect({ status, signal, output, errors }).toEqual({ status: 0, signal: null, output: '2', errors: '' });
  });

  test('the process may exit while steps are under way', () => {
    const { status, signal, errors } = runChild(`
      ${step}
      for (let i = 0; i < 30; i++) step(a);
      setTimeout(() => process.exit(0), 20);
    `);
    expect({ status, signal, errors }).toEqual({ status: 0, signal: null, errors: '' });
  });

  test('an interrupt ends a process whose steps are under way at once', () => {
    const result = childJson(`
      const { spawn } = require('node:child_process');
      const source = 'const k = require(' + ${JSON.stringify(JSON.stringify(library))} + ');' + ${JSON.stringify(step)}
        + 'for (let i = 0; i < 20000; i++) step(a); console.log("begun");';
      const child = spawn(process.execPath, ['-e', source], { stdio: ['ignore', 'pipe', 'inherit'] });
      child.stdout.once('data', () => {
        const start = performance.now();
        child.kill('SIGINT');
        child.once('exit', (code, signal) => console.log(JSON.stringify({ signal, quick: performance.now() - start < 1000 })));
      });
    `);
    expect(result).toEqual({ signal: 'SIGINT', quick: true });
  });
});

describe('exits', () => {
  test.each([
    ['at the end of the program', ''],
    ['by process.exit', 'process.exit(0);'],
    ['by process.exit while memory is in use', 'globalThis.held = k.zeros([1000000]); process.exit(0);'],
    ['with a pending timer cleared', 'clearTimeout(setTimeout(() => {}, 1000));'],
  ])('%s', (_, ending) => {
    const { status, signal, errors } = runChild(`k.ones([600, 600]).matmul(k.ones([600, 600])); ${ending}`);
    expect({ status, signal, errors }).toEqual({ status: 0, signal: null, errors: '' });
  });

  test('child processes of a program that uses the pool', () => {
    const output = childJson(`
      const { execFileSync } = require('node:child_process');
      k.ones([600, 600]).matmul(k.ones([600, 600]));
      const child = execFileSync(process.execPath, ['-e', 'console.log(7)'], { encoding: 'utf8' });
      console.log(JSON.stringify([Number(child), k.ones([600, 600]).sum().item()]));
    `);
    expect(output).toEqual([7, 360000]);
  });
});

describe('the instruction set', () => {
  test('is the one asked for', () => {
    expect(isa()).toBe(process.env.KINDLING_ISA ?? detectedIsa());
    expect(childJson('console.log(JSON.stringify(k.isa()))', { KINDLING_ISA: 'scalar' })).toBe('scalar');
  });

  test('falls back with a warning when the name is unknown', () => {
    const { output, errors } = runChild('console.log(k.isa())', { KINDLING_ISA: 'sse9' });
    expect(output).toBe(detectedIsa());
    expect(errors).toMatch(/KINDLING_ISA=sse9 is unknown \(scalar, avx2, avx512\)/);
  });

  test('does not change random numbers', () => {
    const draw = (level: string): unknown =>
      childJson(
        'k.manualSeed(3); console.log(JSON.stringify([...k.randn([9]).dataSync(), ...k.rand([9]).dataSync()]))',
        {
          KINDLING_ISA: level,
        },
      );
    expect(draw('scalar')).toEqual(draw(detectedIsa()));
  });
});
