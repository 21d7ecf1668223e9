/** Installing: a plan that was looked over is carried out, and the service waited for until it is really up. */
import { CapeError } from '../core/errors.js';
import { bringUp } from './bring-up.js';
import { carryOut } from './carry-out.js';
import type { Host } from './host.js';
import type { ServiceManager, ServiceState } from './manager.js';
import { isUnchanged, type Plan } from './plan.js';

export interface InstallOptions {
  /** False: neither started nor restarted, but enabled. */
  readonly start: boolean;
  /** False: a restart is asked for and not waited for. */
  readonly wait: boolean;
  /** Restarts what runs even where no file changes: its program did. */
  readonly renew: boolean;
  /** What preflight found: it is told again with the result. */
  readonly doubts: readonly string[];
  /** Told of each thing that is done. */
  readonly say: (line: string) => void;
  /** Told how the service is doing while it is waited for. */
  readonly onState: (state: ServiceState) => void;
}

export interface Installed {
  readonly workerId: string;
  readonly scope: string;
  /** As the manager calls it. */
  readonly name: string;
  readonly account: string;
  readonly file: string;
  readonly envFile: string;
  /** Paths that were written. */
  readonly written: readonly string[];
  readonly action: 'none' | 'started' | 'restarted' | 'restart asked for' | 'not started';
  readonly pid: number | null;
  readonly warnings: readonly string[];
  /** Why it did not come up; null where it did, or was not waited for. */
  readonly problem: string | null;
  /** The end of its log, where it did not come up. */
  readonly log: readonly string[];
}

/**
 * Writes the files and enables the service: the first half, which is done in a moment.
 * @returns what `startUp` is to do, as `action`
 * @throws CapeError where it can't be installed
 */
export async function writeDown(plan: Plan, host: Host, options: InstallOptions): Promise<Installed> {
  const { manager, workerId, spec, state } = plan;
  const obstacle = options.start ? await manager.whyNoStart?.() : null;
  if (obstacle) throw new CapeError('refused', obstacle);
  const { written, warnings } = await carryOut(plan, host, options.say);
  const runs = state !== null && ['running', 'starting'].includes(state.active);
  return {
    workerId,
    scope: spec.scope,
    name: manager.nameOf(workerId),
    account: spec.account.name,
    file: plan.unit.path,
    envFile: spec.envFile,
    written,
    action: actionFor(options, runs, written.length > 0 || !isUnchanged(plan) || plan.stale || options.renew),
    pid: runs ? state.pid : null,
    warnings: [...options.doubts, ...warnings],
    problem: null,
    log: [],
  };
}

/** Starts or restarts, and waits until it is up, which may take as long as an issue: the second half. */
export async function startUp(
  { manager, workerId, spec, state }: Plan,
  installed: Installed,
  { onState }: Pick<InstallOptions, 'onState'>,
): Promise<Installed> {
  const { action } = installed;
  const asked = beginning(action, manager, workerId);
  if (action === 'started' || action === 'restarted' || isStarting(state)) {
    // One that drains is replaced when it has gone, be it in an hour.
    const oldPid = action === 'restarted' || state?.active === 'stopping' ? (state?.pid ?? null) : null;
    return { ...installed, ...(await bringUp({ manager, spec, asked, oldPid, onState })) };
  }
  await asked;
  return installed;
}

async function beginning(action: Installed['action'], manager: ServiceManager, workerId: string): Promise<void> {
  if (action === 'started') await manager.start(workerId);
  else if (action.startsWith('restart')) await manager.restart(workerId);
}

function isStarting(state: ServiceState | null): boolean {
  return state?.active === 'starting';
}

function actionFor({ start, wait }: InstallOptions, runs: boolean, changed: boolean): Installed['action'] {
  if (runs && !changed) return 'none';
  if (!start) return 'not started';
  if (!runs) return 'started';
  return wait ? 'restarted' : 'restart asked for';
}
