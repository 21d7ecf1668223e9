/** `service logs`: what a service's worker prints, by the journal or from launchd's files. */
import { EXIT } from '../core/errors.js';
import { printable } from '../core/text.js';
import type { InstalledService } from '../service/installed.js';
import { command, flag, value } from './command.js';
import { toStderr } from './database.js';
import { print } from './output.js';
import { SCOPE_OPTIONS, type ScopeFlags, servicesOf, thisHost } from './service-options.js';
import { LINES } from './service-status.js';
import { checked } from './values.js';

interface LogsFlags extends ScopeFlags {
  readonly follow?: boolean;
  readonly lines?: string;
}

export const logs = command<LogsFlags>({
  operands: '<worker-id>',
  count: { min: 1, max: 1 },
  options: {
    ...SCOPE_OPTIONS,
    follow: { ...flag('Go on as it is written, until Ctrl-C'), alias: 'f' },
    lines: { ...value('So many of the last lines [50]'), alias: 'n' },
  },
  examples: [
    ['service logs alleycat-1', 'the last 50 lines'],
    ['service logs alleycat-1 -f', 'and what comes'],
  ],
  async run({ words, flags }) {
    const count = checked('--lines', LINES, flags.lines ?? '50');
    const [service] = (await servicesOf(words, flags, thisHost())) as [InstalledService];
    const { manager, workerId: id, spec } = service;
    if (flags.follow) {
      await manager.follow(id, count);
      return EXIT.ok;
    }
    const { redactByFile } = await import('../service/redact.js');
    const lines = redactByFile(await manager.lastLines(id, count), spec.envFile);
    for (const line of lines) print(process.stdout.isTTY ? printable(line) : line);
    if (lines.length === 0) toStderr(`cape-worker: ${manager.nameOf(id)} has printed nothing that you may read`);
    return EXIT.ok;
  },
});
