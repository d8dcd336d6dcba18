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
import { mergeCommon } from './passes/commonSubexpressions';
import { removeDeadCode } from './passes/deadCode';
import { separateOutputs } from './passes/outputs';
import { foldEpilogues } from './passes/epilogue';
import { foldConstants } from './passes/fold';
import { fuseElementwise } from './passes/fuse';
import { planMemory, type Plan } from './passes/plan';
import { started } from './runs';
import { mapTensors, tensorsOf, type Structure } from './structure';
import type { Trace } from './trace';
import { Replay } from './trace';

/** Numbers of a launch before the handles: program, run, repetitions, whether operations are timed. */
const header = 4;

/** What a launch leaves to wait for. */
export interface Launch {
  readonly run: number;
  readonly result: Promise<Structure>;
}

/** The passes, in their order. */
function optimize(graph: Graph, device: number): Graph {
  const committed = commitLast(removeDeadCode(separateOutputs(graph)));
  return removeDeadCode(fuseElementwise(foldEpilogues(foldConstants(mergeCommon(committed), device))));
}

export class Program {
  readonly graph: Graph;
  readonly plan: Plan;
  private readonly handle: number;
  private readonly bindings: readonly Binding[];
  private readonly live: LiveLayout;
  private words: Float64Array;
  private readonly liveNumbers: readonly number[];
  private readonly result: Structure;
  private readonly outputs: readonly AnyTensor[];
  /** Constants that the passes have made. */
  private readonly own = new Set<AnyTensor>();
  /** The live numbers are those of the trace until the first run has taken them. */
  private isFresh = true;
  /** What each operation has taken so far, where that is measured. */
  readonly seconds: number[] | null;
  runs = 0;

  constructor(
    private readonly name: string,
    private readonly trace: Trace,
    inputs: readonly AnyTensor[],
    result: Structure,
    profile: boolean,
  ) {
    this.result = result;
    this.outputs = tensorsOf(result, name);
    const traced: Graph = {
      inputs: inputs.map((tensor) => trace.valueOf(tensor)),
      operations: trace.operations,
      outputs: this.outputs.map((tensor) => trace.valueOf(tensor)),
    };
    this.graph = optimize(traced, trace.device);
    const traceKnows = new Set(
      trace.operations.flatMap((operation) => operation.inputs.map(({ root }) => root.tensor)),
    );
    for (const { root } of this.graph.operations.flatMap((operation) => operation.inputs)) {
      if (root.tensor !== null && !traceKnows.has(root.tensor)) this.own.add(root.tensor);
    }
    this.bindings = bindingsOf(this.graph);
    const places = new Map(this.bindings.map(({ value }, i) => [value, i]));
    this.plan = planMemory(this.graph, places);
    const { words, live, liveNumbers } = encode(this.graph, this.bindings, this.plan, trace.sections);
    this.live = live;
    this.handle = native.createProgram(words, trace.device);
    if (this.handle === 0) throw nativeError(name);
    this.seconds = profile ? this.graph.operations.map(() => 0) : null;
    this.liveNumbers = liveNumbers;
    this.words = new Float64Array(header + this.bindings.length + liveNumbers.length);
    this.words[0] = this.handle;
  }

  /** Whether what was true when the step was traced still is. */
  get holds(): boolean {
    return this.trace.guards.every((holds) => holds());
  }

  /**
   * Submits a run. What it works on is settled when this returns.
   * @param repeats where given, the program runs so many times: arguments and results have that many along an axis in
   * front
   */
  launch(inputs: readonly AnyTensor[], repeats?: number): Launch {
    const words = this.wordsFor(repeats ?? 1);
    const replays = this.readLive(words, repeats ?? 1);
    const run = nextRun++;
    words[1] = run;
    words[2] = repeats ?? 0;
    words[3] = this.seconds === null ? 0 : 1;
    this.bindings.forEach(({ role, value }, i) => {
      const tensor = role === Role.argument ? inputs[i] : value.tensor;
      words[header + i] = tensor?._handle ?? 0;
    });
    if (native.launch(words) === 0) {
      for (const replay of replays.reverse()) replay.abandon();
      throw nativeError(this.name);
    }
    this.isFresh = false;
    const made = this.takeOutputs(words, repeats);
    for (const { role, value } of this.bindings) if (role === Role.updated) changed(value.tensor as AnyTensor);
    return { run, result: started(run, this.name, made, (seconds) => this.resultOf(made, seconds, repeats)) };
  }

  private wordsFor(repeats: number): Float64Array {
    const { length } = this.liveNumbers;
    const needed = header + this.bindings.length + length * repeats;
    if (this.words.length !== needed) {
      this.words = new Float64Array(needed);
      this.words[0] = this.handle;
    }
    return this.words;
  }

  /** Fills in the live numbers of each repetition; the first ever has those of the trace. */
  private readLive(words: Float64Array, repeats: number): Replay[] {
    const replays: Replay[] = [];
    const { length } = this.liveNumbers;
    for (let i = 0; i < repeats; i++) {
      const at = header + this.bindings.length + i * length;
      words.set(this.liveNumbers, at);
      if (i > 0 || !this.isFresh) replays.push(...this.replay(words, at));
    }
    return replays;
  }

  /** Runs the live sections again and takes the attributes of their operations. */
  private replay(words: Float64Array, at: number): Replay[] {
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
        if (layout[i] >= 0) words.set(attributesOf(name, ints, floats), at + layout[i]);
      });
      return replay;
    });
  }

  /** The tensors that native code has made for the outputs. */
  private takeOutputs(words: Float64Array, repeats: number | undefined): Tensor[] {
    const first = header + this.bindings.length - this.graph.outputs.length;
    return this.graph.outputs.map(({ shape, dtype }, i) => {
      const tensor = new Tensor(repeats === undefined ? shape : [repeats, ...shape], dtype);
      tensor._device = this.trace.device;
      tensor._handle = words[first + i];
      return tensor as Tensor;
    });
  }

  private resultOf(made: readonly Tensor[], seconds: readonly number[], repeats = 1): Structure {
    seconds.forEach((time, i) => ((this.seconds as number[])[i] += time));
    this.runs += repeats;
    let next = 0;
    return mapTensors(this.result, () => made[next++], this.name);
  }

  dispose(): void {
    native.releaseProgram(this.handle);
    for (const tensor of this.own) tensor.dispose();
    this.trace.release();
  }
}

let nextRun = 1;

/** Arguments, then what was captured, then results. */
function bindingsOf(graph: Graph): Binding[] {
  const bindings: Binding[] = graph.inputs.map((value) => ({ role: Role.argument, value }));
  const updated = new Set<Value>();
  const captured = new Set<Value>();
  for (const { inputs, writes } of graph.operations) {
    for (const { root } of inputs) if (root.kind === 'captured') captured.add(root);
    for (const { root } of writes) if (root.kind === 'captured') updated.add(root);
  }
  for (const value of captured) bindings.push({ role: updated.has(value) ? Role.updated : Role.captured, value });
  for (const value of graph.outputs) bindings.push({ role: Role.result, value });
  return bindings;
}
