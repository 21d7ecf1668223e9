/** The password of DATABASE_URL: everything that a run leaves is searched for it, with a database that works and without. */
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect } from '../../src/db/connect.js';
import { grantRights } from '../../src/queue/rights.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { issuesOf } from '../support/issues.js';
import { until } from '../support/until.js';
import { cli, emptyFolder, start } from './run-cli.js';

const name = `cape_secret_${randomBytes(4).toString('hex')}`;
// What URLs give a meaning to is in it, so that its two spellings differ.
const PASSWORD = `Geheim/${randomBytes(6).toString('hex')}@ß:%+`;
const SPELLINGS = [
  PASSWORD,
  encodeURIComponent(PASSWORD),
  encodeURI(PASSWORD),
  Buffer.from(PASSWORD).toString('base64').slice(0, -4),
  PASSWORD.slice(7, 19), // also not the middle of it, cut off at what looks like the end of a URL's part
];
let t: TestDatabase;
let good: URL;

beforeAll(async () => {
  t = await createTestDatabase();
  await t.sql.unsafe(`create role ${name} login password '${PASSWORD}'`);
  const owner = connect({ url: t.ownerUrl, schema: 'public', applicationName: 'cape-test' });
  await grantRights(owner, name, 'worker').finally(() => owner.close());
  good = new URL(t.url);
  good.username = name;
  good.password = encodeURIComponent(PASSWORD);
});

afterAll(() => t.sql.unsafe(`drop owned by ${name}; drop role ${name}`));

function expectNoSecret(text: string, about: string): void {
  for (const spelling of SPELLINGS) expect(text.includes(spelling), `the password is in ${about}`).toBe(false);
}

/** Every file below a folder with its text, those without a suffix and hidden ones too. */
function filesBelow(folder: string): [path: string, text: string][] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((path) => join(folder, path))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile())
    .map((path) => [path, readFileSync(path, 'latin1') + readFileSync(path, 'utf8')]);
}

interface Seen {
  readonly pid: number;
  readonly parent: number;
  readonly arguments: string;
  readonly environment: string;
}

/** Every process of the machine, as other users and as its own user can see it. */
function processes(): Seen[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map((pid) => ({
      pid: Number(pid),
      parent: Number(readProc(pid, 'stat').split(') ')[1]?.split(' ')[1]),
      arguments: readProc(pid, 'cmdline'),
      environment: readProc(pid, 'environ'),
    }));
}

function withDescendants(all: readonly Seen[], root: number): Seen[] {
  const children = all.filter(({ parent }) => parent === root);
  return [...all.filter(({ pid }) => pid === root), ...children.flatMap(({ pid }) => withDescendants(all, pid))];
}

function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return ''; // gone, or another user's
  }
}

async function everyTable(): Promise<string> {
  const tables =
    await t.sql`select oid::regclass::text as name from pg_class where relname like 'cape%' and relkind = 'r'`;
  const rows = await Promise.all(tables.map(({ name: table }) => t.sql.unsafe(`select t::text from ${table} t`)));
  return JSON.stringify(rows);
}

const COMMAND = `
  const { existsSync, writeFileSync } = require('node:fs');
  console.log(JSON.stringify(process.env));
  writeFileSync('ready', '');
  const timer = setInterval(() => existsSync('go') && (clearInterval(timer), process.exit(Number(process.argv[2]) % 2 * 64)), 20);
`;

