/** The list of issues as it is now, and further down when asked. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, ask, messageOf } from '../api/request.js';
import type { Issue, IssuePage } from '../api/types.js';
import { listen } from '../state/live.js';
import { useLoaded } from '../state/load.js';
import { type Filter, pathOf } from './filter.js';
import { begun, type Held, mergeChanged, mergeNext, mergeTop } from './merge.js';

export interface IssueList {
  readonly held: Held | null;
  /** What is held is still that of the filter before: a list that goes blank at each key flickers. */
  readonly stale: boolean;
  readonly error: string | null;
  /** A further page is being read. */
  readonly busy: boolean;
  reload(): void;
  more(): void;
}

/** Changed rows below the first page, read one by one: so many at a time. */
const MOST_CHANGED = 20;
const CHANGED_MS = 1000;

export function useIssues(filter: Filter): IssueList {
  const key = pathOf(filter, null);
  const [kept, keep] = useState<{ key: string; held: Held } | null>(null);
  const [busy, setBusy] = useState(false);
  const reading = useRef(false);
  const [problem, setProblem] = useState<string | null>(null);
  const held = kept?.key === key ? kept.held : null;
  const latest = useRef({ key, filter, held });
  latest.current = { key, filter, held };

  const put = (forKey: string, change: (held: Held | null) => Held) => {
    if (latest.current.key === forKey)
      keep((was) => ({ key: forKey, held: change(was?.key === forKey ? was.held : null) }));
  };
  const top = useLoaded(
    key,
    async (signal) => {
      const page = await ask<IssuePage>(key, signal);
      put(key, (was) => mergeTop(was, page));
    },
    { every: 4000, on: ({ kind }) => kind !== 'progress' && kind !== 'log' && kind !== 'output' },
  );
  useChanged(latest, put);

  const more = async () => {
    if (reading.current || !held || held.next === null) return;
    reading.current = true;
    setBusy(true);
    setProblem(null);
    try {
      const page = await ask<IssuePage>(pathOf(filter, held.next));
      put(key, (was) => (was ? mergeNext(was, page) : begun(page)));
    } catch (error) {
      setProblem(messageOf(error));
    }
    reading.current = false;
    setBusy(false);
  };
  return {
    held: held ?? kept?.held ?? null,
    stale: held === null,
    error: top.error ?? problem,
    busy,
    reload: top.reload,
    more,
  };
}

type Latest = { readonly current: { key: string; filter: Filter; held: Held | null } };

/** The first page is read again as a whole; what is held below it, by the events of its issues. */
function useChanged(latest: Latest, put: (key: string, change: (held: Held | null) => Held) => void): void {
  useEffect(() => {
    const changed = new Set<number>();
    const unlisten = listen((events) => {
      for (const { issue_id: id, kind } of events) if (kind !== 'progress' && kind !== 'log') changed.add(id);
    });
    const timer = setInterval(async () => {
      const { key, held } = latest.current;
      const below = new Set(held?.items.slice(50).map(({ id }) => id));
      const wanted = [...changed].filter((id) => below.has(id)).slice(0, MOST_CHANGED);
      changed.clear();
      if (wanted.length === 0) return;
      const read = new Map(await Promise.all(wanted.map(async (id) => [id, await readOne(id)] as const)));
      put(key, (was) =>
        mergeChanged(was ?? { items: [], next: null, complete: true, dry: 0 }, known(read), latest.current.filter),
      );
    }, CHANGED_MS);
    return () => {
      unlisten();
      clearInterval(timer);
    };
  }, []);
}

/** Undefined where it could not be read: then it stays as it was. */
async function readOne(id: number): Promise<Issue | null | undefined> {
  try {
    return await ask<Issue>(`api/issues/${id}`);
  } catch (error) {
    return error instanceof ApiError && error.status === 404 ? null : undefined;
  }
}

function known(read: ReadonlyMap<number, Issue | null | undefined>): Map<number, Issue | null> {
  return new Map([...read].filter((pair): pair is [number, Issue | null] => pair[1] !== undefined));
}
