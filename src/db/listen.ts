/**
 * One LISTEN that stays, on a connection of its own. postgres.js's own `listen` swallows a failed re-LISTEN and the
 * subscription is gone for good without an error (seen after a failover); and behind a transaction-mode pooler LISTEN
 * is accepted and hears nothing. So it is proven, at the start and now and then: a token is sent and must be heard.
 * A notification only wakes; whoever listens polls as well.
 */
import { randomUUID } from 'node:crypto';
import { messageOf } from '../core/errors.js';
import { EARLY, wakeWithin } from '../wakes.js';
import { type ConnectOptions, quoteName, serversOf } from './connect.js';
import { ConnectionError } from './failure.js';
import type { Servers } from './servers.js';
import type { Session } from './session.js';

export interface Listener {
  /** True while the last proof was heard. False behind a pooler, or without a connection: poll. */
  readonly hears: boolean;
  /** Proves it now, or tries again now where it waits to: the database was seen to come back, or to be another one. */
  hurry(): void;
  close(): Promise<void>;
}

/**
 * How it stands with hearing. Not heard: `why` is what the connection failed with, or null where there is one, and a
 * token that was said never arrived.
 */
export type Hearing = { readonly hears: true } | { readonly hears: false; readonly why: string | null };

export interface ListenOptions extends Pick<ConnectOptions, 'url' | 'applicationName'> {
  /**
   * Where tokens are said, default `url`. Given where `url` leads past a pooler: a token that was said there and is heard
   * here proves that both lead to one database, since channels belong to a database. An identity kept in a table would
   * not: a copy has the same one.
   */
  readonly speakUrl?: string | undefined;
}

export interface ListenHandlers {
  /** Something was said on the channel. May be called for what was heard already. */
  notify(payload: string): void;
  /** Listening (again). What was said before is gone: read the queue now. */
  listening(): void;
  /** It hears, or no longer, or for another reason: told once for each change, and not where nothing could be proven. */
  changed?(hearing: Hearing): void;
}

/** Milliseconds. */
const PROOF_MS = 1_000;
const PROOF_EVERY_MS = 60_000;
const RETRY_FIRST_MS = 250;
const RETRY_LAST_MS = 10_000;
const DEADLINE_MS = 15_000;

/** Milliseconds, for tests mostly. Defaults: 1,000, 60,000 and 15,000. */
export interface ListenTimes {
  /** How long a token may take to come back. */
  readonly proofMs?: number;
  /** Between two proofs. */
  readonly everyMs?: number;
  /** What a statement may take before the connection counts as dead. */
  readonly deadlineMs?: number;
}

/**
 * Listens on a channel until it is closed, over lost connections and failovers. Never rejects: without a connection it
 * tries again with growing pauses, 0.25 to 10 s, and `hears` is false.
 */
export function listen(options: ListenOptions, channel: string, on: ListenHandlers, times: ListenTimes = {}): Listener {
  return new SteadyListener(options, channel, on, times);
}

class SteadyListener implements Listener {
  readonly #servers: Servers;
  /** The same, unless tokens are to be said elsewhere. */
  readonly #speakers: Servers;
  readonly #channel: string;
  readonly #on: ListenHandlers;
  readonly #times: Required<Pick<ListenTimes, 'proofMs' | 'everyMs'>>;
  /** Tokens have a channel of their own, or every listener of the database would hear everybody's. */
  readonly #proofChannel = `cape_proof_${randomUUID()}`;
  /** The one that listens; null between two. */
  #session: Session | null = null;
  /** All that are open: beside it the one that says a first token. */
  readonly #open = new Set<Session>();
  #callOff = () => {};
  /** What is to be done then; null while that is being done. */
  #next: (() => Promise<void>) | null = null;
  #heard: ((token: string) => void) | null = null;
  #hears = false;
  #told: string | null = null;
  #failures = 0;
  /** The next pause is left out. */
  #hurried = false;
  readonly #closing = new AbortController();

  constructor(
    { url, speakUrl, applicationName }: ListenOptions,
    channel: string,
    on: ListenHandlers,
    { proofMs = PROOF_MS, everyMs = PROOF_EVERY_MS, deadlineMs = DEADLINE_MS }: ListenTimes,
  ) {
    const servers = (of: string) => serversOf({ url: of, applicationName, schema: null, deadlineMs });
    this.#servers = servers(url);
    this.#speakers = speakUrl === undefined ? this.#servers : servers(speakUrl);
    this.#channel = channel;
    this.#on = on;
    this.#times = { proofMs, everyMs };
    void this.#subscribe();
  }

  get hears(): boolean {
    return this.#hears;
  }

