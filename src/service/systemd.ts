/** systemd as the manager of services: one scope of it, spoken to by systemctl and journalctl. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { CapeError } from '../core/errors.js';
import { findTool } from './find-tool.js';
import type { Host } from './host.js';
import type { ServiceManager, ServiceState } from './manager.js';
import { placesOf, unitNameOf, workerOfUnit } from './places.js';
import type { Scope, ServiceSpec, SystemdFeatures } from './spec.js';
import { BETWEEN_SIGNALS_MS } from './stop-time.js';
import { readState, STATE_PROPERTIES } from './systemd-state.js';
import { mustRun, runTool, type ToolOptions } from './tool.js';
import { parseUnit, renderUnit } from './unit.js';

/**
 * @throws CapeError `refused` where this machine is not run by systemd
 */
export async function openSystemd(scope: Scope, host: Host): Promise<ServiceManager> {
  return new Systemd(scope, host, await featuresOf(host));
}

/** @throws CapeError `refused` where there is no systemd */
async function featuresOf(host: Host): Promise<SystemdFeatures> {
  const { code, stdout } = await runTool('systemctl', ['--version'], { env: host.environment });
  // The folder is how systemd itself tells (sd_booted): a container may have the programs without the manager.
  const isBooted = existsSync(`${host.root}/run/systemd/system`);
  if (isBooted && findTool('systemctl', host.environment) === null) {
    throw new CapeError(
      'refused',
      'systemd runs this machine, and its systemctl is not found: neither on PATH nor in /usr/bin and /bin; put its folder on PATH',
    );
  }
  if (code !== 0 || !isBooted) {
    throw new CapeError(
      'refused',
      'no systemd runs this machine (a container, or WSL without systemd=true in wsl.conf?): start the worker by ' +
        'another manager, as `cape-worker run --worker-id ID --env-file FILE`',
    );
  }
  return {
    version: Number(/^systemd (\d+)/.exec(stdout)?.[1] ?? 0),
    notify: findTool('systemd-notify', host.environment) !== null,
  };
}

class Systemd implements ServiceManager {
  readonly kind = 'systemd';
  readonly #dir: string;
  readonly #scopeFlags: readonly string[];

  constructor(
    private readonly scope: Scope,
    private readonly host: Host,
    private readonly features: SystemdFeatures,
  ) {
    this.#dir = placesOf(scope, host).unitDir;
    this.#scopeFlags = scope === 'user' ? ['--user'] : [];
  }

