/** Reading events: those of one issue by its own numbers, those of all by their place in the order of transactions. */
import { type EventKind, type IssueEvent, type Place, placeOf } from '../core/event.js';
import { arrayOf, type Queryable } from '../db/connect.js';

/** A row of `cape_events`; all null where there is none (an outer join). */
interface Row {
  readonly xid: string;
  readonly issue_id: number;
  readonly seq: number;
  readonly at: Date;
  readonly attempt: number | null;
  readonly worker_id: string | null;
  readonly kind: EventKind;
  readonly data: Record<string, unknown> | null;
}

const COLUMNS = 'e.xid::text as xid, e.issue_id, e.seq, e.at, e.attempt, e.worker_id, e.kind';

/** What `data` is where the row has none. */
const USUAL: Partial<Record<EventKind, Record<string, unknown>>> = {
  completed: { outcome: 'succeeded', exit_code: null, signal: null, error: null },
};

function eventOf({ xid, data, ...row }: Row): IssueEvent {
  return { ...row, cursor: `${xid}.${row.issue_id}.${row.seq}`, data: data ?? USUAL[row.kind] ?? {} };
}

/** A stream of one issue's events and how far it has been read; -1: from the beginning, `queued` included. */
export interface Position {
  readonly id: number;
  readonly after: number;
}

export interface IssuePage {
  readonly events: readonly IssueEvent[];
  /** The issue has ended (or is gone), and these are its last events for now. */
  readonly over: boolean;
}

/** Which events of an issue; all where nothing is set. */
export interface Picked {
  readonly kinds?: readonly EventKind[] | undefined;
  readonly attempt?: number | undefined;
}

export function isPicked({ kinds, attempt }: Picked, event: IssueEvent): boolean {
  return (kinds === undefined || kinds.includes(event.kind)) && (attempt === undefined || event.attempt === attempt);
}

/** The next events of one issue, at most `limit`. */
export async function pageOfIssue(
  db: Queryable,
  id: number,
  after: number,
  limit: number,
  pick: Picked = {},
): Promise<IssuePage> {
  const [page] = await pagesOfIssues(db, [{ id, after }], limit, pick);
  return page as IssuePage;
}

/** The next events of many issues with one statement, in the order asked for. @param limit for each of them */
export async function pagesOfIssues(
  db: Queryable,
  positions: readonly Position[],
  limit: number,
  pick: Picked = {},
): Promise<readonly IssuePage[]> {
  const ids = arrayOf(positions.map(({ id }) => id));
  const afters = arrayOf(positions.map(({ after }) => after));
  const { kinds = null, attempt = null } = pick;
  const rows = await db.query<Row & About>(ISSUES, [ids, afters, limit, kinds?.join(',') ?? null, attempt]);
  const pages = positions.map(() => ({ events: [] as IssueEvent[], over: true }));
  for (const { place, created_at, over, ...row } of rows) {
    const page = pages[Number(place) - 1] as (typeof pages)[number];
    const position = positions[Number(place) - 1] as Position;
    if (page.events.length === 0 && position.after < 0 && created_at !== null) {
      const first = queued(position.id, created_at);
      if (isPicked(pick, first)) page.events.push(first);
    }
    if (row.seq !== null) page.events.push(eventOf(row));
    page.over = over;
  }
  // A full page may not be the last. `queued` is one more than was asked for.
  return pages.map(({ events, over }) => ({ events, over: over && events.length < limit }));
}

interface About {
  readonly place: string;
  readonly created_at: Date | null;
  readonly over: boolean;
}

function queued(id: number, at: Date): IssueEvent {
  return {
    issue_id: id,
    seq: 0,
    cursor: `0.${id}.0`,
    at,
    attempt: null,
    worker_id: null,
    kind: 'queued',
    data: {},
  };
}

// Whether it has ended is read with the same snapshot as the events: what ended it is among them.
const ISSUES = `
  select w.place, i.created_at,
         i.id is null or (i.status in ('completed', 'failed', 'cancelled') and not i.leased) as over,
         ${COLUMNS}, e.data
    from unnest($1::int[], $2::int[]) with ordinality as w(id, after, place)
    left join cape_issues i on i.id = w.id
    left join lateral (
      select * from cape_events e
       where e.issue_id = w.id and e.seq > w.after
         and ($4::text is null or e.kind = any(string_to_array($4, ',')))
         and ($5::int is null or e.attempt = $5)
       order by e.seq limit $3::int) e on true
   order by w.place, e.seq`;

export interface Page {
  readonly events: readonly IssueEvent[];
  /** Where to go on: after the last event read, which may have been left out of `events`. */
  readonly next: string;
  /** Events are there that are not shown yet, since an older transaction is still writing. */
  readonly held: boolean;
  /** As many as asked for: there may be more. */
  readonly full: boolean;
}

/**
 * The next events of all issues, of transactions older than any that still runs: a later one can't come to lie before
 * them. @param output false: those of kind `output` are left out
 */
export async function pageOfAll(db: Queryable, after: string, limit: number, output = true): Promise<Page> {
  const { xid, issue, seq } = placeOf(after);
  const rows = await db.query<Row & { held: boolean }>(ALL, [xid, issue, seq, limit, output]);
  const found = rows.filter((row) => row.seq !== null);
  const last = found.at(-1);
  return {
    events: found.filter(({ kind }) => output || kind !== 'output').map(({ held, ...row }) => eventOf(row)),
    next: last ? `${last.xid}.${last.issue_id}.${last.seq}` : after,
    held: rows[0]?.held ?? false,
    full: found.length === limit,
  };
}

// The data of what is left out may lie elsewhere, and is then not fetched.
const ALL = `
  select held.any as held, ${COLUMNS}, case when $5::boolean or e.kind <> 'output' then e.data end as data
    from (select exists (select from cape_events where xid >= pg_snapshot_xmin(pg_current_snapshot())) as any) held
    left join lateral (
      select * from cape_events e
       where e.xid < pg_snapshot_xmin(pg_current_snapshot())
         and (e.xid, e.issue_id, e.seq) > ($1::text::xid8, $2::int, $3::int)
       order by e.xid, e.issue_id, e.seq limit $4::int) e on true
   order by e.xid, e.issue_id, e.seq`;

/** The place from which on nothing is missed that is committed from now on. */
export async function presentPlace(db: Queryable): Promise<string> {
  const [row] = await db.query<{ xid: string }>('select pg_snapshot_xmin(pg_current_snapshot())::text as xid');
  return `${row?.xid ?? 0}.0.0`;
}

/**
 * A place that can't be: its transaction is still to come. The database was restored, or is another one, and whoever
 * waited for that number would hear nothing for weeks. Such a one goes on from now.
 */
export async function placeInTime(db: Queryable, cursor: string): Promise<string> {
  const place: Place = placeOf(cursor);
  const [row] = await db.query<{ future: boolean; xid: string }>(
    `select $1::text::xid8 >= pg_snapshot_xmax(pg_current_snapshot()) as future,
            pg_snapshot_xmin(pg_current_snapshot())::text as xid`,
    [place.xid],
  );
  return row?.future ? `${row.xid}.0.0` : cursor;
}
