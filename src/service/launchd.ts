/** launchd as the manager of services: one scope of it, spoken to by launchctl's verbs for domains, never load and unload. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CapeError } from '../core/errors.js';
import { printable } from '../core/text.js';
import type { Host } from './host.js';
import { type Asked, isBusy, isNoDomain, isUnknown, LAUNCHD, launchdError, NO_SESSION } from './launchd-errors.js';
import { isDisabled, type LoadedJob, parsePrint } from './launchd-print.js';
import type { ServiceManager, ServiceState } from './manager.js';
import { followFiles, lastLinesOf } from './output-tail.js';
import { labelOf, placesOf, workerOfPlist } from './places.js';
import { parsePlist, printedFiles, renderPlist } from './plist.js';
import type { Scope, ServiceSpec } from './spec.js';
import { BETWEEN_SIGNALS_MS } from './stop-time.js';
import { runTool, type ToolAnswer } from './tool.js';

const LOOK_MS = 250;
/** launchd keeps a label for about five seconds after it was booted out, and refuses it meanwhile. */
const LABEL_FREE_MS = 15_000;

/** @param times.labelFreeMs how long a label that is not free is waited for */
export function openLaunchd(scope: Scope, host: Host, times = { labelFreeMs: LABEL_FREE_MS }): ServiceManager {
  return new Launchd(scope, host, times);
}

class Launchd implements ServiceManager {
  readonly kind = 'launchd';
  readonly #dir: string;
  /** Agents live in the session at the screen: in `user/UID` launchd takes none whose plist does not say so, and one that
   *  says so it starts in both. */
  readonly #domain: string;

  constructor(
    private readonly scope: Scope,
    private readonly host: Host,
    private readonly times: { readonly labelFreeMs: number },
  ) {
    this.#dir = placesOf(scope, host).unitDir;
    this.#domain = scope === 'system' ? 'system' : `gui/${host.uid}`;
  }

