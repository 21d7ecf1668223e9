/** Outcomes that a dead worker left on disk, and what becomes of them. */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Claim } from '../../src/core/issue.js';
import { databaseId } from '../../src/queue/identity.js';
import { releaseDead, rescue, type SeenLease } from '../../src/queue/rescue.js';
import { type Settlement, settle } from '../../src/queue/settle.js';
import { VerdictDelivery } from '../../src/worker/verdict-delivery.js';
import { fileNameOf, type KeptVerdict, writeVerdicts } from '../../src/worker/verdict-file.js';
import { type Actor, actor, claimAs, done, ended, insert, requeued, stored } from '../queue/actors.js';
import { createTestDatabase } from '../support/database.js';
import { issuesOf } from '../support/issues.js';
import { tempFolder } from '../support/worker.js';

const { db, sql } = await createTestDatabase();
const { clear } = issuesOf(sql);
const database = await databaseId(db);
let dir: string;
let dead: Actor;
let lines: string[];
let parked: number[];

beforeEach(async () => {
  await clear();
  dir = join(tempFolder(), 'verdicts');
  dead = await actor(db, 'dead-1');
  lines = [];
  parked = [];
});

const note = (line: string) => void lines.push(line);
const log = { error: note, warn: note, info: note, debug: () => {} };
const deliver = (from: (instance: string) => boolean = () => true) =>
  new VerdictDelivery(db, { database, schema: 'public' }, log, (ms) => parked.push(ms)).deliver(dir, from);

async function claimed(): Promise<Claim> {
  await insert(sql, 'an hour of work');
  const [claim] = await claimAs(db, dead, { limit: 1 });
  return claim!;
}

const keep = (settlement: Settlement, more: Partial<KeptVerdict> = {}) =>
  writeVerdicts(dir, [
    {
      ...{ database, schema: 'public', worker: dead.id, instance: dead.instance, at: new Date().toISOString() },
      settlement: settlement as KeptVerdict['settlement'],
      ...more,
    },
  ]);

/** As another worker does, once the lease has run out. */
async function rescued(): Promise<void> {
  await sql`update cape_leases set lease_until = now() - interval '1 minute'`;
  const seen = await sql<SeenLease[]>`select issue_id, token, worker_id, lease_until::text from cape_leases`;
  expect(await rescue(db, seen)).toHaveLength(1);
}

