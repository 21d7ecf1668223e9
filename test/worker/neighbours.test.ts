/** Workers of this machine that are gone, where that can't be proven. */
import { afterEach, expect, test, vi } from 'vitest';
import { silent } from '../../src/log.js';
import { register } from '../../src/queue/workers.js';
import { Neighbours } from '../../src/worker/neighbours.js';
import { VerdictDelivery } from '../../src/worker/verdict-delivery.js';
import { actor, registration } from '../queue/actors.js';
import { createTestDatabase } from '../support/database.js';

const { db } = await createTestDatabase();

afterEach(() => vi.restoreAllMocks());

test('one whose folder is gone with it is spoken of once, however often it is looked at', async () => {
  const self = await actor(db);
  // No process has this start time.
  await register(db, { ...registration('gone'), machine: 'here', pidStart: 'never', logDir: '/nonexistent' });
  const lines: string[] = [];
  const log = { ...silent, warn: (line: string) => void lines.push(line) };
  const delivery = new VerdictDelivery(db, { database: 'this', schema: 'public' }, log, () => {});
  const neighbours = new Neighbours(db, 'here', self.instance, delivery, log);
  const { bigint } = process.hrtime;
  for (const minutes of [0n, 1n, 2n]) {
    vi.spyOn(process.hrtime, 'bigint').mockImplementation(() => bigint() + minutes * 60_000_000_000n);
    await neighbours.refresh();
    await neighbours.check();
  }
  expect(lines).toEqual([
    expect.stringMatching(/^worker gone .*whether all that it started is can't be seen \(ENOENT/),
  ]);
});
