/** What `status` says about which database it is, and why something waits in it. */
import { beforeAll, expect, test } from 'vitest';
import { redactUrl } from '../../src/db/url.js';
import { actor, claimAs } from '../queue/actors.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { cli } from './run-cli.js';

let t: TestDatabase;
const status = async () => (await cli(['status'], { env: { DATABASE_URL: t.url } })).stdout;

beforeAll(async () => {
  t = await createTestDatabase();
});

test('the database comes first, its password masked', async () => {
  const [first] = (await status()).split('\n');
  expect(first?.replace(/^database +/, '')).toBe(redactUrl(t.url));
});

test('nothing is said of workers where nothing waits; where something does and none runs, that is said', async () => {
  expect(await status()).not.toContain('no worker is running');
  await t.sql`insert into cape_issues (description) values ('waits'), ('is run')`;
  expect(await status()).toContain('no worker is running: cape-worker --worker-id <name>');
  await actor(t.db, 'live-1');
  expect(await status()).not.toContain('no worker is running');
});

test('what a worker has started that is not heard of any more is held for it', async () => {
  const silent = await actor(t.db, 'silent-1');
  await claimAs(t.db, silent, { limit: 1 });
  expect(await status()).not.toContain('silent-1');
  await t.sql`update cape_workers set heartbeat_at = now() - interval '58 seconds' where id = 'silent-1'`;
  expect(await status()).toMatch(/^1 started by worker silent-1, not heard of for 5[89]\.\d s$/m);
});
