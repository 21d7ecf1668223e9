/** A Postgres of a test's own, to be stopped, killed and started again on the same port while others use it. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import postgres from 'postgres';
import { type Binaries, findBinaries, packagedNative, systemFolders } from '../../src/db/embedded/binaries.js';
import { layoutOf } from '../../src/db/embedded/data-dir.js';
import { chooseOwner, type Owner } from '../../src/db/embedded/owner.js';
import { runProgram, spawnProgram } from '../../src/db/embedded/process.js';
import { until } from './until.js';

/** What all servers of a test run with, and the folder that they lie in. */
export interface Machine {
  readonly folder: string;
  readonly binaries: Binaries;
  /** Postgres refuses to run as root. */
  readonly owner: Owner | null;
  /** Stops whatever of it still runs, and removes the folder. */
  remove(): Promise<void>;
  readonly servers: PostgresServer[];
}

const USER = 'cape';
export const DATABASE = 'cape';

/** Finds the programs of Postgres, and makes a folder that their account can enter. */
export async function prepareMachine(): Promise<Machine> {
  const folder = await mkdtemp(join(tmpdir(), 'cape-postgres-'));
  await chmod(folder, 0o755);
  const layout = layoutOf(folder);
  const owner = await chooseOwner(layout, process.getuid!());
  await mkdir(layout.home, { recursive: true });
  const folders = await systemFolders(process.env.PATH ?? '');
  const binaries = await findBinaries({ layout, owner, wanted: null, native: packagedNative(), folders });
  const servers: PostgresServer[] = [];
  const remove = async () => {
    await Promise.all(servers.map((server) => server.kill()));
    await rm(folder, { recursive: true, force: true });
  };
  return { folder, binaries, owner, servers, remove };
}

export class PostgresServer {
  readonly cluster: string;
  readonly port: number;
  readonly #machine: Machine;
  #child: ChildProcess | null = null;
  #log = '';

  private constructor(machine: Machine, name: string, port: number) {
    this.#machine = machine;
    this.cluster = join(machine.folder, name);
    this.port = port;
    machine.servers.push(this);
  }

  /** A place for a server, with a port that stays its own. */
  static async at(machine: Machine, name: string): Promise<PostgresServer> {
    return new PostgresServer(machine, name, await freePort());
  }

  /** `host:port`, as it stands in a URL. */
  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  url(database = DATABASE): string {
    return `postgres://${USER}@${this.address}/${database}`;
  }

  /** Makes an empty cluster. Everybody on 127.0.0.1 may log in, also for replication. */
  async initialise(): Promise<void> {
    const { binaries, owner } = this.#machine;
    await mkdir(this.cluster, { mode: 0o700 });
    if (owner) await chown(this.cluster, owner.uid, owner.gid);
    const args = ['-D', this.cluster, '-U', USER, '--auth=trust', '--locale=C', '--encoding=UTF8', '--no-sync'];
    const { code, stderr } = await runProgram(binaries, 'initdb', args, { owner });
    if (code !== 0) throw new Error(`initdb: ${stderr}`);
  }

  /** Starts it and waits until it answers. Killed before, the rest of it may still be ending: then it is tried again. */
  async start(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    for (let tries = 0; tries < 20; tries++) {
      if (await this.#launch(settings)) return;
      await pause(250);
    }
    throw new Error(`Postgres does not start: ${this.#log}`);
  }

  async #launch(settings: Readonly<Record<string, string>>): Promise<boolean> {
    const { binaries, owner } = this.#machine;
    const all = { ...SETTINGS, ...settings, port: String(this.port) };
    const args = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const child = spawnProgram(binaries, 'postgres', ['-D', this.cluster, ...args], {
      owner,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#child = child;
    this.#log = '';
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#log = (this.#log + text).slice(-4000);
    });
    await until(async () => child.exitCode !== null || (await this.answers()), {
      what: 'Postgres to answer',
      timeoutMs: 60_000,
    });
    return child.exitCode === null;
  }

  async answers(): Promise<boolean> {
    return this.ask(async (sql) => (await sql`select 1`).length === 1, 'postgres').catch(() => false);
  }

  /** Runs `work` with a client of its own, as the superuser. */
  async ask<T>(work: (sql: postgres.Sql) => Promise<T>, database = DATABASE): Promise<T> {
    const sql = postgres(this.url(database), { max: 1, onnotice: () => {}, connect_timeout: 5 });
    try {
      return await work(sql);
    } finally {
      await sql.end({ timeout: 1 });
    }
  }

  /** `fast` ends the sessions and writes everything down, `immediate` leaves recovery to the next start. */
  stop(how: 'fast' | 'immediate' = 'fast'): Promise<void> {
    return this.#end(how === 'fast' ? 'SIGINT' : 'SIGQUIT');
  }

  /** kill -9 of the postmaster: its sessions notice by themselves. */
  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }
}

const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  dynamic_shared_memory_type: 'mmap',
  fsync: 'off',
};

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, 'close');
  return port;
}
