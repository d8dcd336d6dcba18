/** STANDIN */
export type Verbosity = 0 | 1 | 2 | 'auto';
export class ProgressReporter {
  private n = 0;
  constructor(private o: { epochs: number; verbose: Verbosity }) {}
  epochBegin(e: number, _s: number): void {
    this.n = e;
  }
  step(_s: number, _l: () => Record<string, number>): void {}
  epochEnd(l: Record<string, number>): void {
    if (this.o.verbose !== 0) console.log(`Epoch ${this.n + 1}/${this.o.epochs}`, l);
  }
}
