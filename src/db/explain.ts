/** A failed query in words that a person can act on, for commands that end with it instead of trying again. */
import { CapeError, type ErrorKind } from '../core/errors.js';
import { type Failure, type FailureKind, failureOf, OUT_OF_CONNECTIONS } from './failure.js';
import { redactUrl } from './url.js';

/** By kind of failure: the kind of error that it is for people, and what they can do. */
const ADVICE: Readonly<Record<Exclude<FailureKind, 'other'>, readonly [ErrorKind, string]>> = {
  unreachable: ['database', 'check DATABASE_URL, and that the server runs'],
  refused: ['database', 'check DATABASE_URL'],
  readonly: ['database', 'point DATABASE_URL at the primary'],
  schema: ['config', 'run: cape-worker migrate'],
  permission: ['config', 'grant it (cape-worker migrate --grant ROLE, as the owner), or use another role'],
  transient: ['refused', 'try again'],
  data: ['refused', 'the database refuses the values'],
};

/**
 * The CapeError for what a query rejected with. What is none of a person's doing (a bug of ours) comes back unchanged.
 * @param url shown without its password
 * @param schema where the tables were looked for
 */
export function explainFailure(error: unknown, url: string, schema: string): unknown {
  if (error instanceof CapeError) return error;
  const failure = failureOf(error);
  if (failure.kind === 'other') return error;
  const [errorKind, advice] = ADVICE[failure.kind];
  const then = failure.unclear ? 'whether it was done is unknown: look first' : adviceFor(failure, advice);
  return new CapeError(errorKind, `database "${redactUrl(url)}"${whatOf(failure, schema)}; ${then}`, { cause: error });
}

function whatOf({ kind, code, message }: Failure, schema: string): string {
  if (code === '53300') return ` ${OUT_OF_CONNECTIONS[0]} (${message})`;
  return kind === 'schema' ? `: schema "${schema}" is not migrated: ${message}` : `: ${message}`;
}

function adviceFor({ code }: Failure, ofKind: string): string {
  return code === '53300' ? OUT_OF_CONNECTIONS[1] : ofKind;
}
