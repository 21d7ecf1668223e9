import { closeSync, constants, fstatSync, openSync, readdirSync, readSync, rmSync, writeSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FifoPool, type Pipe } from '../../src/execution/fifos.js';
import { hasProc } from '../../src/execution/processes.js';
import { eventually, PATH, tempDir } from './harness.js';

let dir: string;
beforeEach(() => {
  dir = tempDir();
});
// mkfifo may still be making some.
afterEach(() => rmSync(dir, { recursive: true, force: true, maxRetries: 20 }));

const fileOf = ({ read }: Pipe) => fstatSync(read).ino;

/** As a run leaves it. */
function leave(pipe: Pipe): void {
  closeSync(pipe.write);
  closeSync(pipe.read);
  pipe.done();
}

function textOf({ read }: Pipe): string {
  const buffer = Buffer.alloc(100);
  return buffer.toString('utf8', 0, readSync(read, buffer));
}

describe.skipIf(!hasProc)('a pipe that was used', () => {
  it('is used again where nobody has it any more, and holds nothing of the run before', () => {
    const pool = new FifoPool(dir, PATH);
    const first = pool.take();
    const file = fileOf(first);
    writeSync(first.write, 'left unread');
    leave(first);
    const second = pool.take();
    expect(fileOf(second)).toBe(file);
    writeSync(second.write, 'new');
    expect(textOf(second)).toBe('new');
    leave(second);
  });

  it.each([
    ['reads', constants.O_RDONLY | constants.O_NONBLOCK],
    ['writes', constants.O_WRONLY],
    ['does both', constants.O_RDWR],
  ])('is not used again while somebody who stayed behind %s there', (_, flags) => {
    const pool = new FifoPool(dir, PATH);
    const first = pool.take();
    const file = fileOf(first);
    const stray = openSync(`/proc/self/fd/${first.write}`, flags);
    leave(first);
    const second = pool.take();
    expect(fileOf(second)).not.toBe(file);
    leave(second);
    closeSync(stray);
  });
});

it('has no name by the time somebody gets it, and no two get the same', async () => {
  const pool = new FifoPool(dir, PATH);
  const pipes = Array.from({ length: 40 }, () => pool.take());
  expect(new Set(pipes.map(fileOf)).size).toBe(40);
  for (const pipe of pipes) leave(pipe);
  await eventually('more are made ahead', () => readdirSync(dir).length > 0);
});
