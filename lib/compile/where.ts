/** The line of the user's program that an operation comes from. */
import path from 'node:path';

const library = path.dirname(__dirname);

function isOwn(frame: string): boolean {
  return frame.includes(library + path.sep) || frame.includes('node:internal') || frame.includes('<anonymous>');
}

/** `file:line:column` of the nearest caller outside the library; '' where there is none. */
export function userLine(): string {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 50;
  const { stack = '' } = new Error();
  Error.stackTraceLimit = stackTraceLimit;
  const frame = stack
    .split('\n')
    .slice(1)
    .find((line) => !isOwn(line));
  return frame === undefined ? '' : (/\(?([^()\s]+:\d+:\d+)\)?$/.exec(frame)?.[1] ?? '');
}
