/** `config`: every setting in effect. */
import { type LoadedConfig, loadConfig, optionName, SETTINGS, type SettingName } from '../config.js';
import { EXIT } from '../core/errors.js';
import { oneLine } from '../core/text.js';
import { command, JSON_OPTION } from './command.js';
import { toStderr } from './database.js';
import { printJson, printTable } from './output.js';
import { groupedSettingOptions, settingFlags } from './setting-options.js';

const NAMES = Object.keys(SETTINGS) as SettingName[];

export const config = command<{ readonly json?: boolean }>({
  options: { ...JSON_OPTION, ...groupedSettingOptions(NAMES) },
  examples: [
    ['config', 'what a worker started here would use'],
    ['config --lease 60 --json', 'with a flag of `run`, as JSON'],
  ],
  async run({ flags }) {
    const loaded = loadConfig({ flags: settingFlags(flags) });
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

async function rowOf(name: SettingName, { texts, sources }: LoadedConfig) {
  const setting = SETTINGS[name];
  const text = texts[name];
  const value = text === undefined ? null : oneLine('secret' in setting ? await masked(text) : text);
  return { setting: optionName(name), value, from: sources[name], variable: setting.env };
}

/** The only secret is a URL: everything but its password helps to see what is wrong. */
async function masked(url: string): Promise<string> {
  const { redactUrl } = await import('../db/url.js');
  return redactUrl(url);
}
