/** Lists of issues, newest first, page by page: each in milliseconds, however many there are. */
import { CapeError } from '../core/errors.js';
import { type Issue, STATUSES, type Status } from '../core/issue.js';
import { oneLine } from '../core/text.js';
import type { Database, Queryable } from '../db/connect.js';
import { failureOf } from '../db/failure.js';
import { byIndex } from './by-index.js';
import { ended, everything, inHand, type Source, waiting } from './list-sources.js';
import { ISSUE_COLUMNS } from './read.js';

/** Which issues to list; all conditions hold together. */
export interface ListFilter {
  /** One status, or any of several. */
  readonly status?: Status | readonly Status[] | undefined;
  /** Issues directed to it, or that it runs or ran last. Without `status`: of our five statuses. */
  readonly worker?: string | undefined;
  /** Part of the description, in any case. */
  readonly search?: string | undefined;
  /** At most so many, default 50. */
  readonly limit?: number | undefined;
}

export interface PageFilter extends ListFilter {
  /** Where to go on: the `next` of the page before, with the same filter. */
  readonly cursor?: string | null | undefined;
  /** Descriptions cut to 300 characters, `result` and `params` left out (null). */
  readonly summary?: boolean | undefined;
}

/** An issue of a page. */
export interface ListedIssue extends Issue {
  /** Only with `summary`: the description is longer than what is given of it. */
  readonly description_cut?: boolean;
}

export interface Page {
  /** Newest first by id. */
  readonly items: ListedIssue[];
  /** The cursor of what follows; null where nothing does. */
  readonly next: string | null;
  /** False where the page may be short of items that exist: so many rows were looked at. `next` goes on from there. */
  readonly complete: boolean;
}

/** Rows that one page looks at where no index serves the filter. */
export const LOOK = 20_000;
/** And for how long, since they may lie far apart or be long: then it takes up to 7 us to look at one. */
const LOOK_MS = 8;
export const LONGEST_PAGE = 1000;
const DEFAULT_LIMIT = 50;
const SUMMARY_LENGTH = 300;

/** The first window is small: most pages are found in it. */
const WINDOWS = [128, 1000] as const;

/**
 * One page of issues.
 * @throws CapeError('usage') for a cursor or a status that is none, or a limit outside 1 to 1000
 */
export async function page(db: Database, filter: PageFilter = {}): Promise<Page> {
  const limit = filter.limit ?? DEFAULT_LIMIT;
  if (!Number.isInteger(limit) || limit < 1 || limit > LONGEST_PAGE)
    throw new CapeError('usage', `limit: got "${limit}"; must be a whole number from 1 to ${LONGEST_PAGE}`);
  return read(db, filter, limit, LOOK_MS);
}

/** Issues that match, newest first, whatever it takes to find them. */
export async function list(db: Database, filter: ListFilter = {}): Promise<Issue[]> {
  const items: Issue[] = [];
  const limit = filter.limit ?? DEFAULT_LIMIT;
  if (limit < 1) return items;
  let cursor: string | null = null;
  do {
    const found: Page = await read(db, { ...filter, cursor }, Math.min(limit - items.length, LONGEST_PAGE), null);
    items.push(...found.items);
    cursor = found.next;
  } while (cursor !== null && items.length < limit);
  return items;
}

/** @param lookMs null: as long as LOOK rows take */
async function read(db: Database, filter: PageFilter, limit: number, lookMs: number | null): Promise<Page> {
  const below = filter.cursor == null ? PAST_ALL : idOf(filter.cursor);
  const statuses = filter.status === undefined ? null : [...new Set([filter.status].flat())];
  refuseUnknown(statuses);
  if (statuses?.length === 0) return { items: [], next: null, complete: true };
  const walk: Walk = {
    filter,
    below,
    want: limit + 1,
    look: LOOK,
    until: lookMs === null ? Infinity : performance.now() + lookMs,
  };
  const slices = await slicesOf(db, walk, statuses);
  return merged(slices, limit);
}

