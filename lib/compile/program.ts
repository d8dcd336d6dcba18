/** A step that was traced for one signature: planned, in native memory, and ready to run. */
import { withGrad } from '../autograd/node';
import { TraceError } from '../errors';
import { native, nativeError } from '../native';
import { changed } from '../ops/run';
import { withRecorder } from '../tensor/recorder';
import { tidy } from '../tensor/scope';
import { Tensor, type AnyTensor } from '../tensor/tensor';
import { attributesOf, encode, Role, type Binding, type LiveLayout } from './encode';
import type { Graph, Value } from './ir';
import { commitLast } from './passes/commit';
import { removeDeadCode } from './passes/deadCode';
import { separateOutputs } from './passes/outputs';
import { planMemory, type Plan } from './passes/plan';
import { started } from './runs';
import { mapTensors, tensorsOf, type Structure } from './structure';
import type { Trace } from './trace';
import { Replay } from './trace';

/** What a launch leaves to wait for. */
export interface Launch {
  readonly run: number;
  readonly result: Promise<Structure>;
}

/** The passes, in their order. */
function optimize(graph: Graph): Graph {
  return commitLast(removeDeadCode(separateOutputs(graph)));
}

export class Program {
  readonly graph: Graph;
  readonly plan: Plan;
  private readonly handle: number;
  private readonly bindings: readonly Binding[];
  private readonly live: LiveLayout;
  private readonly words: Float64Array;
  private readonly result: Structure;
  private readonly outputs: readonly AnyTensor[];
  /** The live numbers are those of the trace until the first run has taken them. */
  private isFresh = true;

  constructor(
    private readonly name: string,
    private readonly trace: Trace,
    inputs: readonly AnyTensor[],
    result: Structure,
  ) {
    this.result = result;
    this.outputs = tensorsOf(result, name);
    const traced: Graph = {
      inputs: inputs.map((tensor) => trace.valueOf(tensor)),
      operations: trace.operations,
      outputs: this.outputs.map((tensor) => trace.valueOf(tensor)),
    };
    this.graph = optimize(traced);
    this.bindings = bindingsOf(this.graph);
    const places = new Map(this.bindings.map(({ value }, i) => [value, i]));
    this.plan = planMemory(this.graph, places);
    const { words, live, liveNumbers } = encode(this.graph, this.bindings, this.plan, trace.sections);
    this.live = live;
    this.handle = native.createProgram(words);
    if (this.handle === 0) throw nativeError(name);
    this.words = Float64Array.from([this.handle, 0, ...this.bindings.map(() => 0), ...liveNumbers]);
  }

  /** Whether what was true when the step was traced still is. */
  get holds(): boolean {
    return this.trace.guards.every((holds) => holds());
  }

  /** Submits a run. What it works on is settled when this returns. */
  launch(inputs: readonly AnyTensor[]): Launch {
    const { words, bindings } = this;
    const replays = this.isFresh ? [] : this.readLive();
    const run = nextRun++;
    words[1] = run;
    let input = 0;
    bindings.forEach(({ role, value }, i) => {
      const tensor = value.kind === 'input' ? inputs[input++] : value.tensor;
      words[2 + i] = role === Role.made ? 0 : (tensor as AnyTensor)._handle;
    });
    if (native.launch(words) === 0) {
      for (const replay of replays.reverse()) replay.abandon();
      throw nativeError(this.name);
    }
    this.isFresh = false;
    const made = this.takeOutputs();
    for (const { role, value } of bindings) if (role === Role.updated) changed(value.tensor as AnyTensor);
    return { run, result: started(run, this.name, made, () => this.resultOf(made)) };
  }

  /** Runs the live sections again and takes the attributes of their operations. */
  private readLive(): Replay[] {
    const at = 2 + this.bindings.length;
    return this.trace.sections.map(({ fn }, section) => {
      const replay = new Replay();
      withRecorder(replay, () => {
        withGrad(false, () => {
          tidy(() => void fn());
        });
      });
      const layout = this.live[section];
      if (replay.attributes.length !== layout.length) {
        throw new TraceError(`${this.name}: an update does other operations than when the step was compiled`);
      }
      replay.attributes.forEach(({ name, ints, floats }, i) => {
        if (layout[i] >= 0) this.words.set(attributesOf(name, ints, floats), at + layout[i]);
      });
      return replay;
    });
  }

  /** The tensors that native code has made for the outputs. */
  private takeOutputs(): Tensor[] {
    const made = new Map<Value, Tensor>();
    this.bindings.forEach(({ role, value }, i) => {
      if (role !== Role.made) return;
      const tensor = new Tensor(value.shape, value.dtype);
      tensor._handle = this.words[2 + i];
      made.set(value, tensor as Tensor);
    });
    return this.graph.outputs.map((value) => made.get(value) as Tensor);
  }

  private resultOf(made: readonly Tensor[]): Structure {
    let next = 0;
    return mapTensors(this.result, () => made[next++], this.name);
  }

  dispose(): void {
    native.releaseProgram(this.handle);
    this.trace.release();
  }
}

let nextRun = 1;

function bindingsOf(graph: Graph): Binding[] {
  const bindings: Binding[] = graph.inputs.map((value) => ({ role: Role.read, value }));
  const updated = new Set<Value>();
  const captured = new Set<Value>();
  for (const { inputs, writes } of graph.operations) {
    for (const { root } of inputs) if (root.kind === 'captured') captured.add(root);
    for (const { root } of writes) if (root.kind === 'captured') updated.add(root);
  }
  for (const value of captured) bindings.push({ role: updated.has(value) ? Role.updated : Role.read, value });
  for (const value of graph.outputs) bindings.push({ role: Role.made, value });
  return bindings;
}
