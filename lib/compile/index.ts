/** Steps that are traced once and then run natively, off the main thread. */
import { types } from 'node:util';
import { isGradEnabled } from '../autograd/node';
import { ShapeError, TraceError } from '../errors';
import { concat, contiguous } from '../ops/copies';
import { withRecorder } from '../tensor/recorder';
import { tidy } from '../tensor/scope';
import type { AnyTensor } from '../tensor/tensor';
import { explain } from './explain';
import { Program } from './program';
import { cancel, listen } from './runs';
import { mapTensors, signatureOf, tensorsOf, type Structure } from './structure';
import { Trace } from './trace';

/** Options of {@link compile}. */
export interface CompileStepOptions {
  /** Stands in error messages. Default: the function's name, or 'step'. */
  name?: string;
  /** Where the function cannot be traced, run it as it is instead of throwing. Default false. */
  fallback?: boolean;
  /** Measure what each operation takes, for `explain()`. Costs some 50 ns an operation. Default false. */
  profile?: boolean;
  /** Rejects calls that have not begun with the signal's reason; what they would have updated stays as it was. */
  signal?: AbortSignal;
}

/** What {@link compile} returns. */
export interface CompiledStep<A extends readonly unknown[], R> {
  /**
   * Queues a run and returns at once; several may be under way and run in the order of their calls. Arguments of another
   * structure, dtype or shape, and other plain values, have the function traced again.
   */
  (...args: A): Promise<R>;
  /**
   * One run for each entry along axis 0 of the arguments' tensors, in their order, in a single native call: for steps so
   * short that calling them is what takes the time. The same as that many calls, but for the results, which are stacked
   * along axis 0.
   */
  scan(...args: A): Promise<R>;
  /** The programs so far: their operations and buffers. */
  explain(): string;
  /** Why the last call was not compiled, where `fallback` let it run as it is; else null. */
  readonly fallbackReason: TraceError | null;
  /** Gives the programs back. Runs that are under way end as usual. */
  dispose(): void;
}

/** Position `i` of axis 0, with the tensor's place in the signature. */
function entryOf(tensor: AnyTensor, i: number): AnyTensor {
  const entry = tensor.detach().slice(i);
  entry._requiresGrad = tensor._requiresGrad;
  return entry;
}

/** Structures of tensors as one structure of tensors with an axis in front. */
function stacked(results: readonly Structure[], name: string): Structure {
  const lists = results.map((result) => tensorsOf(result, name));
  let next = 0;
  return mapTensors(
    results[0],
    () => {
      const at = next++;
      return concat(lists.map((list) => list[at].detach().unsqueeze(0)));
    },
    name,
  );
}

/** @internal What is behind {@link compile}. */
export class Step<A extends readonly unknown[], R> {
  private readonly programs = new Map<string, Program[]>();
  fallbackReason: TraceError | null = null;

  constructor(
    private readonly name: string,
    private readonly fn: (...args: A) => R,
    private readonly options: CompileStepOptions,
  ) {}

  /** Throws, before anything is queued, where the function cannot be traced. */
  submit(args: A): Promise<R> {
    this.options.signal?.throwIfAborted();
    const tensors = this.argumentsOf(args);
    const program = this.tryProgramFor(args);
    return program === null ? Promise.resolve(this.fn(...args)) : this.start(program, tensors);
  }

  /** {@link CompiledStep.scan}; throws as {@link Step.submit} does. */
  submitScan(args: A): Promise<R> {
    this.options.signal?.throwIfAborted();
    const tensors = this.argumentsOf(args);
    const [repeats] = tensors.map(({ shape }) => (shape as readonly (number | undefined)[])[0]);
    if (repeats === undefined || repeats === 0 || tensors.some(({ shape }) => shape[0] !== repeats)) {
      throw new ShapeError(
        `${this.name}: scan needs tensors with the same number of entries along axis 0, at least one`,
      );
    }
    const entry = (i: number): A => mapTensors(args, (tensor) => entryOf(tensor, i), this.name) as A;
    const program = tidy(() => this.tryProgramFor(entry(0)));
    if (program !== null) return this.start(program, tensors, repeats);
    const results = Array.from({ length: repeats }, (_, i) => this.fn(...entry(i)));
    return Promise.resolve(stacked(results, this.name) as R);
  }

