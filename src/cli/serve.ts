/** `serve`: the HTTP API and the page, in a process of its own, until it is stopped. */
import { EXIT } from '../core/errors.js';
import { silent } from '../log.js';
import { command, value } from './command.js';
import { bringUpToDate, DATABASE_SETTINGS, nameOfDatabase, openDatabase, toStderr } from './database.js';
import { loadSettings, SERVICE_OPTION } from './load-settings.js';
import { print } from './output.js';
import { serveOn } from './serve-on.js';
import { settingOptions } from './setting-options.js';
import { Signals } from './signals.js';

const SETTINGS_OF_SERVE = [...DATABASE_SETTINGS, 'listenUrl', 'http', 'httpHosts', 'httpRate', 'apiTokens'] as const;

interface ServeFlags {
  readonly host?: string;
  readonly port?: string;
}

export const serve = command<ServeFlags>({
  options: {
    host: value('Address to listen on [127.0.0.1]'),
    port: value('Port to listen on, 0 = any that is free [7070]'),
    ...settingOptions(SETTINGS_OF_SERVE.filter((name) => name !== 'http')),
    ...SERVICE_OPTION,
  },
  outlivesReader: true,
  examples: [
    ['serve', 'on this machine alone; prints a link that logs in once'],
    ['CAPE_API_TOKENS=write:$SECRET cape-worker serve --host 0.0.0.0', 'for others, who need the token'],
  ],
  async run({ flags }) {
    const loaded = await loadSettings(flags, SETTINGS_OF_SERVE);
    for (const warning of loaded.warnings) toStderr(`cape-worker: ${warning}`);
    const signals = new Signals();
    const database = await openDatabase(loaded, toStderr);
    try {
      if (database.dataDir !== null) await bringUpToDate(database);
      print(`database: ${await nameOfDatabase(database)}`);
      const say = { ...silent, error: toStderr, warn: toStderr, info: print };
      const server = await serveOn(database, loaded, say, flags);
      try {
        await signals.first;
      } finally {
        await server.close();
      }
      return EXIT.ok;
    } finally {
      signals.close();
      await database.release();
    }
  },
});
