/** Statements that were committed and whose answer never came. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Claim } from '../../src/core/issue.js';
import { connect, type Database } from '../../src/db/connect.js';
import { failureOf } from '../../src/db/failure.js';
import { claimedBy, START } from '../../src/queue/claim.js';
import { settledOrHeld } from '../../src/queue/settle.js';
import { settleAndClaim } from '../../src/queue/settle-claim.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { startProxy, type TcpProxy } from '../support/proxy.js';
import { type Actor, actor, done, insert } from './actors.js';

let t: TestDatabase;
let proxy: TcpProxy;
let db: Database;
let worker: Actor;

beforeAll(async () => {
  t = await createTestDatabase();
  proxy = await startProxy(t.url);
  db = connect({ url: proxy.url(t.url), schema: t.schema, applicationName: 'cape-test-cut', planner: true });
  worker = await actor(t.db);
});

afterAll(async () => {
  await db.close();
  await proxy.close();
});

/** One turn whose reply is cut; gives what look-ups by token then tell of it. */
async function cutTurn(hand: readonly Claim[], send: () => Promise<unknown>, token: string) {
  proxy.mode = 'cut';
  const error = await send().catch((thrown: unknown) => thrown);
  proxy.mode = 'pass';
  expect(failureOf(error)).toMatchObject({ unclear: true });
  return {
    states: await settledOrHeld(
      db,
      hand.map((claim) => done(claim)),
    ),
    claims: await claimedBy(db, token),
  };
}

test('with every third reply cut, asking by token settles each attempt once and orphans none', async () => {
  const issues = await insert(t.sql, ...Array.from({ length: 200 }, (_, i) => `issue ${i}`));
  let hand: Claim[] = [];
  let adopted = 0;
  let foundSettled = 0;
  for (let turn = 0; ; turn += 1) {
    const token = randomUUID();
    const request = { worker: worker.id, instance: worker.instance, limit: 5, token, leaseSeconds: 300, hint: START };
    const settlements = hand.map((claim) => done(claim));
    const send = () => settleAndClaim(db, settlements, request);
    if (turn % 3 < 2) {
      const answer = await send();
      expect(answer.settled.every(({ status }) => status === 'completed')).toBe(true);
      hand = answer.claims;
    } else {
      const { states, claims } = await cutTurn(hand, send, token);
      adopted += claims.length;
      foundSettled += states.filter(({ state }) => state === 'settled').length;
      expect(states.some(({ state }) => state === 'lost')).toBe(false);
      const held = new Set(states.filter(({ state }) => state === 'held').map(({ id }) => id));
      hand = [...hand.filter(({ issue }) => held.has(issue.id)), ...claims];
    }
    if (hand.length === 0) break;
  }
  expect(adopted).toBeGreaterThan(20);
  expect(foundSettled).toBeGreaterThan(20);
  const [sums] = await t.sql`
    select count(*) filter (where status = 'completed' and attempt = 1 and not leased)::int as once,
           (select count(*)::int from cape_attempts) as history, (select count(*)::int from cape_leases) as leases from cape_issues`;
  expect(sums).toEqual({ once: issues.length, history: issues.length, leases: 0 });
});
