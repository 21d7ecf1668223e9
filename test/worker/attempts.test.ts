/** What commands and handlers leave behind for the worker to take in. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Claim, Issue } from '../../src/core/issue.js';
import type { Outcome } from '../../src/core/outcome.js';
import { now } from '../../src/execution/clock.js';
import type { EndReason } from '../../src/execution/spec.js';
import { silent } from '../../src/log.js';
import { attemptFiles } from '../../src/worker/attempt-files.js';
import { Attempts } from '../../src/worker/attempts.js';
import { createTestDatabase } from '../support/database.js';
import { until } from '../support/until.js';
import { startWorker } from '../support/worker.js';

const { url: databaseUrl, sql } = await createTestDatabase();

beforeEach(() => sql`truncate cape_issues; truncate cape_workers`.simple());

async function add(id: number): Promise<void> {
  await sql`insert into cape_issues (id, description, max_attempts) values (${id}, 'x', 1)`;
}

const ended = (id: number) =>
  until(
    async () => {
      const [row] = await sql<Issue[]>`select * from cape_issues where id = ${id} and completed_at is not null`;
      return row;
    },
    { what: `the end of issue ${id}` },
  );

describe('the result', () => {
  test("is none of an earlier attempt of that number, be it of another database's issue", async () => {
    const { dir } = startWorker({ databaseUrl, command: 'echo fresh' });
    const folder = join(dir, 'logs', 'issues', '4242');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, '1.result'), 'stale');
    await add(4242);
    expect((await ended(4242)).result).toMatch(/^fresh/);
  });

  test.skipIf(process.platform !== 'linux')(
    'that can be opened and not read costs the issue its result only',
    async () => {
      const { lines } = startWorker({
        databaseUrl,
        command: `sh -c 'ln -s /proc/self/mem "$CAPE_RESULT_FILE"; echo told'`,
      });
      await add(1);
      expect(await ended(1)).toMatchObject({ status: 'completed', result: 'told\n' });
      expect(lines.filter((line) => line.includes("can't be read"))).toHaveLength(1);
    },
  );
});

test.each([
  ['failed for good', 1, 'exit 1', ['warn: issue 1: attempt 1 failed: exit code 1', 'warn: issue 1: failed']],
  [
    'timed out',
    2,
    'test $CAPE_ATTEMPT = 2 || sleep 60',
    ['warn: issue 1: attempt 1 timed_out: ran longer than the 1 s allowed'],
  ],
  ['failed and is tried again', 2, 'test $CAPE_ATTEMPT = 2', ['info: issue 1: attempt 1 failed: exit code 1']],
])('an attempt that %s is told at the level it deserves', async (_, maxAttempts, script, expected) => {
  const { lines } = startWorker({ databaseUrl, maxAttempts, timeout: '1s', command: `sh -c '${script}'` });
  await sql`insert into cape_issues (id, description) values (1, 'x')`;
  await ended(1);
  await until(() => lines.some((line) => /: issue 1: (failed|completed)$/.test(line)));
  expect(lines).toEqual(expect.arrayContaining(expected));
});

test('a handler may throw what has no text', async () => {
  startWorker({
    databaseUrl,
    handler: () => {
      throw Object.create(null);
    },
  });
  await add(1);
  expect(await ended(1)).toMatchObject({ status: 'failed', failures: 1 });
});

test('a handler that never returns does not keep a worker that is asked three times to leave', async () => {
  let called = false;
  const worker = startWorker({
    databaseUrl,
    handler: () => {
      called = true;
      return new Promise(() => {});
    },
  });
  await add(1);
  await until(() => called);
  await worker.stop(3);
});

test('an attempt is settled whatever comes of taking in what it left', async () => {
  const warnings: string[] = [];
  const files = attemptFiles('/nonexistent', 7, 1);
  const attempts = new Attempts({
    starter: {
      start: () => ({
        run: {
          started: Promise.resolve(1),
          ended: Promise.resolve({ kind: 'succeeded', tail: 'x' }),
          end() {},
          kill() {},
        },
        files,
      }),
    },
    policy: { maxAttempts: 3, baseMs: 1000, capMs: 1000, unrunnableMs: 1000 },
    host: 'test-host',
    log: { ...silent, warn: (line) => void warnings.push(line) },
    relay: {
      begin() {},
      ended() {
        throw new RangeError('Maximum call stack size exceeded');
      },
      forget() {},
    },
    onEnded() {},
  });
  attempts.start({ issue: { id: 7, description: 'x' } as Claim['issue'], attempt: 1, token: 't' }, now());
  await until(() => attempts.unsettled().length === 1, { what: 'the settlement', timeoutMs: 5000 });
  expect(attempts.unsettled()[0]!.outcome).toMatchObject({ kind: 'succeeded', result: 'x' });
  expect(warnings).toEqual(["issue 7: what attempt 1 left can't be taken in: Maximum call stack size exceeded"]);
});

describe('an issue that is claimed anew while its older run still ends', () => {
  const issue = { id: 7, description: 'x' } as Claim['issue'];
  const claim = (token: string): Claim => ({ issue, attempt: 1, token });
  let events: string[];
  let endings: Map<string, (outcome: Outcome) => void>;
  let attempts: Attempts;

  beforeEach(() => {
    events = [];
    endings = new Map();
    const start = ({ token }: Claim) => {
      events.push(`${token} starts`);
      const ended = new Promise<Outcome>((done) => endings.set(token, done));
      const end = (why: EndReason) => void events.push(`${token} is to end: ${why}`);
      return { run: { started: Promise.resolve(1), ended, end, kill() {} }, files: null };
    };
    attempts = new Attempts({
      starter: { start },
      policy: { maxAttempts: 3, baseMs: 1000, capMs: 1000, unrunnableMs: 1000 },
      host: 'test-host',
      log: silent,
      onEnded: ({ kind }) => void events.push(kind),
    });
    attempts.start(claim('old'), now());
    attempts.start(claim('new'), now());
  });

  test('waits for the end of that, and both are held meanwhile', async () => {
    expect(attempts.held().map(({ token }) => token)).toEqual(['old', 'new']);
    expect(attempts.running).toBe(2);
    expect(events).toEqual(['old starts', 'old is to end: unconfirmed']);
    endings.get('old')!({ kind: 'interrupted' });
    await until(() => events.includes('new starts'));
    expect(events.slice(2)).toEqual(['lost', 'new starts']);
    endings.get('new')!({ kind: 'succeeded' });
    await attempts.allEnded();
    expect(attempts.unsettled().map(({ token, outcome }) => `${token} ${outcome.kind}`)).toEqual(['new succeeded']);
  });

  test('and that is cancelled, or lost, before its turn comes, does not begin', async () => {
    attempts.start(claim('newer'), now());
    attempts.cancel(7, 'newer');
    attempts.lost(7, 'new');
    endings.get('old')!({ kind: 'interrupted' });
    await attempts.allEnded();
    await until(() => attempts.running === 0);
    expect(events.filter((event) => event.endsWith('starts'))).toEqual(['old starts']);
    expect(attempts.unsettled().map(({ token, outcome }) => `${token} ${outcome.kind}`)).toEqual(['newer cancelled']);
  });

  test('goes back where the worker stops meanwhile', async () => {
    attempts.endAll('interrupted');
    endings.get('old')!({ kind: 'interrupted' });
    await attempts.allEnded();
    await until(() => attempts.running === 0);
    expect(attempts.unsettled().map(({ token, outcome }) => `${token} ${outcome.kind}`)).toEqual(['new interrupted']);
  });
});
