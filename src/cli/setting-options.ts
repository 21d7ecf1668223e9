/** Options made from the table of settings, so that the command line, the environment and the help never disagree. */
import type { Options } from 'yargs';
import { type FlagValues, optionName, SETTINGS, type SettingName } from '../config.js';
import { flag } from '../core/values.js';

const TITLES = {
  database: 'Database:',
  worker: 'Worker:',
  retry: 'Retry:',
  logs: 'Logs:',
  http: 'HTTP:',
  client: 'HTTP client:',
} as const;

/** Options of these settings. Values stay text; the settings' own schema checks them wherever they come from. */
export function settingOptions(names: readonly SettingName[]): Record<string, Options> {
  const options: Record<string, Options> = {};
  for (const name of names) {
    const setting = SETTINGS[name];
    if ('secret' in setting) continue;
    const fallback = 'fallback' in setting && setting.fallback !== '' ? ` [${setting.fallback}]` : '';
    const describe = `${setting.about}${fallback} (${setting.env})`;
    const kind: Options =
      setting.schema === flag ? { type: 'boolean' } : { type: 'string', requiresArg: name !== 'http' };
    options[optionName(name)] = { ...kind, describe };
  }
  return options;
}

/** The same under headings, for the commands that take all of them. */
export function groupedSettingOptions(names: readonly SettingName[]): Record<string, Options> {
  const options = settingOptions(names);
  for (const name of names) {
    const option = options[optionName(name)];
    if (option) option.group = TITLES[SETTINGS[name].group];
  }
  return options;
}

/** What the command line says about settings, by their names in the table. */
export function settingFlags(flags: object): FlagValues {
  const values: Record<string, unknown> = {};
  const given = flags as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(SETTINGS)) values[name] = given[optionName(name)];
  return values as FlagValues;
}
