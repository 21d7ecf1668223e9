import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { makeFolder, makeFolderAsync } from '../src/folders.js';

const root = mkdtempSync(join(tmpdir(), 'cape folders '));
afterAll(() => rmSync(root, { recursive: true, force: true }));

// A hang below /proc would hold this process too: that is tested in one of its own, in test/cli/settings.test.ts.
describe.each([
  ['makeFolder', async (path: string, mode: number) => makeFolder(path, mode)],
  ['makeFolderAsync', makeFolderAsync],
])('%s', (name, make) => {
  const own = join(root, name);

  test('makes what is missing, with the mode, and says where it began', async () => {
    const path = join(own, 'of', 'mine');
    expect(await make(path, 0o700)).toBe(own);
    for (const made of [own, join(own, 'of'), path]) expect(statSync(made).mode & 0o777).toBe(0o700);
  });

  test('has nothing against a folder that is there, nor against a link to one', async () => {
    expect(await make(own, 0o700)).toBeUndefined();
    symlinkSync(own, join(own, 'link'));
    expect(await make(join(own, 'link'), 0o700)).toBeUndefined();
    expect(await make('/', 0o700)).toBeUndefined();
  });

  test("passes on the kernel's error", async () => {
    writeFileSync(join(own, 'file'), '');
    symlinkSync(join(own, 'nowhere'), join(own, 'dangling'));
    await expect(make(join(own, 'file'), 0o700)).rejects.toThrow(/^EEXIST/);
    await expect(make(join(own, 'file', 'below', 'it'), 0o700)).rejects.toThrow(/^ENOTDIR/);
    await expect(make(join(own, 'dangling', 'below'), 0o700)).rejects.toThrow(/^EEXIST/);
  });
});