describe('an outcome kept on disk', () => {
  test('is written as it was decided, though the lease is long over', async () => {
    const claim = await claimed();
    await keep(done(claim, { result: 'worth an hour', tail: 'the end' }));
    await sql`update cape_leases set lease_until = now() - interval '1 hour'`;
    expect(await deliver()).toEqual([]);
    expect(await stored(sql, claim.issue.id)).toMatchObject({
      status: 'completed',
      result: 'worth an hour',
      crashes: 0,
      leased: false,
    });
    expect(readdirSync(dir)).toEqual([]);
  });

  test.each([
    ['failed', 'failure', 60_000, { failures: 1, snoozes: 0 }],
    ['snoozed', 'snooze', 60_000, { failures: 0, snoozes: 1 }],
    ['interrupted', 'none', 0, { failures: 0, snoozes: 0 }],
  ] as const)('that is %s goes back as such, and its pause counts from now', async (kind, charge, delayMs, counts) => {
    const claim = await claimed();
    await keep(ended(claim, { action: 'requeue', delayMs, charge }, kind));
    await deliver();
    const row = await stored(sql, claim.issue.id);
    expect(row).toMatchObject({ status: 'pending', crashes: 0, ...counts });
    expect(row.run_at === null).toBe(delayMs === 0);
    expect(parked).toEqual(delayMs === 0 ? [] : [delayMs]);
    expect(await sql`select outcome from cape_attempts`).toMatchObject([{ outcome: kind }]);
  });

  test('of an attempt that was rescued meanwhile is lost: nothing is written, one line says so', async () => {
    const claim = await claimed();
    await keep(done(claim));
    await rescued();
    expect(await deliver()).toEqual([]);
    expect(await stored(sql, claim.issue.id)).toMatchObject({ status: 'pending', crashes: 1 });
    expect(lines).toEqual([
      expect.stringContaining(`issue ${claim.issue.id}: the attempt was no longer worker dead-1's`),
    ]);
    expect(readdirSync(dir)).toEqual([]);
  });

  test('of a worker that had ended its command in time turns the crash it was charged with into an interruption', async () => {
    const claim = await claimed();
    await sql`update cape_issues set crashes = 2`;
    await keep(requeued(claim));
    await rescued();
    expect((await stored(sql, claim.issue.id)).status).toBe('failed');
    expect(await deliver()).toEqual([]);
    expect(await stored(sql, claim.issue.id)).toMatchObject({ status: 'pending', crashes: 2 });
    expect(await sql`select outcome from cape_attempts`).toMatchObject([{ outcome: 'interrupted' }]);
  });

  test('that had been written before the worker died goes in silence', async () => {
    const claim = await claimed();
    await keep(done(claim));
    await settle(db, [done(claim)]);
    expect(await deliver()).toEqual([]);
    expect([lines, readdirSync(dir)]).toEqual([[], []]);
  });

  test('is delivered once by two who find it at the same time', async () => {
    const claims = [await claimed(), await claimed(), await claimed()];
    for (const claim of claims) await keep(done(claim));
    await Promise.all([deliver(), deliver()]);
    // Who met the other's lock was told to come again.
    expect(await deliver()).toEqual([]);
    expect(lines.filter((line) => line.includes('completed'))).toHaveLength(3);
    expect(lines).toHaveLength(3);
    expect(await sql`select from cape_attempts`).toHaveLength(3);
  });

  test('waits while its issue is locked, and is not taken for a crash meanwhile', async () => {
    const claim = await claimed();
    await keep(done(claim));
    await sql.begin(async (tx) => {
      await tx`select from cape_issues for update`;
      expect(await deliver()).toEqual([claim.issue.id]);
    });
    expect(await releaseDead(db, dead.instance, [claim.issue.id])).toEqual({ taken: [], left: 0 });
    expect(await deliver()).toEqual([]);
    expect((await stored(sql, claim.issue.id)).status).toBe('completed');
  });

  test('loses its texts where the server refuses them, and stays where it refuses all of it', async () => {
    const [poisoned, refused] = [await claimed(), await claimed()];
    await sql`alter table cape_attempts add constraint theirs check (tail <> 'poison')`;
    await sql`alter table cape_attempts add constraint theirs_too check (exit_code <> 42)`;
    try {
      await keep(done(poisoned, { tail: 'poison' }));
      await keep(done(refused, { exitCode: 42 }));
      expect(await deliver()).toEqual([refused.issue.id]);
      expect((await stored(sql, poisoned.issue.id)).status).toBe('completed');
      expect(lines.filter((line) => line.includes("can't be written"))).toHaveLength(1);
    } finally {
      await sql`alter table cape_attempts drop constraint theirs, drop constraint theirs_too`;
    }
    expect(await deliver()).toEqual([]);
    expect((await stored(sql, refused.issue.id)).status).toBe('completed');
  });
});

describe('left alone is', () => {
  test.each([
    ['another database', { database: 'another' }],
    ['another schema', { schema: 'other' }],
  ])('an outcome of %s', async (_, more) => {
    const claim = await claimed();
    await keep(done(claim), more);
    expect(await deliver()).toEqual([]);
    expect((await stored(sql, claim.issue.id)).status).toBe('started');
    expect(readdirSync(dir)).toHaveLength(1);
    expect(lines).toEqual([]);
  });

  test('an outcome of a process that lives and will write it by itself', async () => {
    const claim = await claimed();
    await keep(done(claim), { instance: randomUUID() });
    expect(await deliver((instance) => instance === dead.instance)).toEqual([]);
    expect((await stored(sql, claim.issue.id)).status).toBe('started');
    expect(readdirSync(dir)).toHaveLength(1);
  });
});

