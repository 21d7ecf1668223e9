/** The stream of all issues' events, for every page: what changed, and whether the line to the server stands. */
import { effect, signal } from '@preact/signals';
import { openStream, type Stream, type StreamState } from '../api/stream.js';
import type { IssueEvent } from '../api/types.js';
import { session } from './session.js';

type Listener = (events: readonly IssueEvent[]) => void;

const listeners = new Set<Listener>();
let stream: Stream | null = null;

export const line = signal<StreamState>('closed');

/** Shown only after this: a line that is back within it has nobody worried. */
const WORRY_MS = 1500;
export const offline = signal(false);

/** Grows with every return of the line: what was missed is read anew. */
export const returns = signal(0);

export function listen(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function tryNow(): void {
  stream?.retryNow();
}

effect(() => {
  const isIn = session.value.state === 'in';
  if (isIn && stream === null) {
    stream = openStream({
      path: 'api/events',
      onEvents: (events) => {
        for (const listener of listeners) listener(events);
      },
      onState: (state) => {
        line.value = state;
      },
      onCaughtUp: () => {
        returns.value++;
      },
      onRefused: (status) => {
        stream = null;
        if (status === 401) session.value = { state: 'out' };
      },
    });
  } else if (!isIn && stream !== null) {
    stream.close();
    stream = null;
  }
});

effect(() => {
  if (line.value !== 'broken') {
    // "connecting" is the first time only.
    offline.value = false;
    return;
  }
  const timer = setTimeout(() => {
    offline.value = true;
  }, WORRY_MS);
  return () => clearTimeout(timer);
});
