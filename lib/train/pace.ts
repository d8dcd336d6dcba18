/** How much is done in one go, so that the event loop and signals get their turn. */

/** A call of a compiled step is to take about this long: more than what calling costs, less than one would wait. */
const callMs = 8;
const mostPerCall = 64;
/** How long eager operations may hold the event loop before they let other work run. */
const maxHoldMs = 10;

/** How many steps go into a call, by how long they have taken. */
export class Pace {
  private msPerStep = Infinity;
  private last = 0;

  /** Time runs from now on. */
  begin(): void {
    this.last = performance.now();
  }

  get stepsPerCall(): number {
    return Math.max(1, Math.min(mostPerCall, Math.round(callMs / this.msPerStep)));
  }

  /** So many steps have ended since this or {@link Pace.begin} was called last. */
  ended(steps: number): void {
    const now = performance.now();
    const ms = (now - this.last) / steps;
    this.last = now;
    // The first call was compiled first: it only tells that steps are not long.
    this.msPerStep = Number.isFinite(this.msPerStep) ? 0.7 * this.msPerStep + 0.3 * ms : Math.max(ms, callMs / 4);
  }
}

/** Gives other work a turn when the time is up. */
export class Breather {
  private last = performance.now();

  constructor(private readonly signal: AbortSignal | undefined) {}

  /** Resolves at once (undefined) or after the event loop has had a turn. */
  pause(): Promise<void> | undefined {
    if (performance.now() - this.last < maxHoldMs) return undefined;
    return new Promise((resolve, reject) => {
      setImmediate(() => {
        this.last = performance.now();
        if (this.signal?.aborted) reject(this.signal.reason as Error);
        else resolve();
      });
    });
  }
}
