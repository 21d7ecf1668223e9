/** What the commands about services share: where they run, which scope is meant. */
import { fileURLToPath } from 'node:url';
import { loadConfig } from '../config.js';
import { CapeError } from '../core/errors.js';
import { workerIdSchema } from '../core/issue.js';
import { type Host, hostOf } from '../service/host.js';
import type { InstalledService } from '../service/installed.js';
import { type Program, programOf } from '../service/program.js';
import type { Scope } from '../service/spec.js';
import { flag } from './command.js';
import { checked } from './values.js';

export const SCOPE_OPTIONS = {
  system: flag('A service of the machine, started with it; needs root'),
  user: flag('A service of your own, under your own manager'),
};

export const NOW_OPTION = {
  now: flag('End running issues and give them back uncharged, in place of waiting for them'),
};

export interface ScopeFlags {
  readonly system?: boolean;
  readonly user?: boolean;
}

/** @throws CapeError `usage` for both at once */
export function scopeOf(flags: ScopeFlags): Scope | undefined {
  if (flags.system && flags.user) {
    throw new CapeError('usage', '--system: got it together with --user; choose one of the two');
  }
  if (flags.system) return 'system';
  return flags.user ? 'user' : undefined;
}

/** The machine and who asks. The environment alone: no file changes which services there are. */
export function thisHost(): Host {
  return hostOf(loadConfig({ only: [], dotenv: false }).environment);
}

/**
 * The services that are named, each once; else all that are installed.
 * @throws CapeError `refused` for one that is not installed, with what may be meant
 */
export async function servicesOf(words: readonly string[], flags: ScopeFlags, host: Host): Promise<InstalledService[]> {
  const { findService, installedServices } = await import('../service/installed.js');
  const scope = scopeOf(flags);
  if (words.length === 0) return installedServices(host, scope);
  return Promise.all([...new Set(words)].map((word) => findService(workerIdOf(word), host, scope)));
}

/** For people, with the scope that was looked at and how to see the other one. */
export function noneInstalled(scope: Scope | undefined): string {
  if (scope === 'user') return 'no service of your own is installed; --system looks at those of the machine';
  if (scope === 'system') return 'no service of the machine is installed; --user looks at your own';
  return 'no service of this machine or of yours is installed';
}

/** @throws CapeError `usage` for an id that no worker may have */
export function workerIdOf(word: string | undefined): string {
  return checked('worker id', workerIdSchema, word ?? '');
}

export function thisProgram(): Program {
  return programOf(fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url)), process.execPath);
}