  hurry(): void {
    // A try that is under way may be about to fail on what was the case before.
    if (this.#next) this.#schedule(0, this.#next);
    else this.#hurried = true;
  }

  async close(): Promise<void> {
    this.#closing.abort(new ConnectionError('CLOSED', 'the listener was closed'));
    this.#hears = false;
    this.#callOff();
    await Promise.all([...this.#open].map((session) => session.close()));
  }

  async #subscribe(): Promise<void> {
    let session: Session | null = null;
    try {
      session = await this.#connect(this.#servers);
      this.#attach(session);
      await session.query(`listen ${quoteName(this.#channel)}`);
      await session.query(`listen ${quoteName(this.#proofChannel)}`);
    } catch (error) {
      this.#tell({ hears: false, why: messageOf(error) });
      return this.#lost(session);
    }
    try {
      await this.#proveFromOutside(session);
    } catch {
      // Whoever listens polls too and reports the outage; here it shows as `hears`.
      this.#lost(session);
    }
    if (!this.#isCurrent(session)) return;
    this.#failures = 0;
    this.#hurried = false;
    this.#on.listening();
  }

  async #connect(servers: Servers): Promise<Session> {
    const session = await servers.open(this.#closing.signal);
    this.#closing.signal.throwIfAborted();
    this.#open.add(session);
    return session;
  }

  #attach(session: Session): void {
    this.#session = session;
    session.onNotify = (channel, payload) => {
      if (channel === this.#channel) this.#on.notify(payload);
      else this.#heard?.(payload);
    };
    session.onEnd = () => this.#lost(session);
  }

  #isCurrent(session: Session | null): boolean {
    return this.#session === session && !this.#closing.signal.aborted;
  }

  /**
   * A first token comes from another connection, which is deaf itself: the answer to a statement brings the waiting
   * notifications along, so through pgbouncer, which knows one server session for both, the one that says a token
   * hears it, while nobody else's ever arrives.
   */
  async #proveFromOutside(session: Session): Promise<void> {
    const speaker = await this.#connect(this.#speakers);
    try {
      await this.#prove(session, speaker);
    } finally {
      this.#open.delete(speaker);
      await speaker.close();
    }
  }

  async #prove(session: Session, speaker: Session): Promise<void> {
    const token = randomUUID();
    let late: NodeJS.Timeout | undefined;
    const heard = new Promise<boolean>((resolve) => {
      // The connection keeps the process alive for as long as anybody wants the answer.
      late = setTimeout(resolve, this.#times.proofMs, false).unref();
      this.#heard = (said) => {
        if (said === token) resolve(true);
      };
    });
    await speaker.query('select pg_notify($1, $2)', [this.#proofChannel, token]);
    const hears = await heard;
    clearTimeout(late);
    if (!this.#isCurrent(session)) return;
    this.#hears = hears;
    this.#tell(hears ? { hears } : { hears, why: null });
    const { everyMs } = this.#times;
    this.#schedule(everyMs, () => this.#proveAgain(session), everyMs * EARLY);
  }

  /**
   * Where it heard before it is enough to know that the connection and its subscription are alive. Not where tokens are
   * said elsewhere: after a failover that may be another database.
   */
  async #proveAgain(session: Session): Promise<void> {
    const heardBefore = this.#hears;
    const alone = heardBefore && this.#speakers === this.#servers;
    try {
      await (alone ? this.#prove(session, session) : this.#proveFromOutside(session));
    } catch {
      this.#lost(session);
    }
    // Deaf, though it heard before: a new session may hear again.
    if (heardBefore && !this.#hears) this.#lost(session);
  }

  /** Told by kind: the words of a failure change from try to try. */
  #tell(hearing: Hearing): void {
    if (this.#closing.signal.aborted) return;
    const kind = hearing.hears ? 'hears' : hearing.why === null ? 'deaf' : 'away';
    if (kind === this.#told) return;
    this.#told = kind;
    this.#on.changed?.(hearing);
  }

  /** Starts again later, once per session; null = there was none to be had. */
  #lost(session: Session | null): void {
    if (!this.#isCurrent(session)) return;
    this.#session = null;
    this.#hears = false;
    if (session) this.#open.delete(session);
    session?.destroy(new ConnectionError('LOST', `nothing is heard on "${this.#channel}"`));
    // A fleet that lost its server in one instant is not to come back in one.
    const ms = Math.min(RETRY_LAST_MS, RETRY_FIRST_MS * 2 ** this.#failures++) * (0.8 + 0.4 * Math.random());
    this.#schedule(this.#hurried ? 0 : ms, () => this.#subscribe());
    this.#hurried = false;
  }

  #schedule(ms: number, what: () => Promise<void>, early = 0): void {
    this.#callOff();
    if (this.#closing.signal.aborted) return;
    this.#next = what;
    this.#callOff = wakeWithin({ from: ms - early, until: ms }, () => {
      this.#next = null;
      void what();
    });
  }
}
