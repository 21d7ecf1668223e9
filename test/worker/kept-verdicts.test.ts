/** Outcomes that could not be written to the database: when they reach the disk, and when they leave it. */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { silent } from '../../src/log.js';
import type { Settlement } from '../../src/queue/settle.js';
import { KeptVerdicts } from '../../src/worker/kept-verdicts.js';
import { readVerdict } from '../../src/worker/verdict-file.js';
import { until } from '../support/until.js';
import { tempFolder } from '../support/worker.js';

function settlement(id: number): Settlement {
  return {
    id,
    token: randomUUID(),
    verdict: { action: 'requeue', delayMs: 1500, charge: 'failure' },
    outcome: { kind: 'failed', exitCode: 3, signal: null, error: 'exit code 3', tail: 'half a \ud83d pair\n\0' },
    logPath: '/logs/1.log',
    logHost: 'here',
  };
}

function keeper(dir = join(tempFolder(), 'verdicts')) {
  const unsettled = new Map<number, Settlement>();
  const lines: string[] = [];
  const instance = randomUUID();
  const kept = new KeptVerdicts({
    dir,
    origin: { database: 'this', schema: 'public' },
    workerId: 'w',
    instance,
    unsettled: () => [...unsettled.values()],
    log: { ...silent, warn: (line) => void lines.push(line) },
  });
  const end = (one: Settlement) => {
    unsettled.set(one.id, one);
    kept.watch();
  };
  const files = () => (existsSync(dir) ? readdirSync(dir).sort() : []);
  return { dir, kept, unsettled, lines, instance, end, files };
}

test('what is not settled soon is on disk, whole, for its owner alone; settled, it goes', async () => {
  const { dir, unsettled, end, files, instance } = keeper();
  const one = settlement(7);
  end(one);
  await until(() => files().length === 1 && files()[0]!.endsWith('.json'));
  expect(files()).toEqual([`7-${one.token}.json`]);
  const path = join(dir, files()[0]!);
  expect(await readVerdict(path)).toMatchObject({ database: 'this', schema: 'public', instance, settlement: one });
  expect([statSync(dir).mode & 0o777, statSync(path).mode & 0o777]).toEqual([0o700, 0o600]);
  unsettled.clear();
  await until(() => files().length === 0);
});

test('what is settled at once costs no file', async () => {
  const { kept, unsettled, end, dir } = keeper();
  for (let id = 1; id <= 50; id++) {
    end(settlement(id));
    await new Promise((done) => setTimeout(done, 10)); // over several looks
    unsettled.delete(id);
  }
  expect(await kept.close()).toEqual([]);
  expect(existsSync(dir)).toBe(false);
});

test('a worker that leaves keeps what it has just heard of, and says which', async () => {
  const { kept, end, files } = keeper();
  end(settlement(3));
  end(settlement(4));
  expect(await kept.close()).toEqual([3, 4]);
  expect(files()).toHaveLength(2);
});

test('a folder that cannot be written costs one line, and is used once it can', async () => {
  const dir = join(tempFolder(), 'verdicts');
  writeFileSync(dir, 'in the way');
  const { kept, end, files, lines } = keeper(dir);
  end(settlement(1));
  await until(() => lines.length === 1);
  expect(lines[0]).toContain(`can't be kept in ${dir}`);
  expect(await kept.close()).toEqual([]);
  expect(lines).toHaveLength(1);
  rmSync(dir);
  mkdirSync(dir);
  expect(await kept.close()).toEqual([1]);
  expect(files()).toHaveLength(1);
});

test('a disk that hangs keeps neither the names of servers from being looked up nor the worker from leaving', async () => {
  const { dir, kept, end, lines } = keeper();
  mkdirSync(dir);
  const settlements = Array.from({ length: 8 }, (_, n) => settlement(n + 1));
  // To open a FIFO for writing takes as long as nobody reads from it.
  const fifos = settlements.map(({ id, token }) => join(dir, `${id}-${token}.json.new`));
  execFileSync('mkfifo', fifos);
  const begin = performance.now();
  settlements.forEach(end);
  expect(await kept.close()).toEqual([]);
  expect(performance.now() - begin).toBeLessThan(20_000);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain(`does not take what is to be kept in ${dir}`);
  let found = false;
  void lookup('localhost').then(() => {
    found = true;
  });
  await until(() => found, { what: 'a name to be looked up' });
  const readers = fifos.map((path) => openSync(path, 'r+'));
  await until(() => !existsSync(fifos[0]!));
  for (const fd of readers) closeSync(fd);
}, 60_000);
