/** The programs in the documents are programs: each compiles against the built package, and README's runs. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestDatabase } from './support/database.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const run = promisify(execFile);

/** A project of somebody's, which has installed this package. */
let project: string;

beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), 'cape example '));
  mkdirSync(join(project, 'node_modules'));
  symlinkSync(root, join(project, 'node_modules', 'cape-worker'));
  symlinkSync(join(root, 'node_modules', '@types'), join(project, 'node_modules', '@types'));
});

afterAll(() => rmSync(project, { recursive: true, force: true }));

function examples(page: string): string[] {
  const text = readFileSync(join(root, page), 'utf8');
  return [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match) => match[1] as string);
}

test('every example compiles', async () => {
  const files = ['README.md', 'docs/library.md', 'docs/api.md'].flatMap((page) =>
    examples(page).map((code, index) => {
      const name = `${page.replace(/\W/g, '-')}-${index}.mts`;
      writeFileSync(join(project, name), code);
      return name;
    }),
  );
  expect(files.length).toBeGreaterThanOrEqual(4);
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
  const flags = '--noEmit --strict --module nodenext --target es2023 --types node --skipLibCheck'.split(' ');
  const answer = await run(process.execPath, [tsc, ...flags, ...files], { cwd: project }).then(
    () => 'no errors',
    (error: { stdout: string }) => error.stdout,
  );
  expect(answer).toBe('no errors');
});

test('the one of README does what its comment says', async () => {
  const [code = ''] = examples('README.md');
  writeFileSync(join(project, 'example.mjs'), code);
  const database = await createTestDatabase({ empty: true });
  const { stdout, stderr } = await run(process.execPath, ['example.mjs'], {
    cwd: project,
    env: { PATH: process.env.PATH, DATABASE_URL: database.url },
  });
  const promised = /console\.log\(.*\/\/ (.*)$/m.exec(code)?.[1];
  expect({ stdout, stderr }).toEqual({ stdout: `${promised}\n`, stderr: '' });
});
