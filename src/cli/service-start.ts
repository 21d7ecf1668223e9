/** `service start` and `service restart`: waited for until the worker is really up, as install does. */
import { CapeError, EXIT } from '../core/errors.js';
import { oneLine } from '../core/text.js';
import type { BroughtUp } from '../service/bring-up.js';
import type { InstalledService } from '../service/installed.js';
import { command } from './command.js';
import { toStderr } from './database.js';
import { print } from './output.js';
import { NOW_OPTION, SCOPE_OPTIONS, type ScopeFlags, servicesOf, thisHost } from './service-options.js';
import { Progress, requireRoot } from './service-output.js';
import { sayWaits } from './service-waits.js';
import { type Waited, waitOrInterrupt } from './waiting.js';

export const start = command<ScopeFlags>({
  operands: '<worker-id..>',
  count: { min: 1, max: 1000 },
  options: SCOPE_OPTIONS,
  examples: [['service start alleycat-1', 'and wait until the worker is seen in the database']],
  run: ({ words, flags }) => each('start', words, flags, startOne),
});

interface RestartFlags extends ScopeFlags {
  readonly now?: boolean;
}

export const restart = command<RestartFlags>({
  operands: '<worker-id..>',
  count: { min: 1, max: 1000 },
  options: { ...SCOPE_OPTIONS, ...NOW_OPTION },
  examples: [
    ['service restart alleycat-1', 'when its running issues have ended'],
    ['service restart alleycat-1 alleycat-2', 'one after the other'],
  ],
  run: ({ words, flags }) =>
    each('restart', words, flags, (service, signal) => restartOne(service, flags.now === true, signal)),
});

/** Of several services all are tried, one after another. @returns the exit code */
async function each(
  verb: string,
  words: readonly string[],
  flags: ScopeFlags,
  one: (service: InstalledService, signal: AbortSignal) => Promise<boolean>,
): Promise<number> {
  const host = thisHost();
  const services = await servicesOf(words, flags, host);
  for (const { scope } of services) requireRoot(scope, host, [verb, ...words].join(' '));
  let code: number = EXIT.ok;
  for (const service of services) {
    try {
      await mustBeSound(service);
      const waited = await waitOrInterrupt((signal) => one(service, signal));
      if ('interrupted' in waited) return sayInterrupted(verb, service, waited);
      if (!waited.done) code = EXIT.refused;
    } catch (error) {
      if (!(error instanceof CapeError)) throw error;
      toStderr(`cape-worker: ${oneLine(error.message)}; ${service.manager.nameOf(service.workerId)} is not ${verb}ed`);
      code = services.length === 1 ? error.exitCode : EXIT.refused;
    }
  }
  return code;
}

/** Its settings are looked at before anything is asked for: a worker that runs would be taken down for ones it can't use. */
async function mustBeSound({ spec }: InstalledService): Promise<void> {
  const { readServiceSettings } = await import('../service/service-settings.js');
  readServiceSettings(spec);
}

function sayInterrupted(
  verb: string,
  { manager, workerId }: InstalledService,
  { interrupted }: Extract<Waited<never>, { interrupted: number }>,
) {
  const see = `cape-worker service status ${workerId}`;
  // systemd does what it was asked by itself; launchd knows no restart that waits.
  const rest =
    verb === 'restart' && manager.kind === 'launchd'
      ? `it stops, and is not started again: cape-worker service start ${workerId}`
      : `${verb === 'start' ? 'starting' : 'the restart'} goes on: ${see}`;
  toStderr(`cape-worker: ${manager.nameOf(workerId)} is no longer waited for; ${rest}`);
  return interrupted;
}

async function startOne(service: InstalledService): Promise<boolean> {
  const { manager, workerId } = service;
  const { active, pid } = await manager.state(workerId);
  if (active === 'running') {
    print(`${manager.nameOf(workerId)} runs already, pid ${pid}`);
    return true;
  }
  // One that drains is replaced when it has gone, be it in an hour.
  const oldPid = active === 'stopping' ? pid : null;
  return tell(service, 'started', await up(service, manager.start(workerId), oldPid));
}

async function restartOne(service: InstalledService, now: boolean, signal: AbortSignal): Promise<boolean> {
  const { manager, workerId } = service;
  const { pid } = await manager.state(workerId);
  if (pid === null) return startOne(service);
  const restarted = up(service, manager.restart(workerId, { now }), pid);
  return tell(service, 'restarted', await (now ? restarted : sayWaits(service, pid, restarted, signal)));
}

async function up(
  { manager, spec }: InstalledService,
  asked: Promise<void>,
  oldPid: number | null,
): Promise<BroughtUp> {
  const { bringUp } = await import('../service/bring-up.js');
  return bringUp({ manager, spec, asked, oldPid, onState: new Progress(false).handlers.onState });
}

function tell({ manager, workerId }: InstalledService, what: string, { pid, problem, log }: BroughtUp): boolean {
  const name = manager.nameOf(workerId);
  if (problem === null) {
    print(`${name}: ${what}, pid ${pid}, seen in the database`);
    return true;
  }
  for (const line of log) toStderr(`  ${line}`);
  toStderr(`cape-worker: ${name} did not come up: ${problem}`);
  return false;
}
