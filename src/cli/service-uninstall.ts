/** `service uninstall`: a worker's service away again, with what install made. */
import { EXIT } from '../core/errors.js';
import type { InstalledService } from '../service/installed.js';
import type { Removal } from '../service/uninstall.js';
import { command, flag, JSON_OPTION } from './command.js';
import { toStderr } from './database.js';
import { print, printJson } from './output.js';
import { NOW_OPTION, SCOPE_OPTIONS, type ScopeFlags, scopeOf, thisHost, workerIdOf } from './service-options.js';
import { Progress, requireRoot } from './service-output.js';
import { sayWaits } from './service-waits.js';
import { waitOrInterrupt } from './waiting.js';

interface UninstallFlags extends ScopeFlags {
  readonly purge?: boolean;
  readonly now?: boolean;
  readonly 'dry-run'?: boolean;
  readonly json?: boolean;
}

export const uninstall = command<UninstallFlags>({
  operands: '<worker-id>',
  count: { min: 1, max: 1 },
  options: {
    ...SCOPE_OPTIONS,
    purge: flag(
      "Remove its logs and state too; with the last service that uses it also the issues' logs, and the database of --with-database with all issues in it",
    ),
    ...NOW_OPTION,
    'dry-run': flag('Print what would be stopped and removed, and do nothing'),
    ...JSON_OPTION,
  },
  examples: [
    ['service uninstall alleycat-1', 'when its running issues have ended; the logs stay'],
    ['service uninstall alleycat-1 --purge --now', 'at once, and with its logs; of the last one also the database'],
  ],
  async run({ words, flags }) {
    const host = thisHost();
    const { findService } = await import('../service/installed.js');
    const { carryOutRemoval, databaseStays, planRemoval } = await import('../service/uninstall.js');
    const service = await findService(workerIdOf(words[0]), host, scopeOf(flags));
    const removal = await planRemoval(service, flags.purge === true, host);
    const { envFile, purged, unlinger, unit, database } = removal;
    const { workerId, scope, manager, spec } = service;
    const name = manager.nameOf(workerId);
    const files = [unit, ...(envFile === null ? [] : [envFile]), ...purged];
    const summary = { workerId, scope, name, removed: files, database, unlinger };
    if (flags['dry-run']) {
      const warnings = [...(removal.kept === null ? [] : [removal.kept]), ...databaseStays(removal)];
      for (const warning of warnings) toStderr(`cape-worker: ${warning}`);
      if (flags.json) printJson({ ...summary, warnings });
      else for (const line of dryLines(name, files, removal)) print(line);
      return EXIT.ok;
    }
    requireRoot(scope, host, `uninstall ${workerId}`);
    const interrupted = await stopFirst(service, flags.now === true);
    if (interrupted !== null) return interrupted;
    const { say } = new Progress(flags.json === true).handlers;
    const warnings = await carryOutRemoval(removal, { now: false, say }, host);
    for (const warning of warnings) toStderr(`cape-worker: ${warning}`);
    if (flags.json) printJson({ ...summary, warnings });
    else print(`${name} is uninstalled${flags.purge ? '' : `; its logs stay in ${spec.logDir}`}`);
    return EXIT.ok;
  },
});

/** As `service stop` does it, and nothing is removed before. @returns the exit code where it is no longer waited for */
async function stopFirst(service: InstalledService, now: boolean): Promise<number | null> {
  const { manager, workerId } = service;
  const { pid } = await manager.state(workerId);
  const waited = await waitOrInterrupt((signal) => {
    const stopping = manager.stop(workerId, { now });
    return now ? stopping : sayWaits(service, pid, stopping, signal);
  });
  if (!('interrupted' in waited)) return null;
  const todo = `when it has stopped: cape-worker service uninstall ${workerId}`;
  toStderr(
    `cape-worker: ${manager.nameOf(workerId)} is still installed, and no longer waited for; stopping goes on; ${todo}`,
  );
  return waited.interrupted;
}

function dryLines(name: string, files: readonly string[], { unlinger, database, purge, service }: Removal): string[] {
  return [
    `would stop and disable ${name}`,
    ...files.map((file) => `would remove ${file}`),
    ...(database ? [`would stop and remove the database that came with it; its data ${purge ? 'too' : 'stays'}`] : []),
    ...(unlinger ? [`would switch lingering off for ${service.spec.account.name}`] : []),
  ];
}
