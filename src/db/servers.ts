/** Finds the server to work with among those of the URL. */
import { ConnectionError, type FailureKind, failureOf } from './failure.js';
import { Session, type SessionOptions } from './session.js';
import { nameOf, type Server } from './url.js';

/** Opens sessions, each on the first server that will do. */
export class Servers {
  readonly options: SessionOptions;
  #next = 0;
  /** The server of the latest session. */
  #last: string | null = null;

  constructor(options: SessionOptions) {
    this.options = options;
  }

  /**
   * Called when a session was opened at another server than the one before it: after a failover, or when an address was
   * passed over. Not with a single server, which is not looked at before its first query.
   */
  onMoved: ((to: string, from: string) => void) | null = null;

  /**
   * A session. With one server it connects with its first query. With several they are tried in turn, beginning after the
   * one used last: whoever comes again was not happy with it.
   * @param signal ends the search
   * @throws where none will do: an error that names each and why
   */
  async open(signal: AbortSignal = new AbortController().signal): Promise<Session> {
    signal.throwIfAborted();
    const { servers, primaryOnly } = this.options.target;
    if (servers.length === 1 && !primaryOnly) return new Session(this.options, servers[0]);
    const failures: unknown[] = [];
    for (let tries = 0; tries < servers.length && !signal.aborted; tries++) {
      const server = servers[this.#next++ % servers.length] as Server;
      const session = new Session(this.options, server);
      const stop = () => session.destroy(signal.reason);
      signal.addEventListener('abort', stop);
      try {
        if (!primaryOnly || (await isPrimary(session))) return this.#chosen(session, nameOf(server));
        failures.push(new ConnectionError('STANDBY', `${nameOf(server)} is a standby, which can't be written to`));
      } catch (error) {
        failures.push(error);
      } finally {
        signal.removeEventListener('abort', stop);
      }
      await session.close();
    }
    throw signal.aborted ? signal.reason : noneOf(failures);
  }

  #chosen(session: Session, name: string): Session {
    const from = this.#last;
    this.#last = name;
    if (from !== null && from !== name) this.onMoved?.(name, from);
    return session;
  }
}

/** Of several servers that failed, the one that may yet do decides what to think of it: a standby may be promoted. */
const HOPEFUL: readonly FailureKind[] = ['readonly', 'unreachable', 'transient'];

/** One error for all servers; that of the last alone would tell of a dead one where another refuses the login. */
function noneOf(failures: readonly unknown[]): unknown {
  const found = failures.map((error) => failureOf(error));
  const kind = HOPEFUL.find((hopeful) => found.some((failure) => failure.kind === hopeful));
  if (failures.length === 1 || kind === undefined) return failures.at(-1);
  const each = found.map(({ message, server }) =>
    server === null || message.includes(server) ? message : `${server}: ${message}`,
  );
  return new ConnectionError(kind === 'readonly' ? 'STANDBY' : 'NO_PRIMARY', each.join('; '), {
    cause: failures[found.findIndex((failure) => failure.kind === kind)],
  });
}

/**
 * Asked here and not by postgres.js's `target_session_attrs`: that works only together with its own sockets, and its
 * `read-write` takes a hot standby (default_transaction_read_only is off there too), where every write fails with 25006.
 */
async function isPrimary(session: Session): Promise<boolean> {
  const [row] = await session.query<{ standby: boolean }>('select pg_is_in_recovery() as standby');
  return row?.standby === false;
}
