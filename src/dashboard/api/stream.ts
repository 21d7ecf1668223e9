/**
 * A stream of events that is held open: after a break it goes on behind the last event that arrived.
 * A hidden page lets go of it: over HTTP/1.1 a browser opens six connections to a server, whatever the number of tabs.
 */

import { type Frame, FrameReader } from './frames.js';
import { noteClock } from './request.js';
import type { IssueEvent } from './types.js';

export type StreamState = 'connecting' | 'open' | 'broken' | 'closed';

export interface StreamOptions {
  readonly path: string;
  /** Where to begin; what the server calls the last event that was seen. */
  readonly after?: string | undefined;
  /** All that arrived at once. */
  readonly onEvents: (events: readonly IssueEvent[]) => void;
  readonly onState?: (state: StreamState) => void;
  /** The stream was open before, was broken, and is open again. */
  readonly onCaughtUp?: () => void;
  /** It was refused, with this status: trying again would not help. */
  readonly onRefused?: (status: number) => void;
}

export interface Stream {
  close(): void;
  /** Tries now rather than after the pause. */
  retryNow(): void;
}

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
/** The server says something every 15 s. */
const SILENCE_MS = 40_000;
/** A glance at another tab is no reason to let go. */
const HIDDEN_MS = 20_000;

export function openStream(options: StreamOptions): Stream {
  let last = options.after;
  let pauseMs = FIRST_PAUSE_MS;
  let wasOpen = false;
  let closed = false;
  let hidden = false;
  let current = new AbortController();
  let wake: () => void = () => {};
  let hiding: ReturnType<typeof setTimeout> | undefined;

  const say = (state: StreamState) => options.onState?.(state);

  const take = (frames: readonly Frame[]): boolean => {
    const events: IssueEvent[] = [];
    let ended = false;
    for (const { id, event, data } of frames) {
      if (id !== null) last = id;
      if (event === 'end') ended = true;
      else if (data !== '') events.push({ ...JSON.parse(data), kind: event } as IssueEvent);
    }
    if (events.length > 0) options.onEvents(events);
    return ended;
  };

  /** @returns true where the server has said that nothing more will come */
  const listen = async (signal: AbortSignal, heard: () => void): Promise<boolean> => {
    const headers: Record<string, string> = { accept: 'text/event-stream', 'x-cape-request': '1' };
    if (last !== undefined) headers['last-event-id'] = last;
    const response = await fetch(options.path, { headers, signal, cache: 'no-store', credentials: 'same-origin' });
    noteClock(response);
    if (!response.ok || response.body === null) {
      if ([400, 401, 403, 404].includes(response.status)) {
        closed = true;
        options.onRefused?.(response.status);
      }
      throw new Error(`the stream was refused: ${response.status}`);
    }
    say('open');
    pauseMs = FIRST_PAUSE_MS;
    if (wasOpen) options.onCaughtUp?.();
    wasOpen = true;
    const frames = new FrameReader();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return false;
      heard();
      if (take(frames.push(value))) return true;
    }
  };

  const attempt = async (): Promise<boolean> => {
    current = new AbortController();
    const { signal } = current;
    let silence: ReturnType<typeof setTimeout> | undefined;
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => current.abort(), SILENCE_MS);
    };
    heard();
    try {
      return await listen(signal, heard);
    } finally {
      clearTimeout(silence);
      current.abort();
    }
  };

  const pause = (ms: number) =>
    new Promise<void>((done) => {
      const timer = setTimeout(done, ms);
      wake = () => {
        clearTimeout(timer);
        done();
      };
    });

  const run = async () => {
    say('connecting');
    while (!closed) {
      const ended = await attempt().catch(() => false);
      if (ended) closed = true;
      if (closed) break;
      if (hidden) {
        await pause(2 ** 31 - 1);
        continue;
      }
      say('broken');
      // Not all browsers at the same instant when a server is back.
      await pause(pauseMs * (0.75 + Math.random() / 2));
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
    document.removeEventListener('visibilitychange', onVisibility);
    window.removeEventListener('online', retryNow);
    say('closed');
  };

  const retryNow = () => {
    pauseMs = FIRST_PAUSE_MS;
    wake();
  };

  const onVisibility = () => {
    clearTimeout(hiding);
    if (document.hidden) {
      hiding = setTimeout(() => {
        hidden = true;
        current.abort();
      }, HIDDEN_MS);
    } else if (hidden) {
      hidden = false;
      retryNow();
    }
  };

  document.addEventListener('visibilitychange', onVisibility);
  window.addEventListener('online', retryNow);
  void run();
  return {
    close() {
      closed = true;
      clearTimeout(hiding);
      current.abort();
      wake();
    },
    retryNow,
  };
}
