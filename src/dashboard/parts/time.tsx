/** Times that move. */
import { now } from '../state/clock.js';
import { ago, elapsed, exact } from '../text/format.js';

/** Also a time that never comes: Postgres' infinity. */
const isNever = (at: string) => Number.isNaN(Date.parse(at));

export function Ago({ at }: { at: string }) {
  if (isNever(at)) return <span>for good</span>;
  return (
    <time dateTime={at} title={exact(at)} class="num">
      {ago(now.value - Date.parse(at))}
    </time>
  );
}

/** From then to the end, or until now. */
export function Elapsed({ from, to }: { from: string; to?: string | null }) {
  const end = to ? Date.parse(to) : now.value;
  return <span class="num">{elapsed(end - Date.parse(from))}</span>;
}

/** A point in time in full: two short lines in a table would not line up. */
export function Exact({ at }: { at: string }) {
  if (isNever(at)) return <span>for good</span>;
  return (
    <time dateTime={at} class="num">
      {exact(at)}
    </time>
  );
}