describe('a file that is no outcome', () => {
  const name = () => fileNameOf({ id: 1, token: randomUUID() });
  const whole = (claim: Claim) => ({
    ...{ database, schema: 'public', worker: 'w', instance: dead.instance, at: 'now' },
    settlement: done(claim),
  });

  test.each<[string, (path: string, claim: Claim) => void]>([
    ['nonsense', (path) => writeFileSync(path, 'nonsense')],
    ['half of one', (path, claim) => writeFileSync(path, JSON.stringify(whole(claim)).slice(0, -40))],
    ['an empty one', (path) => writeFileSync(path, '')],
    ['one with wrong types', (path) => writeFileSync(path, '{"database":1,"settlement":[]}')],
    [
      'one that asks for a status that attempts do not end with',
      (path, claim) => writeFileSync(path, JSON.stringify(whole(claim)).replaceAll('"completed"', '"started"')),
    ],
    ['one as large as a disk', (path) => execFileSync('truncate', ['-s', '8G', path])],
    ['a folder', (path) => mkdirSync(path)],
    ['a FIFO', (path) => execFileSync('mkfifo', [path])],
    ['a link', (path) => symlinkSync('/dev/zero', path)],
  ])('(%s) is set aside with one line, and holds nothing up', async (_, make) => {
    const claim = await claimed();
    await keep(done(claim));
    const garbage = name();
    make(join(dir, garbage), claim);
    expect(await deliver()).toEqual([]);
    expect((await stored(sql, claim.issue.id)).status).toBe('completed');
    expect(readdirSync(dir)).toEqual([`${garbage}.bad`]);
    expect(lines.filter((line) => line.includes(garbage))).toHaveLength(1);
    expect(lines.every((line) => !line.includes('\n'))).toBe(true);
    expect(await deliver()).toEqual([]);
    expect(lines).toHaveLength(2);
  });

  test('one that the system will not give now is kept, and its issue is left alone until it can be read', async () => {
    const claim = await claimed();
    await keep(done(claim));
    const [file] = readdirSync(dir) as [string];
    // Root may read everything.
    const root = process.geteuid?.() === 0;
    for (const folder of [dir, join(dir, '..')]) chmodSync(folder, 0o777);
    chmodSync(join(dir, file), 0);
    if (root) process.seteuid?.(65_534);
    try {
      expect(await deliver()).toEqual([claim.issue.id]);
    } finally {
      if (root) process.seteuid?.(0);
    }
    expect(readdirSync(dir)).toEqual([file]);
    expect(lines).toEqual([expect.stringContaining(`${file} can't be read`)]);
    chmodSync(join(dir, file), 0o600);
    expect(await deliver()).toEqual([]);
    expect((await stored(sql, claim.issue.id)).status).toBe('completed');
  });

  test('a folder of another user is named with what to do', async () => {
    await keep(done(await claimed()));
    const root = process.geteuid?.() === 0;
    chmodSync(dir, 0);
    if (root) process.seteuid?.(65_534);
    try {
      await deliver();
    } finally {
      if (root) process.seteuid?.(0);
      chmodSync(dir, 0o700);
    }
    expect(lines).toEqual([
      expect.stringMatching(/can't be looked for: EACCES.*; run a worker as the user who wrote them before the lease/),
    ]);
  });

  test('nor is a folder that is not there, or is none', async () => {
    expect(await deliver()).toEqual([]);
    expect(lines).toEqual([]);
    writeFileSync(dir, 'a file');
    expect(await deliver()).toEqual([]);
    expect(lines).toEqual([expect.stringContaining("can't be looked for")]);
  });
});
