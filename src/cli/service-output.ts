/** What the commands about services print. */
import { CapeError } from '../core/errors.js';
import { oneLine } from '../core/text.js';
import type { Host } from '../service/host.js';
import type { Installed } from '../service/install.js';
import type { ServiceState } from '../service/manager.js';
import { isUnchanged, type Plan } from '../service/plan.js';
import { type ShownFile, shownFiles } from '../service/show-plan.js';
import type { Scope } from '../service/spec.js';
import { toStderr } from './database.js';
import { print } from './output.js';

/** @throws CapeError `usage` where the machine's services are meant and only root may change those */
export function requireRoot(scope: Scope, host: Host, what: string): void {
  if (scope === 'user' || host.uid === 0) return;
  throw new CapeError('usage', `--system: only root may do that: sudo cape-worker service ${what}`);
}

/** Says on standard error what is being done, and what is waited for. */
export class Progress {
  #text: string | null = null;

  /** @param quiet says nothing but what the result does not tell */
  constructor(private readonly quiet: boolean) {}

  get handlers() {
    return {
      say: (line: string) => {
        if (!this.quiet) toStderr(line);
      },
      onState: (state: ServiceState) => this.#show(state),
    };
  }

  /** The worker's own words, where they change: "draining: issue 7 since 14:03". */
  #show({ active, text }: ServiceState): void {
    const shown = text ?? (active === 'stopping' ? 'waiting for the running issues to end' : null);
    // One that runs waits for nothing: before a restart it is the old process, after it the end of the waiting.
    if (active === 'running' || shown === null || shown === this.#text || this.quiet) return;
    this.#text = shown;
    toStderr(`  ${shown}`);
  }
}

/** A plan as `--dry-run --json` prints it. */
export function planView(plan: Plan, warnings: readonly string[]) {
  const { workerId, spec, manager, state } = plan;
  const [scope, account, name] = [spec.scope, spec.account.name, manager.nameOf(workerId)];
  return { workerId, scope, name, account, changes: !isUnchanged(plan), files: shownFiles(plan), state, warnings };
}

export function printPlan(plan: Plan, warnings: readonly string[]): void {
  printWarnings(warnings);
  for (const file of shownFiles(plan)) printFile(file);
  const name = plan.manager.nameOf(plan.workerId);
  if (isUnchanged(plan)) print(`nothing to change: ${name} is installed as it would be now`);
  if (plan.stale) print('its process is older than its files: it would be restarted');
}

function printFile({ path, change, text, difference }: ShownFile): void {
  print(`# ${path} (${change})`);
  if (change === 'new') for (const line of text.split('\n').slice(0, -1)) print(oneLine(line));
  for (const { sign, text: line } of difference) print(`${sign} ${oneLine(line)}`);
  print('');
}

/** What is about to change; what is new needs no showing. */
export function printChanges(plan: Plan, doubts: readonly string[]): void {
  printWarnings(doubts);
  for (const file of shownFiles(plan)) if (file.change === 'changed') printFile(file);
}

export function printWarnings(warnings: readonly string[]): void {
  for (const warning of warnings) toStderr(`cape-worker: ${warning}`);
}

export function printInstalled(installed: Installed): void {
  const { name, account, pid, action, problem, log } = installed;
  if (problem !== null) {
    for (const line of log) toStderr(`  ${line}`);
    toStderr(`cape-worker: ${name} did not come up: ${problem}`);
    return;
  }
  if (action === 'none') print(`nothing to change: ${name} runs as ${account}, pid ${pid}`);
  else if (action === 'restart asked for')
    print(`${name}: a restart was asked for; it comes when the running issues have ended`);
  else if (action === 'not started')
    print(pid === null ? `${name} is installed, and not started` : `${name} is installed; pid ${pid} runs on as it is`);
  else print(`${name}: ${action}, runs as ${account}, pid ${pid}, seen in the database`);
}