/** The statements hold a status as a literal, for the sake of their plans; a program may pass on what it was given. */
function refuseUnknown(statuses: readonly string[] | null): void {
  const unknown = statuses?.find((status) => !(STATUSES as readonly string[]).includes(status));
  if (unknown === undefined) return;
  throw new CapeError('usage', `status: got "${oneLine(String(unknown))}"; must be one of ${STATUSES.join(', ')}`);
}

interface Walk {
  readonly filter: PageFilter;
  /** Only smaller ids. */
  readonly below: number;
  /** Enough, with which a source stops. */
  readonly want: number;
  /** Rows to look at. */
  readonly look: number;
  /** On the monotonic clock. */
  readonly until: number;
}

/** What a source gave: all its items from `down` on. 0 = all there are. */
interface Slice {
  readonly items: readonly ListedIssue[];
  readonly down: number;
}

async function slicesOf(db: Database, walk: Walk, statuses: readonly Status[] | null): Promise<Slice[]> {
  // A worker's rows of all statuses: with a million newer ones pending, a walk down the primary key would meet only those.
  const wanted = statuses ?? (walk.filter.worker === undefined ? null : STATUSES);
  const byKey = async (tx: Queryable, patient: Walk) => [(await along(tx, everything(statuses), patient)) as Slice];
  if (wanted === null) return byIndexWithin(db, walk, byKey);
  try {
    return await byIndexWithin(db, walk, (tx, patient) => byStatus(tx, wanted, patient));
  } catch (error) {
    // A producer may read the issues and not the leases.
    if (failureOf(error).code !== '42501') throw error;
    return byIndexWithin(db, walk, byKey);
  }
}

/** The time that the answers take to travel is not counted: far from the database, 8 ms would be over with the first. */
function byIndexWithin<T>(db: Database, walk: Walk, work: (tx: Queryable, patient: Walk) => Promise<T>): Promise<T> {
  return byIndex(db, (tx, answerMs) => work(tx, { ...walk, until: walk.until + 4 * answerMs }));
}

/** From the places that hold all rows of a status to the one that may have to search: it then stops at what they gave. */
async function byStatus(tx: Queryable, statuses: readonly Status[], walk: Walk): Promise<Slice[]> {
  const over = statuses.filter((status) => status !== 'pending');
  const share = { ...walk, look: Math.ceil(walk.look / statuses.length) };
  const slices = [(await along(tx, inHand(statuses), share)) as Slice];
  for (const status of over) slices.push((await along(tx, ended(status), share, floorOf(slices, walk))) as Slice);
  if (statuses.includes('pending')) slices.push(await pending(tx, share, floorOf(slices, walk)));
  return slices;
}

/** Below it nothing more is wanted: the page is full already, or one of the sources goes no further. */
function floorOf(slices: readonly Slice[], { want }: Walk): number {
  const ids = slices.flatMap(({ items }) => items.map(({ id }) => id)).sort((a, b) => b - a);
  return Math.max(ids[want - 1] ?? 0, ...slices.map(({ down }) => down));
}

/** The newest rows first, among which they mostly are; then all that wait, where they are few; else on down the key. */
async function pending(tx: Queryable, walk: Walk, floor: number): Promise<Slice> {
  const key = everything(['pending']);
  const start = (await along(tx, key, { ...walk, look: WINDOWS[0] }, floor)) as Slice;
  if (start.down <= floor || start.items.length >= walk.want) return start;
  return (
    (await along(tx, waiting(walk.filter.worker !== undefined), walk, floor)) ??
    ((await along(tx, key, walk, floor)) as Slice)
  );
}

