/** Streams of server-sent events: each with a heartbeat, an end, and no patience with readers that do not read. */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { FastifyReply } from 'fastify';
import { HttpError } from './problems.js';

const BEAT_MS = 15_000;
/** A reader that takes nothing for so long is dropped; it comes back with Last-Event-ID, and has missed nothing. */
const STALLED_MS = 20_000;
/** Each costs some 50 KB and a socket. */
const MOST_STREAMS = 5000;

/** A field's value may hold no line break; JSON has none. */
export function frame(event: string, data: unknown, id?: string): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

export interface StreamsOptions {
  readonly beatMs?: number | undefined;
  readonly stalledMs?: number | undefined;
}

/** All streams of a server. */
export class Streams {
  readonly #open = new Set<Stream>();
  readonly #stalledMs: number;
  readonly #timer: NodeJS.Timeout;

  constructor({ beatMs = BEAT_MS, stalledMs = STALLED_MS }: StreamsOptions = {}) {
    this.#stalledMs = stalledMs;
    this.#timer = setInterval(() => {
      for (const stream of this.#open) stream.beat();
    }, beatMs);
    this.#timer.unref();
  }

  get count(): number {
    return this.#open.size;
  }

  /**
   * Begins to answer with a stream. @param isAllowed asked at each beat: who was logged out reads no more
   * @throws HttpError 503 where there are too many
   */
  open(reply: FastifyReply, isAllowed: () => boolean): Stream {
    if (this.#open.size >= MOST_STREAMS)
      throw new HttpError(503, `too many streams, ${MOST_STREAMS} at most`, { 'retry-after': '10' });
    reply.hijack();
    const { raw } = reply;
    raw.writeHead(200, {
      ...(reply.getHeaders() as OutgoingHttpHeaders),
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      // nginx would hold back what is smaller than its buffer.
      'x-accel-buffering': 'no',
    });
    const stream = new Stream(raw, this.#stalledMs, isAllowed);
    if (stream.signal.aborted) return stream;
    this.#open.add(stream);
    stream.signal.addEventListener('abort', () => this.#open.delete(stream), { once: true });
    return stream;
  }

  /** Ends them all. Readers come back by themselves, to this server or another. */
  close(): void {
    clearInterval(this.#timer);
    for (const stream of this.#open) stream.end();
  }
}

export class Stream {
  readonly #raw: ServerResponse;
  readonly #stalledMs: number;
  readonly #isAllowed: () => boolean;
  readonly #over = new AbortController();
  /** A place to come back to that no event has told yet. */
  #place: string | null = null;

  constructor(raw: ServerResponse, stalledMs: number, isAllowed: () => boolean) {
    this.#raw = raw;
    this.#stalledMs = stalledMs;
    this.#isAllowed = isAllowed;
    raw.on('close', () => this.#over.abort());
    raw.on('error', () => this.#over.abort());
    // Left while the handler asked the database: 'close' was told already, and will not be again.
    if (raw.destroyed) {
      this.#over.abort();
      return;
    }
    // Sent with the headers, so that a reader knows at once that it is connected.
    raw.write(': open\n\n');
  }

  /** Aborted where nobody reads any more. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /** Sends, and resolves when there is room for more; drops a reader that makes none. */
  async send(text: string): Promise<void> {
    if (this.signal.aborted || text === '') return;
    this.#place = null;
    if (this.#raw.write(text)) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(patience);
        this.#raw.off('drain', done);
        this.signal.removeEventListener('abort', done);
        resolve();
      };
      // A reset, not an end: an end would wait behind what is not read.
      const patience = setTimeout(() => this.#raw.destroy(), this.#stalledMs);
      this.#raw.on('drain', done);
      this.signal.addEventListener('abort', done, { once: true });
    });
  }

  /** What was passed over needs not be looked at again by a reader that comes back: told with the next beat. */
  passed(place: string): void {
    this.#place = place;
  }

  beat(): void {
    if (!this.#isAllowed()) this.end();
    if (this.signal.aborted || this.#raw.writableNeedDrain) return;
    this.#raw.write(`: beat\n${this.#place === null ? '' : `id: ${this.#place}\n`}\n`);
    this.#place = null;
  }

  end(): void {
    this.#over.abort();
    if (this.#raw.writableEnded || this.#raw.destroyed) return;
    this.#raw.end();
    // It waits behind what is not read, for as long as the reader likes.
    const patience = setTimeout(() => this.#raw.destroy(), this.#stalledMs).unref();
    this.#raw.once('close', () => clearTimeout(patience));
  }
}
