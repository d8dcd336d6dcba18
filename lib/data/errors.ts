/** A data file is missing, truncated or not what it should be. */
export class DataError extends Error {
  override readonly name: string = 'DataError';
}
