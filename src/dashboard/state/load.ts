/** What a page reads from the server, and reads again: at intervals, when events come, when the line is back. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, messageOf } from '../api/request.js';
import type { IssueEvent } from '../api/types.js';
import { listen, returns } from './live.js';

export interface Loaded<T> {
  readonly data: T | null;
  /** Why there is none, or none that is new. */
  readonly error: string | null;
  readonly missing: boolean;
  reload(): void;
}

export interface LoadOptions {
  /** Milliseconds between two reads. A plain INSERT writes no event: without this new issues would not be seen. */
  readonly every: number;
  /** Which events are a reason to read at once; none by default. */
  readonly on?: (event: IssueEvent) => boolean;
}

/** However many events: at most so often. */
const SOONEST_MS = 700;

/** @param key what `read` depends on: another key reads at once, and forgets what there was */
export function useLoaded<T>(key: string, read: (signal: AbortSignal) => Promise<T>, options: LoadOptions): Loaded<T> {
  const [held, hold] = useState<{ key: string; data: T | null; error: string | null; missing: boolean }>({
    ...{ key, data: null, error: null, missing: false },
  });
  const latest = useRef({ read, options });
  latest.current = { read, options };
  const trigger = useRef<() => void>(() => {});

  useEffect(() => {
    const gone = new AbortController();
    const poll = pollOf(async () => {
      try {
        const data = await latest.current.read(gone.signal);
        if (!gone.signal.aborted) hold({ key, data, error: null, missing: false });
      } catch (error) {
        if (gone.signal.aborted) return;
        const missing = error instanceof ApiError && error.status === 404;
        hold((was) => ({ key, data: was.key === key ? was.data : null, error: messageOf(error), missing }));
      }
    }, options.every);
    trigger.current = poll.soon;
    const unlisten = listen((events) => {
      if (events.some((event) => latest.current.options.on?.(event))) poll.soon();
    });
    const unsubscribe = returns.subscribe(() => poll.soon());
    return () => {
      gone.abort();
      poll.stop();
      unlisten();
      unsubscribe();
    };
  }, [key]);

  const reload = useCallback(() => trigger.current(), []);
  const fits = held.key === key;
  return {
    data: fits ? held.data : null,
    error: fits ? held.error : null,
    missing: fits && held.missing,
    reload,
  };
}

/** Calls `work` now, then at an interval or `soon`; never twice at a time, and not while the page is hidden. */
function pollOf(work: () => Promise<void>, every: number): { soon(): void; stop(): void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let due = 0;
  let last = 0;
  let busy = false;
  let again = false;
  let stopped = false;

  const plan = (ms: number) => {
    const at = Date.now() + ms;
    if (stopped || (timer !== undefined && due <= at)) return;
    clearTimeout(timer);
    due = at;
    timer = setTimeout(run, ms);
  };
  const run = async () => {
    timer = undefined;
    if (document.hidden) return plan(every);
    busy = true;
    again = false;
    last = Date.now();
    await work();
    busy = false;
    plan(again ? SOONEST_MS : every);
  };
  const soon = () => {
    if (busy) again = true;
    else plan(Math.max(0, SOONEST_MS - (Date.now() - last)));
  };
  const onVisible = () => {
    if (!document.hidden) soon();
  };
  document.addEventListener('visibilitychange', onVisible);
  void run();
  return {
    soon,
    stop() {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', onVisible);
    },
  };
}
