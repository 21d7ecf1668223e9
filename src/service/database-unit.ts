/** The unit of the database that `--with-database` installs: daemons/cape-worker-postgres.service filled in. */
import { join } from 'node:path';
import { quote } from 'shlex';
import * as z from 'zod';
import { CapeError } from '../core/errors.js';
import type { PreparedServer } from '../db/embedded/index.js';
import { refuseControls } from './refuse.js';
import { fill, readTemplate } from './template.js';
import { execArgument, execProgram, unitPath, unitText, unitWord } from './unit-escape.js';

const remembered = z.object({
  scope: z.enum(['system', 'user']),
  /** Whom it runs as; empty for a user's own. */
  user: z.string(),
  /** The folder of all its data. */
  dataDir: z.string().startsWith('/'),
  /** The data was there before, so it is not for us to remove. */
  foundData: z.boolean(),
});

/** What is to be known of an installed database. */
export type DatabaseSpec = Readonly<z.infer<typeof remembered>>;

/** pg_ctl hands these paths to a shell, in double quotes. */
const FOR_THE_SHELL = /["$`\\]/;

/** @throws CapeError `config` for a data folder whose path can't be written there */
export function renderDatabaseUnit(spec: DatabaseSpec, server: Omit<PreparedServer, 'url'>): string {
  const { cluster, pgCtl, libraries, settings } = server;
  for (const path of [cluster, pgCtl]) {
    if (FOR_THE_SHELL.test(path)) {
      throw new CapeError('config', `the data folder is "${path}": must be without quotes, "$", "\`" and "\\"`);
    }
  }
  const pidFile = join(cluster, 'postmaster.pid');
  const words = [spec.scope, ...(libraries.length > 0 ? ['packaged'] : [])];
  const values = {
    PID_FILE: unitPath('the data folder', pidFile),
    PID_ARGUMENT: execArgument('the data folder', pidFile),
    USER: unitText('the account', spec.user),
    PGDATA: unitWord('the data folder', `PGDATA=${cluster}`),
    LIBRARIES: unitWord('the data folder', `LD_LIBRARY_PATH=${libraries.join(':')}`),
    PG_CTL: execProgram('pg_ctl', pgCtl),
    SETTINGS: execArgument('the settings', settings.map((setting) => `-c ${quote(setting)}`).join(' ')),
    WRITTEN: unitWord('the data folder', cluster),
    REMEMBERED: rememberedLines(spec),
  };
  return fill(readTemplate('cape-worker-postgres.service'), values, (word) => words.includes(word));
}

function rememberedLines(spec: DatabaseSpec): string {
  const keys = Object.keys(remembered.shape) as (keyof DatabaseSpec)[];
  return keys.map((key) => `${key}=${refuseControls(key, JSON.stringify(spec[key]))}`).join('\n');
}

/** What the text of a unit was rendered from; null where it is none of ours. */
export function parseDatabaseUnit(text: string): DatabaseSpec | null {
  const [, section = ''] = text.split(/^\[X-Cape-Worker\]$/m);
  try {
    const entries = [...section.matchAll(/^([a-zA-Z]+)=(.+)$/gm)].map(([, key, json]) => [
      key,
      JSON.parse(json as string),
    ]);
    return remembered.safeParse(Object.fromEntries(entries)).data ?? null;
  } catch {
    return null; // changed by hand into what is no JSON
  }
}
