/** `service upgrade`: installed services brought up to this program, and restarted where theirs is older. */
import { CapeError, EXIT } from '../core/errors.js';
import { oneLine } from '../core/text.js';
import type { Host } from '../service/host.js';
import type { InstalledService } from '../service/installed.js';
import type { Program } from '../service/program.js';
import type { Scope } from '../service/spec.js';
import { command, flag, JSON_OPTION } from './command.js';
import { toStderr } from './database.js';
import { print, printJson } from './output.js';
import { type Applied, type ApplyFlags, apply } from './service-apply.js';
import {
  noneInstalled,
  SCOPE_OPTIONS,
  type ScopeFlags,
  scopeOf,
  thisHost,
  thisProgram,
  workerIdOf,
} from './service-options.js';
import { requireRoot } from './service-output.js';

/** Exit codes above it are 128 and the number of a signal. */
const FIRST_SIGNAL = 128;

interface UpgradeFlags extends ScopeFlags, ApplyFlags {}

export const upgrade = command<UpgradeFlags>({
  operands: '[worker-id..]',
  count: { min: 0, max: 1000 },
  options: {
    ...SCOPE_OPTIONS,
    wait: flag('Wait for running issues before each restart; `--no-wait` only asks for the restarts'),
    'dry-run': flag('Print what would be changed, and do nothing'),
    ...JSON_OPTION,
  },
  examples: [
    ['service upgrade', 'all of them, one after another'],
    ['service upgrade alleycat-1 --no-wait', 'this one, when its running issues have ended'],
  ],
  async run({ words, flags }) {
    const host = thisHost();
    const services = await upgradable(words, flags, host);
    if (!flags['dry-run']) for (const { scope } of services) requireRoot(scope, host, ['upgrade', ...words].join(' '));
    const program = thisProgram();
    const all: Applied[] = [];
    for (const service of services) {
      all.push(await upgradeOne(service, program, flags, host).catch((error) => failed(service, error, flags)));
      // A person who does not wait for this one does not mean the next one either.
      if ((all.at(-1)?.exitCode ?? 0) > FIRST_SIGNAL) break;
    }
    if (flags.json) printJson(all.map(({ result }) => result));
    else if (services.length === 0) await sayNone(flags, host);
    return codeOf(all);
  },
});

/** One that can't be upgraded is no reason to leave the others as they are. */
function failed({ workerId, scope, manager }: InstalledService, error: unknown, { json }: UpgradeFlags): Applied {
  if (!(error instanceof CapeError)) throw error;
  const name = manager.nameOf(workerId);
  const problem = oneLine(error.message);
  if (!json) toStderr(`cape-worker: ${name} is not upgraded: ${problem}`);
  return { result: { workerId, scope, name, action: 'none', problem }, exitCode: error.exitCode };
}

/** That of a single service, or of the signal that ended the waiting; of several 1 where not all went well. */
function codeOf(all: readonly Applied[]): number {
  const codes = all.map(({ exitCode }) => exitCode);
  const last = codes.at(-1) ?? EXIT.ok;
  if (codes.length <= 1 || last > FIRST_SIGNAL) return last;
  return codes.every((code) => code === EXIT.ok) ? EXIT.ok : EXIT.refused;
}

/** Where none is named: those of the machine are root's to change. */
function scopeLookedAt(flags: UpgradeFlags, { uid }: Host): Scope | undefined {
  return scopeOf(flags) ?? (uid === 0 ? undefined : 'user');
}

async function sayNone(flags: UpgradeFlags, host: Host): Promise<void> {
  const scope = scopeLookedAt(flags, host);
  const { installedServices } = await import('../service/installed.js');
  const others = scope === 'user' ? await installedServices(host, 'system') : [];
  if (others.length === 0) return print(noneInstalled(scope));
  const ids = others.map(({ workerId }) => workerId).join(', ');
  print(`no service of your own is installed; of the machine: ${ids}: sudo cape-worker service upgrade`);
}

/** Those that are named; else all that whoever asks may change. */
async function upgradable(words: readonly string[], flags: UpgradeFlags, host: Host): Promise<InstalledService[]> {
  const { findService, installedServices } = await import('../service/installed.js');
  if (words.length === 0) return installedServices(host, scopeLookedAt(flags, host));
  const scope = scopeOf(flags);
  return Promise.all([...new Set(words)].map((word) => findService(workerIdOf(word), host, scope)));
}

async function upgradeOne(
  service: InstalledService,
  program: Program,
  flags: UpgradeFlags,
  host: Host,
): Promise<Applied> {
  const { planInstall } = await import('../service/plan.js');
  const { isNewerThan } = await import('../service/program.js');
  const { workerId, scope, manager } = service;
  const wish = { workerId, scope, variables: {}, database: {}, askPath: false };
  const plan = await planInstall(wish, manager, program, host);
  const renew = plan.state?.since != null && isNewerThan(program, plan.state.since);
  // Somebody stopped it, and had a reason.
  const start = plan.state?.active !== 'stopped';
  return apply(plan, { program, renew, flags: { ...flags, start } }, host);
}
