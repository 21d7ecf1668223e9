/** `service list`: the services of this machine, the user's own and the machine's. */
import { CapeError, EXIT, messageOf } from '../core/errors.js';
import { oneLine } from '../core/text.js';
import type { InstalledService } from '../service/installed.js';
import { command, JSON_OPTION } from './command.js';
import { print, printJson, printTable, timeCell } from './output.js';
import { noneInstalled, SCOPE_OPTIONS, type ScopeFlags, scopeOf, servicesOf, thisHost } from './service-options.js';

interface ListFlags extends ScopeFlags {
  readonly json?: boolean;
}

export const list = command<ListFlags>({
  options: { ...SCOPE_OPTIONS, ...JSON_OPTION },
  examples: [
    ['service list', 'what is installed, and whether it runs'],
    ['service list --system --json', 'those of the machine, for programs'],
  ],
  async run({ flags }) {
    const rows = await Promise.all((await servicesOf([], flags, thisHost())).map(rowOf));
    if (flags.json) printJson(rows);
    else if (rows.length === 0) print(noneInstalled(scopeOf(flags)));
    else {
      const cells = rows.map(({ workerId, scope, state, enabled, pid, since, account }) => [
        workerId,
        scope,
        state,
        enabled === null ? '?' : enabled ? 'yes' : 'no',
        String(pid ?? '-'),
        since === null ? '-' : timeCell(since),
        oneLine(account),
      ]);
      await printTable(['WORKER', 'SCOPE', 'STATE', 'ENABLED', 'PID', 'SINCE', 'ACCOUNT'], cells);
    }
    return EXIT.ok;
  },
});

async function rowOf({ workerId, scope, manager, spec }: InstalledService) {
  const names = {
    workerId,
    scope,
    name: manager.nameOf(workerId),
    account: spec.account.name,
    file: manager.fileOf(workerId),
  };
  try {
    const { active: state, enabled, pid, since } = await manager.state(workerId);
    return { ...names, state, enabled, pid, since, problem: null };
  } catch (error) {
    if (!(error instanceof CapeError)) throw error;
    return { ...names, state: 'unknown', enabled: null, pid: null, since: null, problem: messageOf(error) };
  }
}