  /** Looked at anew each time: lingering, once switched on, makes the folder. */
  get #env(): ToolOptions['env'] & object {
    // Its times are read back: they are asked for in UTC.
    return { ...this.host.environment, ...(this.scope === 'user' ? runtimeDir(this.host) : {}), TZ: 'UTC' };
  }

  fileOf(workerId: string): string {
    return join(this.#dir, unitNameOf(workerId));
  }

  nameOf(workerId: string): string {
    return unitNameOf(workerId);
  }

  render(spec: ServiceSpec): string {
    return renderUnit(spec, this.features);
  }

  parse(text: string): ServiceSpec | null {
    return parseUnit(text);
  }

  async list(): Promise<string[]> {
    if (!existsSync(this.#dir)) return [];
    const ids = readdirSync(this.#dir).flatMap((file) => workerOfUnit(file) ?? []);
    // A unit of that name that somebody wrote by hand is not ours to manage.
    return ids.filter((id) => this.parse(readFileSync(this.fileOf(id), 'utf8')) !== null).sort();
  }

  async reload(workerId: string): Promise<void> {
    await this.#systemctl(['daemon-reload']);
    // One that failed would go on being listed after its file is gone.
    if (!existsSync(this.fileOf(workerId))) await this.#ask(['reset-failed', unitNameOf(workerId)]);
  }

  async enable(workerId: string): Promise<void> {
    await this.#systemctl(['enable', unitNameOf(workerId)]);
  }

  async disable(workerId: string): Promise<void> {
    await this.#systemctl(['disable', unitNameOf(workerId)]);
  }

  async start(workerId: string): Promise<void> {
    await this.#systemctl(['--no-block', 'start', unitNameOf(workerId)]);
  }

  async stop(workerId: string, { now = false } = {}): Promise<void> {
    const name = unitNameOf(workerId);
    if (now) await this.#twice('stop', workerId);
    await this.#systemctl(['stop', name], 0);
  }

  async restart(workerId: string, { now = false } = {}): Promise<void> {
    if (now) await this.#twice('restart', workerId);
    else await this.#systemctl(['--no-block', 'restart', unitNameOf(workerId)]);
  }

  async state(workerId: string): Promise<ServiceState> {
    const installed = existsSync(this.fileOf(workerId));
    const { code, stdout, problem } = await this.#ask(['show', '-p', STATE_PROPERTIES, unitNameOf(workerId)]);
    if (code !== 0) throw this.#refused(problem);
    return { ...readState(stdout), installed };
  }

  async lastLines(workerId: string, count: number, { lastStart = false } = {}): Promise<string[]> {
    const start = lastStart ? await this.#lastStart(workerId) : null;
    const lines = start === null ? [] : await this.#lines([...this.#tail(count), ...start]);
    // A journal that does not know of starts still has the lines.
    return lines.length > 0 ? lines : this.#lines(this.#journal(workerId, count));
  }

  /** What journalctl finds the last start by: what the service printed in it, and what systemd says of it. */
  async #lastStart(workerId: string): Promise<string[] | null> {
    const { stdout } = await this.#ask(['show', '-p', 'InvocationID', unitNameOf(workerId)]);
    const [, id] = /^InvocationID=([0-9a-f]{32})$/m.exec(stdout) ?? [];
    const ours = this.scope === 'user' ? 'USER_INVOCATION_ID' : 'INVOCATION_ID';
    return id === undefined ? null : [`_SYSTEMD_INVOCATION_ID=${id}`, '+', `${ours}=${id}`];
  }

  async #lines(args: readonly string[]): Promise<string[]> {
    const { stdout } = await runTool('journalctl', args, { env: this.#env });
    return stdout.split('\n').filter((line) => line !== '' && !line.startsWith('-- '));
  }

  async follow(workerId: string, count: number): Promise<void> {
    const args = [...this.#journal(workerId, count), '--follow'];
    await execa('journalctl', args, { env: this.#env, stdio: 'inherit', reject: false });
  }

  /** The lines as the worker wrote them: they have a time of their own. */
  #journal(workerId: string, count: number): string[] {
    return [...this.#tail(count), '--unit', unitNameOf(workerId)];
  }

  #tail(count: number): string[] {
    return [...this.#scopeFlags, '-n', String(count), '-o', 'cat', '--no-pager', '-q'];
  }

  /** With the worker's second step: end what runs and give it back. An idle one has left by then, and the next one is up. */
  async #twice(verb: 'stop' | 'restart', workerId: string): Promise<void> {
    const name = unitNameOf(workerId);
    const { pid } = await this.state(workerId);
    await this.#systemctl(['--no-block', verb, name]);
    await sleep(BETWEEN_SIGNALS_MS);
    if (pid === null || (await this.state(workerId)).pid !== pid) return;
    await this.#ask(['kill', '--kill-who=main', '--signal=TERM', name]);
  }

  #ask(args: readonly string[], timeoutMs?: number) {
    const options = timeoutMs === undefined ? { env: this.#env } : { env: this.#env, timeoutMs };
    return runTool('systemctl', [...this.#scopeFlags, ...args], options);
  }

  async #systemctl(args: readonly string[], timeoutMs?: number): Promise<void> {
    const options = timeoutMs === undefined ? { env: this.#env } : { env: this.#env, timeoutMs };
    await mustRun('systemctl', [...this.#scopeFlags, ...args], options).catch((error: CapeError) => {
      throw this.#refused(error.message);
    });
  }

  #refused(problem: string): CapeError {
    const noBus = /failed to connect to .*bus|no medium found/i.test(problem);
    const hint = noBus ? "; the user's own systemd does not run: log in as that user, or loginctl enable-linger" : '';
    return new CapeError('refused', `${problem}${hint}`);
  }
}

/** Where the user's own systemd is heard. `su` leaves another user's here, and a shell without a session none. */
function runtimeDir({ root, uid }: Host): { XDG_RUNTIME_DIR?: string } {
  const folder = `${root}/run/user/${uid}`;
  return existsSync(folder) ? { XDG_RUNTIME_DIR: folder } : {};
}
