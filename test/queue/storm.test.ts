/** Several workers, each on its own connection, with everything that goes wrong: each issue is run once at a time. */

import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import type { Claim } from '../../src/core/issue.js';
import { connect, type Database } from '../../src/db/connect.js';
import { type ClaimHint, START } from '../../src/queue/claim.js';
import { cancel } from '../../src/queue/operate.js';
import { promote } from '../../src/queue/promote.js';
import { expired, rescue } from '../../src/queue/rescue.js';
import { type Settlement, settle } from '../../src/queue/settle.js';
import { settleAndClaim } from '../../src/queue/settle-claim.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { type Actor, actor, done, insert, requeued } from './actors.js';

const WORKERS = 5;
const ISSUES = 1500;

/** What the workers together know: an issue that is here runs now. */
class World {
  readonly running = new Map<number, string>();
  /** Tokens of attempts whose worker crashed and that nobody has rescued yet. */
  readonly crashed = new Set<string>();
  /** Issues that somebody set back to pending while they ran: these may run and end well again. */
  readonly byHand = new Set<number>();
  readonly violations: string[] = [];
  left = ISSUES;

  start({ issue, token }: Claim): void {
    if (this.running.has(issue.id)) this.violations.push(`issue ${issue.id} runs twice`);
    this.running.set(issue.id, token);
  }

  end(id: number): void {
    this.running.delete(id);
  }
}

/** Claims with a hint and settles, now and then crashing, releasing, or coming back late. */
class RandomWorker {
  readonly db: Database;
  readonly #self: Actor;
  readonly #world: World;
  #hand: Claim[] = [];
  #hint: ClaimHint = START;
  #late: Settlement[] = [];

  constructor(db: Database, self: Actor, world: World) {
    this.db = db;
    this.#self = self;
    this.#world = world;
  }

  async turn(): Promise<void> {
    if (Math.random() < 0.05) return this.#crash();
    if (Math.random() < 0.05) this.#hint = START;
    const ended = this.#hand.filter(() => Math.random() < 0.8);
    const settlements = ended.map((claim) => this.#verdict(claim));
    for (const { id } of settlements) this.#world.end(id);
    const limit = 10 - (this.#hand.length - ended.length);
    const answer = await settleAndClaim(this.db, settlements, {
      worker: this.#self.id,
      instance: this.#self.instance,
      limit,
      token: randomUUID(),
      leaseSeconds: 300,
      hint: this.#hint,
    });
    this.#hint = answer.hint;
    const busy = new Set(answer.settled.filter(({ status }) => status === 'busy').map(({ id }) => id));
    for (const { id, status } of answer.settled)
      if (status === 'lost') this.#world.violations.push(`issue ${id} was lost`);
    this.#hand = this.#hand.filter((claim) => !ended.includes(claim) || busy.has(claim.issue.id));
    for (const claim of answer.claims) {
      this.#world.start(claim);
      this.#hand.push(claim);
    }
    await this.#lateReport();
  }

  #verdict(claim: Claim): Settlement {
    const dice = Math.random();
    if (dice < 0.7) return done(claim);
    return requeued(claim, dice < 0.85 ? 0 : 20);
  }

  /** Drops everything: a successor of the same worker goes on. The old one's late writes must change nothing. */
  #crash(): void {
    for (const claim of this.#hand) {
      this.#world.end(claim.issue.id);
      this.#world.crashed.add(claim.token);
    }
    this.#late.push(...this.#hand.map((claim) => done(claim)));
    this.#hand = [];
  }

  async #lateReport(): Promise<void> {
    const rescued = this.#late.filter(({ token }) => !this.#world.crashed.has(token));
    this.#late = this.#late.filter((one) => !rescued.includes(one));
    for (const one of rescued)
      for (const { status } of await settle(this.db, [one]))
        if (status !== 'lost') this.#world.violations.push(`a dead attempt wrote ${status}`);
  }
}

/** Expires what the crashed left, in the two steps of a rescuer; the lease of a live one is never taken. */
async function rescuer(t: TestDatabase, world: World): Promise<void> {
  const tokens = [...world.crashed];
  await t.sql`update cape_leases set lease_until = now() - interval '1 second' where token = any(${tokens})`;
  await rescue(t.db, await expired(t.db));
  const held = new Set(
    (await t.sql`select token from cape_leases where token = any(${tokens})`).map(({ token }) => token),
  );
  for (const token of tokens) if (!held.has(token)) world.crashed.delete(token);
  await promote(t.db, 200);
}

/** Other programs: cancels, edits with a lock held for a while, statuses by hand. */
async function meddler(t: TestDatabase, world: World): Promise<void> {
  const id = 1 + Math.floor(Math.random() * ISSUES);
  const dice = Math.random();
  if (dice < 0.3) await cancel(t.db, id).catch(() => {});
  else if (dice < 0.6)
    await t.sql.begin(async (tx) => {
      await tx`update cape_issues set description = 'edited' where id = ${id}`;
      await tx`select pg_sleep(0.01)`;
    });
  else if (dice < 0.8) {
    world.byHand.add(id);
    await t.sql`update cape_issues set status = 'pending' where id = ${id} and status = 'started'`;
  }
}

test('random work of five workers, a rescuer and a meddler: nothing twice, nothing lost, nothing left', {
  timeout: 60_000,
}, async () => {
  const t = await createTestDatabase();
  const world = new World();
  await insert(t.sql, ...Array.from({ length: ISSUES }, (_, i) => `issue ${i}`));
  const workers = await Promise.all(
    Array.from({ length: WORKERS }, async (_, i) => {
      const db = connect({ url: t.url, schema: t.schema, applicationName: `cape-test-storm-${i}`, planner: true });
      return new RandomWorker(db, await actor(t.db, `storm-${i}`), world);
    }),
  );
  const everybody = [...workers.map((worker) => () => worker.turn()), () => rescuer(t, world), () => meddler(t, world)];
  const unfinished = async () => {
    const [row] =
      await t.sql`select count(*)::int as n from cape_issues where status in ('pending', 'started') or leased`;
    world.left = row?.n;
    return world.left > 0;
  };
  const watch = (async () => {
    while (await unfinished()) await new Promise((resolve) => setTimeout(resolve, 50));
  })();
  await Promise.all(
    everybody.map(async (turn) => {
      while (world.left > 0) await turn();
    }),
  );
  await watch;
  await Promise.all(workers.map(({ db }) => db.close()));

  expect(world.violations).toEqual([]);
  expect(await t.sql`select * from cape_leases`).toHaveLength(0);
  const [sums] = await t.sql`
    select count(*)::int as issues, sum(attempt)::int as attempts, (select count(*)::int from cape_attempts) as history,
           count(*) filter (where completed_at is null)::int as without_end from cape_issues`;
  expect(sums).toMatchObject({ issues: ISSUES, history: sums?.attempts, without_end: 0 });
  const odd = await t.sql`
    select id from cape_issues i join cape_attempts a on a.issue_id = i.id
     group by id having count(*) filter (where outcome = 'succeeded') <> (status = 'completed')::int`;
  expect(odd.filter(({ id }) => !world.byHand.has(id))).toEqual([]);
});
