/** `config`: every setting in effect. */
import { resolve } from 'node:path';
import { type LoadedConfig, optionName, SETTINGS, type SettingName } from '../config.js';
import { CapeError, EXIT } from '../core/errors.js';
import { oneLine } from '../core/text.js';
import { command, JSON_OPTION } from './command.js';
import { embeddedDataDir, toStderr } from './database.js';
import { loadSettings, SERVICE_OPTION } from './load-settings.js';
import { printJson, printTable } from './output.js';
import { groupedSettingOptions } from './setting-options.js';

const NAMES = Object.keys(SETTINGS) as SettingName[];

export const config = command<{ readonly json?: boolean }>({
  options: { ...JSON_OPTION, ...SERVICE_OPTION, ...groupedSettingOptions(NAMES) },
  examples: [
    ['config', 'what a worker started here would use'],
    ['config --lease 60 --json', 'with a flag of `run`, as JSON'],
  ],
  async run({ flags }) {
    const loaded = await loadSettings(flags);
    for (const warning of loaded.warnings) toStderr(`cape-worker: ${warning}`);
    const rows = await Promise.all(NAMES.map((name) => rowOf(name, loaded)));
    if (flags.json) printJson(rows);
    else {
      await printTable(
        ['SETTING', 'VALUE', 'FROM', 'VARIABLE'],
        rows.map(({ setting, value, from, variable }) => [setting, value || '-', from, variable]),
      );
    }
    return EXIT.ok;
  },
});

async function rowOf(name: SettingName, loaded: LoadedConfig) {
  const setting = SETTINGS[name];
  const text = await textOf(name, loaded);
  const source = loaded.sources[name];
  const fromFile = source === '.env' || source === 'env file';
  const from = fromFile && loaded.dotenvPath !== null ? oneLine(loaded.dotenvPath) : source;
  return { setting: optionName(name), value: text === undefined ? null : oneLine(text), from, variable: setting.env };
}

/** As it was written, but folders as the worker would find them. */
async function textOf(name: SettingName, loaded: LoadedConfig): Promise<string | undefined> {
  const text = loaded.texts[name];
  if (name === 'dataDir') return dataDirOf(loaded);
  if (text === undefined) return undefined;
  if (name === 'envFile') return loaded.dotenvPath ?? undefined;
  if (name === 'logDir' || name === 'workingDir') return resolve(text);
  return 'secret' in SETTINGS[name] ? masked(text) : text;
}

/** Of the embedded Postgres, where that is the one to be used; an account may have no folder for it. */
async function dataDirOf(loaded: LoadedConfig): Promise<string | undefined> {
  if (loaded.config.databaseUrl !== undefined) return loaded.texts.dataDir;
  try {
    return resolve(await embeddedDataDir(loaded));
  } catch (error) {
    if (!(error instanceof CapeError)) throw error;
    toStderr(`cape-worker: ${error.message}`);
    return undefined;
  }
}

/** Secrets are URLs: everything but its password helps to see what is wrong. */
async function masked(url: string): Promise<string> {
  const { redactUrl } = await import('../db/url.js');
  return redactUrl(url);
}
