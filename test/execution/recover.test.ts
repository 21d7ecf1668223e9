import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { machineIdentity } from '../../src/execution/machine.js';
import { identify, isAlive, signal } from '../../src/execution/processes.js';
import { endLeftovers, endOrphans } from '../../src/execution/recover.js';
import type { HelperRecord, ProcessIdentity } from '../../src/execution/spec.js';
import { allGone, fixture, GRACE_MS, processesIn, specOf, TREE, tempDir } from './harness.js';

let dir: string;
beforeEach(() => {
  dir = tempDir();
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** A worker process with a tree that does not want to end. */
async function startWorker(name = 'pids') {
  const pids = join(dir, name);
  const spec = specOf(dir, 'tree', fixture('exec-tree.sh'), [pids]);
  const job = JSON.stringify({ stateDir: dir, graceMs: GRACE_MS, spec, untilMs: 60_000 });
  const child = spawn(process.execPath, [fixture('exec-worker.mjs'), job], { stdio: ['ignore', 'pipe', 'inherit'] });
  const worker = identify(child.pid!)!;
  const [line] = await once(createInterface(child.stdout), 'line');
  const { helpers } = JSON.parse(line as string) as { helpers: HelperRecord };
  return { worker, helpers, tree: await processesIn(pids, TREE) };
}

/** All three at once: nobody is left who would end the tree. */
function killAll(worker: ProcessIdentity, { keeper, warden }: HelperRecord): void {
  for (const { pid } of [warden!, keeper, worker]) signal(pid, 'SIGSTOP');
  for (const { pid } of [warden!, keeper, worker]) signal(pid, 'SIGKILL');
}

describe('a successor on the same machine', () => {
  it('has no proof while the worker lives', async () => {
    const { worker, helpers, tree } = await startWorker();
    expect(await endLeftovers(helpers, worker)).toBe(false);
    expect(tree.filter(isAlive)).toHaveLength(TREE);
    signal(worker.pid, 'SIGKILL');
    await allGone([worker], 10_000);
    expect(await endLeftovers(helpers, worker)).toBe(true);
    expect(tree.filter(isAlive)).toEqual([]);
  });

  it('ends by itself what worker, keeper and warden left when all three were killed', async () => {
    const { worker, helpers, tree } = await startWorker();
    killAll(worker, helpers);
    await allGone([worker, helpers.keeper, helpers.warden!], 10_000);
    expect(tree.some(isAlive)).toBe(true);
    expect(await endLeftovers(helpers, worker)).toBe(true);
    expect(tree.filter(isAlive)).toEqual([]);
    expect(existsSync(dirname(helpers.groupsFile))).toBe(false);
  });

  it('does not wait for the helpers of the process that has the id, and the folder, now', async () => {
    const first = await startWorker();
    killAll(first.worker, first.helpers);
    await allGone([first.worker, first.helpers.keeper, first.helpers.warden!], 10_000);
    const second = await startWorker('pids of the second');
    expect(await endLeftovers(first.helpers, first.worker, { stateDir: dir, waitMs: 500 })).toBe(true);
    expect(first.tree.filter(isAlive)).toEqual([]);
    expect(second.tree.filter(isAlive)).toHaveLength(TREE);
    signal(second.worker.pid, 'SIGKILL');
    await allGone([second.worker], 10_000);
    expect(await endLeftovers(second.helpers, second.worker, { stateDir: dir })).toBe(true);
  });

  it('finds helpers that nobody told it of in the folder of the worker', async () => {
    const { worker, helpers, tree } = await startWorker();
    killAll(worker, helpers);
    await allGone([worker, helpers.keeper, helpers.warden!], 10_000);
    expect(await endLeftovers(null, worker, { stateDir: dir })).toBe(true);
    expect(tree.filter(isAlive)).toEqual([]);
  });

  it('waits for helpers that are still at it, but not for ever', async () => {
    const { worker, helpers, tree } = await startWorker();
    signal(helpers.keeper.pid, 'SIGSTOP');
    signal(worker.pid, 'SIGKILL');
    await allGone([worker], 10_000);
    expect(await endLeftovers(helpers, worker, { waitMs: 100 })).toBe(false);
    expect(tree.filter(isAlive)).toHaveLength(TREE);
    signal(helpers.keeper.pid, 'SIGCONT');
    expect(await endLeftovers(helpers, worker)).toBe(true);
    expect(tree.filter(isAlive)).toEqual([]);
  });

  it('does not touch a group whose number belongs to a later process', async () => {
    const stranger = spawn('/bin/sleep', ['300'], { detached: true, stdio: 'ignore' });
    const dead = { pid: stranger.pid!, start: '1' };
    const folder = join(dir, 'token');
    mkdirSync(folder);
    const groupsFile = join(folder, 'groups');
    writeFileSync(groupsFile, `+ ${stranger.pid} 1\n`);
    const record = { token: 'no-such-token', groupsFile, worker: dead, keeper: dead, warden: dead, graceMs: 200 };
    expect(await endLeftovers(record, dead)).toBe(true);
    expect(identify(stranger.pid!)).not.toBeNull();
    stranger.kill('SIGKILL');
  });

  it('has no proof about a group whose leader is dead and whose members show no token', async () => {
    const shell = spawn('/bin/sh', ['-c', 'sleep 300 & echo $!; exec sleep 0.1'], {
      detached: true,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const start = identify(shell.pid!)!.start;
    const [line] = await once(createInterface(shell.stdout), 'line');
    await once(shell, 'exit');
    const folder = join(dir, 'token');
    mkdirSync(folder);
    const groupsFile = join(folder, 'groups');
    writeFileSync(groupsFile, `+ 1 x\n- 1\n+ ${shell.pid} ${start}\n`);
    const dead = { pid: process.pid, start: '1' };
    const record = { token: 'no-such-token', groupsFile, worker: dead, keeper: dead, warden: null, graceMs: 200 };
    expect(await endLeftovers(record, dead)).toBe(false);
    expect(identify(Number(line))).not.toBeNull();
    signal(Number(line), 'SIGKILL');
  });
});

describe('a worker that starts, before it has reached any database', () => {
  const lines: string[] = [];
  const tell = (line: string) => void lines.push(line);
  beforeEach(() => void lines.splice(0));
  const recordOf = (helpers: HelperRecord) => join(dirname(helpers.groupsFile), 'record.json');
  /** The keeper's record, changed. */
  function rewrite(helpers: HelperRecord, changes: object): void {
    const record = JSON.parse(readFileSync(recordOf(helpers), 'utf8'));
    writeFileSync(recordOf(helpers), JSON.stringify({ ...record, ...changes }));
  }

  it('ends what the process before it left when it was killed with its helpers', async () => {
    const { worker, helpers, tree } = await startWorker();
    killAll(worker, helpers);
    await allGone([worker, helpers.keeper, helpers.warden!], 10_000);
    expect(tree.some(isAlive)).toBe(true);
    await endOrphans(dir, tell);
    expect(tree.filter(isAlive)).toEqual([]);
    expect(existsSync(dirname(helpers.groupsFile))).toBe(false);
    expect(lines).toEqual([]);
  });

  it('leaves one that lives alone', async () => {
    const { worker, helpers, tree } = await startWorker();
    await endOrphans(dir, tell);
    expect([...tree, helpers.keeper].filter(isAlive)).toHaveLength(TREE + 1);
    signal(worker.pid, 'SIGKILL');
    await allGone([worker], 10_000); // the kernel takes a moment
    await endOrphans(dir, tell);
    expect(tree.filter(isAlive)).toEqual([]);
  });

  it.each([
    ['of another boot', { machine: '00000000-0000-0000-0000-000000000000 pid:[4026531836]' }],
    ['that does not say of which machine it is', { machine: undefined }],
    ['of a program that says other things', { keeper: 'unknown' }],
  ])('acts on no record %s', async (_, changes) => {
    const { worker, helpers, tree } = await startWorker();
    killAll(worker, helpers);
    await allGone([worker, helpers.keeper, helpers.warden!], 10_000);
    rewrite(helpers, changes);
    const alive = tree.filter(isAlive).length;
    await endOrphans(dir, tell);
    expect(tree.filter(isAlive)).toHaveLength(alive);
    expect(existsSync(recordOf(helpers))).toBe(true);
    rewrite(helpers, { ...helpers });
    await endOrphans(dir, tell);
    expect(tree.filter(isAlive)).toEqual([]);
  });

  it('acts on no pid that a stranger has by now, be it noted as keeper, warden or group', async () => {
    const stranger = spawn('/bin/sleep', ['300'], { detached: true, stdio: 'ignore' });
    const dead = { pid: stranger.pid!, start: '1' };
    const folder = join(dir, 'no-such-token');
    mkdirSync(folder);
    const groupsFile = join(folder, 'groups');
    writeFileSync(groupsFile, `+ ${stranger.pid} 1\n`);
    const machine = machineIdentity();
    const record = {
      token: 'no-such-token',
      groupsFile,
      worker: dead,
      keeper: dead,
      warden: dead,
      machine,
      graceMs: 200,
    };
    writeFileSync(join(folder, 'record.json'), JSON.stringify(record));
    await endOrphans(dir, tell);
    expect(existsSync(folder)).toBe(false);
    expect(identify(stranger.pid!)).not.toBeNull();
    stranger.kill('SIGKILL');
  });

  it('is not stopped by a record that is torn, nor by a folder that is not there', async () => {
    mkdirSync(join(dir, 'torn'));
    writeFileSync(join(dir, 'torn', 'record.json'), '{"token":"ab');
    await endOrphans(dir, tell);
    expect(lines).toEqual([]);
    await endOrphans(join(dir, 'nowhere'), tell);
    expect(lines).toEqual([expect.stringContaining('nowhere')]);
  });
});

it('a record that only a database row tells of removes no folder', async () => {
  const folder = join(dir, 'precious');
  mkdirSync(folder);
  const dead = { pid: process.pid, start: '1' };
  const groupsFile = join(folder, 'groups');
  const record = { token: 'no-such-token', groupsFile, worker: dead, keeper: dead, warden: null, graceMs: 200 };
  expect(await endLeftovers(record, dead)).toBe(true);
  expect(existsSync(folder)).toBe(true);
});

it('a record out of a database that is not as ours are is no proof, and no stranger is ended by it', async () => {
  // A token so short would be the beginning of others.
  const token = 'tok-1';
  const stranger = spawn('/bin/sleep', ['300'], { stdio: 'ignore', env: { CAPE_KEEPER: `${token}-of-another` } });
  const dead = { pid: process.pid, start: '1' };
  const record = { token, groupsFile: join(dir, 'groups'), worker: dead, keeper: dead, warden: null, graceMs: 200 };
  const unseen: unknown[] = [];
  expect(await endLeftovers(record, dead, { onUnseen: (error) => unseen.push(error) })).toBe(false);
  expect(unseen).toHaveLength(1);
  expect(identify(stranger.pid!)).not.toBeNull();
  stranger.kill('SIGKILL');
});
