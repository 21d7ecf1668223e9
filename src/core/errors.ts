/**
 * What went wrong, for people: one line that names the thing, the value received and what is allowed.
 * Everything that a user can cause is a CapeError; any other exception that reaches the top is a bug of ours
 * and the only case that prints a stack trace.
 */

/** The exit codes of every command, one meaning each (numbers above 1 follow sysexits.h). */
export const EXIT = {
  /** Done. */
  ok: 0,
  /** What was asked for can't be done: no such issue, already running, the awaited issue failed. */
  refused: 1,
  /** The command line is wrong. */
  usage: 64,
  /** The database is out of reach or refuses the login, where waiting makes no sense. */
  database: 69,
  /** A bug of ours. */
  bug: 70,
  /** Another live worker has this id. */
  taken: 75,
  /** A setting is wrong. */
  config: 78,
} as const;

/** What kind of thing went wrong: a name of `EXIT`. */
export type ErrorKind = Exclude<keyof typeof EXIT, 'ok'>;

/** An error that a person can act on. `message` is one line; `kind` decides the exit code. */
export class CapeError extends Error {
  override readonly name = 'CapeError';
  readonly kind: ErrorKind;
  /** Of a refusal: what was asked for is not there at all, as a 404 tells it. */
  readonly missing: boolean;

  constructor(kind: ErrorKind, message: string, options?: { cause?: unknown; missing?: boolean }) {
    super(message, options);
    this.kind = kind;
    this.missing = options?.missing ?? false;
  }

  /** By its name: the server is a file of its own in the built program, and has this class once more. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof Error && value.name === 'CapeError' && 'kind' in value;
  }

  /** The exit code of a process that ends with this error. */
  get exitCode(): number {
    return EXIT[this.kind];
  }
}

/** The first line of whatever was thrown, for messages and log lines. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text.split('\n', 1)[0] ?? '';
}
