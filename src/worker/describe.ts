/** Failures of the database in the words of a worker's log: which state the database is in, and what to do about it. */
import { type Failure, OUT_OF_CONNECTIONS } from '../db/failure.js';

/**
 * Names the state that a failure shows. A change of it is worth a line in the log: "starting up" after "out of reach"
 * is news, though both only mean waiting; a reset connection after a refused one is not.
 */
export function stateOf({ kind, code }: Failure): string {
  return code !== null && WORDS_OF_CODE.has(code) ? code : kind;
}

/** A failure of the database in words that name the server and say what to do. */
export function describe(failure: Failure): string {
  const { server, message } = failure;
  // Errors of the system, and ours, name it already.
  const where = server === null || message.includes(server) ? '' : ` at ${server}`;
  const words = WORDS_OF_CODE.get(failure.code ?? '') ?? WORDS_OF_KIND[failure.kind];
  const [state, advice] = words;
  return `the database${where} ${state} (${message})${advice ? `; ${advice}` : ''}`;
}

/** What it does, and what a person can do. */
type Words = readonly [state: string, advice?: string];

const NO_DATABASE: Words = ['does not exist', 'create it, or check DATABASE_URL'];

/** Where the code says more than the kind. */
const WORDS_OF_CODE: ReadonlyMap<string, Words> = new Map([
  ['57P03', ['is starting up or shutting down']],
  ['53300', OUT_OF_CONNECTIONS],
  ['53100', ['is out of disk space']],
  ['53200', ['is out of memory']],
  ['3D000', NO_DATABASE],
  ['57P04', NO_DATABASE],
  // What pgbouncer says of everything.
  ['08P01', ['is out of reach through the pooler', "see the pooler's log"]],
  ['TLS', ['and this worker do not agree on TLS', 'check sslmode and the certificates of DATABASE_URL']],
]);

const WORDS_OF_KIND: Readonly<Record<Failure['kind'], Words>> = {
  unreachable: ['is out of reach'],
  refused: ['refuses the login', 'check DATABASE_URL'],
  readonly: ['is read-only: a standby, a primary that was demoted, or a server set so'],
  schema: ['lacks tables, or has those of another version', 'run "cape-worker migrate"'],
  permission: ['denies the role a right', 'as the owner: cape-worker migrate --grant <role>'],
  data: ['refused a statement'],
  transient: ['could not carry out a statement'],
  other: ['refused a statement'],
};
