/** Finds the server to work with among those of the URL. */
import { ConnectionError } from './failure.js';
import { Session, type SessionOptions } from './session.js';
import { nameOf, type Server } from './url.js';

/** Opens sessions, each on the first server that will do. */
export class Servers {
  readonly options: SessionOptions;
  #next = 0;

  constructor(options: SessionOptions) {
    this.options = options;
  }

  /**
   * A session. With one server it connects with its first query. With several they are tried in turn, beginning after the
   * one used last: whoever comes again was not happy with it.
   * @param signal ends the search
   * @throws what the last server failed with
   */
  async open(signal: AbortSignal = new AbortController().signal): Promise<Session> {
    signal.throwIfAborted();
    const { servers, primaryOnly } = this.options.target;
    if (servers.length === 1 && !primaryOnly) return new Session(this.options, servers[0]);
    let failure: unknown;
    for (let tries = 0; tries < servers.length && !signal.aborted; tries++) {
      const server = servers[this.#next++ % servers.length] as Server;
      const session = new Session(this.options, server);
      const stop = () => session.destroy(signal.reason);
      signal.addEventListener('abort', stop);
      try {
        if (!primaryOnly || (await isPrimary(session))) return session;
        failure = new ConnectionError('STANDBY', `${nameOf(server)} is a standby, which can't be written to`);
      } catch (error) {
        failure = error;
      } finally {
        signal.removeEventListener('abort', stop);
      }
      await session.close();
    }
    throw signal.aborted ? signal.reason : failure;
  }
}

/**
 * Asked here and not by postgres.js's `target_session_attrs`: that works only together with its own sockets, and its
 * `read-write` takes a hot standby (default_transaction_read_only is off there too), where every write fails with 25006.
 */
async function isPrimary(session: Session): Promise<boolean> {
  const [row] = await session.query<{ standby: boolean }>('select pg_is_in_recovery() as standby');
  return row?.standby === false;
}
