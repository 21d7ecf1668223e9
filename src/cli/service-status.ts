/** `service status`: how installed services are, by their manager, their files and their database. */
import { EXIT } from '../core/errors.js';
import { whole } from '../core/values.js';
import type { Report } from '../service/report.js';
import { command, flag, JSON_OPTION, value } from './command.js';
import { toStderr } from './database.js';
import { print, printJson } from './output.js';
import {
  noneInstalled,
  SCOPE_OPTIONS,
  type ScopeFlags,
  scopeOf,
  servicesOf,
  thisHost,
  thisProgram,
} from './service-options.js';
import { isRunning, jsonOf, printReport } from './service-report.js';
import { checked } from './values.js';

interface StatusFlags extends ScopeFlags {
  readonly lines?: string;
  readonly diff?: boolean;
  readonly json?: boolean;
}

export const LINES = whole(0, 100_000);

export const status = command<StatusFlags>({
  operands: '[worker-id..]',
  count: { min: 0, max: 1000 },
  options: {
    ...SCOPE_OPTIONS,
    lines: { ...value('So many lines of its log [10]'), alias: 'n' },
    diff: flag('Show what an upgrade would change in the installed file'),
    ...JSON_OPTION,
  },
  examples: [
    ['service status', 'every service of this machine; exit code 0 if all of them run'],
    ['service status alleycat-1 --diff', 'this one, and how its file differs from what would be written now'],
  ],
  async run({ words, flags }) {
    const host = thisHost();
    const lines = checked('--lines', LINES, flags.lines ?? '10');
    const services = await servicesOf(words, flags, host);
    const { reportOn } = await import('../service/report.js');
    const program = thisProgram();
    const reports = await Promise.all(services.map((service) => reportOn(service, program, lines, host)));
    show(reports, flags);
    return reports.length > 0 && reports.every(isRunning) ? EXIT.ok : EXIT.refused;
  },
});

function show(reports: readonly Report[], flags: StatusFlags): void {
  const { json, diff } = flags;
  if (json) printJson(reports.map(jsonOf));
  else if (reports.length === 0)
    toStderr(`cape-worker: ${noneInstalled(scopeOf(flags))}; cape-worker service install <worker-id>`);
  for (const [index, report] of json ? [] : reports.entries()) {
    if (index > 0) print('');
    printReport(report, diff === true);
  }
}
