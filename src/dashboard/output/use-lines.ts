/** An attempt's output: a running one's as it comes, an ended one's as it was kept. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { askText, messageOf } from '../api/request.js';
import { openStream } from '../api/stream.js';
import type { IssueEvent } from '../api/types.js';
import { bytes } from '../text/format.js';
import { LineStore } from './line-store.js';

export interface Lines {
  readonly store: LineStore;
  /** Grows with the store, at most thirty times a second. */
  readonly version: number;
  readonly state: 'loading' | 'ready' | 'failed';
  readonly problem: string | null;
  /** What is not shown, and where it is; null where all is. */
  readonly note: string | null;
}

export interface Source {
  readonly issue: number;
  readonly attempt: number;
  readonly running: boolean;
  /** Where an ended attempt's file is. */
  readonly logPath: string | null;
  readonly logHost: string | null;
}

const DRAW_MS = 33;
/** More than that can't be read by anybody, and is a download away. */
const MOST_BYTES = 24 * 1024 * 1024;

type Told = Pick<Lines, 'state' | 'problem' | 'note'>;
const LOADING: Told = { state: 'loading', problem: null, note: null };

export function useLines(source: Source): Lines {
  const store = useRef(new LineStore());
  const [version, setVersion] = useState(0);
  const [told, tell] = useState<Told>(LOADING);
  const latest = useRef(source);
  latest.current = source;

  useEffect(() => {
    store.current = new LineStore();
    tell(LOADING);
    const painter = painterOf(() => setVersion((n) => n + 1));
    painter.soon();
    // An attempt that ends while it is watched stays on its stream: all of it is here.
    const close = latest.current.running
      ? follow(latest.current, store.current, painter.soon, tell)
      : read(latest.current, store.current, painter.soon, tell);
    return () => {
      close();
      painter.stop();
    };
  }, [source.issue, source.attempt]);

  return { store: store.current, version, ...told };
}

/** Events come a hundred a second; the eye is served with thirty. */
function painterOf(paint: () => void): { soon(): void; stop(): void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return {
    soon() {
      timer ??= setTimeout(() => {
        timer = undefined;
        paint();
      }, DRAW_MS);
    },
    stop: () => clearTimeout(timer),
  };
}

function follow(source: Source, store: LineStore, painted: () => void, tell: (told: Told) => void): () => void {
  const take = (event: IssueEvent) => {
    if (event.kind !== 'output' || event.attempt !== source.attempt) return;
    const { text, skipped } = event.data as { text?: string; skipped?: number };
    if (skipped) store.note(`${bytes(skipped)} are left out here; the file on the worker's host has them`);
    store.append(text ?? '');
  };
  const stream = openStream({
    // Of an earlier attempt there may be 16 MiB.
    path: `api/issues/${source.issue}/events?kinds=output&attempt=${source.attempt}`,
    after: '0',
    onEvents: (events) => {
      events.forEach(take);
      painted();
    },
    onState: (state) => {
      if (state === 'open') tell({ state: 'ready', problem: null, note: null });
    },
    onRefused: (status) => tell({ state: 'failed', problem: `The server refuses the stream (${status}).`, note: null }),
  });
  return () => stream.close();
}

function read(source: Source, store: LineStore, painted: () => void, tell: (told: Told) => void): () => void {
  const gone = new AbortController();
  const load = async () => {
    const path = `api/issues/${source.issue}/output?attempt=${source.attempt}`;
    const { text, headers } = await askText(path, gone.signal, { range: `bytes=-${MOST_BYTES}` });
    const before = Number(/^bytes (\d+)-/.exec(headers.get('content-range') ?? '')?.[1] ?? 0);
    if (before > 0) store.note(`${bytes(before)} before this are not shown; the download has them`);
    store.append(text);
    tell({ state: 'ready', problem: null, note: noteOf(headers, source) });
    painted();
  };
  load().catch((error) => {
    if (!gone.signal.aborted) tell({ state: 'failed', problem: messageOf(error), note: null });
  });
  return () => gone.abort();
}

function noteOf(headers: Headers, { logPath, logHost }: Source): string | null {
  const from = headers.get('x-cape-output');
  const skipped = Number(headers.get('x-cape-skipped') ?? 0);
  const file = logPath === null ? '' : `; the file is ${logPath} on ${logHost}`;
  if (from === 'tail') return `The last of the output, as the database keeps it${file}`;
  if (skipped > 0) return `${bytes(skipped)} are left out in the middle${file}`;
  return null;
}
