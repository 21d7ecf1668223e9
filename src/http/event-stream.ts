/** Server-sent events by fetch: with a token in a header, which EventSource can not send, and taken up where they broke off. */
import type { WireEvent } from './wire-types.js';

export interface StreamOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told when the connection is there, and when it was lost; it is tried again by itself. */
  readonly onState?: (state: 'open' | 'lost') => void;
  /** Milliseconds without a sign of the server after which the connection counts as lost, default 40,000. */
  readonly silenceMs?: number;
}

const SILENCE_MS = 40_000;
const FIRST_PAUSE_MS = 250;
const LAST_PAUSE_MS = 5000;

export interface Frame {
  readonly event: string;
  readonly data: string;
  readonly id: string | null;
}

type Open = (lastId: string | null, signal: AbortSignal) => Promise<Response>;

export class EventStream implements AsyncIterable<WireEvent> {
  readonly #open: Open;
  readonly #options: StreamOptions;
  /** The id of the last event that was given out. */
  #lastId: string | null;

  constructor(open: Open, after: string | null, options: StreamOptions) {
    this.#open = open;
    this.#lastId = after;
    this.#options = options;
  }

  /** Ends with the stream's own end, or quietly with the signal. @throws what the server refused for good */
  async *[Symbol.asyncIterator](): AsyncIterator<WireEvent> {
    const { signal, onState } = this.#options;
    let pauseMs = FIRST_PAUSE_MS;
    while (!signal?.aborted) {
      const cut = new AbortController();
      const stop = () => cut.abort();
      signal?.addEventListener('abort', stop, { once: true });
      try {
        const answer = await this.#open(this.#lastId, cut.signal);
        onState?.('open');
        for await (const frame of this.#frames(answer, cut)) {
          pauseMs = FIRST_PAUSE_MS;
          if (frame.id !== null) this.#lastId = frame.id;
          if (frame.event === 'end') return;
          if (frame.data !== '') yield { ...JSON.parse(frame.data), kind: frame.event } as WireEvent;
        }
      } catch (error) {
        if (!signal?.aborted && !isPassing(error)) throw error;
      } finally {
        signal?.removeEventListener('abort', stop);
        cut.abort();
      }
      if (signal?.aborted) return;
      onState?.('lost');
      await pause(pauseMs * (0.8 + 0.4 * Math.random()), signal);
      pauseMs = Math.min(2 * pauseMs, LAST_PAUSE_MS);
    }
  }

  /** What is heard counts as a sign of life, also what is no event. */
  async *#frames(answer: Response, cut: AbortController): AsyncIterable<Frame> {
    const reader = answer.body?.pipeThrough(new TextDecoderStream() as never).getReader() as
      | ReadableStreamDefaultReader<string>
      | undefined;
    if (!reader) return;
    const silenceMs = this.#options.silenceMs ?? SILENCE_MS;
    const parser = new FrameParser();
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      for (;;) {
        clearTimeout(timer);
        timer = setTimeout(() => cut.abort(), silenceMs);
        const { done, value } = await reader.read();
        if (done) return;
        yield* parser.push(value);
      }
    } finally {
      clearTimeout(timer);
      await reader.cancel().catch(() => {});
    }
  }
}

/** Text of a stream in, whole frames out. */
export class FrameParser {
  #rest = '';

  push(text: string): Frame[] {
    const blocks = (this.#rest + text).split('\n\n');
    this.#rest = blocks.pop() ?? '';
    return blocks.map(parse).filter((frame) => frame !== null);
  }
}

function parse(block: string): Frame | null {
  const fields = new Map<string, string>();
  for (const line of block.split('\n')) {
    const at = line.indexOf(':');
    if (at > 0) fields.set(line.slice(0, at), line.slice(at + 1).replace(/^ /, ''));
  }
  if (fields.size === 0) return null;
  return { event: fields.get('event') ?? '', data: fields.get('data') ?? '', id: fields.get('id') ?? null };
}

/** The server is away, busy or was restarted; anything that it refuses is for good. */
function isPassing(error: unknown): boolean {
  const { status } = error as { status?: number };
  if (error instanceof SyntaxError) return false;
  return status === undefined || status === 0 || status === 429 || status >= 500;
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done, { once: true });
  });
}
