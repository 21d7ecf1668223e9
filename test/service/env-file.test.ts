import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readEnvFile, removeEnvFile, writeEnvFile } from '../../src/service/env-file.js';
import { tempFolder } from '../support/worker.js';

const uid = process.getuid?.() as number;
const gid = process.getgid?.() as number;
const own = { uid, gid };
const bits = (path: string) => statSync(path).mode & 0o7777;

describe('an env file', () => {
  test('is written with its folder, closed to all others, and read back', () => {
    const path = join(tempFolder('cape env '), 'config', 'cape-worker', 'a.env');
    const umask = process.umask(0);
    writeEnvFile(path, 'A=1\n', own);
    process.umask(umask);
    expect(readEnvFile(path)).toEqual({ text: 'A=1\n', values: { A: '1' }, mode: 0o600, uid });
    expect(bits(join(path, '..'))).toBe(0o700);
    expect(readdirSync(join(path, '..'))).toEqual(['a.env']);
  });

  test('and its folder are as open as they should be under any umask', () => {
    const path = join(tempFolder('cape env '), 'cape-worker', 'a.env');
    const umask = process.umask(0o777);
    try {
      writeEnvFile(path, 'A=1\n', { ...own, folderMode: 0o755 });
    } finally {
      process.umask(umask);
    }
    expect([bits(path), bits(join(path, '..'))]).toEqual([0o600, 0o755]);
  });

  test('is replaced whole: whoever has the old one open keeps it, and its mode is mended', () => {
    const path = join(tempFolder('cape env '), 'a.env');
    writeFileSync(path, 'A=old\n', { mode: 0o644 });
    const { ino } = statSync(path);
    writeEnvFile(path, 'A=new\n', own);
    expect([readFileSync(path, 'utf8'), bits(path)]).toEqual(['A=new\n', 0o600]);
    expect(statSync(path).ino).not.toBe(ino);
  });

  test('that is not there has no text, also where its folder is missing', () => {
    const folder = tempFolder('cape env ');
    for (const path of [join(folder, 'a.env'), join(folder, 'no', 'such', 'a.env')]) {
      expect(readEnvFile(path)).toEqual({ text: null, values: {}, mode: null, uid: null });
      removeEnvFile(path);
    }
    writeEnvFile(join(folder, 'a.env'), 'A=1\n', own);
    removeEnvFile(join(folder, 'a.env'));
    expect(readdirSync(folder)).toEqual([]);
  });

  test('that is a link or a folder is neither read nor replaced', () => {
    const folder = tempFolder('cape env ');
    writeFileSync(join(folder, 'real'), 'A=1\n');
    symlinkSync('real', join(folder, 'link.env'));
    mkdirSync(join(folder, 'folder.env'));
    for (const act of [readEnvFile, (path: string) => writeEnvFile(path, 'B=2\n', own)]) {
      expect(() => act(join(folder, 'link.env'))).toThrow(/link\.env: is a link; name the file that it leads to$/);
      expect(() => act(join(folder, 'folder.env'))).toThrow(/folder\.env: is no file$/);
    }
    expect(readFileSync(join(folder, 'real'), 'utf8')).toBe('A=1\n');
    expect(readdirSync(folder).sort()).toEqual(['folder.env', 'link.env', 'real']);
  });

  test('that can not be written leaves no draft, and says why in one line', () => {
    const folder = tempFolder('cape env ');
    writeFileSync(join(folder, 'file'), '');
    expect(() => writeEnvFile(join(folder, 'file', 'a.env'), 'A=s3cret\n', own)).toThrow(
      /a\.env: can't be written \((ENOTDIR|EEXIST)\)$/,
    );
  });
});

if (uid !== 0) console.log('what root does in the folders of others is not tested: this is not root');

