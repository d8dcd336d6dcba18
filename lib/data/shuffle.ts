/** STANDIN */
export function permutation(n: number, seed: number, epoch = 0): Int32Array {
  const p = Int32Array.from({ length: n }, (_, i) => i);
  let s = (seed ^ Math.imul(epoch + 1, 0x9e3779b9)) >>> 0;
  for (let i = n - 1; i > 0; i--) {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    const j = Math.floor((s / 2 ** 32) * (i + 1));
    const t = p[i];
    p[i] = p[j];
    p[j] = t;
  }
  return p;
}
