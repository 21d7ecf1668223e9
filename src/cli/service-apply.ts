/** What `install` and `upgrade` do with a plan: look it over, show it, carry it out. */
import { EXIT } from '../core/errors.js';
import type { Host } from '../service/host.js';
import type { Installed } from '../service/install.js';
import type { Plan } from '../service/plan.js';
import type { Program } from '../service/program.js';
import { toStderr } from './database.js';
import { Progress, planView, printChanges, printInstalled, printPlan, printWarnings } from './service-output.js';
import { waitOrInterrupt } from './waiting.js';

export interface ApplyFlags {
  readonly start?: boolean;
  readonly wait?: boolean;
  readonly 'dry-run'?: boolean;
  readonly json?: boolean;
}

/** What became of it, for `--json`. */
export interface Applied {
  readonly result: object;
  /** 1 where it did not come up. */
  readonly exitCode: number;
}

/**
 * @param renew restarts what runs also where no file changes
 * @throws CapeError where it can't be installed
 */
export async function apply(
  plan: Plan,
  { program, renew, flags }: { program: Program; renew: boolean; flags: ApplyFlags },
  host: Host,
): Promise<Applied> {
  const { preflight } = await import('../service/preflight.js');
  const { start = true, wait = true } = flags;
  const doubts = await preflight(plan, program, host, { start });
  const json = flags.json === true;
  if (flags['dry-run']) {
    if (!json) printPlan(plan, doubts);
    return { result: planView(plan, doubts), exitCode: EXIT.ok };
  }
  // Before it is done: a restart may wait for hours.
  if (!json) printChanges(plan, doubts);
  const { startUp, writeDown } = await import('../service/install.js');
  const options = { start, wait, renew, doubts, ...new Progress(json).handlers };
  const written = await writeDown(plan, host, options);
  if (!json) printWarnings(written.warnings.slice(doubts.length));
  const waited = await waitOrInterrupt(() => startUp(plan, written, options));
  if ('interrupted' in waited) {
    toStderr(`cape-worker: ${whatGoesOn(written.action, plan)}`);
    return { result: written, exitCode: waited.interrupted };
  }
  const installed = waited.done;
  if (!json) printInstalled(installed);
  return { result: installed, exitCode: installed.problem === null ? EXIT.ok : EXIT.refused };
}

/** systemd does what it was asked by itself; launchd knows no restart that waits. */
function whatGoesOn(action: Installed['action'], { manager, workerId }: Plan): string {
  const rest =
    action === 'restarted' && manager.kind === 'launchd'
      ? `it stops, and is not started again: cape-worker service start ${workerId}`
      : `what was asked of it goes on: cape-worker service status ${workerId}`;
  return `${manager.nameOf(workerId)} is installed and no longer waited for; ${rest}`;
}
