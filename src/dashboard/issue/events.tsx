/** Everything that happened to an issue, as it is on record; read when it is opened. */
import { useRef, useState } from 'preact/hooks';
import { ask } from '../api/request.js';
import type { IssueEvent } from '../api/types.js';
import { Trouble } from '../parts/empty.js';
import { useLoaded } from '../state/load.js';
import { clock, exact } from '../text/format.js';
import { eventWords } from './event-words.js';

export function Events({ id }: { id: number }) {
  const [open, setOpen] = useState(false);
  return (
    <details class="card events" onToggle={(event) => setOpen((event.currentTarget as HTMLDetailsElement).open)}>
      <summary class="card-head">
        <h2>Events</h2>
      </summary>
      {open && <EventList id={id} />}
    </details>
  );
}

interface Page {
  readonly items: readonly IssueEvent[];
}

const PAGE = 1000;

function EventList({ id }: { id: number }) {
  // What is read is kept: of an issue that runs only what is new is asked for.
  const held = useRef<{ items: IssueEvent[]; seq: number }>({ items: [], seq: -1 });
  const events = useLoaded(
    `events ${id}`,
    async (signal) => {
      for (let full = true; full; ) {
        const path = `api/issues/${id}/events?limit=${PAGE}&after=${held.current.seq}`;
        const { items } = await ask<Page>(path, signal);
        held.current.items.push(...items.filter(({ kind }) => kind !== 'output'));
        held.current.seq = items.at(-1)?.seq ?? held.current.seq;
        full = items.length >= PAGE;
      }
      return held.current.items.slice(-MOST_SHOWN);
    },
    { every: 10_000, on: (event) => event.issue_id === id },
  );
  return (
    <>
      <Trouble message={events.error} />
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and not all scroll with a mouse */}
      <ol class="plain event-list" tabIndex={0}>
        {(events.data ?? []).map((event) => (
          <li key={event.seq}>
            <time class="num muted" dateTime={event.at} title={exact(event.at)}>
              {clock(Date.parse(event.at), true)}
            </time>
            <b>{event.kind.replaceAll('_', ' ')}</b>
            <span class="event-words">{eventWords(event)}</span>
          </li>
        ))}
      </ol>
    </>
  );
}

/** A command that tells its progress a hundred times a second is not read line by line. */
const MOST_SHOWN = 2000;
