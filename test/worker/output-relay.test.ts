/** How the output of many runs is carried into the database: in small statements, each in its turn, all of it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import type { Claim } from '../../src/core/issue.js';
import type { Queryable } from '../../src/db/connect.js';
import { silent } from '../../src/log.js';
import { attemptFiles } from '../../src/worker/attempt-files.js';
import { OutputRelay } from '../../src/worker/output-relay.js';
import { until } from '../support/until.js';
import { tempFolder } from '../support/worker.js';

const KIB = 1024;

interface Told {
  readonly id: number;
  readonly token: string;
  readonly data: { readonly offset: number; readonly text: string; readonly skipped?: number };
}

/** Takes everything but what is of a lost attempt, and keeps what each statement told. */
class Table implements Queryable {
  readonly statements: Told[][] = [];
  readonly lost = new Set<number>();

  async query<R extends object>(_text: string, params: readonly unknown[] = []): Promise<R[]> {
    const told = JSON.parse(params[0] as string) as Told[];
    this.statements.push(told);
    const attempts = new Map(told.map(({ id, token }) => [id, token]));
    return [...attempts].map(([id, token]) => {
      const state = this.lost.has(id) ? 'lost' : 'ok';
      return { id, token, state, before: state === 'ok' ? 0 : null };
    }) as unknown as R[];
  }

  of(wanted: number): Told['data'][] {
    return this.statements.flat().flatMap(({ id, data }) => (id === wanted ? [data] : []));
  }
}

const begun: { relay: OutputRelay; claims: Claim[] }[] = [];

afterEach(() => {
  for (const { relay, claims } of begun.splice(0)) for (const { issue, token } of claims) relay.forget(issue.id, token);
});

/** Runs that have printed so much each, and are running still. */
function printed(db: Queryable, bytes: readonly number[]) {
  const relay = new OutputRelay({ db, log: silent, limit: 16 * KIB * KIB });
  const dir = tempFolder();
  const claims = bytes.map((size, i) => {
    const claim = { issue: { id: i + 1 }, attempt: 1, token: `t${i + 1}` } as unknown as Claim;
    const files = attemptFiles(dir, i + 1, 1);
    mkdirSync(files.dir, { recursive: true });
    writeFileSync(files.log, text(size));
    relay.begin(claim, files);
    return claim;
  });
  begun.push({ relay, claims });
  relay.grown(bytes.map((size, i) => [`${i + 1}/1`, size]));
  return { relay, claims };
}

function text(bytes: number): string {
  return Array.from({ length: Math.ceil(bytes / 10) }, (_, i) => `${String(i).padStart(9, '0')}\n`)
    .join('')
    .slice(0, bytes);
}

function bytesOf(statement: readonly Told[]): number {
  return statement.reduce((sum, { data }) => sum + data.text.length, 0);
}

test('no statement carries more than 48 KiB, and all of it comes in order', async () => {
  const table = new Table();
  printed(table, [300 * KIB, 1000, 100 * KIB]);
  await until(() => table.statements.reduce((sum, told) => sum + bytesOf(told), 0) === 401 * KIB - 24);
  for (const [i, size] of [300 * KIB, 1000, 100 * KIB].entries()) {
    expect(
      table
        .of(i + 1)
        .map((data) => data.text)
        .join(''),
    ).toBe(text(size));
    expect(table.of(i + 1).some(({ skipped }) => skipped !== undefined)).toBe(false);
  }
  for (const told of table.statements) expect(bytesOf(told)).toBeLessThanOrEqual(48 * KIB + 1000);
});

test('a line of one run waits for one statement of another, not for its flood', async () => {
  const table = new Table();
  printed(table, [128 * KIB, 128 * KIB, 10]);
  await until(() => table.of(3).length > 0);
  const at = table.statements.findIndex((told) => told.some(({ id }) => id === 3));
  expect(at).toBeLessThanOrEqual(2);
});

test('what a command has printed last goes ahead of its settlement, however many statements that takes', async () => {
  const table = new Table();
  const { relay, claims } = printed(table, [500 * KIB]);
  relay.ended(claims[0]!, null);
  await relay.beforeSettling([{ id: 1, token: 't1' }]);
  expect(
    table
      .of(1)
      .map((data) => data.text)
      .join(''),
  ).toBe(text(500 * KIB));
});

test('nothing more is sent of an attempt that is lost', async () => {
  const table = new Table();
  table.lost.add(1);
  printed(table, [128 * KIB, 128 * KIB]);
  await until(() => table.of(2).reduce((sum, data) => sum + data.text.length, 0) === 128 * KIB);
  expect(table.of(1)).toHaveLength(3);
});
