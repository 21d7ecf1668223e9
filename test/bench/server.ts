/** The run's own Postgres, as durable as it comes, and its databases. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type postgres from 'postgres';
import { type Machine, PostgresServer, prepareMachine } from '../support/postgres-server.js';
import type { BenchDatabase } from './line.js';

/** Beside the server's defaults (synchronous_commit, full_page_writes on; shared_buffers 128 MB). */
const SETTINGS = { fsync: 'on', max_connections: '200' };
const TEMPLATE = 'cape_template';
const PACKAGE = pathToFileURL(join(import.meta.dirname, '..', '..', 'dist', 'index.js')).href;

export class BenchServer {
  readonly #machine: Machine;
  readonly #server: PostgresServer;
  #made = 0;

  private constructor(machine: Machine, server: PostgresServer) {
    this.#machine = machine;
    this.#server = server;
  }

  /** Made, started, and with the template that `capeDatabase` clones. */
  static async start(): Promise<BenchServer> {
    const machine = await prepareMachine();
    try {
      const server = await PostgresServer.at(machine, 'bench');
      await server.initialise();
      await server.start(SETTINGS);
      const made = new BenchServer(machine, server);
      await made.#admin((sql) => sql.unsafe(`create database ${TEMPLATE}`));
      const { migrate } = (await import(PACKAGE)) as typeof import('../../src/index.js');
      await migrate({ url: server.url(TEMPLATE), schema: 'public' });
      return made;
    } catch (error) {
      await machine.remove();
      throw error;
    }
  }

  async database(template = 'template1'): Promise<BenchDatabase> {
    const name = `bench_${++this.#made}`;
    await this.#admin((sql) => sql.unsafe(`create database ${name} template ${template}`));
    const drop = () => this.#admin((sql) => sql.unsafe(`drop database if exists ${name} with (force)`));
    return { url: this.#server.url(name), drop: async () => void (await drop()) };
  }

  capeDatabase(): Promise<BenchDatabase> {
    return this.database(TEMPLATE);
  }

  /** What was written before is on disk: nobody's turn pays for what another left. */
  async checkpoint(): Promise<void> {
    await this.#admin((sql) => sql.unsafe('checkpoint'));
  }

  async version(): Promise<string> {
    const [row] = await this.#admin((sql) => sql<{ server_version: string }[]>`show server_version`);
    return row!.server_version;
  }

  /** Seconds of the postmaster, of the sessions that have ended and of those that live; 0 where there is no /proc. */
  cpuSeconds(): number {
    const postmaster = Number(readFileSync(join(this.#server.cluster, 'postmaster.pid'), 'utf8').split('\n')[0]);
    try {
      const children = readFileSync(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8')
        .split(' ')
        .filter(Boolean);
      return [String(postmaster), ...children].reduce((sum, pid) => sum + ticksOf(pid), 0) / 100;
    } catch {
      return 0;
    }
  }

  async remove(): Promise<void> {
    await this.#server.stop('immediate').catch(() => {});
    await this.#machine.remove();
  }

  #admin<T>(work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
    return this.#server.ask(work, 'postgres');
  }
}

/** User and system time, with that of children that were waited for. */
function ticksOf(pid: string): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0);
  } catch {
    return 0; // ended meanwhile: the postmaster has its time
  }
}