  private argumentsOf(args: A): AnyTensor[] {
    const tensors = tensorsOf(args, this.name);
    for (const tensor of tensors) tensor._check(this.name);
    return tensors;
  }

  /** Null where there is none and the function is to run as it is. */
  private tryProgramFor(args: A): Program | null {
    try {
      return this.programFor(args);
    } catch (error) {
      if (this.options.fallback !== true || !(error instanceof TraceError)) throw error;
      this.fallbackReason = error;
      return null;
    }
  }

  private start(program: Program, tensors: readonly AnyTensor[], repeats?: number): Promise<R> {
    const rows = tensors.map((tensor) => (tensor.isContiguous ? tensor : contiguous(tensor.detach())));
    const { run, result } = program.launch(rows, repeats);
    rows.forEach((row, i) => {
      if (row !== tensors[i]) row.dispose();
    });
    return this.cancellable(run, result) as Promise<R>;
  }

  private cancellable(run: number, result: Promise<Structure>): Promise<Structure> {
    const { signal } = this.options;
    if (signal === undefined) return result;
    const stop = (): void => {
      cancel(run, signal.reason);
    };
    signal.addEventListener('abort', stop, { once: true });
    return result.finally(() => {
      signal.removeEventListener('abort', stop);
    });
  }

  private programFor(args: A): Program {
    const signature = `${isGradEnabled() ? '' : 'no grad '}${signatureOf(args)}`;
    const known = this.programs.get(signature) ?? [];
    const fit = known.find((program) => program.holds);
    if (fit !== undefined) return fit;
    const made = this.trace(args);
    this.programs.set(signature, [...known, made]);
    return made;
  }

  private trace(args: A): Program {
    listen();
    const trace = new Trace(this.name);
    try {
      return tidy(() =>
        withRecorder(trace, () => {
          const inputs: AnyTensor[] = [];
          const traced = mapTensors(
            args,
            (tensor) => {
              inputs.push(trace.input(tensor));
              return inputs[inputs.length - 1];
            },
            this.name,
          );
          const result = this.fn(...(traced as A));
          if (types.isPromise(result)) {
            result.catch(() => undefined);
            throw new TypeError(`${this.name}: the function must not be async`);
          }
          const program = withRecorder(
            null,
            () => new Program(this.name, trace, inputs, result, this.options.profile ?? false),
          );
          trace.dropGrads();
          return program;
        }),
      );
    } catch (error) {
      trace.abandon();
      throw error;
    }
  }

  get all(): readonly Program[] {
    return [...this.programs.values()].flat();
  }

  dispose(): void {
    for (const program of this.all) program.dispose();
    this.programs.clear();
  }
}

/**
 * A function over tensors, such as a whole training step, that is traced at its first call for arguments of each shape
 * and runs as one native program from then on, on a thread of its own: the event loop stays free.
 *
 * Parameters, running averages and an optimizer's state are updated in place; learning rates and random numbers are
 * those of the moment of each call. Everything else that is not a tensor is a constant of the program: numbers of the
 * surrounding scope, results of `Math.random()`, what `console.log` prints. Gradients do not outlive a run: return them
 * where they are wanted. Results carry no gradient history.
 *
 * A run that fails has updated nothing.
 * @throws TraceError, by the returned promise, where the function reads a tensor's values or changes its arguments.
 * @example
 * const step = compile((x, y) => {
 *   optimizer.zeroGrad();
 *   const loss = crossEntropy(model.forward(x), y);
 *   loss.backward();
 *   optimizer.step();
 *   return loss;
 * });
 * const loss = await step(x, y);
 */
export function compile<A extends readonly unknown[], R>(
  fn: (...args: A) => R,
  options: CompileStepOptions = {},
): CompiledStep<A, R> {
  if (typeof fn !== 'function') throw new TypeError('compile: the first argument must be a function');
  const step = new Step(options.name ?? (fn.name === '' ? 'step' : fn.name), fn, options);
  // Async, so that whatever goes wrong rejects the promise.
  const call = async (...args: A): Promise<R> => step.submit(args);
  return Object.defineProperty(
    Object.assign(call, {
      scan: async (...args: A): Promise<R> => step.submitScan(args),
      explain: () => step.all.map(explain).join('\n\n'),
      dispose: () => {
        step.dispose();
      },
    }),
    'fallbackReason',
    { get: () => step.fallbackReason },
  ) as unknown as CompiledStep<A, R>;
}
