/** The moments of an attempt, and of a worker's life around it, at which it is told to stop: how each is reached. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Statement } from '../support/holding-proxy.js';
import { until } from '../support/until.js';
import type { Stage } from './stopping-stage.js';

export interface Moment {
  readonly name: string;
  /** Brings the worker there. @returns the issue, and what happens once the worker has been told to stop */
  reach(stage: Stage): Promise<{ id: number; afterwards?: () => unknown }>;
  /** An empty database instead of a migrated one. */
  readonly empty?: true;
  /** The database does not answer any more: leases stay, and leaving takes what is documented for that. */
  readonly away?: true;
  /** Its command ends by force only: not for a worker that waits for it without end. */
  readonly endless?: true;
  /** How the issue ends instead of completed. */
  readonly ends?: 'cancelled';
  /** Failures that are rightly charged to the issue. */
  readonly failures?: number;
}

const isClaim = ({ text }: Statement) => text.includes('insert into cape_leases');
const isSettle = (statement: Statement) => isClaim(statement) && statement.parameters.includes('"outcome"');
const isBeat = ({ text, parameters }: Statement) => text.includes('as registered') && /\{\d+\}/.test(parameters);

const isStarted = (stage: Stage) => until(() => stage.count('start') === 1, { timeoutMs: 30_000, what: 'the command' });
const isIdle = (stage: Stage) =>
  until(async () => (await stage.t.sql`select from cape_workers where waiting_until is not null`).length === 1, {
    timeoutMs: 30_000,
    what: 'the worker to wait',
  });
const isClaimed = (stage: Stage) =>
  until(async () => (await stage.t.sql`select from cape_leases`).length === 1, {
    timeoutMs: 30_000,
    what: 'the claim',
  });

const sleepers = async (stage: Stage) =>
  (await stage.t.sql`select from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()`)
    .length;

/** A worker whose issue runs. */
async function running(stage: Stage, description: string, columns: object = {}): Promise<number> {
  const id = await stage.issues.add(description, columns);
  stage.start();
  await isStarted(stage);
  return id;
}

/** A worker whose first claim comes to a halt. */
async function claiming(stage: Stage, moment: 'request' | 'reply', description = 'sleep 0.3') {
  const id = await stage.issues.add(description);
  const hold = stage.talk.hold(moment, isClaim);
  stage.start();
  await hold.reached;
  if (moment === 'reply') await isClaimed(stage);
  return { id, hold };
}

async function settling(stage: Stage, moment: 'request' | 'reply') {
  const hold = stage.talk.hold(moment, isSettle);
  const id = await running(stage, 'quick');
  await hold.reached;
  if (moment === 'reply') await until(async () => (await stage.issues.issue(id)).status === 'completed');
  return { id, hold };
}

export const STARTING: Moment[] = [
  {
    name: 'while the database refuses connections, before it ever answered',
    async reach(stage) {
      const id = await stage.issues.add('quick');
      stage.network.mode = 'refuse';
      stage.start();
      await stage.said('trying again until it is back');
      return { id };
    },
  },
  {
    name: 'while the database is silent, before it ever answered',
    async reach(stage) {
      const id = await stage.issues.add('quick');
      stage.network.mode = 'blackhole';
      stage.start();
      await stage.said('database: postgres');
      await until(() => stage.network.accepted > 0);
      return { id };
    },
    away: true,
  },
  {
    name: 'while the database falls silent as its tables are looked at',
    async reach(stage) {
      const id = await stage.issues.add('quick');
      const hold = stage.talk.hold('request', ({ parameters }) => parameters.includes('cape_migrations'));
      stage.start();
      await hold.reached;
      return { id };
    },
    away: true,
  },
  {
    name: 'in the middle of a migration',
    empty: true,
    async reach(stage) {
      const hold = stage.talk.hold('request', ({ text }) => text.includes('create table cape_leases'));
      stage.start();
      await hold.reached;
      return { id: 0, afterwards: () => hold.release() };
    },
  },
  {
    name: 'while another program migrates',
    empty: true,
    async reach(stage) {
      const other = await stage.t.sql.reserve();
      await other`select pg_advisory_lock(hashtext('cape_migrations'), hashtext('public'))`;
      stage.start();
      await stage.said('waiting for another program');
      return {
        id: 0,
        afterwards: () =>
          until(() => stage.ended() !== null, { timeoutMs: 30_000 })
            .then(() => other`select pg_advisory_unlock_all()`)
            .then(() => other.release()),
      };
    },
  },
  ...(['request', 'reply'] as const).flatMap((moment) =>
    (['release', 'cut'] as const).map((how) => ({
      name: `at the ${moment} of its registration, then ${how}`,
      async reach(stage: Stage) {
        const id = await stage.issues.add('quick');
        const hold = stage.talk.hold(moment, ({ text }) => text.includes('insert into cape_workers'));
        stage.start();
        await hold.reached;
        if (moment === 'reply') await until(async () => (await stage.t.sql`select from cape_workers`).length === 1);
        return { id, afterwards: () => hold[how]() };
      },
    })),
  ),
];

