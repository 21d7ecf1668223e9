/** `check`: would a worker run here? Starts nothing and changes nothing; a line for each thing that it needs. */
import { type LoadedConfig, WORKER_SETTINGS } from '../config.js';
import { CapeError, EXIT } from '../core/errors.js';
import { oneLine } from '../core/text.js';
import { checkDatabase } from './check-database.js';
import { checkCommand, checkControlGroups, checkLogDir, checkWorkingDir } from './check-host.js';
import { command, JSON_OPTION } from './command.js';
import type { Finding } from './finding.js';
import { loadSettings, SERVICE_OPTION } from './load-settings.js';
import { mark, print, printJson } from './output.js';
import { groupedSettingOptions } from './setting-options.js';

export const check = command<{ readonly json?: boolean }>({
  options: { ...JSON_OPTION, ...SERVICE_OPTION, ...groupedSettingOptions(WORKER_SETTINGS) },
  examples: [
    ['check', 'a line each; exit 0 where a worker could run, 78 where not'],
    ['check --command ./agent.sh', 'with a flag of `run`'],
  ],
  async run({ flags }) {
    const findings = await findAll(flags);
    if (flags.json) printJson(findings);
    else for (const { what, ok, detail } of findings) print(`${mark(ok)} ${what}: ${oneLine(detail)}`);
    return findings.some(({ ok }) => ok === false) ? EXIT.config : EXIT.ok;
  },
});

async function findAll(flags: object): Promise<Finding[]> {
  let loaded: LoadedConfig;
  try {
    loaded = await loadSettings(flags);
  } catch (error) {
    if (!(error instanceof CapeError)) throw error;
    // Nothing else can be looked at: which database, which command?
    return [{ what: 'configuration', ok: false, detail: error.message }];
  }
  return [
    { what: 'configuration', ok: true, detail: 'every setting is allowed; see cape-worker config' },
    ...loaded.warnings.map((detail) => ({ what: 'configuration', ok: null, detail })),
    workerIdFinding(loaded),
    ...(await checkDatabase(loaded)),
    await checkCommand(loaded),
    await checkWorkingDir(loaded),
    await checkLogDir(loaded),
    await checkControlGroups(),
  ];
}

function workerIdFinding({ config }: LoadedConfig): Finding {
  const what = 'worker id';
  if (config.workerId !== undefined) return { what, ok: true, detail: config.workerId };
  return { what, ok: null, detail: 'none; `run` needs one, by --worker-id or CAPE_WORKER_ID' };
}
