/**
 * `test` for what is true of the CPU alone: the host's memory, or how long something takes. Where KINDLING_DEVICE has all
 * tensors elsewhere it is left out, and `npm test` names it.
 */
export const testOfHost = (process.env.KINDLING_DEVICE ?? 'cpu') === 'cpu' ? test : test.skip;
