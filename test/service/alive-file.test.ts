import { existsSync, readFileSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { keepAliveFile } from '../../src/service/alive-file.js';
import type { WorkerState } from '../../src/worker/state.js';
import { until } from '../support/until.js';
import { tempFolder } from '../support/worker.js';

const BEAT_MS = 20;
const LONG_AGO = new Date(0);

function logOf(lines: string[]) {
  return { warn: (line: string) => void lines.push(line) } as Parameters<typeof keepAliveFile>[1];
}

/** Makes the file look old; it is alive where that is mended. */
function age(file: string): void {
  utimesSync(file, LONG_AGO, LONG_AGO);
}
const isFresh = (file: string) => statSync(file).mtimeMs > LONG_AGO.getTime();

test('renews the time of the file while the loops turn, and removes it in the end', async () => {
  const file = join(tempFolder(), 'alive');
  const alive = keepAliveFile(file, logOf([]), BEAT_MS);
  await until(() => existsSync(file) && readFileSync(file, 'utf8') === `${process.pid}\n`);
  age(file);
  await until(() => isFresh(file));
  await alive.close();
  expect(existsSync(file)).toBe(false);
});

test('lets the file grow old while a loop of the worker is stuck', async () => {
  const file = join(tempFolder(), 'alive');
  const lines: string[] = [];
  const alive = keepAliveFile(file, logOf(lines), BEAT_MS);
  const other = keepAliveFile(`${file}-of-another`, logOf(lines), BEAT_MS);
  await until(() => existsSync(file) && existsSync(`${file}-of-another`));
  alive.state({ stuck: 'the claim loop' } as WorkerState);
  const olderThanTheOther = async () => {
    age(`${file}-of-another`);
    await until(() => isFresh(`${file}-of-another`));
    return !isFresh(file);
  };
  // What was being written when it got stuck may still arrive.
  await until(() => {
    age(file);
    return olderThanTheOther();
  });
  for (let beats = 0; beats < 5; beats++) expect(await olderThanTheOther()).toBe(true);
  alive.state({ stuck: null } as WorkerState);
  await until(() => isFresh(file));
  await Promise.all([alive.close(), other.close()]);
  expect(lines).toEqual([]);
});

test('says once where it can not write, and goes on', async () => {
  const lines: string[] = [];
  const alive = keepAliveFile(join(tempFolder(), 'missing', 'alive'), logOf(lines), BEAT_MS);
  await until(() => lines.length > 0);
  await alive.close();
  expect(lines).toEqual([expect.stringMatching(/^the file of the health check can't be written: ENOENT/)]);
});

test('does nothing without a path', async () => {
  const lines: string[] = [];
  const alive = keepAliveFile(undefined, logOf(lines), BEAT_MS);
  alive.state({ stuck: 'x' } as WorkerState);
  await alive.close();
  expect(lines).toEqual([]);
});