describe.runIf(uid === 0)('root', () => {
  const USER = { uid: 4242, gid: 4242 };

  /** A folder of the user's in a folder of root's. */
  function usersFolder(): string {
    const home = join(tempFolder('cape env '), 'home');
    chmodSync(join(home, '..'), 0o755);
    mkdirSync(home, { mode: 0o755 });
    chownSync(home, USER.uid, USER.gid);
    return home;
  }

  test('gives the file to the account and keeps its own folder', () => {
    const path = join(tempFolder('cape env '), 'etc', 'a.env');
    writeEnvFile(path, 'A=1\n', { ...USER, folderMode: 0o755 });
    expect(statSync(path)).toMatchObject(USER);
    expect(statSync(join(path, '..'))).toMatchObject({ uid: 0 });
    expect(readEnvFile(path)).toMatchObject({ mode: 0o600, uid: USER.uid });
  });

  test("makes file and folders below a user's folder as that user", () => {
    const path = join(usersFolder(), '.config', 'cape-worker', 'a.env');
    writeEnvFile(path, 'A=1\n', USER);
    expect(readEnvFile(path)).toMatchObject({ text: 'A=1\n', mode: 0o600, uid: USER.uid });
    for (const one of [path, join(path, '..'), join(path, '..', '..')]) expect(statSync(one)).toMatchObject(USER);
    expect([process.geteuid?.(), process.getegid?.()]).toEqual([0, gid]);
  });

  test.each([
    ['in the place of the folder', (home: string, target: string) => symlinkSync(target, join(home, 'conf'))],
    [
      'that leads through a second one',
      (home: string, target: string) => {
        symlinkSync(target, join(home, 'second'));
        symlinkSync('./second', join(home, 'conf'));
      },
    ],
  ])("is not led by a user's link %s to where only root may write", (_, link) => {
    const home = usersFolder();
    const target = tempFolder('cape env ');
    link(home, target);
    expect(() => writeEnvFile(join(home, 'conf', 'a.env'), 'A=1\n', USER)).toThrow(
      /conf: others than root can change /,
    );
    expect(() => writeEnvFile(join(home, 'conf', 'new', 'a.env'), 'A=1\n', USER)).toThrow(
      /others than root can change/,
    );
    expect(readdirSync(target)).toEqual([]);
  });

  test("does not read through a user's folder what the user can't", () => {
    const home = usersFolder();
    const secret = join(tempFolder('cape env '), 'shadow');
    writeFileSync(secret, 'root=s3cret\n', { mode: 0o600 });
    symlinkSync(secret, join(home, 'a.env'));
    expect(() => readEnvFile(join(home, 'a.env'))).toThrow(/is a link/);
    writeFileSync(join(home, 'b.env'), 'A=1\n', { mode: 0o600 }); // root's, as a hard link to its file would be
    expect(() => readEnvFile(join(home, 'b.env'))).toThrow(/b\.env: can't be read \(EACCES\)$/);
  });

  test("writes for nobody else into a user's folder, and for nobody into one that all can write to", () => {
    const home = usersFolder();
    expect(() => writeEnvFile(join(home, 'a.env'), 'A=1\n', own)).toThrow(
      /a\.env: its folder belongs to user 4242, and the worker runs as user 0; choose another place$/,
    );
    const open = join(tempFolder('cape env '), 'open');
    mkdirSync(open);
    chmodSync(open, 0o1777);
    expect(() => writeEnvFile(join(open, 'a.env'), 'A=1\n', USER)).toThrow(/open: others than root can change .*open;/);
    expect(existsSync(join(open, 'a.env'))).toBe(false);
    // A sticky folder on the way is as good as any: what is root's there stays root's.
    mkdirSync(join(open, 'mine'), { mode: 0o755 });
    writeEnvFile(join(open, 'mine', 'a.env'), 'A=1\n', USER);
    expect(statSync(join(open, 'mine', 'a.env'))).toMatchObject(USER);
  });

  test('finds no way through links in a circle', () => {
    const folder = tempFolder('cape env ');
    symlinkSync('b', join(folder, 'a'));
    symlinkSync('a', join(folder, 'b'));
    expect(() => readEnvFile(join(folder, 'a', 'x.env'))).toThrow(/too many links/);
  });
});
