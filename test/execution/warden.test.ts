/** The warden's script by itself, in the situations that chance seldom brings about. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterEach, expect, it } from 'vitest';
import { exists, groupAlive, hasProc, identify, isAlive, stateOf } from '../../src/execution/processes.js';
import { runWarden, TOOL_PATH } from '../../src/execution/warden.js';
import { eventually } from './harness.js';

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

function start(script: string, env: Record<string, string> = {}): ChildProcess {
  const child = spawn('/bin/sh', ['-c', script], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: TOOL_PATH, ...env },
  });
  children.push(child);
  return child;
}

it('a command between its fork and the note of it: what nobody was told of is found by its environment, and ended', async () => {
  const token = `unnoted-${process.pid}`;
  const command = start(`trap '' TERM; echo up; sleep 300`, { CAPE_KEEPER: token });
  await once(createInterface(command.stdout!), 'line');
  const identity = identify(command.pid!)!;
  expect(await runWarden({ token, graceMs: 400 }, [], TOOL_PATH)).toBe(true);
  expect(isAlive(identity)).toBe(false);
});

it.skipIf(!hasProc)('zombies that nobody reaps do not hold a group: no end waits for them', async () => {
  // Their parent has become a program that waits for no child, as PID 1 of many a container.
  const parent = start(`setsid sh -c 'echo $$' & exec sleep 300`);
  const [line] = await once(createInterface(parent.stdout!), 'line');
  const group = Number(line);
  await eventually('it is a zombie', () => stateOf(group)?.zombie);
  expect(exists(-group)).toBe(true);
  expect(groupAlive(group)).toBe(false);
  const began = performance.now();
  expect(await runWarden({ token: `zombies-${process.pid}`, graceMs: 20_000 }, [group], TOOL_PATH)).toBe(true);
  expect(performance.now() - began).toBeLessThan(15_000);
});
