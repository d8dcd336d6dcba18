/** The line of the user's program that an operation comes from. */
import path from 'node:path';

const library = path.dirname(__dirname);
const mostFrames = 50;

function isOwn(frame: string): boolean {
  return frame.includes(library + path.sep) || frame.includes('node:internal') || frame.includes('<anonymous>');
}

/** A place in the program. It is found out only when somebody asks: stacks are dear to print, not to take. */
export class Origin {
  private readonly taken: Error | null;

  /** @param note stands in front of the line */
  constructor(
    private readonly note = '',
    from?: Origin | null,
  ) {
    this.taken = from === undefined ? Origin.take() : (from?.taken ?? null);
  }

  private static take(): Error {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = mostFrames;
    const taken = new Error();
    Error.stackTraceLimit = stackTraceLimit;
    return taken;
  }

  /** `file:line:column` of the nearest caller outside the library, after the note; '' where there is neither. */
  get line(): string {
    const frame = (this.taken?.stack ?? '')
      .split('\n')
      .slice(1)
      .find((line) => !isOwn(line));
    const place = frame === undefined ? '' : (/\(?([^()\s]+:\d+:\d+)\)?$/.exec(frame)?.[1] ?? '');
    return [this.note, place].filter((part) => part !== '').join(', ');
  }
}