test.each([
  { file: '.env', option: [] },
  // What this holds counts as the worker's environment, and --pass-env may name it.
  { file: 'worker.env', option: ['--env-file', 'worker.env'] },
])(
  'a run leaves it nowhere: not in arguments, environments, files, output or tables ($file)',
  async ({ file, option }) => {
    const ids = [await issuesOf(t.sql).add('one'), await issuesOf(t.sql).add('two')];
    const cwd = emptyFolder();
    writeFileSync(join(cwd, 'command.cjs'), COMMAND);
    writeFileSync(join(cwd, file), `DATABASE_URL='${good.href}'\n`, { mode: 0o600 });
    const command = `'${process.execPath}' command.cjs`;
    const pass = ['--pass-env', 'D*,CAPE_*'];
    const words = ['--worker-id', 's-1', '--command', command, '--drain', '--log-level', 'debug', ...pass, ...option];
    const worker = start(words, { cwd });
    try {
      await until(() => existsSync(join(cwd, 'ready')), { timeoutMs: 30_000, what: 'the command to run' });
      if (existsSync('/proc')) {
        const all = processes();
        for (const each of all) expectNoSecret(each.arguments, `the arguments of process ${each.pid}`);
        // The worker, its keeper, the warden and the command; the worker has read the URL from .env into its memory.
        const ours = withDescendants(all, worker.process.pid as number);
        expect(ours.length).toBeGreaterThanOrEqual(4);
        for (const { pid, environment } of ours) expectNoSecret(environment, `the environment of process ${pid}`);
      } else console.log('arguments and environments are not looked at: no /proc here');
      for (const args of [['status'], ['workers', '--json'], ['config'], ['config', '--json'], ['check', '--json']]) {
        const { stdout, stderr } = await cli([...args, ...option], { cwd });
        expectNoSecret(stdout + stderr, args.join(' '));
      }
    } finally {
      writeFileSync(join(cwd, 'go'), '');
    }
    const ended = await worker.ended;
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expectNoSecret(ended.stdout, 'the output of the worker');
    const files = filesBelow(cwd).filter(([path]) => path !== join(cwd, file));
    expect(files.map(([path]) => path)).toContain(join(cwd, 'logs', 'issues', String(ids[0]), '1.log'));
    for (const [path, text] of files) expectNoSecret(text, path);
    expectNoSecret(await everyTable(), 'the tables');
    const given = JSON.parse(readFileSync(join(cwd, 'logs', 'issues', String(ids[0]), '1.log'), 'utf8'));
    expect(Object.keys(given).filter((key) => /DATABASE|^PG/.test(key))).toEqual([]);
  },
);

describe('the error is without it where the database', () => {
  const changed = (change: (url: URL) => void) => {
    const url = new URL(good);
    change(url);
    return url.href;
  };
  const urls: Record<string, () => string> = {
    'is of another name': () => changed((url) => (url.pathname = '/no_such_database')),
    'knows no such user': () => changed((url) => (url.username = 'nobody_here')),
    'wants another password': () => changed((url) => (url.password += 'x')),
    'offers no TLS': () => changed((url) => url.searchParams.set('sslmode', 'require')),
    'is given by a parameter nobody knows': () => changed((url) => url.searchParams.set('passwort', PASSWORD)),
    'has its password as a parameter': () =>
      changed((url) => {
        url.password = '';
        url.pathname = '/no_such_database';
        url.searchParams.set('password', PASSWORD);
      }),
    'is in a URL that is not encoded': () => good.href.replace(good.password, PASSWORD),
    'is in a URL without an @': () => good.href.replace('@', ''),
    'is in a URL without a scheme': () => good.href.replace(/^\w+:\/\//, ''),
    'is in a URL with a space in it': () => good.href.replace('@', ' @'),
    'has a port that is none': () => good.href.replace(/:\d+\//, ':port/'),
    'has no tables in the schema': () => changed((url) => (url.pathname = '/postgres')),
  };

  test.each(Object.entries(urls))('%s', async (_, url) => {
    const commands = [['status'], ['check'], ['run', '--worker-id', 's-2', '--command', 'true', '--drain']];
    await Promise.all(commands.map((args) => expectQuiet(args, url())));
  });

  async function expectQuiet(args: readonly string[], url: string): Promise<void> {
    const cwd = emptyFolder();
    const running = start(args, { env: { DATABASE_URL: url, CAPE_LOG_LEVEL: 'debug' }, cwd });
    // A worker may wait for what it takes to be out of reach; everything else ends by itself.
    const patience = setTimeout(() => args[0] === 'run' && running.process.kill('SIGTERM'), 30_000);
    const { code, stdout, stderr } = await running.ended;
    clearTimeout(patience);
    expect([64, 69, 78], `${args.join(' ')}: ${stdout}${stderr}`).toContain(code);
    expectNoSecret(stdout + stderr, args.join(' '));
    for (const [path, text] of filesBelow(cwd)) expectNoSecret(text, path);
  }

  test('is out of reach, for a worker that waits', async () => {
    const cwd = emptyFolder();
    const url = changed((one) => (one.port = '1'));
    const worker = start(['--worker-id', 's-3', '--command', 'true', '--log-level', 'debug'], {
      cwd,
      env: { DATABASE_URL: url },
    });
    await until(() => worker.output().stdout.includes('out of reach'), {
      timeoutMs: 20_000,
      what: 'the outage to be told',
    });
    worker.process.kill('SIGTERM');
    const { stdout, stderr } = await worker.ended;
    expectNoSecret(stdout + stderr, 'the output');
    for (const [path, text] of filesBelow(cwd)) expectNoSecret(text, path);
  });
});
