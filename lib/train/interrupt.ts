/** Waiting that ends early when the signal aborts, or when something that nobody waits for fails. */
export class Interrupt {
  private failure: { readonly error: unknown } | null = null;
  // Not Promise.race: a promise that outlives many races keeps something of each.
  private reject: ((error: unknown) => void) | null = null;
  private readonly abort = (): void => {
    this.fail(this.signal?.reason);
  };

  constructor(private readonly signal: AbortSignal | undefined) {
    if (signal?.aborted) this.abort();
    signal?.addEventListener('abort', this.abort, { once: true });
  }

  /** Ends what is being waited for now or next with an error; the first one counts. */
  fail(error: unknown): void {
    this.failure ??= { error };
    this.reject?.(error);
  }

  throwIfFailed(): void {
    if (this.failure !== null) throw this.failure.error;
  }

  /** The promise's result, or the failure, whichever is first. */
  or<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      promise.then(resolve, reject);
      this.reject = reject;
      if (this.failure !== null) reject(this.failure.error as Error);
    });
  }

  close(): void {
    this.signal?.removeEventListener('abort', this.abort);
  }
}
