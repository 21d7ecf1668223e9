/** Finds the server to work with among those of the URL, and finds out whether a pooler stands before it. */
import { CapeError } from '../core/errors.js';
import { ConnectionError, type FailureKind, failureOf, nothingSent } from './failure.js';
import { type Greeting, Session } from './session.js';
import { nameOf, type Server, type Target } from './url.js';

export interface ServersOptions {
  readonly target: Target;
  readonly deadlineMs: number;
  /** Start-up parameters for the server itself. */
  readonly parameters: Readonly<Record<string, string>>;
  /** The few that poolers know. */
  readonly pooledParameters: Readonly<Record<string, string>>;
  /** Where the tables are to be found; null = none are looked for. */
  readonly schema: string | null;
}

/** How a pooler refuses a start-up parameter. Some say it of everything else too, a wrong password among it. */
const PROTOCOL_VIOLATION = '08P01';

/** Opens sessions, each on the first server that will do. */
export class Servers {
  readonly #options: ServersOptions;
  readonly #poolers = new Set<Server>();
  #pooled: boolean;
  #next = 0;
  /** The server of the latest session. */
  #last: string | null = null;

  constructor(options: ServersOptions) {
    this.#options = options;
    this.#pooled = options.target.pooled;
  }

  /**
   * Called when a session was opened at another server than the one before it: after a failover, or when an address was
   * passed over.
   */
  onMoved: ((to: string, from: string) => void) | null = null;

  /** Whether the last session was opened through a pooler; before the first one, what the URL says. */
  get pooled(): boolean {
    return this.#pooled;
  }

  /**
   * A session, connected. Several servers are tried in turn, beginning after the one used last: whoever comes again was
   * not happy with it.
   * @param signal ends the search
   * @throws where none will do: an error that names each and why; CapeError('config') where a pooler leads to other tables
   */
  async open(signal: AbortSignal = new AbortController().signal): Promise<Session> {
    signal.throwIfAborted();
    const { servers } = this.#options.target;
    const failures: unknown[] = [];
    for (let tries = 0; tries < servers.length && !signal.aborted; tries++) {
      const server = servers[this.#next++ % servers.length] as Server;
      try {
        return this.#chosen(await this.#openOn(server, signal), nameOf(server));
      } catch (error) {
        nothingSent(error);
        failures.push(error);
      }
    }
    throw signal.aborted ? signal.reason : noneOf(failures);
  }

  #chosen(session: Session, name: string): Session {
    this.#pooled = session.pooled;
    const from = this.#last;
    this.#last = name;
    if (from !== null && from !== name) this.onMoved?.(name, from);
    return session;
  }

  /** As if to the server itself, unless a pooler is known to be there; one that refuses is taken for a pooler. */
  async #openOn(server: Server, signal: AbortSignal): Promise<Session> {
    if (!this.#options.target.pooled && !this.#poolers.has(server)) {
      try {
        return await this.#greeted(server, false, signal);
      } catch (error) {
        if (failureOf(error).code !== PROTOCOL_VIOLATION || signal.aborted) throw error;
      }
    }
    return this.#greeted(server, true, signal);
  }

  async #greeted(server: Server, pooled: boolean, signal: AbortSignal): Promise<Session> {
    const { target, deadlineMs, parameters, pooledParameters } = this.#options;
    const given = pooled ? pooledParameters : parameters;
    const session = new Session({ target, deadlineMs, pooled, parameters: given }, server);
    const stop = () => session.destroy(signal.reason);
    signal.addEventListener('abort', stop);
    try {
      this.#check(await session.greet(), session.pooled, server);
      if (session.pooled) this.#poolers.add(server);
      return session;
    } catch (error) {
      await session.close();
      throw error;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /**
   * The standby is asked here and not by postgres.js's `target_session_attrs`: that works only together with its own
   * sockets, and its `read-write` takes a hot standby (default_transaction_read_only is off there too), where every write
   * fails with 25006.
   */
  #check({ standby, home, current }: Greeting, pooled: boolean, server: Server): void {
    const { target, schema } = this.#options;
    if (target.primaryOnly && standby)
      throw new ConnectionError('STANDBY', `${nameOf(server)} is a standby, which can't be written to`);
    // The server itself was told where to look, by a start-up parameter.
    if (!pooled || schema === null || (home ?? current) === schema) return;
    throw new CapeError('config', elsewhere(schema, home ?? current, target));
  }
}

/** A pooler takes no search path, and `set` would leak to its other clients: the role has to bring it. */
function elsewhere(schema: string, found: string | null, { user }: Target): string {
  const where = found === null ? 'nowhere' : `in "${found}"`;
  return (
    `schema "${schema}": through the pooler tables are looked for ${where}; ` +
    `run: ALTER ROLE "${user}" SET search_path = "${schema}", or use a URL that leads to the server itself`
  );
}

/** Of several servers that failed, the one that may yet do decides what to think of it: a standby may be promoted. */
const HOPEFUL: readonly FailureKind[] = ['readonly', 'unreachable', 'transient'];

/** One error for all servers; that of the last alone would tell of a dead one where another refuses the login. */
function noneOf(failures: readonly unknown[]): unknown {
  const found = failures.map((error) => failureOf(error));
  // Which tables to work on is not for another server to answer.
  const misled = failures.find((error) => error instanceof CapeError);
  if (misled !== undefined) return misled;
  const kind = HOPEFUL.find((hopeful) => found.some((failure) => failure.kind === hopeful));
  if (failures.length === 1 || kind === undefined) return failures.at(-1);
  const each = found.map(({ message, server }) =>
    server === null || message.includes(server) ? message : `${server}: ${message}`,
  );
  return new ConnectionError(kind === 'readonly' ? 'STANDBY' : 'NO_PRIMARY', each.join('; '), {
    cause: failures[found.findIndex((failure) => failure.kind === kind)],
  });
}
