/** What a claim becomes where its answer was read late. */
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config.js';
import type { Claim } from '../../src/core/issue.js';
import { after, now } from '../../src/execution/clock.js';
import { silent } from '../../src/log.js';
import { handlerStarter } from '../../src/worker/starter.js';

test('a handler is not called for a claim whose lease is too old by now: nobody could end it', async () => {
  const { config } = loadConfig({ flags: { workerId: 'w' }, env: {}, dotenv: false });
  const calls: number[] = [];
  const starter = handlerStarter(
    ({ id }) => calls.push(id),
    config,
    'database',
    silent,
    () => {},
  );
  const claim = (id: number) => ({ issue: { id, timeout_seconds: null }, attempt: 1, token: 't' }) as unknown as Claim;
  expect(starter.start(claim(1), after(now(), -1000)).run).toMatchObject({ kind: 'interrupted' });
  const { run } = starter.start(claim(2), after(now(), 60_000));
  if ('ended' in run) await run.ended;
  expect(calls).toEqual([2]);
});
