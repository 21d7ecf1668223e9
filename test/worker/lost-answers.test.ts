/** What the parts of a worker do where a statement was committed and its answer never came, or came to nothing. */
import { randomUUID } from 'node:crypto';
import { beforeEach, expect, test } from 'vitest';
import type { Claim } from '../../src/core/issue.js';
import type { Outcome } from '../../src/core/outcome.js';
import type { Queryable } from '../../src/db/connect.js';
import { ConnectionError } from '../../src/db/failure.js';
import { after, now } from '../../src/execution/clock.js';
import type { Run } from '../../src/execution/spec.js';
import { silent } from '../../src/log.js';
import { claim, START } from '../../src/queue/claim.js';
import { rescue } from '../../src/queue/rescue.js';
import { settleAndClaim } from '../../src/queue/settle-claim.js';
import { Attempts } from '../../src/worker/attempts.js';
import { Settler } from '../../src/worker/settler.js';
import { UnclearClaims } from '../../src/worker/unclear-claims.js';
import { type Actor, actor, claimAs, insert, request, stored } from '../queue/actors.js';
import { createTestDatabase } from '../support/database.js';
import { until } from '../support/until.js';

const { db, sql } = await createTestDatabase();
const lost = () => new ConnectionError('LOST', 'the connection was lost');
let worker: Actor;

beforeEach(async () => {
  await sql`truncate cape_issues; truncate cape_workers`.simple();
  worker = await actor(db);
});

/** The database, whose next statement that holds `words` is done without an answer. */
function unanswered(words: string): Queryable {
  let armed = true;
  return {
    async query(text, params) {
      const rows = await db.query(text, params);
      if (armed && text.includes(words)) {
        armed = false;
        throw lost();
      }
      return rows as never;
    },
  };
}

/** Attempts that end at once with an outcome, or (null) go on. */
function attemptsThat(outcome: Outcome | null): Attempts {
  const endless: Run = { started: Promise.resolve(1), ended: new Promise(() => {}), end() {}, kill() {} };
  return new Attempts({
    starter: { start: () => ({ run: outcome ?? endless, files: null }) },
    policy: { maxAttempts: 3, baseMs: 1000, capMs: 1000, unrunnableMs: 1000 },
    host: 'test-host',
    log: silent,
    onEnded: () => {},
  });
}

async function claimed(count: number): Promise<Claim[]> {
  await insert(sql, ...Array.from({ length: count }, (_, n) => `issue ${n}`));
  return claimAs(db, worker);
}

const nothingWanted = () => request(worker, { limit: 0 });

test('an attempt whose locked row was written in the end, unanswered, leaves nothing to be tried again', async () => {
  const attempts = attemptsThat({ kind: 'succeeded' });
  const settler = new Settler(db, attempts, silent, () => {});
  const send = (through: Queryable) => settler.settleWith((all) => settleAndClaim(through, all, nothingWanted()));
  const [first] = await claimed(1);
  attempts.start(first!, now());
  await sql.begin(async (tx) => {
    await tx`select from cape_issues for update`;
    await send(db);
  });
  expect(settler.nextAt).toBeLessThan(Number.POSITIVE_INFINITY);
  await until(() => settler.due(now().mono).length === 1);
  await expect(send(unanswered('cape_leases'))).rejects.toThrow('lost');
  await send(db);
  expect(attempts.idle).toBe(true);
  // A time that is past and stays would make the loop run without a pause.
  expect(settler.nextAt).toBe(Number.POSITIVE_INFINITY);
});

test('a locked row holds up no other attempt of the same claim', async () => {
  const attempts = attemptsThat({ kind: 'succeeded' });
  const settler = new Settler(db, attempts, silent, () => {});
  const [first, second] = await claimed(2);
  attempts.start(first!, now());
  await sql.begin(async (tx) => {
    await tx`select from cape_issues where id = ${first!.issue.id} for update`;
    await settler.settleWith((all) => settleAndClaim(db, all, nothingWanted()));
    attempts.start(second!, now());
    expect(settler.due(now().mono).map(({ id }) => id)).toEqual([second!.issue.id]);
  });
});

test('claims are kept where the report on a lost attempt, settled with them, fails', async () => {
  const attempts = attemptsThat({ kind: 'interrupted' });
  const broken = unanswered("outcome = 'crashed'");
  const settler = new Settler(broken, attempts, silent, () => {});
  const [gone] = await claimed(1);
  attempts.start(gone!, now());
  await sql`update cape_leases set lease_until = now() - interval '1 minute'`;
  const seen = await sql`select issue_id, token, worker_id, lease_until::text from cape_leases`;
  expect(await rescue(db, seen as never)).toHaveLength(1);
  const answer = await settler.settleWith((all) => settleAndClaim(broken, all, request(worker)));
  expect(answer?.claims.map(({ issue }) => issue.id)).toEqual([gone!.issue.id]);
  expect(settler.reportDue(now().mono)).toBe(true);
  await expect(settler.reportLate()).rejects.toThrow('lost');
  expect(settler.reportDue(now().mono)).toBe(true);
  await settler.reportLate();
  expect(settler.reportDue(now().mono)).toBe(false);
  expect((await stored(sql, gone!.issue.id)).crashes).toBe(0);
});

test('an attempt whose end the server will not write holds up neither its neighbours nor the claims', async () => {
  await sql`alter table cape_issues add constraint theirs check (status <> 'completed' or description <> 'issue 0')`;
  const attempts = attemptsThat({ kind: 'succeeded' });
  const lines: string[] = [];
  const log = { ...silent, error: (line: string) => void lines.push(line) };
  const settler = new Settler(db, attempts, log, () => {});
  const turn = () => settler.settleWith((all) => settleAndClaim(db, all, request(worker)));
  const [refused, other] = await claimed(2);
  attempts.start(refused!, now());
  attempts.start(other!, now());
  await insert(sql, 'next');
  expect(await turn()).toBeNull();
  expect((await stored(sql, other!.issue.id)).status).toBe('completed');
  expect((await turn())?.claims).toHaveLength(1);
  await until(() => settler.due(now().mono).length === 1);
  await turn();
  expect(lines).toEqual([expect.stringContaining(`issue ${refused!.issue.id}: its end (succeeded) can't be written`)]);
  await sql`alter table cape_issues drop constraint theirs`;
  await until(async () => (await turn()) && attempts.idle);
  expect((await stored(sql, refused!.issue.id)).status).toBe('completed');
});

test('what an unanswered claim took goes back uncharged where its slots are taken by now', async () => {
  const attempts = attemptsThat(null);
  const unclear = new UnclearClaims(db, attempts, silent);
  const issues = await insert(sql, 'one', 'two', 'three');
  const token = randomUUID();
  const send = () => claim(unanswered('cape_leases'), { ...request(worker), token, hint: START });
  const watched = { token, until: after(now(), 60_000), wanted: true };
  await expect(unclear.watch(watched, send)).rejects.toThrow('lost');
  expect(await unclear.adopt(1)).toBe(1);
  expect(attempts.running).toBe(1);
  const back = attempts.unsettled();
  expect(back.map(({ id }) => id)).toEqual(issues.slice(1));
  expect(back.map(({ outcome }) => outcome.kind)).toEqual(['interrupted', 'interrupted']);
});
