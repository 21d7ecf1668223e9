/** A browser on a real server with a real worker, a database of their own below. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { until } from '../../support/until.js';
import { startWorkerProcess, type WorkerProcess } from '../../support/worker-process.js';
import { launchChromium } from './chromium.js';

const main = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url));
const WRITE = 'write-token-of-this-test';
const READ = 'read-token-of-this-test';

export interface Stage {
  readonly url: string;
  readonly database: TestDatabase;
  /** A page that is logged in. Ends with the test. */
  open(place?: string, options?: BrowserContextOptions & { role?: 'read' | 'write' | 'none' }): Promise<Page>;
  api<T>(path: string, body?: unknown): Promise<T>;
  add(...descriptions: string[]): Promise<number[]>;
  /** Ends with the test. Its command is a shell script that has the issue's text in $2. */
  worker(id: string, script: string, args?: readonly string[]): Promise<WorkerProcess>;
  /** Makes an empty file where workers run their commands. */
  touch(name: string): Promise<void>;
  startServer(): Promise<void>;
  stopServer(): Promise<void>;
}

/** Registers the hooks of the file; the parts are there when its tests run. */
export function useStage(): Stage {
  let browser: Browser;
  let database: TestDatabase;
  let server: ChildProcess | null = null;
  let port = 0;
  const folder = mkdtempSync(join(tmpdir(), 'cape-dashboard-'));
  const pages: { page: Page; complaints: string[] }[] = [];

  const stage: Stage = {
    get url() {
      return `http://127.0.0.1:${port}`;
    },
    get database() {
      return database;
    },
    async open(place = '/', { role = 'write', ...options } = {}) {
      const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-GB', ...options });
      const page = await context.newPage();
      const complaints: string[] = [];
      page.on('pageerror', (error) => complaints.push(String(error)));
      page.on('console', (message) => {
        if (/content security policy/i.test(message.text())) complaints.push(message.text());
      });
      page.on('dialog', (dialog) => complaints.push(`a dialog: ${dialog.message()}`));
      page.on('request', (request) => {
        if (!request.url().startsWith(stage.url) && !request.url().startsWith('data:')) complaints.push(request.url());
      });
      pages.push({ page, complaints });
      if (role !== 'none') {
        const token = role === 'write' ? WRITE : READ;
        const answer = await context.request.post(`${stage.url}/api/login`, {
          data: { token },
          headers: { 'x-cape-request': '1' },
        });
        expect(answer.status()).toBe(200);
      }
      await page.goto(`${stage.url}/#${place}`);
      return page;
    },
    async api<T>(path: string, body?: unknown) {
      const headers = { authorization: `Bearer ${WRITE}`, 'content-type': 'application/json' };
      const init = body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) };
      const response = await fetch(`${stage.url}${path}`, init);
      if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
      return (await response.json()) as T;
    },
    async add(...descriptions) {
      const issues = descriptions.map((description) => ({ description }));
      return (await stage.api<{ ids: number[] }>('/api/issues', { issues })).ids;
    },
    async worker(id, script, args = []) {
      const file = join(folder, `${id}.sh`);
      writeFileSync(file, script);
      const command = ['--command', `sh '${file}' {id} {description}`, '--retry-base', '1s', '--grace', '1s'];
      return startWorkerProcess({ id, databaseUrl: database.url, cwd: folder, args: [...command, ...args] });
    },
    async touch(name) {
      writeFileSync(join(folder, name), '');
    },
    async startServer() {
      server = spawn(process.execPath, [main, 'serve', '--port', String(port)], {
        cwd: folder,
        env: {
          ...{ PATH: process.env.PATH, HOME: folder, DATABASE_URL: database.url },
          ...{ CAPE_API_TOKENS: `write:${WRITE},read:${READ}`, CAPE_HTTP_RATE: '100000' },
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let text = '';
      for (const out of [server.stdout, server.stderr]) out?.on('data', (chunk) => (text += String(chunk)));
      const { exitCode } = server;
      await until(async () => exitCode === null && (await fetch(`${stage.url}/healthz`)).ok, {
        what: `the server: ${text}`,
      });
    },
    async stopServer() {
      if (server === null || server.exitCode !== null) return;
      server.kill('SIGTERM');
      await once(server, 'exit');
    },
  };

  beforeAll(async () => {
    [browser, database, port] = await Promise.all([launchChromium(), createTestDatabase(), freePort()]);
    await stage.startServer();
  });
  afterEach(async () => {
    const all = pages.splice(0);
    await Promise.all(all.map(({ page }) => page.context().close()));
    // No script ran that was not ours, nothing was loaded from elsewhere, and no error was thrown.
    expect(all.flatMap(({ complaints }) => complaints)).toEqual([]);
    await database.sql`update cape_issues set status = 'cancelled' where status = 'pending'`;
  });
  afterAll(async () => {
    await browser?.close();
    await stage.stopServer();
    rmSync(folder, { recursive: true, force: true });
  });
  return stage;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
