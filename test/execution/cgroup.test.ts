import { describe, expect, it } from 'vitest';
import { folderOf, isGroupFolder, mountsIn, ownGroup, pathIn } from '../../src/execution/cgroup.js';

const HYBRID = `31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 master:2 - cgroup2 cgroup2 rw
`;
const UNIFIED =
  '29 22 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n';

describe('the mount of the cgroup2 hierarchy', () => {
  it.each([
    ['of a host with nothing else', UNIFIED, [{ root: '/', folder: '/sys/fs/cgroup' }]],
    ['beside those of version 1', HYBRID, [{ root: '/', folder: '/sys/fs/cgroup/unified' }]],
    ['on a folder with a space', UNIFIED.replace('/sys/fs', '/a\\040b'), [{ root: '/', folder: '/a b/cgroup' }]],
    ['of a part of it', UNIFIED.replace(' / ', ' /docker/x '), [{ root: '/docker/x', folder: '/sys/fs/cgroup' }]],
    ['that is not there', HYBRID.replace(/.*cgroup2.*\n/, ''), []],
    ['that only looks like one', '1 2 0:3 / /mnt - ext4 cgroup2 rw - cgroup2\n', []],
  ])('%s', (_, mountinfo, mounts) => {
    expect(mountsIn(mountinfo)).toEqual(mounts);
  });
});

it('our own group is the line of that hierarchy', () => {
  expect(pathIn('9:name=systemd:/x\n4:memory:/y\n0::/system.slice/a.service\n')).toBe('/system.slice/a.service');
  expect(pathIn('0::/a:b/c.service\n')).toBe('/a:b/c.service');
  expect(() => pathIn('9:name=systemd:/x\n')).toThrow('version 1 only');
});

describe('the folder of a group', () => {
  it.each([
    ['below the top', '/system.slice/a.service', '/', '/sys/fs/cgroup/system.slice/a.service'],
    ['in a mounted part', '/docker/x/a.service', '/docker/x', '/sys/fs/cgroup/a.service'],
    ['beside the mounted part', '/docker/xy/a.service', '/docker/x', null],
    ['outside of our namespace', '/../a.service', '/', null],
    ['seen through a mount from outside', '/a.service', '/../..', null],
  ])('%s', (_, path, root, folder) => {
    expect(folderOf(path, { root, folder: '/sys/fs/cgroup' })).toBe(folder);
  });
});

it('a record can name no folder outside of the hierarchy', () => {
  expect(isGroupFolder('/etc')).toBe(false);
  expect(isGroupFolder('relative')).toBe(false);
  for (const { folder } of mountsIn(HYBRID)) expect(isGroupFolder(`${folder}/../../etc`)).toBe(false);
});

it('outside of a service there is none, and it is said why', () => {
  const own = ownGroup();
  // Somebody may run the tests as a service.
  if (own.base === null)
    expect(own.why).toMatch(/no service|no control groups|version 1|not delegated|cgroup\.kill|shows/);
});
