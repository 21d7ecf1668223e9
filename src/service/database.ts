/**
 * The database of `--with-database`: the embedded Postgres as a service of its own, shared by all workers of its scope.
 * Inside one worker's control group it would die with that worker.
 */
import { chmodSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { CapeError } from '../core/errors.js';
import {
  defaultDataDir,
  embeddedStatus,
  forgetOldPrograms,
  isMadeForService,
  markMadeForService,
  markService,
  prepareEmbedded,
  stopEmbedded,
} from '../db/embedded/index.js';
import { makeFolder } from '../folders.js';
import { ensureDatabaseAccount, removeDatabaseAccount } from './database-account.js';
import { type DatabaseSpec, parseDatabaseUnit, renderDatabaseUnit } from './database-unit.js';
import type { Host } from './host.js';
import { DATABASE_UNIT, placesOf } from './places.js';
import type { Scope, ServiceSpec } from './spec.js';
import { runTool } from './tool.js';

/** Recovery after a crash may take long, but not for ever. */
const START_DEADLINE_MS = 300_000;

export interface DatabaseRequest {
  readonly plan: { readonly spec: Pick<ServiceSpec, 'scope'> };
  readonly host: Host;
  /** Told of each thing that is done. */
  say(line: string): void;
}

/**
 * Makes sure that it is installed and runs. Where all is as it should be, nothing is done and nothing said.
 * @returns its URL, for the env file
 * @throws CapeError `refused` where there is no systemd, or it does not start
 */
export async function installDatabase(request: DatabaseRequest): Promise<{ readonly url: string }> {
  const { host, say } = request;
  const { scope } = request.plan.spec;
  if (host.platform !== 'linux')
    throw new CapeError('refused', '--with-database: needs systemd; set DATABASE_URL here');
  const unit = new Unit(scope, host);
  const before = unit.text();
  const installed = before === null ? null : unit.parse(before);
  const dataDir = installed?.dataDir ?? dataDirOf(scope, host);
  const owner = scope === 'system' ? await ensureDatabaseAccount(dataDir, { env: host.environment }, say) : null;
  const { state, version } = await embeddedStatus({ dataDir });
  const spec: DatabaseSpec = {
    scope,
    user: owner?.name ?? '',
    dataDir,
    // A user's own may hold what he did without any service.
    foundData: installed?.foundData ?? (scope === 'user' && version !== undefined && !isMadeForService(dataDir)),
  };
  const server = await prepareEmbedded({ dataDir, owner, log: say, searchPath: host.environment.PATH ?? '' });
  const after = renderDatabaseUnit(spec, server);
  if (installed === null && state === 'running') {
    await stopEmbedded({ dataDir });
    say(`stopped the Postgres in ${dataDir}, to have it started as a service`);
  }
  await markService(dataDir, unit.commands);
  if (before !== after) {
    unit.write(after);
    say(`wrote ${unit.path}`);
    await unit.must('daemon-reload');
  }
  await start(unit, before !== null && before !== after, say);
  await forgetOldPrograms(dataDir, server);
  return { url: server.url };
}

/** Its workers live through a restart: they wait for their database. */
async function start(unit: Unit, changed: boolean, say: (line: string) => void): Promise<void> {
  if ((await unit.ask('is-enabled', DATABASE_UNIT)).code !== 0) await unit.must('enable', DATABASE_UNIT);
  const active = (await unit.ask('is-active', DATABASE_UNIT)).code === 0;
  if (active && !changed) return;
  const verb = active ? 'restart' : 'start';
  const { code, problem } = await unit.ask(verb, DATABASE_UNIT);
  if (code !== 0)
    throw new CapeError('refused', `${DATABASE_UNIT} does not start: ${(await unit.lastLine()) || problem}`);
  say(`${verb}ed ${DATABASE_UNIT}`);
}

/** Whether it is installed in this scope, by us. */
export function installedDatabase(scope: Scope, host: Host): DatabaseSpec | null {
  const unit = new Unit(scope, host);
  const text = unit.text();
  return text === null ? null : parseDatabaseUnit(text);
}

export interface DatabaseState {
  readonly name: string;
  /** systemd's word (`active`, `failed`, ...); `not installed`; null where systemd can't be asked. */
  readonly state: string | null;
  /** The command that starts it. */
  readonly start: string;
}

/** How the database of a scope's workers is doing. */
export async function databaseState(scope: Scope, host: Host): Promise<DatabaseState> {
  const unit = new Unit(scope, host);
  const sudo = scope === 'system' && host.uid !== 0 ? 'sudo ' : '';
  const names = { name: DATABASE_UNIT, start: `${sudo}${unit.commands.start}` };
  if (unit.text() === null) return { ...names, state: 'not installed' };
  const { stdout } = await unit.ask('is-active', DATABASE_UNIT);
  return { ...names, state: stdout.trim() || null };
}

/**
 * Stops and removes it, for when no worker is left that uses it. Its data stays, unless `purge` is asked for and it was
 * made for the service. What is gone already is passed over.
 * @returns warnings
 */
export async function uninstallDatabase(
  scope: Scope,
  { purge, say }: { readonly purge: boolean; readonly say: (line: string) => void },
  host: Host,
): Promise<string[]> {
  const spec = installedDatabase(scope, host);
  if (spec === null) return [];
  const unit = new Unit(scope, host);
  await unit.must('disable', '--now', DATABASE_UNIT);
  await markService(spec.dataDir, null);
  rmSync(unit.path, { force: true });
  await unit.must('daemon-reload');
  await unit.ask('reset-failed', DATABASE_UNIT);
  say(`removed ${unit.path}`);
  if (!purge || spec.foundData) {
    if (scope === 'user' && !spec.foundData) await markMadeForService(spec.dataDir);
    say(`the data stays in ${spec.dataDir}${purge ? ', since it was there before the service' : ''}`);
    return [];
  }
  // Of a user's data folder the database is a part.
  rmSync(scope === 'system' ? spec.dataDir : join(spec.dataDir, 'postgres'), { recursive: true, force: true });
  say(`removed the database in ${spec.dataDir}`);
  const problem = scope === 'system' ? await removeDatabaseAccount({ env: host.environment }, say) : null;
  return problem === null ? [] : [problem];
}

function dataDirOf(scope: Scope, { root, home, environment, platform, uid }: Host): string {
  if (scope === 'system') return `${root}/var/lib/cape-worker-postgres`;
  if (environment.CAPE_DATA_DIR) return resolve(environment.CAPE_DATA_DIR);
  return defaultDataDir({ home, xdgDataHome: environment.XDG_DATA_HOME, platform, uid, accountHome: home });
}

/** The database's unit in one scope. */
class Unit {
  readonly path: string;
  readonly #flags: readonly string[];
  readonly #env: Readonly<Record<string, string | undefined>>;

  constructor(scope: Scope, host: Host) {
    this.path = join(placesOf(scope, host).unitDir, DATABASE_UNIT);
    this.#flags = scope === 'user' ? ['--user'] : [];
    const runtime = `${host.root}/run/user/${host.uid}`;
    // `su` leaves another user's here, and a shell without a session none.
    const own = scope === 'user' && existsSync(runtime) ? { XDG_RUNTIME_DIR: runtime } : {};
    this.#env = { ...host.environment, ...own };
  }

  /** For people. */
  get commands() {
    const systemctl = ['systemctl', ...this.#flags].join(' ');
    return { start: `${systemctl} start ${DATABASE_UNIT}`, stop: `${systemctl} stop ${DATABASE_UNIT}` };
  }

  text(): string | null {
    return existsSync(this.path) ? readFileSync(this.path, 'utf8') : null;
  }

  /** @throws CapeError `refused` for one that is not ours */
  parse(text: string): DatabaseSpec {
    const spec = parseDatabaseUnit(text);
    if (spec !== null) return spec;
    throw new CapeError('refused', `${this.path} is there, and this program did not write it: move it away`);
  }

  /** Whole or not at all; it holds no secret. */
  write(text: string): void {
    makeFolder(dirname(this.path), 0o755);
    const fresh = `${this.path}.${process.pid}.new`;
    writeFileSync(fresh, text, { flag: 'wx' });
    chmodSync(fresh, 0o644); // whatever the umask
    renameSync(fresh, this.path);
  }

  ask(...args: readonly string[]) {
    return runTool('systemctl', [...this.#flags, ...args], { env: this.#env, timeoutMs: START_DEADLINE_MS });
  }

  async must(...args: readonly string[]): Promise<void> {
    const { code, problem } = await this.ask(...args);
    if (code !== 0) throw new CapeError('refused', `systemctl ${args.join(' ')}: ${problem}`);
  }

  /** The last thing that it said before it failed. */
  async lastLine(): Promise<string> {
    const which = [...this.#flags, '--unit', DATABASE_UNIT, '--identifier', 'cape-worker-postgres'];
    const { stdout } = await runTool('journalctl', [...which, '-n', '20', '-o', 'cat', '-q'], { env: this.#env });
    const lines = stdout.split('\n').filter(Boolean);
    return lines.findLast((line) => /FATAL|PANIC|error/.test(line)) ?? lines.at(-1) ?? '';
  }
}
