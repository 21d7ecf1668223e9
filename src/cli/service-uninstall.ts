/** `service uninstall`: a worker's service away again, with what install made. */
import { EXIT } from '../core/errors.js';
import type { Removal } from '../service/uninstall.js';
import { command, flag, JSON_OPTION } from './command.js';
import { toStderr } from './database.js';
import { print, printJson } from './output.js';
import { SCOPE_OPTIONS, type ScopeFlags, scopeOf, thisHost, workerIdOf } from './service-options.js';
import { Progress, requireRoot } from './service-output.js';

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
    now: flag('End running issues and give them back, in place of waiting for them'),
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
    const { say } = new Progress(flags.json === true).handlers;
    const warnings = await carryOutRemoval(removal, { now: flags.now === true, say }, host);
    for (const warning of warnings) toStderr(`cape-worker: ${warning}`);
    if (flags.json) printJson({ ...summary, warnings });
    else print(`${name} is uninstalled${flags.purge ? '' : `; its logs stay in ${spec.logDir}`}`);
    return EXIT.ok;
  },
});

function dryLines(name: string, files: readonly string[], { unlinger, database, purge, service }: Removal): string[] {
  return [
    `would stop and disable ${name}`,
    ...files.map((file) => `would remove ${file}`),
    ...(database ? [`would stop and remove the database that came with it; its data ${purge ? 'too' : 'stays'}`] : []),
    ...(unlinger ? [`would switch lingering off for ${service.spec.account.name}`] : []),
  ];
}
