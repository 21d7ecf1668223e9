/** Lines of a service's log, before they are shown: what its env file keeps secret is masked once more. */
import { CapeError } from '../core/errors.js';
import { parseUrl } from '../db/url.js';
import { readEnvFile } from './env-file.js';
import { maskedValue } from './show-plan.js';

/** Shorter ones may be a word of many lines. */
const SHORTEST_SECRET = 8;

/** @param variables of the env file */
export function redactLines(lines: readonly string[], variables: Readonly<Record<string, string>>): string[] {
  const secrets = Object.entries(variables)
    .filter(([name, value]) => maskedValue(name, value) !== value)
    .flatMap(([, value]) => [value, ...passwordsOf(value)])
    .filter((secret) => secret.length >= SHORTEST_SECRET);
  return lines.map((line) => secrets.reduce((rest, secret) => rest.replaceAll(secret, '***'), line));
}

/** The same by the env file itself; where that can't be read from here, its secrets can't be known. */
export function redactByFile(lines: readonly string[], envFile: string): string[] {
  try {
    return redactLines(lines, readEnvFile(envFile).values);
  } catch (error) {
    if (!(error instanceof CapeError)) throw error;
    return [...lines];
  }
}

function passwordsOf(value: string): string[] {
  try {
    const { password } = parseUrl(value);
    return [password, encodeURIComponent(password)];
  } catch {
    return []; // no URL, or none that can be read: the whole value is masked
  }
}
