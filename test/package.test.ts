import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { createTestDatabase } from './support/database.js';
import { tempFolder } from './support/worker.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const run = promisify(execFile);

const PROGRAM = `
import { CapeError, createClient, type Handler, IssueWorker, loadConfig, migrate } from 'cape-worker';

const databaseUrl = process.env.URL_OF_TEST!;
await migrate({ url: databaseUrl, schema: 'public' });
const client = createClient({ databaseUrl });
const id: number = await client.add({ description: 'from outside' });
const handler: Handler = async (issue, { attempt, signal }) => \`\${issue.description}, attempt \${attempt}, \${signal.aborted}\`;
await new IssueWorker({ databaseUrl, workerId: 'outside-1', timeout: '5m', drain: true, handler }).run();
const issue = await client.get(id);
await client.close();
let refused = '';
try {
  new IssueWorker({ databaseUrl, workerId: 'no way', handler });
} catch (error) {
  if (error instanceof CapeError) refused = error.kind;
}
const seconds: number = loadConfig({ flags: { timeout: '5m' }, env: {}, dotenv: false }).config.timeout / 1000;
console.log(JSON.stringify([issue.status, issue.result, refused, seconds]));
`;

test('the packed package works, typed, from a TypeScript program outside the repository', async () => {
  const { url } = await createTestDatabase({ empty: true });
  const folder = tempFolder('cape package ');
  const { stdout: packed } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
    cwd: root,
  });
  const [{ filename, files }] = JSON.parse(packed) as [{ filename: string; files: { path: string }[] }];
  const paths = files.map(({ path }) => path);
  expect(paths).toContain('migrations/001_issues.sql');
  expect(paths).toContain('dist/execution/warden.sh');
  expect(paths).toContain('dist/dashboard/index.html');
  expect(paths.filter((path) => /^dist\/dashboard\/assets\/index-.*\.(js|css)$/.test(path))).toHaveLength(2);
  expect(paths.filter((path) => /^(src|test|logs|\.env)/.test(path))).toEqual([]);

  // As installed, without asking a registry: the package unpacked, its dependencies those of this checkout.
  const modules = join(folder, 'node_modules');
  mkdirSync(join(modules, 'cape-worker'), { recursive: true });
  await run('tar', ['-xzf', join(folder, filename), '-C', join(modules, 'cape-worker'), '--strip-components=1']);
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (!name.startsWith('.')) symlinkSync(join(root, 'node_modules', name), join(modules, name));
  }
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'program.ts'), PROGRAM);
  const options = ['--strict', '--module', 'nodenext', '--target', 'es2023', '--types', 'node', '--outDir', 'out'];
  await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), ...options, 'program.ts'], {
    cwd: folder,
  });
  const { stdout } = await run(process.execPath, ['out/program.js'], {
    cwd: folder,
    env: { PATH: process.env.PATH, URL_OF_TEST: url },
  });
  expect(JSON.parse(stdout)).toEqual(['completed', 'from outside, attempt 1, false', 'usage', 300]);
});
