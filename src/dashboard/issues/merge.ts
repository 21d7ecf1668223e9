/** A list that is read again at its top while the reader is further down: rows change in place, none jumps or is lost. */
import type { Issue, IssuePage } from '../api/types.js';
import { type Filter, matches } from './filter.js';

export interface Held {
  /** By id, highest first. */
  readonly items: readonly Issue[];
  /** Where the list goes on; null at its end. */
  readonly next: string | null;
  readonly complete: boolean;
  /** So many pages one after another brought nothing: the server looks at so many rows at a time, whether they fit or not. */
  readonly dry: number;
}

/** The first page, read again, on top of what is held. */
export function mergeTop(held: Held | null, page: IssuePage): Held {
  const lowest = page.items.at(-1)?.id;
  if (held === null || page.next === null) return begun(page);
  if (lowest === undefined) return held;
  const older = held.items.filter(({ id }) => id < lowest);
  const overlaps = held.items.some(({ id }) => id >= lowest);
  // More came than a page holds: what lies between is not known, so the list begins anew.
  if (older.length === 0 || !overlaps) return begun(page);
  return { ...held, items: keep(held.items, [...page.items, ...older]) };
}

/** The next page below what is held. */
export function mergeNext(held: Held, page: IssuePage): Held {
  const known = new Set(held.items.map(({ id }) => id));
  const more = page.items.filter(({ id }) => !known.has(id));
  const dry = more.length === 0 ? held.dry + 1 : 0;
  return { items: [...held.items, ...more], next: page.next, complete: page.complete, dry };
}

/** Issues read one by one, since they changed: null where it is gone. What no longer fits the filter goes. */
export function mergeChanged(held: Held, changed: ReadonlyMap<number, Issue | null>, filter: Filter): Held {
  const items = held.items.flatMap((issue) => {
    const now = changed.get(issue.id);
    if (now === undefined) return [issue];
    return now !== null && matches(now, filter) ? [now] : [];
  });
  return { ...held, items };
}

/** A list that has no more than its first page. */
export function begun({ items, next, complete }: IssuePage): Held {
  return { items, next, complete, dry: items.length === 0 ? 1 : 0 };
}

/** The same object for a row that is the same: it is not drawn again. */
function keep(before: readonly Issue[], after: readonly Issue[]): Issue[] {
  const known = new Map(before.map((issue) => [issue.id, issue]));
  return after.map((issue) => {
    const was = known.get(issue.id);
    return was !== undefined && JSON.stringify(was) === JSON.stringify(issue) ? was : issue;
  });
}
