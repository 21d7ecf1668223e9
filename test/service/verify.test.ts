/** When a service counts as up, by what its manager and the database say in turn. */
import { hostname } from 'node:os';
import { describe, expect, test } from 'vitest';
import type { WorkerRow } from '../../src/client.js';
import type { ServiceManager, ServiceState } from '../../src/service/manager.js';
import { awaitUp, type UpOptions } from '../../src/service/verify.js';

const STOPPED: ServiceState = {
  ...{ installed: true, enabled: true, active: 'stopped', pid: null },
  ...{ since: null, text: null, restarts: 0, lastEnd: null },
};
const running = (pid: number): ServiceState => ({ ...STOPPED, active: 'running', pid });
const starting = (pid: number | null): ServiceState => ({ ...STOPPED, active: 'starting', pid });
const row = (more: Partial<WorkerRow>) =>
  ({ id: 'a', pid: 2, host: hostname(), stopped_at: null, ...more }) as WorkerRow;

/** Says one after another, and the last for ever. */
function inTurn<T>(answers: readonly T[]): () => Promise<T> {
  let asked = 0;
  return async () => answers[Math.min(asked++, answers.length - 1)] as T;
}

function up(states: readonly ServiceState[], rows: readonly (WorkerRow | string)[], more: Partial<UpOptions> = {}) {
  const manager = { state: inTurn(states) } as unknown as ServiceManager;
  const reader = { read: inTurn(rows), close: async () => {} };
  return awaitUp({ manager, workerId: 'a', rows: reader, oldPid: null, seenWithinMs: 300, ...more });
}

describe('a service is up', () => {
  test('when it runs and the row of that process is there', async () => {
    const states = [STOPPED, starting(null), starting(2), running(2)];
    expect(await up(states, ['not yet', row({})])).toMatchObject({ up: true, state: { pid: 2 }, row: { pid: 2 } });
  });

  test('and not before the old process has gone, however long it drains', async () => {
    const states = [running(1), { ...running(1), active: 'stopping' } as const, starting(null), running(2)];
    const seen: (number | null)[] = [];
    const found = await up(states, [row({})], { oldPid: 1, onState: ({ pid }) => seen.push(pid) });
    expect(found).toMatchObject({ up: true, state: { pid: 2 } });
    expect(seen.slice(0, 2)).toEqual([1, 1]);
  });

  test('where the database can not be asked, when it runs', async () => {
    expect(await up([running(2)], [], { rows: null })).toMatchObject({ up: true, row: null });
  });
});

describe('a service is not up', () => {
  const bad: [string, (WorkerRow | string)[], string][] = [
    ['by the row of another process', [row({ pid: 1 })], `its row is of process 1 on ${hostname()}`],
    ['by the row of another host', [row({ host: 'elsewhere' })], 'its row is of process 2 on elsewhere'],
    ['by the row of one that has left', [row({ stopped_at: new Date() })], 'its row is of process 2'],
    ['without a row', ['the database does not answer'], 'the database does not answer'],
  ];
  test.each(bad)('%s', async (_, rows, why) => {
    const found = await up([running(2)], rows);
    expect(found).toMatchObject({ up: false });
    expect(!found.up && found.why).toMatch(
      new RegExp(`^process 2 runs, but was not seen in the database within 0 s: ${why}`),
    );
  });

  test('when it failed, without waiting', async () => {
    const failed: ServiceState = { ...STOPPED, active: 'failed', lastEnd: 'exit code 78' };
    expect(await up([starting(2), failed], [])).toMatchObject({ up: false, why: 'it failed (exit code 78)' });
  });

  test('when it ended and is started again, be it seen between two tries or by their number', async () => {
    const waiting = { ...starting(null), lastEnd: 'exit code 69' };
    const why = 'it ended (exit code 69), and is started again by itself';
    expect(await up([starting(2), waiting], [])).toMatchObject({ up: false, why });
    const second = { ...running(3), restarts: 1 };
    expect(await up([running(2), running(2), second], ['no'])).toMatchObject({ up: false, state: { pid: 3 } });
  });

  test('but restarts of the process before do not count', async () => {
    const old = { ...running(1), restarts: 7 };
    expect(await up([old, { ...starting(2), restarts: 0 }, running(2)], [row({})], { oldPid: 1 })).toMatchObject({
      up: true,
    });
  });
});
