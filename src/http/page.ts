/** A page of the list of issues. */
import type * as z from 'zod';
import type { CapeClient } from '../client.js';
import type { listQuery } from './schemas.js';
import { wireIssue } from './wire.js';
import type { WireListedIssue, WirePage } from './wire-types.js';

export async function pageOf(client: CapeClient, query: z.output<typeof listQuery>): Promise<WirePage> {
  const summary = query.summary === 'true';
  const { items, next, complete } = await client.page({ ...query, summary });
  return { items: items.map((issue) => (summary ? summaryOf(issue) : wireIssue(issue))), next, complete };
}

/** Without what the page has left out: null would say that there is none. */
function summaryOf(issue: Parameters<typeof wireIssue>[0] & { description_cut?: boolean }): WireListedIssue {
  const { result: _, params: __, ...wire } = wireIssue(issue);
  return { ...wire, description_cut: issue.description_cut ?? false };
}