export const CLAIMING: Moment[] = [
  {
    name: 'as an insert wakes it',
    async reach(stage) {
      stage.start();
      await isIdle(stage);
      await pause(300);
      const hold = stage.talk.hold('request', isClaim);
      const id = await stage.issues.add('sleep 0.3');
      await hold.reached;
      return { id, afterwards: () => hold.release() };
    },
  },
  ...(['request', 'reply'] as const).flatMap((moment) =>
    (['release', 'cut'] as const).map((how) => ({
      name: `at the ${moment} of a claim, then ${how}`,
      async reach(stage: Stage) {
        const { id, hold } = await claiming(stage, moment);
        return { id, afterwards: () => hold[how]() };
      },
    })),
  ),
  {
    name: 'while the server still executes a claim whose connection is lost',
    async reach(stage) {
      // It commits two seconds after the worker has lost sight of it.
      await stage.t.sql.unsafe(`
        create function test_slow() returns trigger language plpgsql as 'begin perform pg_sleep(2); return new; end';
        create trigger test_slow before update on cape_issues for each row when (new.status = 'started')
          execute function test_slow()`);
      const id = await stage.issues.add('sleep 0.3');
      stage.start();
      await until(
        async () =>
          (
            await stage.t
              .sql`select from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()`
          ).length,
        { timeoutMs: 30_000, what: 'the slow claim' },
      );
      stage.network.reset();
      return {
        id,
        afterwards: () => until(async () => (await sleepers(stage)) === 0, { timeoutMs: 30_000 }),
      };
    },
  },
  ...[0, 15, 30, 50, 80].map((ms) => ({
    name: `${ms} ms after its first claim, as keeper and command start`,
    async reach(stage: Stage) {
      const id = await stage.issues.add('sleep 0.3');
      stage.start();
      await stage.said('attempt 1 started');
      await pause(ms);
      return { id };
    },
  })),
];

export const RUNNING: Moment[] = [
  { name: 'while the command runs', reach: async (stage) => ({ id: await running(stage, 'sleep 4') }) },
  {
    name: 'while a command runs that ignores SIGTERM',
    reach: async (stage) => ({ id: await running(stage, 'stubborn') }),
    endless: true,
  },
  ...(['request', 'reply'] as const).map((moment) => ({
    name: `at the ${moment} of a renewal`,
    async reach(stage: Stage) {
      const hold = stage.talk.hold(moment, isBeat);
      const id = await running(stage, 'sleep 8');
      await hold.reached;
      return { id, afterwards: () => hold.release() };
    },
  })),
  {
    name: 'as a cancel arrives',
    async reach(stage) {
      const id = await running(stage, 'sleep 60');
      const hold = stage.talk.hold('reply', isBeat);
      await stage.t.sql`update cape_leases set cancel = 'enough' where issue_id = ${id}`;
      await stage.t.sql`select pg_notify('cape_issues', 'cancel')`;
      await hold.reached;
      return { id, afterwards: () => hold.release() };
    },
    ends: 'cancelled',
  },
  {
    name: 'in the grace of a timeout',
    async reach(stage) {
      const id = await running(stage, 'stubborn', { timeout_seconds: 1 });
      await pause(1300);
      return { id };
    },
    failures: 1,
  },
  {
    name: 'while it is paused',
    async reach(stage) {
      await stage.t.sql`insert into cape_pauses (worker_id) values ('*')`;
      const id = await stage.issues.add('quick');
      stage.start();
      await isIdle(stage);
      return { id, afterwards: () => stage.t.sql`delete from cape_pauses` };
    },
  },
];

export const SETTLING: Moment[] = [
  ...(['request', 'reply'] as const).flatMap((moment) =>
    (['release', 'cut'] as const).map((how) => ({
      name: `at the ${moment} of a settlement, then ${how}`,
      async reach(stage: Stage) {
        const { id, hold } = await settling(stage, moment);
        return { id, afterwards: () => hold[how]() };
      },
    })),
  ),
  {
    name: 'as the command ends',
    async reach(stage) {
      const id = await running(stage, 'quick');
      await until(() => stage.count('end') === 1);
      return { id };
    },
  },
  {
    name: 'after its issue was settled',
    async reach(stage) {
      const id = await running(stage, 'quick');
      await stage.issues.completed(id);
      return { id };
    },
  },
  {
    name: "while somebody holds the ended issue's row locked",
    async reach(stage) {
      const other = await stage.t.sql.reserve();
      const id = await running(stage, 'sleep 0.5');
      await other`begin`;
      await other`select from cape_issues where id = ${id} for update`;
      await stage.said('attempt 1 succeeded');
      return {
        id,
        afterwards: () =>
          pause(1500)
            .then(() => other`commit`)
            .then(() => other.release()),
      };
    },
  },
  {
    name: "while somebody holds the worker's own row locked",
    async reach(stage) {
      const other = await stage.t.sql.reserve();
      const id = await running(stage, 'quick');
      await stage.issues.completed(id);
      await other`begin`;
      await other`select from cape_workers for update`;
      return {
        id,
        afterwards: () =>
          pause(3000) // a worker that leaves waits for its own row for 4.5 s: 0.9 of a quarter of the lease
            .then(() => other`commit`)
            .then(() => other.release()),
      };
    },
  },
];

export const AWAY: Moment[] = [
  {
    name: 'while the database refuses connections and a command runs',
    async reach(stage) {
      const id = await running(stage, 'sleep 3');
      stage.network.mode = 'refuse';
      stage.network.reset();
      await stage.said('trying again until it is back');
      return { id };
    },
    away: true,
  },
  {
    name: 'while the database is silent and a command runs',
    async reach(stage) {
      const id = await running(stage, 'sleep 3');
      stage.network.mode = 'blackhole';
      return { id };
    },
    away: true,
  },
  {
    name: 'while the database is silent and nothing runs',
    async reach(stage) {
      stage.start();
      await isIdle(stage);
      const id = await stage.issues.add('quick', { assigned_worker_id: 'successor' });
      stage.network.mode = 'blackhole';
      return { id };
    },
    away: true,
  },
  {
    name: 'in an outage that ends while it stops',
    async reach(stage) {
      const id = await running(stage, 'sleep 2');
      stage.network.mode = 'refuse';
      stage.network.reset();
      await stage.said('trying again until it is back');
      return { id, afterwards: () => pause(2500).then(stage.heal) };
    },
  },
];
