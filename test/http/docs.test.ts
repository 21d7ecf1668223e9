/** The requests in docs/api.md, sent as they stand there. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from 'vitest';
import { createTestDatabase } from '../support/database.js';
import { serveApi, type TestApi, WRITE } from './api.js';

const run = promisify(execFile);
const page = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8');
const lines = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)]
  .flatMap(([, block]) => (block as string).split('\n'))
  .filter((line) => line.startsWith('curl '));

/** `--json` came with 7.82. */
async function hasCurl(): Promise<boolean> {
  const { stdout } = await run('curl', ['--version']).catch(() => ({ stdout: '' }));
  const [, major, minor] = /^curl (\d+)\.(\d+)/.exec(stdout) ?? [];
  return Number(major) > 7 || (Number(major) === 7 && Number(minor) >= 82);
}

let api: TestApi;
beforeAll(async () => {
  api = await serveApi(await createTestDatabase());
});

test('each is answered, in the order of the page', async ({ skip }) => {
  expect(lines.length).toBeGreaterThan(8);
  if (!(await hasCurl())) skip('needs curl 7.82 or newer');
  const answers: string[] = [];
  for (const line of lines) {
    const env = { PATH: process.env.PATH, API: api.url, TOKEN: WRITE };
    const { stdout } = await run('sh', ['-c', line.replace('--max-time 5', '--max-time 1')], { env }).catch((error) => {
      throw new Error(`${line}\n${error.message}`);
    });
    answers.push(stdout);
  }
  expect(answers[0]).toBe('{"ids":[1]}');
  expect(answers[1]).toBe('{"ids":[2,3]}');
  expect(answers.at(-1)).toMatch(/event: queued[\s\S]*event: cancelled[\s\S]*event: retry/);
});