/** Reads a source, window by window. Undefined where it can't tell. */
async function along(db: Queryable, source: Source, walk: Walk, floor = 0): Promise<Slice | undefined> {
  const { filter, want, look, until } = walk;
  const items: ListedIssue[] = [];
  let { below } = walk;
  let looked = 0;
  for (let n = 0; ; n++) {
    const window = want <= WINDOWS[0] && n === 0 ? WINDOWS[0] : WINDOWS[1];
    const { statuses } = source;
    const rows = await db.query<WindowRow>(windowOf(source, window, filter), [
      below,
      statuses?.join(',') ?? null,
      filter.worker ?? null,
      filter.search ?? null,
      want - items.length,
    ]);
    const [{ low, seen, unknown }] = rows as [WindowRow];
    if (unknown) return undefined;
    items.push(...rows.filter(({ id }) => id !== null).map(issueOf));
    looked += seen;
    if (items.length >= want) return { items, down: (items.at(-1) as ListedIssue).id };
    if (seen < window || low === null) return { items, down: 0 };
    if (looked >= look || low <= floor || (n > 0 && performance.now() > until)) return { items, down: low };
    below = low;
  }
}

type WindowRow = ListedIssue & { low: number | null; seen: number; unknown: boolean };

function issueOf({ low, seen, unknown, ...issue }: WindowRow): ListedIssue {
  return issue;
}

/** Looked at by their ids alone, so that neither a join nor a filter can lead anywhere else. */
function windowOf(
  { ids, steps, unknown, dense }: Source,
  window: number,
  { summary, search = '' }: PageFilter,
): string {
  const inWindow = dense ? 'id < $1 and id >= (select min(id) from seen)' : 'id = any(array(select id from seen))';
  // With the locale's rules lower() takes three times as long, and ASCII in lower case is the same by both.
  const text = /^[\0-\x7f]*$/.test(search) ? 'description collate "C"' : 'description';
  return `
  with ${steps === undefined ? '' : `${steps},`}
  seen as materialized (${ids(window)}),
  hits as materialized (
    select ${summary ? SUMMARY_COLUMNS : ISSUE_COLUMNS} from cape_issues
     where ${inWindow}
       and ($2::text is null or status = any(string_to_array($2, ',')))
       and ($3::text is null or assigned_worker_id = $3 or target_worker_id = $3)
       and ($4::text is null or strpos(lower(${text}), (select lower($4))) > 0)
     order by id desc limit $5::int)
  select window_seen.*, hits.*
    from (select min(id) as low, count(*)::int as seen, ${unknown ?? 'false'} as unknown from seen) window_seen
    left join hits on true order by hits.id desc`;
}

const SUMMARY_COLUMNS = ISSUE_COLUMNS.replace(
  ' description,',
  ` left(description, ${SUMMARY_LENGTH}) as description, length(description) > ${SUMMARY_LENGTH} as description_cut,`,
)
  .replace(' result,', ' null::text as result,')
  .replace(' params,', ' null::json as params,');

/** Puts what the sources gave in order, down to where all of them are known. */
function merged(slices: readonly Slice[], limit: number): Page {
  const down = Math.max(...slices.map((slice) => slice.down));
  // One that moved between two statements may have been met twice; what was read last is newer.
  const known = new Map(slices.flatMap(({ items }) => items.map((issue) => [issue.id, issue])));
  const items = [...known.values()].filter(({ id }) => id >= down).sort((a, b) => b.id - a.id);
  if (items.length > limit)
    return { items: items.slice(0, limit), next: cursorOf(items[limit - 1] as Issue), complete: true };
  return { items, next: down === 0 ? null : cursorOf({ id: down }), complete: down === 0 || items.length === limit };
}

/** Past the greatest id. As a parameter of type int it would not fit, hence the greatest itself, which nobody reaches. */
const PAST_ALL = 2_147_483_647;

/** The `next` of a page that ends with this issue. */
export function cursorOf({ id }: Pick<Issue, 'id'>): string {
  return Buffer.from(String(id)).toString('base64url');
}

function idOf(cursor: string): number {
  const text = Buffer.from(cursor, 'base64url').toString('latin1');
  const id = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (id >= 1 && id <= PAST_ALL) return id;
  throw new CapeError('usage', 'cursor: must be the `next` of the page before');
}
