/** Kindling's side of the training benchmark: kindling.js MODEL FOLDER THREADS compiled|eager. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import {
  compile,
  isa,
  manualSeed,
  numThreads,
  setNumThreads,
  tensor,
  tidy,
  type AnyTensor,
  type Tensor,
} from '../../../lib';
import { serve } from '../protocol';
import { subjects } from './models';

type Manifest = Record<string, { readonly shape: number[]; readonly dtype: string }>;

/** The tensors that peer.py has written, by name; none where PyTorch is not there. */
function prepared(folder: string): Record<string, AnyTensor> {
  const manifest = path.join(folder, 'manifest.json');
  if (!existsSync(manifest)) return {};
  const entries = Object.entries(JSON.parse(readFileSync(manifest, 'utf8')) as Manifest);
  return Object.fromEntries(
    entries.map(([name, { shape, dtype }]) => {
      const bytes = readFileSync(path.join(folder, `${name}.bin`));
      const { buffer } = new Uint8Array(bytes);
      return [name, tensor(dtype === 'int32' ? new Int32Array(buffer) : new Float32Array(buffer), { shape })];
    }),
  );
}

function peakBytes(): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024;
}

async function main(): Promise<void> {
  const [name, folder, threads, mode] = process.argv.slice(2);
  setNumThreads(Number(threads));
  manualSeed(0);
  const subject = subjects[name];
  const given = prepared(folder);
  const { x, y } = 'x' in given ? (given as { x: Tensor; y: Tensor }) : subject.data();
  const model = subject.make();
  const state = model.stateDict();
  for (const key of Object.keys(state)) if (`weights.${key}` in given) state[key] = given[`weights.${key}`];
  if ('x' in given) model.loadStateDict(state);
  const optimizer = subject.optimizer(model.parameters());
  const fn = (index: Tensor): Tensor => {
    const loss = subject.loss(model.forward(x.indexSelect(index as never)), y.indexSelect(index as never));
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    return loss;
  };
  const step = compile(fn);
  const { batchSize } = subject;
  const [length] = x.shape;
  const indices = Array.from({ length: length / batchSize }, (_, i) =>
    tensor(Int32Array.from({ length: batchSize }, (__, j) => i * batchSize + j)),
  ) as unknown as Tensor[];
  let at = 0;
  const title = `Kindling ${mode} (${isa()})`;
  await serve({ name: title, version: '0.1.0', threads: numThreads() }, async (steps) => {
    const losses: number[] = [];
    const waiting: Promise<Tensor>[] = [];
    const take = async (): Promise<void> => {
      const loss = (await waiting.shift()) as Tensor;
      losses.push(loss.item());
      loss.dispose();
    };
    const start = performance.now();
    for (let i = 0; i < steps; i++) {
      const index = indices[at++ % indices.length];
      if (mode === 'eager') losses.push(tidy(() => fn(index).item()));
      else waiting.push(step(index));
      if (waiting.length > 3) await take();
    }
    while (waiting.length > 0) await take();
    const seconds = (performance.now() - start) / 1000;
    return {
      samples: steps * batchSize,
      seconds,
      losses: losses.slice(0, 10),
      peakBytes: peakBytes(),
    };
  });
}

void main();
