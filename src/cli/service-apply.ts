/** What `install` and `upgrade` do with a plan: look it over, show it, carry it out. */
import type { Host } from '../service/host.js';
import type { Plan } from '../service/plan.js';
import type { Program } from '../service/program.js';
import { Progress, planView, printChanges, printInstalled, printPlan, printWarnings } from './service-output.js';

export interface ApplyFlags {
  readonly start?: boolean;
  readonly wait?: boolean;
  readonly 'dry-run'?: boolean;
  readonly json?: boolean;
}

/** What became of it, for `--json`. */
export interface Applied {
  readonly result: object;
  /** It did not come up. */
  readonly failed: boolean;
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
  const doubts = await preflight(plan, program, host);
  const json = flags.json === true;
  if (flags['dry-run']) {
    if (!json) printPlan(plan, doubts);
    return { result: planView(plan, doubts), failed: false };
  }
  // Before it is done: a restart may wait for hours.
  if (!json) printChanges(plan, doubts);
  const { install } = await import('../service/install.js');
  const { start = true, wait = true } = flags;
  const installed = await install(plan, host, { start, wait, renew, doubts, ...new Progress(json).handlers });
  if (!json) {
    printWarnings(installed.warnings.slice(doubts.length));
    printInstalled(installed);
  }
  return { result: installed, failed: installed.problem !== null };
}
