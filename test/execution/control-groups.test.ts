/** What goes wrong around the start of a command in a group of its own: no kernel does these on demand. */
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import * as cgroup from '../../src/execution/cgroup.js';
import { ControlGroups } from '../../src/execution/control-groups.js';
import { eventually } from './harness.js';

vi.mock('../../src/execution/cgroup.js');

let base: string;
/** Where the process is. */
let at: string;
const complaints: string[] = [];
const started = { pid: 1 } as ChildProcess;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'cape-groups-'));
  at = base;
  complaints.splice(0);
  vi.mocked(cgroup.ownGroup).mockReturnValue({ base });
  vi.mocked(cgroup.proveGroup).mockReturnValue();
  vi.mocked(cgroup.moveInto).mockImplementation((group) => {
    at = group;
  });
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

const groups = () => new ControlGroups('token', (line) => complaints.push(line));
const where = () => {
  expect(at).toMatch(/cape-token-\d+$/);
  return started;
};

it('a command starts inside of its group, and the keeper is outside again', () => {
  expect(groups().spawn(where).group).not.toBeNull();
  expect(at).toBe(base);
  expect(readdirSync(base)).toEqual(['cape-token-1']);
  expect(complaints).toEqual([]);
});

it.each([
  [
    'throws',
    () => {
      throw new Error('E2BIG');
    },
  ],
  ['comes to nothing', () => ({ pid: undefined }) as ChildProcess],
])('a start that %s leaves no group, and the keeper outside', async (_, start) => {
  try {
    groups().spawn(start);
  } catch (error) {
    expect((error as Error).message).toBe('E2BIG');
  }
  expect(at).toBe(base);
  await eventually('the group is removed', () => readdirSync(base).length === 0);
});

it('a group that can not be entered is removed, and the command starts without', async () => {
  vi.mocked(cgroup.moveInto).mockImplementation(() => {
    throw new Error('EBUSY');
  });
  const each = groups();
  for (let n = 0; n < 2; n++) expect(each.spawn(() => started)).toEqual({ child: started, group: null });
  expect(complaints).toEqual(['commands run without a control group of their own: EBUSY']);
  await eventually('the groups are removed', () => readdirSync(base).length === 0);
});

it('a group that can not be left is not ended, since the keeper is in it, and no other is made', () => {
  vi.mocked(cgroup.moveInto).mockImplementation((group) => {
    if (group === base) throw new Error('EBUSY');
    at = group;
  });
  const each = groups();
  expect(each.spawn(where).group).toBeNull();
  expect(each.spawn(() => started).group).toBeNull();
  expect(readdirSync(base)).toEqual(['cape-token-1']);
  expect(complaints).toEqual([expect.stringMatching(/can't leave .*cape-token-1 again: EBUSY$/)]);
});

it('a proof that fails means none at all, and is said', () => {
  vi.mocked(cgroup.proveGroup).mockImplementation(() => {
    throw new Error('EROFS');
  });
  const each = groups();
  expect(each.base).toBeNull();
  expect(each.spawn(() => started).group).toBeNull();
  expect(complaints).toHaveLength(1);
});
