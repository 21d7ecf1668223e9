/** The plan that a statement of ours has, with what it met when it was executed. */
import { expect } from 'vitest';
import type { Database, Param, Queryable } from '../../src/db/connect.js';

export interface Plan {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: readonly Plan[];
}

/** Executes what `verb` sends, as its generic plan, and gives all nodes of that. */
export async function nodesOf(db: Database, verb: (db: Queryable) => Promise<unknown>): Promise<Plan[]> {
  const sent: { text: string; params: readonly Param[] }[] = [];
  await verb({
    query: async (text: string, params: readonly Param[] = []) => {
      sent.push({ text, params });
      return [];
    },
  });
  const [{ text, params }] = sent as [{ text: string; params: readonly Param[] }];
  return db.transaction(async (tx) => {
    await tx.query(`prepare verb as ${text}`);
    const values = params
      .map((value) => (value === null ? 'null' : `'${String(value).replaceAll("'", "''")}'`))
      .join(', ');
    const [row] = await tx.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
      `explain (analyze, format json) execute verb${values && `(${values})`}`,
    );
    await tx.query('deallocate verb');
    return flat(row!['QUERY PLAN'][0].Plan);
  });
}

function flat(plan: Plan): Plan[] {
  return [plan, ...(plan.Plans ?? []).flatMap(flat)];
}

/** No node of the plan met more rows than a batch of 50 and the dead versions of its rows, a sort least of all. */
export function expectNarrow(nodes: readonly Plan[]): void {
  for (const node of nodes) {
    const met = node['Actual Rows'] * node['Actual Loops'] + (node['Rows Removed by Filter'] ?? 0);
    expect(met, `${node['Node Type']} on ${node['Relation Name'] ?? node['Index Name'] ?? '-'}`).toBeLessThanOrEqual(
      500,
    );
    if (LARGE.includes(node['Relation Name'] ?? '')) expect(node['Node Type']).not.toBe('Seq Scan');
  }
}

const LARGE = ['cape_issues', 'cape_attempts'];

export const indexes = (nodes: readonly Plan[]) => new Set(nodes.map((node) => node['Index Name']));

/** The same for what sends several statements, in a transaction or not, as they are answered: a plan for each. */
export async function everyPlan(db: Database, verb: (db: Database) => Promise<unknown>): Promise<Plan[][]> {
  const plans: Plan[][] = [];
  const explaining = (to: Queryable): Queryable => ({
    query: async <R extends object>(text: string, params: readonly Param[] = []) => {
      const [row] = await to.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
        `explain (analyze, format json) ${text}`,
        params,
      );
      plans.push(flat(row!['QUERY PLAN'][0].Plan));
      return to.query<R>(text, params);
    },
  });
  await verb({
    ...explaining(db),
    schema: db.schema,
    pooled: db.pooled,
    transaction: (work) => db.transaction((tx) => work(explaining(tx))),
    close: () => db.close(),
  });
  return plans;
}
