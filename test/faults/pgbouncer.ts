/** A real pgbouncer in front of the tests' server, as a user that is not root (it refuses to run as root). */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { until } from '../support/until.js';

/** Debian puts it where only root's PATH leads. */
const FOLDERS = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/opt/homebrew/bin'];

/** The program, or undefined where it is not installed. */
export const pgbouncerProgram = FOLDERS.map((folder) => join(folder, 'pgbouncer')).find((file) => existsSync(file));

const NOBODY = 65_534;

export interface Pgbouncer {
  /** The URL of the same database through the pooler, with nothing that announces it. */
  url(of: string): string;
  /** Ends it as a crash would, and starts it again on the same port. */
  restart(downMs?: number): Promise<void>;
  kill(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Starts one on a free port of 127.0.0.1.
 * @param target a URL with user and password of the server
 * @param settings lines of the section [pgbouncer], beside or instead of those below
 */
export async function startPgbouncer(target: string, settings: Record<string, string> = {}): Promise<Pgbouncer> {
  const folder = await mkdtemp(join(tmpdir(), 'cape-pgbouncer-'));
  await chmod(folder, 0o755);
  const port = await freePort();
  const { username, password } = new URL(target);
  const [user, secret] = [decodeURIComponent(username), decodeURIComponent(password)];
  await writeFile(join(folder, 'users.txt'), `"${user}" "${secret}"\n`);
  const options = {
    listen_addr: '127.0.0.1',
    listen_port: String(port),
    unix_socket_dir: '',
    auth_type: 'scram-sha-256',
    auth_file: join(folder, 'users.txt'),
    pool_mode: 'transaction',
    // Few on purpose: workers of the tests have to share.
    default_pool_size: '4',
    ...settings,
  };
  const lines = Object.entries(options).map(([name, value]) => `${name} = ${value}`);
  const ini = join(folder, 'pgbouncer.ini');
  await writeFile(ini, `[databases]\n* = ${serverOf(target)}\n[pgbouncer]\n${lines.join('\n')}\n`);

  let child: ChildProcess | undefined;
  let said = '';
  const start = async () => {
    const asNobody = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
    child = spawn(pgbouncerProgram as string, [ini], { ...asNobody, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (said += chunk));
    await until(() => answers(port), { what: `pgbouncer to listen: ${said}` });
  };
  const kill = async () => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((done) => child?.once('exit', done));
    child.kill('SIGKILL');
    await exited;
  };
  await start();
  return {
    url(of) {
      const url = new URL(of);
      url.host = `127.0.0.1:${port}`;
      url.searchParams.delete('host');
      url.searchParams.delete('port');
      return url.href;
    },
    start,
    kill,
    async restart(downMs = 0) {
      await kill();
      await new Promise((done) => setTimeout(done, downMs));
      await start();
    },
    async close() {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function serverOf(target: string): string {
  const { hostname, port, searchParams } = new URL(target);
  const host = searchParams.get('host') ?? hostname.replace(/^localhost$/, '127.0.0.1');
  return `host=${host} port=${searchParams.get('port') || port || 5432}`;
}

function answers(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      done(true);
    });
    socket.on('error', () => done(false));
  });
}

function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer().on('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => done(port));
    });
  });
}

/** For the line that says what the tests ran against. */
export function pgbouncerVersion(): string {
  return execFileSync(pgbouncerProgram as string, ['--version'], { encoding: 'utf8' }).split('\n')[0] ?? '';
}
