/** Settings that depend on each other. */
import { CapeError } from '../core/errors.js';
import { durationName } from '../core/values.js';
import { type Config, optionName, SETTINGS, type SettingName, type Source } from './settings.js';

/** Ended runs must be dead before a lease can be taken: what the lease leaves for an outage must be something. */
export const LEASE_MARGIN_MS = 5000;

/** `min(15 s, lease / 4)`, milliseconds. */
export function renewalInterval(leaseMs: number): number {
  return Math.min(15_000, leaseMs / 4);
}

/** The shortest lease in whole seconds: a quarter of it, at most 15 s, passes between its renewals. */
function shortestLease(graceMs: number): number {
  const needed = graceMs + LEASE_MARGIN_MS;
  return (Math.floor(Math.min((needed * 4) / 3, needed + 15_000) / 1000) + 1) * 1000;
}

/** @throws CapeError `usage` or `config` for values that do not go together */
export function checkTogether(config: Config, sources: Readonly<Record<SettingName, Source>>): void {
  /** Names the first, which has the value. What a flag takes part in is an error of the command line. */
  const refuse = (names: readonly [SettingName, SettingName], why: string): never => {
    const [name] = names;
    const where = ['flag', 'default'].includes(sources[name]) ? `--${optionName(name)}` : SETTINGS[name].env;
    throw new CapeError(names.some((one) => sources[one] === 'flag') ? 'usage' : 'config', `${where}: ${why}`);
  };
  const { lease, grace, retryCap, retryBase } = config;
  if (lease - renewalInterval(lease) - grace - LEASE_MARGIN_MS <= 0) {
    const least = `must be at least ${durationName(shortestLease(grace))} with --grace ${durationName(grace)}`;
    refuse(['lease', 'grace'], `got ${durationName(lease)}; ${least}, so that it outlasts its renewal and the grace`);
  }
  if (retryCap < retryBase) {
    const least = `must not be less than --retry-base (${durationName(retryBase)})`;
    refuse(['retryCap', 'retryBase'], `got ${durationName(retryCap)}; ${least}`);
  }
  const both = config.failExitCodes.find((code) => config.snoozeExitCodes.includes(code));
  if (both !== undefined) {
    refuse(['snoozeExitCodes', 'failExitCodes'], `got ${both}, which is in --fail-exit-codes too; choose one`);
  }
  if (config.once && config.drain) refuse(['once', 'drain'], 'got it together with --drain; choose one of the two');
}
