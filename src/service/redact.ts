/** Lines of a service's log, before they are shown: what its env file keeps secret is masked once more. */
import { CapeError } from '../core/errors.js';
import { masked } from '../core/text.js';
import { secretsOf } from '../db/url.js';
import { readEnvFile } from './env-file.js';
import { maskedValue } from './show-plan.js';

/** Shorter ones may be a word of many lines. */
const SHORTEST_SECRET = 8;

/** @param variables of the env file */
export function redactLines(lines: readonly string[], variables: Readonly<Record<string, string>>): string[] {
  const secrets = Object.entries(variables)
    .filter(([name, value]) => maskedValue(name, value) !== value)
    .flatMap(([, value]) => [...(value.length < SHORTEST_SECRET ? [] : [value]), ...partsOf(value)]);
  return lines.map((line) => masked(line, secrets));
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

function partsOf(value: string): string[] {
  try {
    return secretsOf(value);
  } catch {
    return []; // no URL, or none that can be read: the whole value is masked
  }
}
