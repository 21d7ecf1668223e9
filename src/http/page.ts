/** A page of the list of issues. */
import type * as z from 'zod';
import type { CapeClient } from '../client.js';
import { cursorOf } from '../queue/list.js';
import type { listQuery } from './schemas.js';
import { wireIssue } from './wire.js';
import type { WireListedIssue, WirePage } from './wire-types.js';

type Query = z.output<typeof listQuery>;

/** Of JSON. A thousand issues with all their texts and results could be a gigabyte. */
const MOST_BYTES = 16 * 1024 * 1024;
/** Read at once of what may be long. */
const AT_ONCE = 100;

export async function pageOf(client: CapeClient, query: Query): Promise<WirePage> {
  if (query.summary !== 'true') return fullPage(client, query);
  const { items, next, complete } = await client.page({ ...query, summary: true });
  return { items: items.map(summaryOf), next, complete };
}

/** Ends early where it gets too long; one issue it always has. */
async function fullPage(client: CapeClient, { limit, cursor, ...filter }: Query): Promise<WirePage> {
  const items: WireListedIssue[] = [];
  let bytes = 0;
  let from = cursor;
  for (;;) {
    const most = Math.min(AT_ONCE, limit - items.length);
    const page = await client.page({ ...filter, summary: false, cursor: from, limit: most });
    for (const issue of page.items) {
      const wire = wireIssue(issue);
      bytes += Buffer.byteLength(JSON.stringify(wire));
      const last = items.at(-1);
      if (bytes > MOST_BYTES && last) return { items, next: cursorOf(last), complete: false };
      items.push(wire);
    }
    if (page.next === null || !page.complete || items.length >= limit)
      return { items, next: page.next, complete: page.complete };
    from = page.next;
  }
}

/** Without what the page has left out: null would say that there is none. */
function summaryOf(issue: Parameters<typeof wireIssue>[0] & { description_cut?: boolean }): WireListedIssue {
  const { result: _, params: __, ...wire } = wireIssue(issue);
  return { ...wire, description_cut: issue.description_cut ?? false };
}