  fileOf(workerId: string): string {
    return join(this.#dir, `${this.nameOf(workerId)}.plist`);
  }

  nameOf(workerId: string): string {
    return labelOf(workerId);
  }

  render(spec: ServiceSpec): string {
    return renderPlist(spec);
  }

  parse(text: string): ServiceSpec | null {
    return parsePlist(text);
  }

  async list(): Promise<string[]> {
    if (!existsSync(this.#dir)) return [];
    const ids = readdirSync(this.#dir).flatMap((file) => workerOfPlist(file) ?? []);
    return ids.filter((id) => this.#specOf(id) !== null).sort();
  }

  /**
   * launchd reads a plist when it is loaded: `start` does that anew, after whatever was running has stopped. Where the file
   * is gone, what is left is the mark of `disable`: launchd keeps it for ever, and a later plist of that name would not load.
   */
  async reload(workerId: string): Promise<void> {
    if (!existsSync(this.fileOf(workerId))) await this.enable(workerId);
  }

  /** launchd remembers a label for ever, so only where it is disabled: a file in its folder is enabled by being there. */
  async enable(workerId: string): Promise<void> {
    if (await this.#isDisabled(workerId)) await this.#must('enable', workerId);
  }

  async disable(workerId: string): Promise<void> {
    await this.#must('disable', workerId);
  }

  async start(workerId: string): Promise<void> {
    const job = await this.#loaded(workerId);
    if (job?.pid) return;
    const obstacle = await this.whyNoStart();
    if (obstacle !== null) throw new CapeError('refused', obstacle);
    await this.enable(workerId);
    // Loaded but not running, after a `kill`: what launchd has in mind may be older than the file.
    if (job) await this.stop(workerId);
    await this.#bootstrap(workerId);
    // It runs at load; asked again, launchd says so or 37.
    const kicked = await this.#ask(['kickstart', this.#target(workerId)]);
    if (kicked.code !== 0 && !isBusy(kicked)) throw this.#error('kickstart', workerId, kicked);
  }

  async stop(workerId: string, { now = false } = {}): Promise<void> {
    if (!(await this.#loaded(workerId))) return;
    if (now) await this.#firstSignal(workerId);
    // launchctl may wait with it, as long as the worker drains: what it says after that is not needed.
    const answer = await this.#ask(['bootout', this.#target(workerId)]);
    const isUnderWay = answer.code === null || answer.code === LAUNCHD.inProgress || answer.code === LAUNCHD.already;
    if (answer.code !== 0 && !isUnderWay && !isUnknown(answer)) throw this.#error('bootout', workerId, answer);
    while (await this.#loaded(workerId)) await sleep(LOOK_MS);
  }

  async restart(workerId: string, options?: { readonly now?: boolean }): Promise<void> {
    await this.stop(workerId, options);
    await this.start(workerId);
  }

  /** Asked before anything is tried: what launchd says of a session that is not there differs by its version. */
  async whyNoStart(): Promise<string | null> {
    if (this.scope === 'system') return null;
    return isNoDomain(await this.#ask(['print', this.#domain])) ? NO_SESSION : null;
  }

  async state(workerId: string): Promise<ServiceState> {
    const installed = existsSync(this.fileOf(workerId));
    const job = await this.#loaded(workerId);
    return {
      installed,
      enabled: installed && !(await this.#isDisabled(workerId)),
      active: job ? activityOf(job) : 'stopped',
      pid: job?.pid ?? null,
      since: job?.pid ? await this.#startOf(job.pid) : null,
      text: null,
      restarts: job?.runs ? job.runs - 1 : null,
      lastEnd: job?.lastEnd ?? null,
    };
  }

  async lastLines(workerId: string, count: number): Promise<string[]> {
    return lastLinesOf(this.#files(workerId), count);
  }

  async follow(workerId: string, count: number): Promise<void> {
    const files = this.#files(workerId);
    const write = (text: string) => process.stdout.write(process.stdout.isTTY ? printable(text) : text);
    for (const line of lastLinesOf(files, count)) write(`${line}\n`);
    await followFiles(files, write);
  }

  #files(workerId: string): string[] {
    const spec = this.#specOf(workerId);
    return spec === null ? [] : Object.values(printedFiles(spec));
  }

  #specOf(workerId: string): ServiceSpec | null {
    const file = this.fileOf(workerId);
    return existsSync(file) ? this.parse(readFileSync(file, 'utf8')) : null;
  }

  async #loaded(workerId: string): Promise<LoadedJob | null> {
    const answer = await this.#ask(['print', this.#target(workerId)]);
    if (answer.code === 0) return parsePrint(answer.stdout);
    if (isUnknown(answer)) return null;
    throw this.#error('print', workerId, answer);
  }

  async #bootstrap(workerId: string): Promise<void> {
    const end = performance.now() + this.times.labelFreeMs;
    for (;;) {
      const answer = await this.#ask(['bootstrap', this.#domain, this.fileOf(workerId)]);
      if (answer.code === 0) return;
      if (!isBusy(answer) || performance.now() > end) throw this.#error('bootstrap', workerId, answer);
      if (await this.#loaded(workerId)) return; // by somebody else, meanwhile
      await sleep(LOOK_MS);
    }
  }

  /**
   * Two signals end what runs and give it back, and `bootout` sends the second one. Where a drain goes on already this is
   * the second, and `bootout`, which is under way then, sends none.
   */
  async #firstSignal(workerId: string): Promise<void> {
    await this.#ask(['kill', 'SIGTERM', this.#target(workerId)]);
    await sleep(BETWEEN_SIGNALS_MS);
  }

  async #isDisabled(workerId: string): Promise<boolean> {
    const { stdout } = await this.#ask(['print-disabled', this.#domain]);
    return isDisabled(stdout, this.nameOf(workerId));
  }

  async #startOf(pid: number): Promise<Date | null> {
    const { code, stdout } = await runTool('ps', ['-o', 'lstart=', '-p', String(pid)], { env: this.host.environment });
    const time = new Date(stdout.trim());
    return code !== 0 || Number.isNaN(time.getTime()) ? null : time;
  }

  #target(workerId: string): string {
    return `${this.#domain}/${this.nameOf(workerId)}`;
  }

  #ask(args: readonly string[]): Promise<ToolAnswer> {
    return runTool('launchctl', args, { env: this.host.environment });
  }

  async #must(verb: string, workerId: string): Promise<void> {
    const answer = await this.#ask([verb, this.#target(workerId)]);
    if (answer.code !== 0) throw this.#error(verb, workerId, answer);
  }

  #error(verb: string, workerId: string, answer: ToolAnswer): CapeError {
    const asked: Asked = { verb, scope: this.scope, target: this.#target(workerId), file: this.fileOf(workerId) };
    return launchdError(asked, answer);
  }
}

function activityOf(job: LoadedJob): ServiceState['active'] {
  if (job.pid !== null && job.state === 'running') return 'running';
  // Also between two tries of one that crashes: launchd holds its next start back.
  if (job.pid !== null || /spawn|xpcproxy/.test(job.state)) return 'starting';
  return job.endedWell ? 'stopped' : 'failed';
}
