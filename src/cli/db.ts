/** `db ...`: the embedded Postgres of the user, whatever DATABASE_URL says. */

import { loadConfig } from '../config.js';
import { CapeError, EXIT } from '../core/errors.js';
import { command, flag, JSON_OPTION } from './command.js';
import { embeddedDataDir, toStderr } from './database.js';
import { print, printFields, printJson } from './output.js';
import { settingFlags, settingOptions } from './setting-options.js';

const OPTIONS = settingOptions(['dataDir', 'envFile']);

/** DATABASE_URL is not looked at: these commands are about the other database. */
function load(flags: object) {
  return loadConfig({ flags: settingFlags(flags), only: ['dataDir', 'envFile'] });
}

export const start = command({
  options: OPTIONS,
  examples: [['db start', 'start it, and leave it running']],
  async run({ flags }) {
    const loaded = load(flags);
    const { startEmbedded } = await import('../db/embedded/index.js');
    const { dataDir, note } = await startEmbedded({
      dataDir: await embeddedDataDir(loaded),
      log: toStderr,
      insideAttempt: loaded.environment.CAPE_ISSUE_ID !== undefined,
      searchPath: loaded.environment.PATH ?? '',
    });
    // Not released: the last one to leave would stop it. It ends with `db stop`, or with the next one that leaves.
    print(`running, data in ${dataDir}${note === null ? '' : `; ${note}`}`);
    return EXIT.ok;
  },
});

export const stop = command<{ readonly force?: boolean }>({
  options: { force: flag('Do not wait for sessions to end; nothing committed is lost'), ...OPTIONS },
  examples: [['db stop', 'stop it, whoever uses it']],
  async run({ flags }) {
    const { embeddedStatus, stopEmbedded } = await import('../db/embedded/index.js');
    const dataDir = await embeddedDataDir(load(flags));
    const force = flags.force === true;
    // Where it hangs it would not answer: nobody is asked before a stop by force.
    const { clients = 0 } = force ? {} : await embeddedStatus({ dataDir });
    const state = await stopEmbedded({ dataDir }, force);
    // A worker that uses it waits until it is back, and does not start it.
    const used = `open connections: ${clients}; who used it waits for: cape-worker db start`;
    print(state === 'stopped' && clients > 0 ? `${state}; ${used}` : state);
    return EXIT.ok;
  },
});

export const status = command<{ readonly json?: boolean }>({
  options: { ...JSON_OPTION, ...OPTIONS },
  examples: [['db status', 'does it run, where is its data, who is connected']],
  async run({ flags }) {
    const { embeddedStatus } = await import('../db/embedded/index.js');
    const { url: _secret, ...found } = await embeddedStatus({ dataDir: await embeddedDataDir(load(flags)) });
    if (flags.json) printJson(found);
    else {
      const names = {
        state: 'state',
        dataDir: 'data',
        pid: 'pid',
        version: 'Postgres',
        clients: 'connections',
      } as const;
      printFields(
        (Object.keys(names) as (keyof typeof names)[])
          .filter((key) => found[key] !== undefined)
          .map((key) => [names[key], String(found[key])]),
      );
    }
    return EXIT.ok;
  },
});

export const url = command({
  options: OPTIONS,
  examples: [
    ['db url', 'the URL with its password'],
    ['cape-worker db start && psql "$(cape-worker db url)"', 'look into it by hand'],
  ],
  async run({ flags }) {
    const { embeddedStatus } = await import('../db/embedded/index.js');
    const found = await embeddedStatus({ dataDir: await embeddedDataDir(load(flags)) });
    if (found.url === undefined) {
      throw new CapeError(
        'refused',
        `the embedded Postgres in ${found.dataDir} is ${found.state}; cape-worker db start`,
      );
    }
    print(found.url);
    return EXIT.ok;
  },
});
