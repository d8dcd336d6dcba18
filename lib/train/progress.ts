/** What `fit` prints: a bar on a terminal, plain lines elsewhere. */

/** 0: nothing; 1: a bar redrawn in place; 2: a line per epoch; 'auto': 1 on a terminal, else 2. */
export type Verbosity = 0 | 1 | 2 | 'auto';

/** Where progress is written; `process.stdout` fits. */
export interface ProgressOutput {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** Options of {@link ProgressReporter}. */
export interface ProgressOptions {
  epochs: number;
  verbose: Verbosity;
  /** Default `process.stdout`. */
  output?: ProgressOutput;
  /** Milliseconds; default `performance.now`. */
  now?: () => number;
}

type Logs = Readonly<Record<string, number>>;

/** The bar is drawn at most 20 times a second: drawing must not cost what it measures. */
const redrawMs = 50;
const barWidth = 30;

function formatValue(value: number): string {
  if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential(4);
  return value.toFixed(4);
}

function formatLogs(logs: Logs): string {
  return Object.entries(logs)
    .map(([name, value]) => ` - ${name}: ${formatValue(value)}`)
    .join('');
}

function formatDuration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)}s`;
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;
}

function formatStepTime(ms: number): string {
  return ms >= 1 ? `${ms.toFixed(0)}ms/step` : `${(ms * 1000).toFixed(0)}us/step`;
}

/** Reports the progress of training, Keras's way. */
export class ProgressReporter {
  private readonly output: ProgressOutput;
  private readonly now: () => number;
  private readonly mode: 0 | 1 | 2;
  private steps: number | undefined;
  private seen = 0;
  private begun = 0;
  private drawn = 0;
  private epoch = 0;

  constructor(private readonly options: ProgressOptions) {
    this.output = options.output ?? process.stdout;
    this.now = options.now ?? (() => performance.now());
    const isTerminal = this.output.isTTY ?? false;
    this.mode = options.verbose === 'auto' ? (isTerminal ? 1 : 2) : options.verbose;
  }

  /** @param epoch from 0; @param steps how many updates it has, where that is known */
  epochBegin(epoch: number, steps: number | undefined): void {
    this.epoch = epoch;
    this.steps = steps;
    this.seen = 0;
    this.begun = this.now();
    this.drawn = -Infinity;
    if (this.mode === 1) this.output.write(`Epoch ${epoch + 1}/${this.options.epochs}\n`);
  }

  /** After update number `step` (from 1); `logs` is called only when something is drawn. */
  step(step: number, logs: () => Logs): void {
    this.seen = step;
    if (this.mode !== 1) return;
    const now = this.now();
    if (now - this.drawn < redrawMs) return;
    this.drawn = now;
    this.draw(step, logs());
  }

  /** At the end of the epoch, with all its results. */
  epochEnd(logs: Logs): void {
    if (this.mode === 1) {
      // Now it is known.
      this.steps = this.seen;
      this.draw(this.seen, logs);
      this.output.write('\n');
    } else if (this.mode === 2) {
      const elapsed = formatDuration(this.now() - this.begun);
      this.output.write(`Epoch ${this.epoch + 1}/${this.options.epochs} - ${elapsed}${formatLogs(logs)}\n`);
    }
  }

  private draw(step: number, logs: Logs): void {
    const line = `${this.position(step)}${formatLogs(logs)}`;
    // Wrapped lines would not be overwritten by the next.
    const columns = this.output.columns ?? 120;
    this.output.write(`\r\u001b[K${line.slice(0, Math.max(1, columns - 1))}`);
  }

  /** How far it is, and how long it has taken or will take. */
  private position(step: number): string {
    const elapsed = this.now() - this.begun;
    const perStep = elapsed / Math.max(1, step);
    const soFar = `${formatDuration(elapsed)} ${formatStepTime(perStep)}`;
    if (this.steps === undefined) return `${step}/? ${soFar}`;
    const filled = Math.floor((barWidth * step) / Math.max(1, this.steps));
    const isDone = step >= this.steps;
    const bar = '='.repeat(filled) + (isDone ? '' : '>' + '.'.repeat(Math.max(0, barWidth - filled - 1)));
    const time = isDone ? soFar : `ETA: ${formatDuration(perStep * (this.steps - step))}`;
    return `${String(step).padStart(String(this.steps).length)}/${this.steps} [${bar}] ${time}`;
  }
}
