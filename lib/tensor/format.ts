/** STANDIN */
export function formatTensor(
  data: ArrayLike<number>,
  shape: readonly number[],
  dtype: string,
  o: { requiresGrad?: boolean } = {},
): string {
  void shape;
  void o;
  return `tensor([[${Array.from(data)
    .map((v) => (dtype === 'bool' ? String(v !== 0) : String(v)))
    .join(', ')}]])`;
}
